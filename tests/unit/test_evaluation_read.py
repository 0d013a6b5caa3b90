"""Comparing and replaying runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.cli.console_evaluation import percent
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import GroundingResult, Question, Reply, VisionResult
from longvideoagent.errors import DataError
from longvideoagent.evaluation.compare import compare
from longvideoagent.evaluation.replay import find_trace, open_recorded_video, replay
from longvideoagent.evaluation.report import write_report
from longvideoagent.views.run_folder import read_traces
from longvideoagent.views.trace_dict import trace_to_line
from tests.fakes.faulty_server import say, serving
from tests.fakes.release import question, some_questions, write_release
from tests.plugins.cli import lva
from tests.plugins.runs import Json, eval_config, run
from tests.plugins.timelines import make_timeline


def test_compare_two_runs(release: Path, tmp_path: Path) -> None:
    with serving(*[say("<answer>a1</answer>")] * 12, *[say("<answer>a2</answer>")] * 12) as (url, _):
        team_config = TeamConfig(master=AgentConfig(model=f"openai:m@{url}"))
        run(eval_config(release, team_config), tmp_path / "correct")
        run(eval_config(release, team_config, limit=8), tmp_path / "wrong")
    comparison = compare(tmp_path / "correct", tmp_path / "wrong")
    assert (comparison.num_common, comparison.gain, comparison.interval) == (8, -1.0, None)
    assert comparison.p_value == pytest.approx(2 / 2**2)  # two videos
    assert comparison.p_value_mcnemar == pytest.approx(2 / 2**8)
    assert [flip.is_gain for flip in comparison.flips] == [False] * 8
    assert any(line.startswith("limit: null -> 8") for line in comparison.settings)


def test_percent_without_spread(release: Path, tmp_path: Path) -> None:
    with serving(*[say("<answer>a1</answer>")] * 24) as (url, _):
        team_config = TeamConfig(master=AgentConfig(model=f"openai:m@{url}"))
        both = run(eval_config(release, team_config), tmp_path / "both")
        one = run(eval_config(release, team_config, limit=1), tmp_path / "one")
    assert percent(both["accuracy"]) == "100.0 % (22.4 to 100.0)"  # two videos allow no more
    assert percent(one["accuracy"]) == "100.0 ± – %"
    assert '100.0 <span class="soft">(22.4 to 100.0)</span>' in write_report(tmp_path / "both").read_text()
    assert '100.0 <span class="soft">± –</span>' in write_report(tmp_path / "one").read_text()
    done = lva("compare", "one", "both", cwd=tmp_path)
    assert "+0.0 points, 95 % –, p = 1 by video" in done.stdout


def test_compare_other_data(release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "one")
    other = write_release(tmp_path / "other", [question(99)])
    run(eval_config(other), tmp_path / "two")
    with pytest.raises(DataError, match="share no finished question"):
        compare(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"answer": "a2"}, "differ in the gold answer of question 7"),
        ({"q": "Who?"}, "differ in the text of question 7"),
    ],
)
def test_compare_changed_question(changed: Json, message: str, release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "one")
    records = some_questions(12)
    records[7] |= changed
    run(eval_config(write_release(tmp_path / "other", records)), tmp_path / "two")
    with pytest.raises(DataError, match=message):
        compare(tmp_path / "one", tmp_path / "two")


def test_compare_shows_gold_and_versions(release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "plain")
    run(eval_config(release, agents="grounding+vision", first_clip="gold", gold_boxes=True), tmp_path / "gold")
    config = json.loads((tmp_path / "gold" / "config.json").read_text())
    config["versions"]["longvideoagent"] = "0.0.1"
    (tmp_path / "gold" / "config.json").write_text(json.dumps(config))
    comparison = compare(tmp_path / "gold", tmp_path / "plain")
    assert comparison.gold_inputs == (
        f"{tmp_path / 'gold'}: the first clip is the gold clip",
        f"{tmp_path / 'gold'}: vision gets the gold boxes",
    )
    assert {"gold_boxes: true -> false", 'first_clip: "gold" -> "agent"'} <= set(comparison.settings)
    assert any(line.startswith('versions.longvideoagent: "0.0.1" -> ') for line in comparison.settings)
    assert len(compare(tmp_path / "gold", tmp_path / "gold").gold_inputs) == 4
    shown = lva("compare", "gold", "plain", cwd=tmp_path)
    assert shown.stdout.count("AGENTS GET GOLD IN gold") == 2


@pytest.mark.parametrize("name", [str(number) for number in range(4)])
def test_replay_equals_recorded_trace(name: str, release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    recorded = find_trace(tmp_path / "run", name)
    steps: list[Trace] = []
    assert replay(recorded, open_recorded_video(tmp_path / "run", name).timeline, steps.append)
    assert steps[-1] == recorded


def test_replay_of_failed_groundings() -> None:
    timeline = make_timeline(["Mira: Hello."], ["Otto: A rope."])
    rollout = Rollout(Question("Who?", ("Mira", "Otto"), "q"), timeline, RolloutSettings(6))
    again = Reply("<request_grounding></request_grounding>")
    for result in (
        GroundingResult("nowhere"),
        again,
        GroundingResult("c01"),
        again,
        GroundingResult("c01"),
        again,
        GroundingResult(None, "tired"),
    ):
        rollout.receive(result)
    for reply in (
        Reply("no action"),
        Reply("<visual_query>x</visual_query>"),
        VisionResult("y"),
        Reply("<answer>a0</answer>"),
    ):
        rollout.receive(reply)
    assert replay(rollout.trace, timeline, lambda _: None)


def test_replay_of_a_data_failure(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(8))
    (release / "videos").mkdir()
    (release / "videos" / "s01e02.mp4").write_text("not a video")
    run(eval_config(release), tmp_path / "run")
    shutil.rmtree(release / "videos")
    with pytest.raises(
        DataError, match=r"question '3' failed because of its data \(.*s01e02\.mp4.*\); fix them and --retry"
    ):
        find_trace(tmp_path / "run", "3")
    assert run(eval_config(release), tmp_path / "run", retry_failed=True)["outcomes"]["failed"] == 0
    assert find_trace(tmp_path / "run", "3").outcome is Outcome.ANSWERED


def test_traces_file_round_trip(release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    for trace, line in zip(
        read_traces(tmp_path / "run"), (tmp_path / "run" / "traces.jsonl").read_text().splitlines(), strict=True
    ):
        assert trace_to_line(trace) == line
        assert trace.outcome is Outcome.ANSWERED
