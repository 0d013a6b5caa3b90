"""Whatever one question or one file raises is that question's failure, and never the end of the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from longvideoagent.agents.base import Team
from longvideoagent.agents.offline import offline_team
from longvideoagent.core.outcome import StopReason
from longvideoagent.core.rollout import GroundingRequest
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import GroundingResult
from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.longtvqa.read import LongTVQA
from longvideoagent.errors import ModelError, UsageError
from longvideoagent.evaluation.config import load_samples
from longvideoagent.evaluation.overrides import EvalOverrides
from longvideoagent.evaluation.runner import RunLimits, Runner
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.video import Video
from tests.fakes.release import some_questions, write_release
from tests.plugins.cli import lva
from tests.plugins.runs import eval_config, lines

ERRORS: list[Exception] = [
    ZeroDivisionError("division by zero"), KeyError("x"), MemoryError(), RecursionError("too deep"), AssertionError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), OSError(5, "Input/output error"), RuntimeError("a\nb"),
    EOFError(),
]  # fmt: skip


class BrokenVideos(LongTVQA):
    """A data set with a video that a library cannot parse."""

    error: Exception

    def open_video(self, video: str) -> Video:
        if video == "s01e02":
            raise self.error
        return super().open_video(video)


@dataclass
class BrokenGrounding:
    """A grounding agent that raises at the second question."""

    error: Exception
    num_calls: int = 0

    async def locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:  # noqa: ARG002
        self.num_calls += 1
        if self.num_calls == 2:
            raise self.error
        return GroundingResult(request.timeline.clips[0].label)


@dataclass
class Traces:
    """Keeps finished traces."""

    traces: list[Trace] = field(default_factory=list)

    def add(self, trace: Trace) -> None:
        self.traces.append(trace)


def ask(folder: Path, team: Team, change: Callable[[Dataset], Dataset] = lambda data: data) -> tuple[list[Trace], str]:
    config = eval_config(folder)
    data, samples = load_samples(config)
    overrides = EvalOverrides.from_config(config, change(data), samples)
    sink = Traces()
    runner = Runner(overrides, team, sink, RunLimits(concurrency=1), lambda *_: None)
    return sink.traces, asyncio.run(runner.ask(samples))


def failed(traces: list[Trace]) -> Iterator[Trace]:
    return (trace for trace in traces if trace.stop_reason in (StopReason.DATA, StopReason.MODEL))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_any_error_of_a_video_fails_its_questions(error: Exception, tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(8))

    def break_videos(data: Dataset) -> Dataset:
        broken = BrokenVideos(**vars(cast(LongTVQA, data)))
        broken.error = error
        return broken

    traces, stop_cause = ask(release, offline_team(), break_videos)
    assert (len(traces), stop_cause) == (8, "")
    causes = [trace.cause for trace in failed(traces)]
    assert len(causes) == 2
    for cause in causes:
        assert cause.startswith(f"data: {release}: s01e02: ")
        assert "\n" not in cause


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_any_error_while_asking_fails_one_question(error: Exception, tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(8))
    traces, stop_cause = ask(release, replace(offline_team(), grounding=BrokenGrounding(error)))
    assert (len(traces), stop_cause) == (8, "")
    (trace,) = failed(traces)
    assert trace.stop_reason is StopReason.DATA
    assert trace.cause.startswith("data: ")
    assert "\n" not in trace.cause


@pytest.mark.parametrize("error", [UsageError("K is not set; export it"), ModelError("down")])
def test_error_of_configuration_while_asking(error: Exception, tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(8))
    traces, _ = ask(release, replace(offline_team(), grounding=BrokenGrounding(error)))
    (trace,) = failed(traces)
    assert (trace.stop_reason, str(error) in trace.cause) == (StopReason.MODEL, True)
    assert len(traces) == 8


def test_unreadable_subtitles_do_not_stop_the_run(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(4))
    (release / "videos").mkdir()
    (release / "videos" / "s01e02.mp4").write_bytes(b"\0" * 100)
    (release / "videos" / "s01e02.srt").write_bytes(b"\xff\xfe\0")
    done = lva("eval", release, "--run", tmp_path / "run")
    assert done.returncode == 1
    outcomes = {line["id"]: line["outcome"] for line in lines(tmp_path / "run")}
    assert sorted(outcomes.values()) == ["answered", "answered", "answered", "failed"]
    assert "1 failed: data: " in done.stdout
    assert "s01e02.mp4" in done.stdout


def test_dry_run_counts_questions_that_would_fail(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(4))
    (release / "videos").mkdir()
    (release / "videos" / "s01e02.mp4").write_bytes(b"\0" * 100)
    done = lva("eval", release, "--run", tmp_path / "run", "--dry-run")
    assert done.returncode == 0
    assert "1 of 4 questions would fail and are not counted; " in done.stderr
    assert "s01e02.mp4" in done.stderr
