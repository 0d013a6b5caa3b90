"""Which clip the offline grounding locates first, by terms only and by meaning as well, and what the vectors cost.

    python benchmarks/meaning.py FOLDER [WEIGHTS]

FOLDER is a data set in the layout of LongTVQA+, whose questions name the clip that they are about; WEIGHTS are those of
a sentence encoder that is on this machine (``lva weights get minilm``). The interval is that of the difference of
each question, clustered by episode.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rich.progress import track

from longvideoagent.agents.offline.grounding import locate
from longvideoagent.agents.offline.meaning import Meaning
from longvideoagent.core.rollout import GroundingRequest, Rollout
from longvideoagent.core.trace import Agents, RolloutSettings
from longvideoagent.core.types import Question, Timeline
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.evaluation.metrics import Z_95, estimate
from longvideoagent.models.sentence_encoder import SentenceEncoder, load_encoder
from table import row, seconds


def first_clip(question: Question, timeline: Timeline, meaning: Meaning | None) -> str | None:
    """The label of the clip that grounding locates first."""
    request = Rollout(question, timeline, RolloutSettings(agents=Agents.GROUNDING)).request
    assert isinstance(request, GroundingRequest)
    return locate(request, meaning).label


def measure_cost(encoder: SentenceEncoder, timeline: Timeline) -> None:
    """The CPU time of all lines of an episode."""
    texts = [line.text for line in timeline.subtitles]
    cpu_s = seconds(lambda: encoder.encode(texts), time.process_time)
    minutes = timeline.duration_s / 60
    row(f"vectors of {len(texts)} lines, {minutes:.0f} minutes", f"{cpu_s:.1f} CPU-s", "≤ 2 for 20 minutes")


def main() -> None:
    """Locate the clip of each question twice, and print both accuracies, the difference and the cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("weights", nargs="?", default="minilm")
    arguments = parser.parse_args()
    data, encoder = read_longtvqa(arguments.folder), load_encoder(arguments.weights)
    samples = sorted((each for each in data.samples if each.gold.clip is not None), key=lambda each: str(each.video))
    measure_cost(encoder, max((data.timeline(video) for video in {each.video for each in samples}), key=_num_lines))
    meaning, correct = Meaning(encoder), [0, 0]
    differences: list[tuple[str, float]] = []
    for sample in track(samples, "locating"):
        timeline = data.timeline(sample.video)
        found = [first_clip(sample.question, timeline, each) == sample.gold.clip for each in (None, meaning)]
        correct = [count + is_right for count, is_right in zip(correct, found, strict=True)]
        differences.append((str(sample.video), found[1] - found[0]))
    for name, count in zip(("terms only", "terms and meaning"), correct, strict=True):
        row(f"first clip correct, {name}", f"{100 * count / len(samples):.1f} % of {len(samples)}", "–")
    gain = estimate(differences)
    assert gain is not None
    margin = 100 * Z_95 * (gain.standard_error or 0.0)
    row("gain by meaning", f"{100 * gain.mean:+.1f} ± {margin:.1f} points", "–")


def _num_lines(timeline: Timeline) -> int:
    return len(timeline.subtitles)


if __name__ == "__main__":
    main()
