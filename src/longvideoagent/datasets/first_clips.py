"""Locate the first clip of every question in advance, so that training does not ask the grounding agent again.

Entries are keyed by the question's id and text, so that an old entry is not used for a changed question. Failures are
not stored; the next run asks the pending questions only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from longvideoagent.agents.base import Team, require_result
from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.cost import CostForecast, forecast_grounding, sum_forecasts, usd_of
from longvideoagent.agents.grounding import NO_CLIP_NAMED
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.types import GroundingResult, Question, Usage
from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.open_videos import OpenVideos, order_by_video
from longvideoagent.datasets.public_rows import InvalidRowError, is_public_row, read_public_row
from longvideoagent.datasets.records import RecordFile
from longvideoagent.errors import DataError, ModelError, as_data_error
from longvideoagent.index.first_clips import FirstClips, PublicEntry
from longvideoagent.media.video import Video
from longvideoagent.progress import Progress, no_progress

SAVE_EVERY = 100
"""The file is written after this many questions."""


def open_first_clips(path: Path) -> FirstClips:
    """The first clips in a file of ``lva data ground``, in a cache of the public code, or in Parquet rows of either.
    Public rows that are not valid are left out, as from the questions. Raises DataError for any other file, and
    UsageError for Parquet without the extra."""
    if path.suffix != ".parquet":
        return FirstClips.open_existing(path)
    entries, errors = list[PublicEntry](), list[InvalidRowError]()
    for record in RecordFile.read_parquet(path).records():
        info = record.values.get("extra_info")
        if is_public_row(record.values):
            try:
                row = read_public_row(record)
            except InvalidRowError as error:
                errors.append(error)
            else:
                entries.append(PublicEntry(row.question.text, row.first_clip, row.clip))
        elif isinstance(info, dict) and isinstance(info.get("question"), str) and "clip" in info:
            entries.append(PublicEntry(info["question"], info["clip"], str(info["clip"])))
        else:
            raise DataError(str(record.problem("extra_info", "has no question with its clip; name another file")))
    if not entries and errors:
        raise errors[0]
    if not entries:
        raise DataError(f"{path}: has no row; name another file")
    return FirstClips(path, public_entries=entries)


def check_all_located(
    first_clips: FirstClips, questions: Sequence[Question], data: Path, split: str, ids: Path | None = None
) -> None:
    """Raise DataError, with the numbers and the command that locates these questions, if one has no entry; in a cache
    of the public code, if none has one, since it lacks the questions whose grounding failed."""
    num_located = sum(question in first_clips for question in questions)
    if num_located == len(questions) or (num_located and first_clips.is_public):
        return
    problem = f"{first_clips.path}: has a clip for {num_located} of {len(questions)} questions"
    out = "FILE" if first_clips.is_public else first_clips.path
    options = f"--split {split} --out {out}" if ids is None else f"--split {split} --ids {ids} --out {out}"
    fix = f"lva data ground {data} {options} locates {'the others' if num_located else 'them'}"
    raise DataError(f"{problem}; {fix if num_located else f'is it of another set or split? {fix}'}")


def is_pending(first_clips: FirstClips, sample: Sample, data: Dataset) -> bool:
    """Whether a sample still needs its first clip: none is stored, or its video no longer has the stored clip, as
    after the data set was built again."""
    if sample.question not in first_clips:
        return True
    labels = data.clip_labels(sample.video)
    label = first_clips.get(sample.question, labels)
    return label is not None and labels is not None and label not in labels


class GroundingForecast(NamedTuple):
    """The most that ``ground_dataset`` may use."""

    num_pending: int
    """Questions that it would ask."""
    cost: CostForecast


def forecast_grounding_dataset(data: Dataset, team_config: TeamConfig, first_clips: FirstClips) -> GroundingForecast:
    """The upper bound of ``ground_dataset``, without asking anything. A video that cannot be read costs nothing."""
    layout = team_config.read_layout()  # otherwise its file would be read for each question
    team_config = team_config.model_copy(update={"layout": layout, "layout_file": None, "prompt_file": None})
    pending = order_by_video([sample for sample in data.samples if is_pending(first_clips, sample, data)])
    agent = team_config.grounding
    total = CostForecast("grounding", agent.label, Usage(), usd_of(agent, Usage(), team_config))
    for name, samples in groupby(pending, lambda sample: sample.video):
        with suppress(DataError):
            timeline = data.open_video(name).timeline
            costs = (forecast_grounding(sample.question, timeline, team_config) for sample in samples)
            total = sum_forecasts((total, *costs))
    return GroundingForecast(len(pending), total)


def ground_dataset(
    data: Dataset,
    team: Team,
    first_clips: FirstClips,
    concurrency: int = 16,
    progress: Progress = no_progress,
) -> list[str]:
    """Ask the team's grounding agent for the first clip of each pending question, ``concurrency`` at a time, and store
    it in ``first_clips``, whose file is written every ``SAVE_EVERY`` questions and at the end. The team is closed.

    Returns the cause of each failure; a video that cannot be read fails its own questions only.
    """
    pending = order_by_video([sample for sample in data.samples if is_pending(first_clips, sample, data)])
    causes: list[str] = []
    queue = iter(enumerate(pending, 1))

    async def work(videos: OpenVideos) -> None:
        for number, sample in queue:
            try:
                with as_data_error(f"{data.folder}: {sample.video}"):
                    video = await videos.get(sample.video)
                first_clips.put(sample.question, await _locate_clip(sample.question, video, team))
            except (DataError, ModelError) as error:
                causes.append(str(error))
            if number % SAVE_EVERY == 0:
                first_clips.write()
            progress("locating first clips", number / len(pending))

    async def run() -> None:
        videos = OpenVideos(data)
        try:
            await asyncio.gather(*(work(videos) for _ in range(min(concurrency, len(pending)))))
        finally:
            await team.close()
            first_clips.write()

    asyncio.run(run())
    return causes


async def _locate_clip(question: Question, video: Video, team: Team) -> str | None:
    """The label of the clip that grounding found, or None. Raises ModelError if the agent failed or named no clip that
    the video has; a label that retrieval chose instead would be stored as the model's."""
    request = Rollout(question, video.timeline).request
    assert request is not None  # a rollout begins with grounding
    result = require_result(await team.perform(request, video.reader), GroundingResult)
    if NO_CLIP_NAMED in result.warnings:
        raise ModelError("the grounding agent named no clip of the video; run it again, or try another")
    label = result.label
    if label is not None and video.timeline.find_clip(label) is None:
        raise ModelError(f"the grounding agent named {label[:40]!r}, which is not a clip of the video; try another")
    return label
