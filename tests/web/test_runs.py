"""Evaluation runs in the library over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longvideoagent.datasets.longtvqa.read import read_longtvqa
from tests.fakes.release import some_questions, write_release
from tests.plugins.runs import eval_config, run
from tests.plugins.web_server import serving


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library with a data set and two runs of it."""
    (tmp_path / "library").mkdir()
    release = write_release(tmp_path / "library" / "data", some_questions(6))
    run(eval_config(release), tmp_path / "library" / "runs" / "one")
    run(eval_config(release, first_clip="gold"), tmp_path / "library" / "runs" / "two")
    return tmp_path / "library"


def test_run_summary_and_rows(library: Path) -> None:
    summary = json.loads((library / "runs" / "one" / "summary.json").read_text())
    with serving(library) as server:
        one, two = server.get("/api/runs")["runs"]
        assert (one["name"], two["name"], one["error"]) == ("runs/one", "runs/two", "")
        assert (one["num_questions"], one["num_finished"], one["team"]) == (6, 6, "offline (agents: grounding)")
        assert one["accuracy"] == pytest.approx(summary["accuracy"]["mean"])
        rows = server.get(f"/api/runs/{one['id']}")["rows"]
        assert sum(row["correct"] for row in rows) / len(rows) == pytest.approx(one["accuracy"])
        assert {row["kind"] for row in rows} == set(summary["by_kind"])


def test_run_question(library: Path) -> None:
    samples = {each.question.id: each for each in read_longtvqa(library / "data", "val").samples}
    with serving(library) as server:
        one = server.get("/api/runs")["runs"][0]
        for row in server.get(f"/api/runs/{one['id']}")["rows"]:
            question = server.get(f"/api/runs/{one['id']}/question", params={"question_id": row["id"]})
            assert question["gold"]["option_index"] == samples[row["id"]].gold.option_index
            assert (question["trace"]["question"], question["trace"]["answer"]) == (row["question"], row["answer"])
            assert question["correct"] == (question["trace"]["option_index"] == question["gold"]["option_index"])
            assert question["clips"]
            assert question["duration_s"] == question["clips"][-1]["end_s"]
        missing = server.client.get(f"/api/runs/{one['id']}/question", params={"question_id": "no such"})
        assert (missing.status_code, "no finished question" in missing.json()["detail"]) == (404, True)


def test_run_unfinished_is_read_again(library: Path) -> None:
    traces = library / "runs" / "one" / "traces.jsonl"
    data = traces.read_bytes()
    lines = data.splitlines(keepends=True)
    traces.write_bytes(b"".join(lines[:2]) + lines[2][:50])
    with serving(library) as server:
        one = server.get("/api/runs")["runs"][0]
        assert one["num_finished"] == 2
        traces.write_bytes(data)
        assert server.get("/api/runs")["runs"][0]["num_finished"] == 6


def test_run_unreadable(library: Path) -> None:
    (library / "runs" / "one" / "config.json").write_text("{}")
    with serving(library) as server:
        one, two = server.get("/api/runs")["runs"]
        assert "version None is not one of" in one["error"]
        assert two["error"] == ""
        response = server.client.get(f"/api/runs/{one['id']}")
        assert (response.status_code, "version None is not one of" in response.json()["detail"]) == (422, True)


def test_run_dataset_outside_library(tmp_path: Path) -> None:
    release = write_release(tmp_path / "elsewhere", some_questions(2))
    (tmp_path / "library").mkdir()
    run(eval_config(release), tmp_path / "library" / "run")
    with serving(tmp_path / "library") as server:
        (one,) = server.get("/api/runs")["runs"]
        row = server.get(f"/api/runs/{one['id']}")["rows"][0]
        question = server.get(f"/api/runs/{one['id']}/question", params={"question_id": row["id"]})
        assert (question["video_id"], question["clips"], question["duration_s"]) == (None, [], None)
        assert question["trace"]["rounds"]


@pytest.mark.parametrize("name", ["config.json", "questions.jsonl", "traces.jsonl"])
def test_run_file_links_outside(name: str, library: Path, tmp_path: Path) -> None:
    secret = tmp_path / name
    (library / "runs" / "one" / name).rename(secret)
    with serving(library) as server:
        (library / "runs" / "one" / name).symlink_to(secret)
        one, two = server.get("/api/runs")["runs"]
        assert f"{name} is a link out of the library" in one["error"]
        assert two["error"] == ""
        for path in (f"/api/runs/{one['id']}", f"/api/runs/{one['id']}/question?question_id=1"):
            response = server.client.get(path)
            assert (response.status_code, "link out of the library" in response.text) == (422, True)
