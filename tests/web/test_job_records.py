"""Job records on disk: damaged ones, and those of older and newer versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.errors import DataError
from longvideoagent.server.job_record import JobStore
from longvideoagent.views.trace_dict import trace_from_dict
from tests.plugins.web_jobs import LINES, scripted_team
from tests.plugins.web_server import serving


def test_job_record_damaged(library: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(library) as server:
        job_id = server.ask(server.video("a.mp4"), "Where is the kettle?")
        server.ended(job_id)
    jobs = library / ".longvideoagent" / "jobs"
    (record,) = jobs.glob("*.json")
    trace_from_dict(json.loads(record.read_text())["trace"])  # the whole trace is in it
    for number, text in enumerate(("", "{", "[]", "{}", record.read_text()[:-9])):
        (jobs / f"{number}.json").write_text(text)
    with serving(library) as server:
        assert [summary["id"] for summary in server.get("/api/jobs")["jobs"]] == [job_id]
        assert caplog.text.count("not a job record") == 5
        record.write_text("damaged since the start")
        assert server.client.get(f"/api/jobs/{job_id}").status_code == 404


@pytest.mark.parametrize("text", ["[" * 100_000, '{"created_at": null}', '{"state": "odd"}', '{"version": "x"}'])
def test_job_record_hostile(text: str, library: Path) -> None:
    jobs = library / ".longvideoagent" / "jobs"
    jobs.mkdir(parents=True)
    (jobs / "odd.json").write_text(text)
    (library / "a.json").write_text(text)
    with serving(library) as server:
        assert server.get("/api/jobs") == {"jobs": []}
        assert server.timeline(server.video("a.mp4"))["suggestions"]
        assert server.ended(server.ask(server.video("a.mp4"), "Where is the kettle?"))["state"] == "finished"


def test_job_record_lone_surrogate(library: Path, tmp_path: Path) -> None:
    with serving(library, {"scripted": scripted_team(tmp_path, "<answer>\ud83d</answer>")}) as server:
        job_id = server.ask(server.video("a.mp4"), "Where?")
        assert server.ended(job_id)["state"] == "finished"
    with serving(library) as server:
        assert server.get(f"/api/jobs/{job_id}")["outcome"] == "answered"


def test_job_record_newer_version(library: Path) -> None:
    jobs = library / ".longvideoagent" / "jobs"
    jobs.mkdir(parents=True)
    (jobs / "0123.json").write_text('{"version": 99}')
    with pytest.raises(DataError, match="version 99 is not known; update longvideoagent"):
        JobStore(library / ".longvideoagent").read("0123")
    with serving(library) as server:
        assert server.get("/api/jobs") == {"jobs": []}
    assert (jobs / "0123.json").exists()


def test_job_record_version_1_migrated(library: Path) -> None:
    folder = library / ".longvideoagent" / "asks"
    folder.mkdir(parents=True)
    text = json.dumps(version_1_record())
    (folder / "cfa857d1cca7.json").write_text(text)
    with serving(library) as server:
        (summary,) = server.get("/api/jobs")["jobs"]
        assert (summary["id"], summary["video_id"], summary["answer"]) == ("cfa857d1cca7", "44afb0fc41072314", "a moon")
        job = server.get("/api/jobs/cfa857d1cca7")
        assert (job["state"], job["outcome"], job["created_at"]) == ("finished", "answered", CREATED_AT)
        assert [each["action"] for each in job["trace"]["rounds"]] == ["look", "relocate", "answer"]
        page = server.client.get("/api/jobs/cfa857d1cca7/trace").json()
        assert page["first_grounding"]["window"][0]["label"] == "c01"
    assert [path.read_text() for path in folder.glob("*.json")] == [text]  # the old record is kept


def test_job_record_version_1_damaged(library: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = library / ".longvideoagent" / "asks"
    folder.mkdir(parents=True)
    (folder / "1.json").write_text(json.dumps(version_1_record() | {"trace": {"rounds": []}}))
    (folder / "2.json").write_text(json.dumps(version_1_record() | {"asked_at": None}))
    with serving(library) as server:
        assert server.get("/api/jobs") == {"jobs": []}
    assert "job 1: its trace cannot be read" in caplog.text
    assert "2.json: not a job record (created_at is invalid)" in caplog.text
    assert len(list(folder.glob("*.json"))) == 2


CREATED_AT = "2026-11-28T23:33:05.373+00:00"


def version_1_record() -> dict[str, Any]:
    """A record as development builds before 0.1.0 wrote it."""
    usage = {"calls": 1, "prompt_tokens": 0, "completion_tokens": 0, "images": 0, "seconds": 0.01, "usd": 0.0}
    line = {"start_s": 0.0, "end_s": 2.0, "text": LINES[0], "source": "subtitle"}
    quote = {"clip": "c01", "start_s": 0.0, "end_s": 2.0, "kind": "subtitle", "time_s": 0.0, "text": LINES[0]}
    seen = {"clip": "c01", "start_s": 0.32, "end_s": 9.64, "kind": "frame", "time_s": 0.32, "text": "mostly grey"}

    def round_(action: dict[str, str], observation: dict[str, Any] | None) -> dict[str, Any]:
        reply: dict[str, Any] = {
            "text": "",
            "reasoning": "",
            "confidence": None,
            "evidence": None,
            "usage": usage,
            "warnings": [],
        }
        return {
            "reply": reply,
            "thought": "hm",
            "action": action,
            "text": "",
            "clip": "c01",
            "observation": observation,
        }

    nothing_found: dict[str, Any] = {
        "label": None,
        "reason": "every clip has been visited",
        "evidence": [],
        "usage": usage,
        "others": [],
        "warnings": [],
    }
    trace = {
        "question": {"text": "Where is the kettle?", "options": ["a roof", "a moon"], "id": ""},
        "settings": {
            "max_rounds": 5,
            "window": 1,
            "agents": "grounding+vision",
            "max_calls": None,
            "max_tokens": None,
            "max_usd": None,
            "look_ahead": 1,
        },
        "first": {
            "clip": 0,
            "clips": [{"label": "c01", "start_s": 0.0, "end_s": 10.0, "subtitles": [line]}],
            "reason": "matches kettle",
            "evidence": [quote],
            "usage": usage,
            "others": [],
        },
        "rounds": [
            round_({"query": "the wall"}, {"text": "grey", "evidence": [seen], "usage": usage, "shows_it": False}),
            round_({"request": "the lamp"}, {"text": "no clip is left", "usage": usage, "grounded": nothing_found}),
            round_({"text": "a1"}, None),
        ],
        "outcome": "answered",
        "option_index": 1,
        "cause": "",
        "is_hurried": False,
        "failure": None,
        "warnings": [],
    }
    return {
        "video": "44afb0fc41072314",
        "video_name": "a.mp4",
        "question": "Where is the kettle?",
        "options": ["a roof", "a moon"],
        "team": "scripted",
        "max_rounds": 5,
        "asked_at": CREATED_AT,
        "state": "finished",
        "cause": "",
        "trace": trace,
    }
