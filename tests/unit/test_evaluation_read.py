"""Runs compared, and played again."""

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
from longvideoagent.evaluation.replay import find_trace, open_recorded, replay
from longvideoagent.evaluation.report import write_report
from longvideoagent.views.run_folder import read_traces
from longvideoagent.views.trace_dict import trace_to_line
from tests.fakes.faulty_server import say, serving
from tests.fakes.release import question, some_questions, write_release
from tests.plugins.cli import lva
from tests.plugins.runs import Json, asked, run
from tests.plugins.timelines import make_timeline


def test_two_runs_are_compared_question_by_question(release: Path, tmp_path: Path) -> None:
    with serving(*[say("<answer>a1</answer>")] * 12, *[say("<answer>a2</answer>")] * 12) as (url, _):
        team_config = TeamConfig(master=AgentConfig(model=f"openai:m@{url}"))
        run(asked(release, team_config), tmp_path / "right")
        run(asked(release, team_config, limit=8), tmp_path / "wrong")
    told = compare(tmp_path / "right", tmp_path / "wrong")
    assert (told.common, told.gain, told.interval) == (8, -1.0, None)
    assert told.p == pytest.approx(2 / 2**2)  # two episodes
    assert told.p_mcnemar == pytest.approx(2 / 2**8)
    assert [flip.gained for flip in told.flips] == [False] * 8
    assert any(line.startswith("limit: null -> 8") for line in told.settings)


def test_numbers_of_one_episode_or_all_alike_are_shown_without_certainty(release: Path, tmp_path: Path) -> None:
    with serving(*[say("<answer>a1</answer>")] * 24) as (url, _):
        team_config = TeamConfig(master=AgentConfig(model=f"openai:m@{url}"))
        both = run(asked(release, team_config), tmp_path / "both")
        one = run(asked(release, team_config, limit=1), tmp_path / "one")
    assert percent(both["accuracy"]) == "100.0 % (22.4 to 100.0)"  # two episodes bear out no more
    assert percent(one["accuracy"]) == "100.0 ± – %"
    assert '100.0 <span class="soft">(22.4 to 100.0)</span>' in write_report(tmp_path / "both").read_text()
    assert '100.0 <span class="soft">± –</span>' in write_report(tmp_path / "one").read_text()
    told = lva("compare", "one", "both", cwd=tmp_path)
    assert "+0.0 points, 95 % –, p = 1 by video" in told.stdout


def test_runs_of_other_data_are_not_compared(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "one")
    other = write_release(tmp_path / "other", [question(99)])
    run(asked(other), tmp_path / "two")
    with pytest.raises(DataError, match="share no finished question"):
        compare(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"answer": "a2"}, "differ in the gold answer of question 7"),
        ({"q": "Who?"}, "differ in the text of question 7"),
    ],
)
def test_runs_that_differ_in_what_a_question_is_are_not_compared(
    changed: Json, told: str, release: Path, tmp_path: Path
) -> None:
    run(asked(release), tmp_path / "one")
    records = some_questions(12)
    records[7] |= changed
    run(asked(write_release(tmp_path / "other", records)), tmp_path / "two")
    with pytest.raises(DataError, match=told):
        compare(tmp_path / "one", tmp_path / "two")


def test_gold_and_versions_are_told_of_both_runs(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "plain")
    run(asked(release, agents="grounding+vision", first_clip="gold", gold_boxes=True), tmp_path / "gold")
    config = json.loads((tmp_path / "gold" / "config.json").read_text())
    config["versions"]["longvideoagent"] = "0.0.1"
    (tmp_path / "gold" / "config.json").write_text(json.dumps(config))
    told = compare(tmp_path / "gold", tmp_path / "plain")
    assert told.gold_inputs == (
        f"{tmp_path / 'gold'}: the first clip is the gold clip",
        f"{tmp_path / 'gold'}: vision gets the gold boxes",
    )
    assert {"gold_boxes: true -> false", 'first_clip: "gold" -> "agent"'} <= set(told.settings)
    assert any(line.startswith('versions.longvideoagent: "0.0.1" -> ') for line in told.settings)
    assert len(compare(tmp_path / "gold", tmp_path / "gold").gold_inputs) == 4
    shown = lva("compare", "gold", "plain", cwd=tmp_path)
    assert shown.stdout.count("AGENTS GET GOLD IN gold") == 2


@pytest.mark.parametrize("name", [str(number) for number in range(4)])
def test_a_replay_ends_in_the_recorded_trace(name: str, release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    recorded = find_trace(tmp_path / "run", name)
    steps: list[Trace] = []
    assert replay(recorded, open_recorded(tmp_path / "run", name).timeline, steps.append)
    assert steps[-1] == recorded


def test_what_grounding_got_wrong_is_replayed_too() -> None:
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


def test_a_question_that_failed_for_its_data_is_not_replayed(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(8))
    (release / "videos").mkdir()
    (release / "videos" / "s01e02.mp4").write_text("no film")
    run(asked(release), tmp_path / "run")
    shutil.rmtree(release / "videos")
    with pytest.raises(
        DataError, match=r"question '3' failed because of its data \(.*s01e02\.mp4.*\); fix them and --retry"
    ):
        find_trace(tmp_path / "run", "3")
    assert run(asked(release), tmp_path / "run", retry_failed=True)["outcomes"]["failed"] == 0
    assert find_trace(tmp_path / "run", "3").outcome is Outcome.ANSWERED


def test_traces_survive_the_file(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    for trace, line in zip(
        read_traces(tmp_path / "run"), (tmp_path / "run" / "traces.jsonl").read_text().splitlines(), strict=True
    ):
        assert trace_to_line(trace) == line
        assert trace.outcome is Outcome.ANSWERED
