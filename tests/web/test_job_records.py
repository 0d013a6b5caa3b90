"""Job records on disk: damaged ones, and those of older and newer versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longvideoagent.errors import DataError
from longvideoagent.server.job_record import JobStore
from longvideoagent.views.trace_dict import trace_from_dict
from tests.plugins.web_jobs import scripted_team
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
