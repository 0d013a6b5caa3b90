"""The first clip of every question, found beforehand: training reads it instead of asking again and again.

Entries are kept by the question's id and its text, so that a data set that changed under its ids is not
answered from the past. Failures are not kept; the next run asks for what is still owed.
"""

from __future__ import annotations

import asyncio

from longvideoagent.agents.base import Team
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.types import AgentFailure, GroundingResult, Question
from longvideoagent.datasets.base import DataSet
from longvideoagent.datasets.episodes import OpenVideos, by_episode
from longvideoagent.datasets.gold import Sample
from longvideoagent.errors import DataError, ModelError
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.media.video import Video
from longvideoagent.progress import Progress, no_progress

WRITTEN_EVERY = 100
"""Questions between two writings of the file."""


def is_pending(first_clips: FirstClips, sample: Sample, data: DataSet) -> bool:
    """Whether a sample still needs its first clip: none is stored, or its video has no such clip any more, as after
    the data set was built again."""
    if sample.question not in first_clips:
        return True
    label, clips = first_clips.get(sample.question), data.clips(sample.video)
    return label is not None and clips is not None and label not in clips


def ground(
    data: DataSet,
    team: Team,
    first_clips: FirstClips,
    at_once: int = 16,
    progress: Progress = no_progress,
) -> list[str]:
    """Ask the team's grounding agent where each question that the cache owes is to be answered, so many at once,
    writing as it goes. Returns the cause of each failure; a video that cannot be read fails its own
    questions alone."""
    owed = by_episode([sample for sample in data.samples if is_pending(first_clips, sample, data)])
    failed: list[str] = []
    left = iter(enumerate(owed, 1))

    async def worker(episodes: OpenVideos) -> None:
        for number, sample in left:
            try:
                episode = await episodes.get(sample.video)
                first_clips.put(sample.question, await _first_clip(sample.question, episode, team))
            except (DataError, ModelError) as error:
                failed.append(str(error))
            if number % WRITTEN_EVERY == 0:
                first_clips.write()
            progress("grounding", number / len(owed))

    async def run() -> None:
        episodes = OpenVideos(data)
        try:
            await asyncio.gather(*(worker(episodes) for _ in range(at_once)))
        finally:
            await team.close()
            first_clips.write()

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
