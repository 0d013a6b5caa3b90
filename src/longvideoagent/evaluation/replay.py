"""A recorded trajectory driven through the loop again, with no model, no key and no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from longvideoagent.core.outcome import Outcome
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import (
    ClipObservation,
    GroundingResult,
    Observation,
    Result,
    SystemNotice,
    Timeline,
    VisionResult,
)
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, ProtocolError
from longvideoagent.media.video import Video
from longvideoagent.views.run_folder import read_config, read_samples, read_traces


def find_trace(path: Path, name: str) -> Trace:
    """The trace of a question of a run. Raises DataError where it has none, or one that ended at its data: what
    could not be read then cannot be driven through the loop."""
    found = None
    for trace in read_traces(path):
        if trace.question.id == name:
            found = trace
    if found is None:
        there = "it is not finished yet" if name in read_samples(path) else "there is no such question"
        raise DataError(f"{path}: no trace of question {name!r}; {there}")
    if found.outcome is Outcome.FAILED and found.failure is None:
        raise DataError(f"{path}: question {name!r} failed for its data ({found.cause}); mend them and --retry failed")
    return found


def open_recorded(path: Path, name: str, data: Path | None = None) -> Video:
    """The episode that a question of a run is about, from the data set that the run names, or from ``data``
    where it has been moved. Raises DataError where it is not at hand."""
    config, samples = read_config(path), read_samples(path)
    folder = data or Path(config["data"])
    if not folder.is_dir():
        raise DataError(f"{folder}: the run's data set is not there; name its folder with --data")
    return open_dataset(folder, config["split"]).open_video(samples[name].video)


def replay(recorded: Trace, timeline: Timeline, on_step: Callable[[Trace], None]) -> bool:
    """Drive the loop with what the agents returned then, telling each step. Returns whether it ends in the
    same trace: if not, the loop or the data have changed since. Raises DataError where it cannot go on."""
    rollout = Rollout(recorded.question, timeline, recorded.settings, recorded.warnings)
    results = _results(recorded)
    while rollout.request is not None:
        try:
            rollout.receive(next(results))
        except (ProtocolError, StopIteration) as error:
            raise DataError(f"question {recorded.question.id!r} goes another way today than recorded") from error
        on_step(rollout.trace)
    return rollout.trace == recorded


def _results(recorded: Trace) -> Iterator[Result]:
    """What the agents returned, in order."""
    if recorded.first_grounding is not None and recorded.settings.grounding:
        yield _grounded(recorded.first_grounding)
    for said in recorded.rounds:
        yield said.reply
        observed = said.observation
        if isinstance(observed, VisionResult):
            yield observed
        elif isinstance(observed, ClipObservation) or (
            isinstance(observed, SystemNotice) and observed.grounding is not None
        ):
            yield _grounded(observed)
    if recorded.failure is not None:
        yield recorded.failure


def _grounded(observed: Observation) -> GroundingResult:
    if isinstance(observed, ClipObservation):
        return GroundingResult(
            observed.clip.label, observed.reason, observed.evidence, observed.usage, observed.candidates
        )
    assert isinstance(observed, SystemNotice)
    assert observed.grounding is not None
    return replace(observed.grounding, usage=observed.usage)
