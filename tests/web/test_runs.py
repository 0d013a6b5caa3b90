"""Runs of evaluations in the library: listed, filtered, looked into."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longvideoagent.datasets.longtvqa.read import read_longtvqa
from tests.fakes.release import some, write_release
from tests.plugins.runs import asked, run
from tests.plugins.web_server import serving


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library with a data set and two runs of it."""
    (tmp_path / "library").mkdir()
    release = write_release(tmp_path / "library" / "data", some(6))
    run(asked(release), tmp_path / "library" / "runs" / "one")
    run(asked(release, first_clip="gold"), tmp_path / "library" / "runs" / "two")
    return tmp_path / "library"


def test_a_run_is_told_as_it_was_measured(library: Path) -> None:
    summary = json.loads((library / "runs" / "one" / "summary.json").read_text())
    with serving(library) as app_state:
        one, two = app_state.get("/api/runs")["runs"]
        assert (one["name"], two["name"], one["error"]) == ("runs/one", "runs/two", "")
        assert (one["num_questions"], one["num_finished"], one["team"]) == (6, 6, "offline (agents: grounding)")
        assert one["accuracy"] == pytest.approx(summary["accuracy"]["mean"])
        rows = app_state.get(f"/api/runs/{one['id']}")["rows"]
        assert sum(row["correct"] for row in rows) / len(rows) == pytest.approx(one["accuracy"])
        assert {row["kind"] for row in rows} == set(summary["by_kind"])


def test_a_question_of_a_run_comes_with_its_trajectory_and_its_gold(library: Path) -> None:
    samples = {each.question.id: each for each in read_longtvqa(library / "data", "val").samples}
    with serving(library) as app_state:
        one = app_state.get("/api/runs")["runs"][0]
        for row in app_state.get(f"/api/runs/{one['id']}")["rows"]:
            told = app_state.get(f"/api/runs/{one['id']}/question", params={"question_id": row["id"]})
            assert told["gold"]["option_index"] == samples[row["id"]].gold.option_index
            assert (told["trace"]["question"], told["trace"]["answer"]) == (row["question"], row["answer"])
            assert told["correct"] == (told["trace"]["option_index"] == told["gold"]["option_index"])
            assert told["clips"]
            assert told["duration_s"] == told["clips"][-1]["end_s"]
        missing = app_state.client.get(f"/api/runs/{one['id']}/question", params={"question_id": "no such"})
        assert (missing.status_code, "no finished question" in missing.json()["detail"]) == (404, True)


def test_a_run_that_goes_on_is_read_again(library: Path) -> None:
    traces = library / "runs" / "one" / "traces.jsonl"
    whole = traces.read_bytes()
    lines = whole.splitlines(keepends=True)
    traces.write_bytes(b"".join(lines[:2]) + lines[2][:50])
    with serving(library) as app_state:
        one = app_state.get("/api/runs")["runs"][0]
        assert one["num_finished"] == 2
        traces.write_bytes(whole)
        assert app_state.get("/api/runs")["runs"][0]["num_finished"] == 6


def test_a_run_that_cannot_be_read_hides_no_other(library: Path) -> None:
    (library / "runs" / "one" / "config.json").write_text("{}")
    with serving(library) as app_state:
        one, two = app_state.get("/api/runs")["runs"]
        assert "not of format" in one["error"]
        assert two["error"] == ""
        told = app_state.client.get(f"/api/runs/{one['id']}")
        assert (told.status_code, "not of format" in told.json()["detail"]) == (422, True)


def test_of_a_data_set_outside_the_library_nothing_is_opened(tmp_path: Path) -> None:
    release = write_release(tmp_path / "elsewhere", some(2))
    (tmp_path / "library").mkdir()
    run(asked(release), tmp_path / "library" / "run")
    with serving(tmp_path / "library") as app_state:
        (one,) = app_state.get("/api/runs")["runs"]
        row = app_state.get(f"/api/runs/{one['id']}")["rows"][0]
        told = app_state.get(f"/api/runs/{one['id']}/question", params={"question_id": row["id"]})
        assert (told["video_id"], told["clips"], told["duration_s"]) == (None, [], None)
        assert told["trace"]["rounds"]
