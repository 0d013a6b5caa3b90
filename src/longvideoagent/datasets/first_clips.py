"""The first clip of every question, found beforehand: training reads it instead of asking again and again.

Entries are kept by the question's id and its text, so that a data set that changed under its ids is not
answered from the past. Failures are not kept; the next run asks for what is still owed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

from longvideoagent.agents.base import Team
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.types import AgentFailure, GroundingResult, Question, Timeline
from longvideoagent.datasets.base import DataSet
from longvideoagent.datasets.episodes import OpenVideos, by_episode
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.longtvqa.write import write_json
from longvideoagent.errors import DataError, ModelError, UsageError
from longvideoagent.media.video import Video
from longvideoagent.progress import Progress, no_progress

FORMAT = 1
WRITTEN_EVERY = 100
"""Questions between two writings of the file."""


class GroundingCache:
    """Labels of clips by question, in one JSON file. Raises DataError for a file that is no such cache, and
    UsageError for one that another ``grounder`` has filled; None takes whatever is there."""

    def __init__(self, path: Path, grounder: str | None = None) -> None:
        self.path = path
        told = _read(path) if path.exists() else {"clips": {}, "grounder": grounder}
        self._clips: dict[str, str | None] = told["clips"]
        self._grounder = told.get("grounder")
        if grounder is not None and self._grounder != grounder:
            raise UsageError(f"{path}: filled by {self._grounder}, not {grounder}; choose another --out")

    @classmethod
    def existing(cls, path: Path) -> GroundingCache:
        """Raises DataError where there is no such file."""
        if not path.is_file():
            raise DataError(f"{path}: no such file; lva data ground writes one")
        return cls(path)

    def __contains__(self, question: Question) -> bool:
        return _key(question) in self._clips

    def owes(self, sample: Sample, data: DataSet) -> bool:
        """Whether a question is still to be asked: it was not, or its video has the clip found no more, as when the
        data set was built anew."""
        if sample.question not in self:
            return True
        label, clips = self.get(sample.question), data.clips(sample.video)
        return label is not None and clips is not None and label not in clips

    def get(self, question: Question) -> str | None:
        """The label found; None where grounding found nothing. Raises KeyError for a question not asked."""
        return self._clips[_key(question)]

    def find(self, question: Question, timeline: Timeline) -> str | None:
        """As ``get``, the label of a clip of its video. Raises DataError where the video has no such clip, as when
        the data set was built anew."""
        label = self.get(question)
        if label is not None and timeline.find(label) is None:
            told = f"{self.path}: the video of question {question.id} has no clip {label}"
            raise DataError(f"{told}; delete the file and run lva data ground again with this --split")
        return label

    def put(self, question: Question, label: str | None) -> None:
        """Keep a label until ``write``."""
        self._clips[_key(question)] = label

    def write(self) -> None:
        """Whole or not at all."""
        write_json(self.path, {"format": FORMAT, "grounder": self._grounder, "clips": self._clips})


def _key(question: Question) -> str:
    text = "\n".join([question.text, *question.options])
    return f"{question.id} {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}"


def _read(path: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no grounding cache ({error}); name another file") from error
    clips = told.get("clips") if isinstance(told, dict) and told.get("format") == FORMAT else None
    if not isinstance(clips, dict):
        raise DataError(f"{path}: no grounding cache of this version; delete it or name another file")
    return told


def ground(
    data: DataSet,
    team: Team,
    cache: GroundingCache,
    at_once: int = 16,
    progress: Progress = no_progress,
) -> list[str]:
    """Ask the team's grounding agent where each question that the cache owes is to be answered, so many at once,
    writing as it goes. Returns the cause of each failure; a video that cannot be read fails its own
    questions alone."""
    owed = by_episode([sample for sample in data.samples if cache.owes(sample, data)])
    failed: list[str] = []
    left = iter(enumerate(owed, 1))

    async def worker(episodes: OpenVideos) -> None:
        for number, sample in left:
            try:
                episode = await episodes.get(sample.video)
                cache.put(sample.question, await _first_clip(sample.question, episode, team))
            except (DataError, ModelError) as error:
                failed.append(str(error))
            if number % WRITTEN_EVERY == 0:
                cache.write()
            progress("grounding", number / len(owed))

    async def run() -> None:
        episodes = OpenVideos(data)
        try:
            await asyncio.gather(*(worker(episodes) for _ in range(at_once)))
        finally:
            await team.close()
            cache.write()

    asyncio.run(run())
    return failed


async def _first_clip(question: Question, episode: Video, team: Team) -> str | None:
    """The label of a clip; None where grounding found none. Raises ModelError where the agent is down, or named what
    is no clip of the video."""
    request = Rollout(question, episode.timeline).request
    assert request is not None  # a rollout begins with grounding
    result = await team.perform(request, episode.video)
    if isinstance(result, AgentFailure):
        raise ModelError(result.cause)
    label = result.label if isinstance(result, GroundingResult) else None
    if label is not None and episode.timeline.find(label) is None:
        raise ModelError(f"the grounding agent named {label[:40]!r}, which is no clip of the video; ask another agent")
    return label
