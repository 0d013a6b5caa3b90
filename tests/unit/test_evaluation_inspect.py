"""The task for Inspect, run by Inspect."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.evaluation.evaluate import RunOptions, run_evaluation
from tests.fakes.faulty_server import say, serving
from tests.fakes.release import some_questions, write_release
from tests.plugins.runs import eval_config

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not importlib.util.find_spec("inspect_ai"), reason="needs Inspect: make test-all installs it"),
]


def run_inspect(release: Path, tmp_path: Path, *arguments: str) -> tuple[Any, str]:
    """Inspect's log of the task, and its stderr."""
    command = [str(Path(sys.executable).parent / "inspect"), "eval", "longvideoagent/longvideo", "--model", "none/none"]
    for argument in (f"data={release}", "agents=grounding", *arguments):
        command += ["-T", argument]
    command += ["--log-format", "json", "--log-dir", str(tmp_path / "logs"), "--display", "none"]
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONWARNINGS": "always::ResourceWarning"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "logs").glob("*.json")
    log = json.loads(path.read_text())
    assert log["status"] == "success", log.get("error")
    return log, done.stderr


def test_inspect_same_metrics(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(12))
    log, _ = run_inspect(release, tmp_path)
    metrics = log["results"]["scores"][0]["metrics"]
    ours = run_evaluation(eval_config(release), tmp_path / "run", RunOptions(), lambda *_: None).summary
    assert metrics["accuracy"]["value"] == pytest.approx(ours["accuracy"]["mean"])
    assert metrics["stderr"]["value"] == pytest.approx(ours["accuracy"]["standard_error"], rel=0.5)
    assert all(sample["metadata"]["trace"]["outcome"] == "answered" for sample in log["samples"])


def test_inspect_closes_connections(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(4))
    with serving(say("<answer>a1</answer>")) as (url, server):
        _, stderr = run_inspect(release, tmp_path, f"model=openai:m@{url}", "grounding=offline")
    assert len(server.requests) == 4
    assert "Unclosed client session" not in stderr
