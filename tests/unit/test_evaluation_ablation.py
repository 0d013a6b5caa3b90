"""Grids of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.evaluation.ablation import grid, run_grid
from longvideoagent.evaluation.config import make_eval_config
from longvideoagent.evaluation.evaluate import RunOptions
from tests.fakes.faulty_server import say, serving, status
from tests.fakes.release import some_questions, write_release
from tests.plugins.cli import lva
from tests.plugins.runs import asked, run


def test_an_ablation_tells_how_many_questions_failed(release: Path, tmp_path: Path) -> None:
    with serving(*[status(400, "broken")] * 12) as (url, _):
        protocol = asked(release, TeamConfig(master=AgentConfig(model=f"openai:m@{url}")))
        grid_of_one = grid(protocol, "agents", ["grounding"])
        rows, _ = run_grid(grid_of_one, tmp_path / "grid", RunOptions(), lambda *_: None)
    assert rows["grounding"]["outcomes"]["failed"] == 12
    assert "<td>12</td><td>12</td></tr>" in (tmp_path / "grid" / "ablation.html").read_text()


def test_an_ablation_that_stops_keeps_the_values_it_has_finished(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(26))
    with serving(*[say("<answer>a1</answer>")] * 26, *[status(400, "broken")] * 30) as (url, _):
        protocol = asked(release, TeamConfig(master=AgentConfig(model=f"openai:m@{url}")))
        two = grid(protocol, "agents", ["none", "grounding"])
        rows, stopped = run_grid(two, tmp_path / "grid", RunOptions(), lambda *_: None)
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


def ablated(folder: Path, *values: str, **switches: Any) -> list[str]:
    """The values that stand in the table of a grid after these were asked."""
    protocol = asked(switches.pop("data"), agents="grounding+vision", **switches)
    run_grid(grid(protocol, "agents", values), folder, RunOptions(), lambda *_: None)
    return list(json.loads((folder / "ablation.json").read_text())["rows"])


def test_a_table_keeps_the_values_of_its_grid_and_no_others(release: Path, tmp_path: Path) -> None:
    folder = tmp_path / "grid"
    assert ablated(folder, "grounding", "none", data=release) == ["none", "grounding"]
    assert ablated(folder, "none", data=release, limit=12) == ["none", "grounding"]
    assert "<td>grounding</td>" in (folder / "ablation.html").read_text()
    assert ablated(folder, "grounding+vision", data=release, limit=5) == ["grounding+vision"]
    (folder / "ablation.json").write_text("{bro")
    assert ablated(folder, "grounding", data=release) == ["grounding"]


def test_a_value_is_told_nothing_that_means_nothing_for_it(release: Path, tmp_path: Path) -> None:
    bounds = RolloutSettings(window=2, parallel_looks=2)
    switches = {"agents": "grounding+vision", "first_clip": "gold", "boxes": True, "limit": 2}
    protocol = make_eval_config(release, "val", TeamConfig(), bounds, switches)
    run_grid(grid(protocol, "agents", ()), tmp_path / "grid", RunOptions(), lambda *_: None)
    configs = {
        name: json.loads((tmp_path / "grid" / f"agents-{name}" / "config.json").read_text())
        for name in ("none", "grounding", "grounding+vision")
    }
    assert {
        name: (told["first_clip"], told["settings"]["window"], told["boxes"], told["settings"]["parallel_looks"])
        for name, told in configs.items()
    } == {
        "none": ("ground", 1, False, 1),
        "grounding": ("gold", 2, False, 1),
        "grounding+vision": ("gold", 2, True, 2),
    }
    for name, told in configs.items():  # lva eval takes the same
        again = RolloutSettings(window=told["settings"]["window"], parallel_looks=told["settings"]["parallel_looks"])
        switches = {"agents": name, "first_clip": told["first_clip"], "boxes": told["boxes"], "limit": 2}
        run(make_eval_config(release, "val", TeamConfig(), again, switches), tmp_path / "grid" / f"agents-{name}")
