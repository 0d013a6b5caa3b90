"""Read, build and generate data sets of the published sizes, from synthetic files.

python benchmarks/data.py
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from longvideoagent.datasets.longtvqa.build import BuildInputs, build_longtvqa
from longvideoagent.datasets.longtvqa.questions import OPTIONS
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.synthetic.generate import SyntheticConfig, generate_dataset
from table import peak_mb, ratio, row, seconds

CLIPS_PER_EPISODE = 24
PLUS_CLIPS, PLUS_QUESTIONS = 4198, 3017
"""LongTVQA+: clips and questions of its validation split (data set card)."""
TVQA_CLIPS, TVQA_QUESTIONS = 21_793, 152_545
"""TVQA, which LongTVQA is built from (TVQA paper, table 1)."""
LINES_PER_CLIP = 18
BOXES_PER_QUESTION = 20
MINUTES = 20
WORDS = "we went over to his place last night and she said that it was never about the money".split()  # noqa: SIM905
READ = """
import sys
from pathlib import Path
from longvideoagent.datasets.longtvqa.read import read_longtvqa
read_longtvqa(Path(sys.argv[1]))
"""
BUILD = """
import sys
from pathlib import Path
from longvideoagent.datasets.longtvqa.build import BuildInputs, build_longtvqa
build_longtvqa(BuildInputs({'train': Path(sys.argv[1])}, Path(sys.argv[2])), Path(sys.argv[3]))
"""


def clip_names(count: int) -> list[str]:
    """Names as TVQA has them."""
    return [
        f"s{number // (24 * CLIPS_PER_EPISODE) + 1:02}e{number // CLIPS_PER_EPISODE % 24 + 1:02}"
        f"_seg01_clip_{number % CLIPS_PER_EPISODE:02}"
        for number in range(count)
    ]


def write_tvqa(folder: Path, clips: int, questions: int, with_boxes: bool) -> tuple[Path, Path]:
    """Write files of questions and of preprocessed subtitles."""
    rng, names = random.Random(0), clip_names(clips)

    def text(words: int) -> str:
        return " ".join(rng.choices(WORDS, k=words))

    def lines() -> Iterator[dict[str, object]]:
        for index in range(LINES_PER_CLIP):
            yield {"text": f"Mira : {text(9)}", "start": index * 3.0, "end": index * 3.0 + 2.5}

    def question(number: int) -> dict[str, object]:
        record = {"qid": number, "q": text(12), **{option: text(5) for option in OPTIONS}, "answer_idx": number % 5}
        record |= {"ts": [4.0, 9.5], "vid_name": names[number % clips]}
        box = {"img_id": 7, "top": 10, "left": 20, "width": 30, "height": 40, "label": "Mira"}
        boxes = {str(frame): [box] for frame in range(BOXES_PER_QUESTION)}
        return record | ({"bbox": boxes} if with_boxes else {})

    questions_file, subtitles_file = folder / f"{questions}_train.jsonl", folder / f"{clips}_subtitles.jsonl"
    with questions_file.open("w") as file:
        file.writelines(json.dumps(question(number)) + "\n" for number in range(questions))
    with subtitles_file.open("w") as file:
        file.writelines(json.dumps({"vid_name": name, "sub": list(lines())}) + "\n" for name in names)
    return questions_file, subtitles_file


def parse_files(folder: Path) -> None:
    """Parse the files that the reader reads, and nothing else."""
    for name in ("LongTVQA_plus_val.json", "clip_durations.json", "clip_subtitles.json"):
        with (folder / name).open(encoding="utf-8") as file:
            json.load(file)


def measure(folder: Path) -> None:
    """Print all rows, those that need the least memory first."""
    questions_file, subtitles_file = write_tvqa(folder, PLUS_CLIPS, PLUS_QUESTIONS, with_boxes=True)
    plus = folder / "plus"
    build_longtvqa(BuildInputs({"val": questions_file}, subtitles_file), plus)
    times = ratio(lambda: read_longtvqa(plus), lambda: parse_files(plus), 7)
    label = f"read {PLUS_QUESTIONS:,} questions and {PLUS_CLIPS:,} clips"
    row(f"{label}, against json.load of the same files", times, "< 1.5x")
    row("its peak memory", f"{peak_mb(READ, plus):.0f} MB", "< 500 MB")
    questions_file, subtitles_file = write_tvqa(folder, TVQA_CLIPS, TVQA_QUESTIONS, with_boxes=False)
    build_s = seconds(lambda: build_longtvqa(BuildInputs({"train": questions_file}, subtitles_file), folder / "built"))
    label = f"build LongTVQA of {TVQA_QUESTIONS:,} questions and {TVQA_CLIPS:,} clips"
    row(label, f"{build_s:.0f} s", "< 60 s")
    row("its peak memory", f"{peak_mb(BUILD, questions_file, subtitles_file, folder / 'again'):.0f} MB", "< 500 MB")
    cpu_s = seconds(lambda: generate_dataset(folder / "synth", SyntheticConfig(2, MINUTES)), time.process_time)
    label = f"generate 2 episodes of {MINUTES} minutes, playing time over CPU time"
    row(label, f"{2 * 60 * MINUTES / cpu_s:.0f}x", "≥ 20x")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch))
