"""Run folders of older versions: migrated on reading, or refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.prompts import parse_layout
from longvideoagent.core.layout import TOOL_FIELDS
from longvideoagent.errors import DataError
from longvideoagent.evaluation.compare import compare
from longvideoagent.evaluation.report import write_report
from longvideoagent.views.run_folder import VERSION, read_config, read_scored_traces, read_traces
from tests.fakes.faulty_server import say, serving
from tests.plugins.old_formats import downgrade_run
from tests.plugins.runs import eval_config, ids, models_at, run


def test_version_2_reads_like_the_current_version(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    run(eval_config(release), path)
    config, traces = read_config(path), list(read_traces(path))
    downgrade_run(path)
    assert json.loads((path / "config.json").read_text())["format"] == 2 < VERSION
    assert read_config(path) == config
    assert list(read_traces(path)) == [replace(trace, hint="") for trace in traces]  # which version 2 did not have
    assert len(read_scored_traces(path)) == 12
    assert compare(path, path).settings == ()
    assert write_report(path).exists()


def test_version_2_resumes(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    run(eval_config(release, limit=5), path)
    downgrade_run(path)
    before = (path / "traces.jsonl").read_bytes()
    assert run(eval_config(release, limit=8), path)["num_finished"] == 8
    assert (path / "traces.jsonl").read_bytes().startswith(before)
    assert sorted(map(int, (trace.question.id for trace in read_traces(path)))) == list(range(8))
    assert read_config(path)["version"] == VERSION


def test_version_2_first_clips_file(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    run(eval_config(release, limit=2), path)
    downgrade_run(path)
    config = json.loads((path / "config.json").read_text()) | {"first_clip": "cache=clips.json"}
    (path / "config.json").write_text(json.dumps(config))
    migrated = read_config(path)
    assert (migrated["first_clip"], migrated["first_clips_file"]) == ("file", "clips.json")


def test_version_4_master_writes_tags(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    run(eval_config(release, limit=2), path)
    config = json.loads((path / "config.json").read_text()) | {"version": 4}
    for name in ("master", "grounding"):
        config["team"][name] |= {"model": "openai:gpt-5-mini", "structured_output": False}
        del config["team"][name]["dialect"]
    (path / "config.json").write_text(json.dumps(config))
    team_config = TeamConfig.model_validate(read_config(path)["team"])
    assert (team_config.calls_tools, team_config.sends_schema) == (False, False)


def test_version_4_with_its_own_layout_resumes(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    with serving(say("<answer>a0</answer>")) as (url, _):
        team_config = models_at(url, "master").model_copy(update={"layout": parse_layout({"prompt_end": "!"})})
        run(eval_config(release, team_config, limit=1), path)
        config = json.loads((path / "config.json").read_text()) | {"version": 4}
        for name in TOOL_FIELDS:
            del config["team"]["layout"][name]
        for agent in ("master", "grounding", "vision"):
            del config["team"][agent]["dialect"]
            config["team"][agent]["structured_output"] = False
        (path / "config.json").write_text(json.dumps(config))
        assert run(eval_config(release, team_config, limit=2), path)["num_finished"] == 2


@pytest.mark.parametrize("fields", [{}, {"style": "accumulated"}, {"actions": "anywhere"}])
def test_version_4_resumes(fields: dict[str, Any], release: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    team_config = TeamConfig(**fields)
    run(eval_config(release, team_config, limit=1), path)
    config = json.loads((path / "config.json").read_text()) | {"version": 4}
    for agent in config["team"].values():
        if isinstance(agent, dict) and "structured_output" in agent:
            del agent["dialect"]
            agent["structured_output"] = False
    (path / "config.json").write_text(json.dumps(config))
    assert run(eval_config(release, team_config, limit=2), path)["num_finished"] == 2


@pytest.mark.parametrize("number", [1, VERSION + 1, "3", None])
def test_version_unknown(number: object, release: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    run(eval_config(release, limit=2), path)
    config = json.loads((path / "config.json").read_text()) | {"version": number}
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        DataError, match=rf"config\.json: version {number!r} is not one of 2 to {VERSION}; read it with"
    ):
        run(eval_config(release, limit=2), path)
    assert len(ids(path)) == 2  # nothing is deleted
