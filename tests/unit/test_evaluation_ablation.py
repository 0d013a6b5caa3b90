"""Grids of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.errors import UsageError
from longvideoagent.evaluation import ablation
from longvideoagent.evaluation.ablation import forecast_grid, make_grid, run_grid
from longvideoagent.evaluation.config import EvalConfig, EvalData, load_samples, make_eval_config
from longvideoagent.evaluation.evaluate import RunOptions
from tests.fakes.faulty_server import say, serving, status
from tests.fakes.release import some_questions, write_release
from tests.plugins.cli import lva
from tests.plugins.runs import eval_config, run


def test_ablation_reports_failed_questions(release: Path, tmp_path: Path) -> None:
    with serving(*[status(400, "broken")] * 12) as (url, _):
        config = eval_config(release, TeamConfig(master=AgentConfig(model=f"openai:m@{url}")))
        grid_of_one = make_grid(config, "agents", ["grounding"])
        result = run_grid(grid_of_one, tmp_path / "grid", RunOptions(), lambda *_: None)
    assert result.summaries["grounding"]["outcomes"]["failed"] == 12
    assert "<td>12</td><td>12</td></tr>" in (tmp_path / "grid" / "ablation.html").read_text()


def test_ablation_stopped_keeps_finished_values(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(26))
    with serving(*[say("<answer>a1</answer>")] * 26, *[status(400, "broken")] * 30) as (url, _):
        config = eval_config(release, TeamConfig(master=AgentConfig(model=f"openai:m@{url}")))
        two = make_grid(config, "agents", ["none", "grounding"])
        result = run_grid(two, tmp_path / "grid", RunOptions(), lambda *_: None)
    assert list(result.summaries) == ["none"]
    assert result.stop_cause.startswith("agents grounding stopped early: 2")
    assert "questions in a row failed" in result.stop_cause
    assert list(json.loads((tmp_path / "grid" / "ablation.json").read_text())["rows"]) == ["none"]


def test_ablation_uses_the_options_of_eval(release: Path, tmp_path: Path) -> None:
    with serving(status(400, "broken")) as (url, _):
        options = ["--limit", "2", "--first-clip", "random", "--agents", "grounding", "--master", f"openai:m@{url}"]
        done = lva("ablate", "rounds", release, "--run", tmp_path / "grid", "--value", "2", *options)
    assert done.returncode == 1  # questions have failed
    config = json.loads((tmp_path / "grid" / "rounds-2" / "config.json").read_text())
    assert (config["first_clip"], config["settings"]["agents"]) == ("random", "grounding")


def test_ablation_dry_run(release: Path, tmp_path: Path) -> None:
    with serving(status(400, "broken")) as (url, server):
        options = ["--limit", "2", "--master", f"openai:m@{url}", "--value", "2", "--value", "3"]
        done = lva("ablate", "rounds", release, "--run", tmp_path / "grid", *options, "--dry-run")
    assert (done.returncode, server.requests) == (0, [])
    assert not (tmp_path / "grid").exists()
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert rows["rounds"][:3] == ["questions", "max", "rounds"]
    assert (rows["2"][:2], rows["3"][:2], rows["total"][0]) == (["2", "2"], ["2", "3"], "4")
    calls = [int(rows[name][index]) for name, index in (("2", 2), ("3", 2), ("total", 1))]
    assert calls[0] + calls[1] == calls[2] > 0
    assert "Nothing was asked." in done.stdout


def test_ablation_under_a_protocol(release: Path) -> None:
    config = eval_config(release, protocol="public-training")
    configs = make_grid(config, "rounds", ("2", "5")).configs
    assert {value: each.settings.max_rounds for value, each in configs.items()} == {"2": 3, "5": 6}
    assert {each.protocol.name for each in configs.values()} == {"public-training"}


def ablate(folder: Path, *values: str, **overrides: Any) -> list[str]:
    """The values in the table of a grid after running these values."""
    config = eval_config(overrides.pop("data"), agents="grounding+vision", **overrides)
    run_grid(make_grid(config, "agents", values), folder, RunOptions(), lambda *_: None)
    return list(json.loads((folder / "ablation.json").read_text())["rows"])


def test_ablation_table_keeps_values_of_its_grid(release: Path, tmp_path: Path) -> None:
    folder = tmp_path / "grid"
    assert ablate(folder, "grounding", "none", data=release) == ["none", "grounding"]
    assert ablate(folder, "none", data=release, limit=12) == ["none", "grounding"]
    assert "<td>grounding</td>" in (folder / "ablation.html").read_text()
    assert ablate(folder, "grounding+vision", data=release, limit=5) == ["grounding+vision"]
    (folder / "ablation.json").write_text("{bro")
    assert ablate(folder, "grounding", data=release) == ["grounding"]


def test_ablation_folder_per_value(release: Path, tmp_path: Path) -> None:
    with serving(say("a lamp")) as (url, _):
        values = [f"openai:{name}@{url}" for name in ("a/b", "a-b")]
        grid_of_two = make_grid(eval_config(release, limit=1), "vision", values)
        assert list(run_grid(grid_of_two, tmp_path / "grid", RunOptions(), lambda *_: None).summaries) == values
    assert len([path for path in (tmp_path / "grid").iterdir() if path.is_dir()]) == 2


def test_ablation_omits_options_without_effect(release: Path, tmp_path: Path) -> None:
    limits = RolloutSettings(window=2, parallel_looks=2)
    overrides = {"agents": "grounding+vision", "first_clip": "gold", "gold_boxes": True, "limit": 2}
    config = make_eval_config(release, "val", TeamConfig(), limits, overrides)
    run_grid(make_grid(config, "agents", ()), tmp_path / "grid", RunOptions(), lambda *_: None)
    configs = {
        name: json.loads((tmp_path / "grid" / f"agents-{name}" / "config.json").read_text())
        for name in ("none", "grounding", "grounding+vision")
    }
    assert {
        name: (each["first_clip"], each["settings"]["window"], each["gold_boxes"], each["settings"]["parallel_looks"])
        for name, each in configs.items()
    } == {
        "none": ("agent", 1, False, 1),
        "grounding": ("gold", 2, False, 1),
        "grounding+vision": ("gold", 2, True, 2),
    }
    for name, each in configs.items():  # lva eval resumes these runs
        limits = RolloutSettings(window=each["settings"]["window"], parallel_looks=each["settings"]["parallel_looks"])
        overrides = {"agents": name, "first_clip": each["first_clip"], "gold_boxes": each["gold_boxes"], "limit": 2}
        run(make_eval_config(release, "val", TeamConfig(), limits, overrides), tmp_path / "grid" / f"agents-{name}")


def test_ablation_reads_data_once(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[bool] = []

    def count_reads(config: EvalConfig) -> EvalData:
        reads.append(config.gold_boxes)
        return load_samples(config)

    monkeypatch.setattr(ablation, "load_samples", count_reads)
    monkeypatch.setattr("longvideoagent.evaluation.evaluate.load_samples", count_reads)
    config = eval_config(release, limit=1, agents="grounding+vision")
    forecast_grid(make_grid(config, "rounds", ()))
    assert reads == [False]
    run_grid(make_grid(config, "window", ()), tmp_path / "grid", RunOptions(), lambda *_: None)
    assert reads == [False] * 3  # the runs, and the digest of the table


def test_ablation_none_without_foreign_wording(release: Path, tmp_path: Path) -> None:
    layout = tmp_path / "layout.toml"
    layout.write_text('prompt = "Search or ground: $question $options $first_clip"\nprompt_without_agents = ""\n')
    team = TeamConfig(master=AgentConfig(model="openai:m@http://127.0.0.1:9"), layout_file=layout)
    grid = make_grid(eval_config(release, team, agents="grounding+vision"), "agents", ())
    assert grid.values_without_layout == ("none",)
    assert grid.configs["none"] == eval_config(release, team.model_copy(update={"layout_file": None}), agents="none")
    assert grid.configs["grounding"].team_config.layout_file == layout
    for options in ({"agents": "none"}, {"baseline": "subtitles"}):
        with pytest.raises(UsageError, match="prompt offers agents, and it has no prompt_without_agents; leave out"):
            eval_config(release, team, **options)
    layout.write_text(layout.read_text().replace("Search or ground", "$actions"))
    assert make_grid(eval_config(release, team, agents="none"), "agents", ["none"]).values_without_layout == ()
    arguments: list[str | Path] = [
        "--team",
        "offline",
        "--master",
        "openai:m@http://127.0.0.1:9",
        "--layout",
        layout,
        "--dry-run",
    ]
    layout.write_text(layout.read_text().replace("$actions", "Search or ground"))
    done = lva("ablate", "agents", release, *arguments)
    assert done.returncode == 0, done.stderr
    assert "agents none runs in the default wording: the layout has no prompt_without_agents" in done.stderr


def test_ablation_repeats_warnings_of_its_runs(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(4))
    arguments: list[str | Path] = [
        release,
        "--run",
        tmp_path / "grid",
        "--value",
        "none",
        "--value",
        "grounding+vision",
    ]
    for _ in range(2):  # the second time all questions are there
        done = lva("ablate", "agents", *arguments, "--first-clip", "gold")
        assert "agents grounding+vision: AGENTS GET GOLD: the first clip is the gold clip" in done.stdout
        page = (tmp_path / "grid" / "ablation.html").read_text()
        assert "AGENTS GET GOLD: the first clip is the gold clip" in page
    assert lva("ablate", "agents", *arguments[:3], "--value", "none").stdout.count("AGENTS") == 0


def test_ablation_with_a_damaged_run(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(4))
    arguments: list[str | Path] = ["ablate", "rounds", release, "--run", tmp_path / "grid"]
    values = ["--value", "1", "--value", "2", "--value", "3"]
    assert lva(*arguments, *values).returncode == 0
    (tmp_path / "grid" / "rounds-2" / "config.json").write_text("{broken")
    done = lva(*arguments, *values)
    assert done.returncode == 1
    assert "rounds 2: " in done.stderr
    assert "config.json: not JSON" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[1:3]] == ["1", "3"]
    assert lva(*arguments, "--value", "2").returncode == 2
