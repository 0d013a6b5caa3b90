"""Grids of runs."""

from __future__ import annotations

import json
from pathlib import Path

from longvideoagent.agents.roster import Role, Roster
from longvideoagent.evaluation.ablate import grid, run_grid
from longvideoagent.evaluation.evaluate import How
from tests.faulty_server import say, serving, status
from tests.release import some, write_release
from tests.runs import asked, lva


def test_an_ablation_tells_how_many_questions_failed(release: Path, tmp_path: Path) -> None:
    with serving(*[status(400, "broken")] * 12) as (url, _):
        protocol = asked(release, Roster(master=Role(model=f"openai:m@{url}")))
        grid_of_one = grid(protocol, "agents", ["grounding"])
        rows, _ = run_grid(grid_of_one, "agents", tmp_path / "grid", How(), lambda *_: None)
    assert rows["grounding"]["outcomes"]["failed"] == 12
    assert "<td>12</td><td>12</td></tr>" in (tmp_path / "grid" / "ablation.html").read_text()


def test_an_ablation_that_stops_keeps_the_values_it_has_finished(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some(26))
    with serving(*[say("<answer>a1</answer>")] * 26, *[status(400, "broken")] * 30) as (url, _):
        protocol = asked(release, Roster(master=Role(model=f"openai:m@{url}")))
        two = grid(protocol, "agents", ["none", "grounding"])
        rows, stopped = run_grid(two, "agents", tmp_path / "grid", How(), lambda *_: None)
    assert list(rows) == ["none"]
    assert stopped.startswith("agents grounding stopped early: 2")
    assert "questions in a row failed" in stopped
    assert list(json.loads((tmp_path / "grid" / "ablation.json").read_text())["rows"]) == ["none"]


def test_an_ablation_asks_as_an_evaluation_does(release: Path, tmp_path: Path) -> None:
    with serving(status(400, "broken")) as (url, _):
        switches = ["--limit", "2", "--first-clip", "random", "--agents", "grounding", "--master", f"openai:m@{url}"]
        told = lva("ablate", "rounds", release, "--run", tmp_path / "grid", "--value", "2", *switches)
    assert told.returncode == 1  # questions have failed
    config = json.loads((tmp_path / "grid" / "rounds-2" / "config.json").read_text())
    assert (config["first_clip"], config["settings"]["agents"]) == ("random", "grounding")
