"""Replays a recorded trace through the loop, without models, keys or network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import assert_never

from longvideoagent.core.outcome import StopReason
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import (
    ClipObservation,
    GroundingResult,
    Observation,
    Result,
    SystemNotice,
    Timeline,
    TimelineResult,
    VisionResult,
)
from longvideoagent.datasets.base import DatasetOptions
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, ProtocolError
from longvideoagent.media.video import Video
from longvideoagent.views.run_folder import read_config, read_samples, read_traces


def find_trace(path: Path, question_id: str) -> Trace:
    """The last trace of a question of a run. Raises DataError for a question without a trace, and for one that failed
    because its data could not be read, since that cannot be replayed."""
    trace = None
    for candidate in read_traces(path):
        if candidate.question.id == question_id:
            trace = candidate
    if trace is None:
        raise DataError(
            f"{path}: no trace of question {question_id!r}; {_missing_reason(question_id, read_samples(path))}"
        )
    if trace.stop_reason is StopReason.DATA:
        raise DataError(
            f"{path}: question {question_id!r} failed because of its data ({trace.cause}); fix them and --retry-failed"
        )
    return trace


def _missing_reason(question_id: str, ids: Iterable[str]) -> str:
    """Why a run has no trace of a question, with the ids that were probably meant."""
    known = list(ids)
    if question_id in known:
        return "it is not finished yet"
    near = get_close_matches(question_id, known, 3) or known[:3]
    return (
        f"there is no such question; its {len(known)} ids are like {', '.join(near)}" if near else "it has no questions"
    )


def open_recorded_video(path: Path, question_id: str, data: Path | None = None) -> Video:
    """The video of a question of a run, from the data set that the run names, or from ``data`` if it has moved. Raises
    DataError for a data set that is not available."""
    config, samples = read_config(path), read_samples(path)
    folder = data or Path(config["data"])
    if not folder.is_dir():
        raise DataError(f"{folder}: the run's data set is missing; name its folder with --data")
    dataset = open_dataset(folder, config["split"], DatasetOptions.from_record(config))
    return dataset.open_video(samples[question_id].video)


def replay(recorded_trace: Trace, timeline: Timeline, on_step: Callable[[Trace], None]) -> bool:
    """Run the loop with the recorded results, calling ``on_step`` after each step. Returns whether it ends in the same
    trace; if not, the loop or the data have changed since. Raises DataError where it cannot continue."""
    rollout = Rollout(recorded_trace.question, timeline, recorded_trace.settings, recorded_trace.warnings)
    trace = rollout.trace
    results = _results(recorded_trace)
    while rollout.request is not None:
        try:
            rollout.receive(next(results))
        except (ProtocolError, StopIteration) as error:
            raise DataError(
                f"question {recorded_trace.question.id!r} takes another course today than recorded"
            ) from error
        trace = rollout.trace
        if trace.outcome is not None:
            trace = replace(trace, hint=recorded_trace.hint)  # the team's, not the loop's
        on_step(trace)
    return trace == recorded_trace


def _results(recorded_trace: Trace) -> Iterator[Result]:
    """What the agents returned, in order."""
    if recorded_trace.first_grounding is not None and recorded_trace.settings.has_grounding:
        yield from _agent_results(recorded_trace.first_grounding)
    for round_ in recorded_trace.rounds:
        yield round_.reply
        if round_.observation is not None:
            yield from _agent_results(round_.observation)
    if recorded_trace.failure is not None:
        yield recorded_trace.failure


def _agent_results(
    observation: Observation,
) -> Iterator[GroundingResult | VisionResult | TimelineResult]:
    """The result behind an observation; a notice of the loop itself has none."""
    match observation:
        case VisionResult() | TimelineResult():
            yield observation
        case ClipObservation(clip=clip, reason=reason, evidence=evidence, usage=usage, candidates=candidates):
            yield GroundingResult(clip.label, reason, evidence, usage, candidates)
        case SystemNotice(grounding_result=result, usage=usage):
            if result is not None:
                yield replace(result, usage=usage)
        case _:
            assert_never(observation)
