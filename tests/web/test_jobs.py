"""Jobs over HTTP: submitted, watched, stopped, saved and downloaded."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from longvideoagent.agents.build import load_team
from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.core.types import Question
from longvideoagent.models.retry import RetryPolicy
from longvideoagent.server.job_record import JobStore
from longvideoagent.server.jobs import Job, JobQueue
from longvideoagent.server.server import open_library
from longvideoagent.server.video_cache import VideoCache
from tests.fakes import faulty_server
from tests.fakes.faulty_server import say, status
from tests.plugins.cli import LVA
from tests.plugins.media import write_video
from tests.plugins.web_jobs import ANSWER, LINES, LOOK, BrokenVision, SlowVision, scripted_team
from tests.plugins.web_server import TIMEOUT_S, serving

OPTIONS = ["a roof", "a moon"]


def test_job_events_grow_and_job_survives_restart(library: Path, tmp_path: Path) -> None:
    team = replace(scripted_team(tmp_path, LOOK, ANSWER), vision=SlowVision(0.2))
    with serving(library, {"scripted": team}) as server:
        job_id = server.ask(server.video("a.mp4"), "Where is the kettle?", options=OPTIONS)
        events = server.events(job_id)
        assert [event.name for event in events][-2:] == ["job", "end"]
        traces = [event.data["trace"] for event in events if event.name == "job" and event.data["trace"]]
        sizes = [(bool(trace["first_grounding"]), len(trace["rounds"]), bool(trace["outcome"])) for trace in traces]
        assert sizes == sorted(sizes)
        running = [trace["rounds"][-1] for trace in traces if trace["rounds"] and trace["outcome"] is None]
        assert running[0]["observation"] is None
        job = server.get(f"/api/jobs/{job_id}")
        assert job == events[-2].data
        assert (job["state"], job["outcome"], job["answer"]) == ("finished", "answered", "a moon")
        first, (look_round, answer_round) = traces[-1]["first_grounding"], traces[-1]["rounds"]
        assert (first["kind"], look_round["action"], answer_round["action"]) == ("grounding", "look", "answer")
        observation = look_round["observation"]
        assert (observation["kind"], observation["text"]) == ("vision", "a wall")
        assert observation["usage"]["seconds"] >= 0.2
        view = job["view"]
        assert view["first_grounding"] == {"title": "The grounding agent points at", "frame_times_s": []}
        assert [fields and fields["title"] for fields in view["rounds"]] == ["The vision agent saw", None]
        assert first["window"][0]["subtitles"][0]["text"] == LINES[0]
    with serving(library, {"scripted": team}) as server:
        assert server.get(f"/api/jobs/{job_id}") == job
        assert [summary["id"] for summary in server.get("/api/jobs")["jobs"]] == [job_id]
        assert server.events(job_id)[0].data == job


def test_job_downloads(library: Path) -> None:
    with serving(library) as server:
        options = ["on the roof", "in the lake"]
        job_id = server.ask(server.video("a.mp4"), "Where is the <b>kettle</b>?", options=options)
        assert server.ended(job_id)["answer"] == "on the roof"
        trace = server.client.get(f"/api/jobs/{job_id}/trace")
        assert trace.json()["answer"] == "on the roof"
        assert "attachment" in trace.headers["content-disposition"]
        page = server.client.get(f"/api/jobs/{job_id}/page")
        assert "Where is the &lt;b&gt;kettle&lt;/b&gt;?" in page.text
        assert "attachment" in page.headers["content-disposition"]


def test_job_stop_keeps_trace(library: Path, tmp_path: Path) -> None:
    team = replace(scripted_team(tmp_path, LOOK, ANSWER), vision=SlowVision(600))
    with serving(library, {"scripted": team}) as server:
        job_id = server.ask(server.video("a.mp4"), "Where is the kettle?")
        server.until(lambda: server.get(f"/api/jobs/{job_id}")["trace"], lambda trace: trace and trace["rounds"])
        assert server.client.post(f"/api/jobs/{job_id}/stop").status_code == 202
        job = server.ended(job_id)
        assert (job["state"], job["outcome"], len(job["trace"]["rounds"])) == ("stopped", None, 1)
        assert server.get("/api/health")["num_running"] == 0
        assert server.client.post(f"/api/jobs/{job_id}/stop").status_code == 202  # a second stop changes nothing


def test_job_queue_limits_concurrency(library: Path, tmp_path: Path) -> None:
    team = replace(scripted_team(tmp_path, LOOK, LOOK), vision=SlowVision(600))
    with serving(library, {"scripted": team}, concurrency=2) as server:
        video_id = server.video("a.mp4")
        job_ids = [server.ask(video_id, f"Where is kettle {number}?") for number in range(5)]
        server.until(lambda: server.get("/api/health"), lambda health: health["num_running"] == 2)
        positions = [server.get(f"/api/jobs/{job_id}")["queue_position"] for job_id in job_ids]
        assert positions == [None, None, 1, 2, 3]
        assert server.get("/api/health")["num_queued"] == 3
        server.client.post(f"/api/jobs/{job_ids[2]}/stop")
        assert server.ended(job_ids[2])["trace"] is None
        assert server.get(f"/api/jobs/{job_ids[4]}")["queue_position"] == 2
        response = server.client.get(f"/api/jobs/{job_ids[2]}/trace")
        assert (response.status_code, "this job has no result" in response.text) == (404, True)


def test_job_shows_retries(library: Path) -> None:
    replies = (say("<visual_query>x</visual_query>"), status(503), status(503), say("<answer>a1</answer>"))
    with faulty_server.serving(*replies) as (url, _):
        config = TeamConfig(master=AgentConfig(model=f"openai:m@{url}"))
        team = load_team(config, retry_policy=RetryPolicy(max_tries=4, first_wait_s=0.5))
        with serving(library, {"model": team}) as server:
            events = server.events(server.ask(server.video("a.mp4"), "Where is the kettle?", options=OPTIONS))
    jobs = [event.data for event in events if event.name == "job"]
    stages = [job["stage"] for job in jobs if "HTTP 503" in job["stage"]]
    assert {stage.rpartition("; ")[2] for stage in stages} == {"try 2 of 4 follows", "try 3 of 4 follows"}
    assert (jobs[-1]["answer"], jobs[-1]["stage"]) == ("a moon", "")


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_job_stop_immediately(turns: int, library: Path) -> None:
    """Before the job has started, or while its first record is being written."""
    opened = open_library(library, None)

    async def go() -> Job:
        queue = JobQueue(VideoCache(opened), {"offline": load_team()}, JobStore(opened.data_dir))
        job = queue.submit(opened.videos()[0], Question("Where is the kettle?"), "offline", RolloutSettings())
        for _ in range(turns):
            await asyncio.sleep(0)
        await queue.close()
        return job

    job = asyncio.run(go())
    assert (job.state, job.cause, job.trace) == ("stopped", "", None)
    if turns:
        saved = JobQueue(VideoCache(opened), {}, JobStore(opened.data_dir)).get(job.id)
        assert (saved.state, saved.cause) == ("stopped", "")


def test_job_agent_down(library: Path, tmp_path: Path) -> None:
    team = replace(scripted_team(tmp_path, LOOK, ANSWER), vision=BrokenVision())
    with serving(library, {"scripted": team}) as server:
        job = server.ended(server.ask(server.video("a.mp4"), "Where is the kettle?"))
        assert (job["state"], job["outcome"], job["answer"]) == ("finished", "failed", "")
        assert "does not answer" in job["trace"]["cause"]


def test_job_video_unreadable(library: Path) -> None:
    (library / "b.mp4").write_bytes(b"nothing")
    with serving(library) as server:
        job = server.ended(server.ask(server.video("b.mp4"), "What?"))
        assert (job["state"], job["trace"]) == ("failed", None)
        assert "not a readable video" in job["cause"]


@pytest.mark.parametrize(
    ("fields", "status", "detail"),
    [
        ({"question": " "}, 422, "the question is empty"),
        ({"question": "x" * 10_001}, 422, "question: "),
        ({"options": ["a", ""]}, 422, "options.1: "),
        ({"max_rounds": 0}, 422, "max_rounds: "),
        ({"team": "nobody"}, 422, "nobody: not a team of this server"),
        ({"video_id": "nothing"}, 404, "no video of the library has this id"),
        ({"videos": "x"}, 422, "videos: "),
    ],
)
def test_job_request_invalid(fields: dict[str, object], status: int, detail: str, library: Path) -> None:
    with serving(library) as server:
        body = {"video_id": server.video("a.mp4"), "question": "Where?", **fields}
        response = server.client.post("/api/jobs", json=body)
        assert (response.status_code, response.json()["detail"].startswith(detail)) == (status, True), response.text
        assert server.get("/api/jobs") == {"jobs": []}


def test_jobs_concurrent_clients(library: Path) -> None:
    with serving(library, concurrency=4) as server, ThreadPoolExecutor(50) as pool:
        video_id = server.video("a.mp4")
        job_ids = list(pool.map(lambda number: server.ask(video_id, f"Where is kettle {number}?"), range(50)))
        for events in pool.map(server.events, job_ids):
            assert events[-1] == ("end", None)
            assert events[-2].data["state"] == "finished"
        assert {summary["id"] for summary in server.get("/api/jobs")["jobs"]} == set(job_ids)
        assert len(list((library / ".longvideoagent" / "jobs").glob("*.json"))) == 50


def test_job_video_removed(library: Path) -> None:
    with serving(library) as server:
        job_id = server.ask(server.video("a.mp4"), "Where is the kettle?")
        server.ended(job_id)
        (library / "a.mp4").unlink()
        job = server.get(f"/api/jobs/{job_id}")
        assert (job["is_playable"], job["trace"]["outcome"]) == (False, "answered")
        page = server.client.get(f"/api/jobs/{job_id}/page")
        assert (page.status_code, "no video of the library has this id" in page.text) == (404, True)


def test_job_team_chosen(library: Path, tmp_path: Path) -> None:
    teams = {"offline": load_team(), "scripted": scripted_team(tmp_path, "<answer>because</answer>")}
    with serving(library, teams) as server:
        assert [team["name"] for team in server.get("/api/teams")["teams"]] == ["offline", "scripted"]
        job = server.ended(server.ask(server.video("a.mp4"), "Why?", team="scripted"))
        assert (job["team"], job["answer"]) == ("scripted", "because")


def test_actions_match_traces(library: Path) -> None:
    with serving(library) as server:
        actions = {action["name"]: action for action in server.get("/api/actions")["actions"]}
        look = {"name": "look", "label": "Look", "icon": "◉", "agent": "vision", "is_final": False, "is_error": False}
        assert actions["look"] == look
        assert [name for name, action in actions.items() if action["is_final"]] == ["answer"]
        assert [name for name, action in actions.items() if action["is_error"]] == ["invalid"]
        job = server.ended(server.ask(server.video("a.mp4"), "Where is the kettle?"))
        assert {round_["action"] for round_ in job["trace"]["rounds"]} <= set(actions)


def test_job_server_killed(library: Path, tmp_path: Path) -> None:
    command = [str(LVA), "serve", "--library", str(library), "--port", "0", "--concurrency", "1"]
    (library / "a.srt").unlink()
    write_video(library / "a.mp4", range(0, 600_000, 4000))  # its screen text takes many seconds to read
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        url = next(word for word in process.stderr.readline().split() if word.startswith("http"))
        video_id = httpx.get(f"{url}api/videos").json()["videos"][0]["id"]
        job_id = httpx.post(f"{url}api/jobs", json={"video_id": video_id, "question": "Where?"}).json()["id"]
        while not (library / ".longvideoagent" / "jobs" / f"{job_id}.json").exists():
            time.sleep(0.05)
        process.kill()
    with serving(library) as server:
        job = server.get(f"/api/jobs/{job_id}")
        assert (job["state"], "the server ended" in job["cause"]) == ("stopped", True)


def test_server_interrupted_while_job_runs(library: Path) -> None:
    (library / "a.srt").unlink()
    write_video(library / "a.mp4", range(0, 600_000, 4000))  # its screen text takes many seconds to read
    command = [str(LVA), "serve", "--library", str(library), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = next(word for word in process.stderr.readline().split() if word.startswith("http"))
        video_id = httpx.get(f"{url}api/videos").json()["videos"][0]["id"]
        job_id = httpx.post(f"{url}api/jobs", json={"video_id": video_id, "question": "Where?"}).json()["id"]
        with httpx.stream("GET", f"{url}api/jobs/{job_id}/events") as events:
            for line in events.iter_lines():
                if "reading the text" in line:
                    break
            process.send_signal(signal.SIGINT)
            stderr = process.communicate(timeout=TIMEOUT_S)[1]
        assert "Traceback" not in stderr
        assert "ERROR" not in stderr


def test_job_renamed_and_deleted(library: Path, tmp_path: Path) -> None:
    team = replace(scripted_team(tmp_path, LOOK, LOOK, ANSWER), vision=SlowVision(600))
    with serving(library, {"offline": load_team(), "slow": team}) as server:
        video = server.video("a.mp4")
        job = server.ask(video, "Where is the kettle?")
        server.ended(job)
        renamed = server.client.patch(f"/api/jobs/{job}", json={"title": "The kettle"}).json()
        assert (renamed["title"], renamed["question"]) == ("The kettle", "Where is the kettle?")
        running = server.ask(video, "Where?", team="slow")
        refused = server.client.delete(f"/api/jobs/{running}")
        assert (refused.status_code, "stop it first" in refused.text) == (422, True)
        assert server.client.delete(f"/api/videos/{video}").status_code == 422
        server.client.post(f"/api/jobs/{running}/stop")
        server.ended(running)
        assert server.client.delete(f"/api/jobs/{running}").status_code == 204
        assert server.client.delete(f"/api/jobs/{running}").status_code == 404
    with serving(library) as server:
        assert [(each["id"], each["title"]) for each in server.get("/api/jobs")["jobs"]] == [(job, "The kettle")]
        assert server.get(f"/api/jobs/{job}")["answer"]


def test_jobs_of_two_servers(library: Path, tmp_path: Path) -> None:
    team = replace(scripted_team(tmp_path, LOOK, LOOK, ANSWER), vision=SlowVision(600))
    with serving(library) as first:
        with serving(library, {"slow": team}) as second:
            running = second.ask(second.video("a.mp4"), "Where?")
            job = first.until(lambda: first.client.get(f"/api/jobs/{running}"), lambda reply: reply.status_code == 200)
            assert job.json()["state"] == "running"
            refused = first.client.post(f"/api/jobs/{running}/stop")
            assert (refused.status_code, "stop it there" in refused.text) == (422, True)
            ended = first.ask(first.video("a.mp4"), "Where is the kettle?")
            answer = first.ended(ended)["answer"]
            jobs = second.until(lambda: second.get("/api/jobs")["jobs"], lambda jobs: jobs[0]["state"] == "finished")
            assert [(each["id"], each["answer"]) for each in jobs] == [(ended, answer), (running, "")]
            second.client.post(f"/api/jobs/{running}/stop")
            events = first.events(running)
            assert (events[-2].data["state"], events[-1].name) == ("stopped", "end")
            first.client.delete(f"/api/jobs/{ended}")
            second.until(lambda: second.get("/api/jobs")["jobs"], lambda jobs: len(jobs) == 1)
        assert first.get(f"/api/jobs/{running}")["cause"] == ""
