"""Asks over HTTP: a queue, steps in their order, an end that is kept."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from longvideoagent.agents.build import load_team
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.core.types import Question
from longvideoagent.server.jobs import Job, JobQueue
from longvideoagent.server.server import open_library
from longvideoagent.server.video_cache import VideoCache
from longvideoagent.views.trace_dict import trace_from_dict
from tests.plugins.cli import LVA
from tests.plugins.media import write_video
from tests.plugins.web_jobs import ANSWER, LINES, LOOK, BrokenVision, SlowVision, scripted
from tests.plugins.web_server import AppState, serving

OPTIONS = ["a roof", "a moon"]


def test_steps_are_told_as_they_happen_and_the_end_is_kept(library: Path, tmp_path: Path) -> None:
    team = replace(scripted(tmp_path, LOOK, ANSWER), vision=SlowVision(0.2))
    with serving(library, {"told": team}) as app_state:
        ask = app_state.ask(app_state.video("a.mp4"), "Where is the kettle?", options=OPTIONS)
        told = app_state.events(ask)
        assert [name for name, _ in told][-2:] == ["job", "end"]
        grown = [data["trace"] for name, data in told if name == "job" and data["trace"]]
        sizes = [(bool(each["first"]), len(each["rounds"]), len(each["evidence"])) for each in grown]
        assert sizes == sorted(sizes)
        running = [each["rounds"][-1] for each in grown if each["rounds"] and each["outcome"] is None]
        assert running[0]["observed"] is None
        last = app_state.get(f"/api/jobs/{ask}")
        assert last == told[-2][1]
        assert (last["state"], last["outcome"], last["answer"]) == ("finished", "answered", "a moon")
        first, (looked, answered) = grown[-1]["first"], grown[-1]["rounds"]
        assert (first["kind"], looked["action"], answered["action"]) == ("grounding", "look", "answer")
        seen = looked["observed"]
        assert (seen["kind"], seen["text"], seen["seconds"] >= 0.2) == ("vision", "a wall", True)
        assert first["lines"][0]["text"] == LINES[0]
    with serving(library, {"told": team}) as app_state:  # another start of the server
        assert app_state.get(f"/api/jobs/{ask}") == last
        assert [line["id"] for line in app_state.get("/api/jobs")["jobs"]] == [ask]
        assert app_state.events(ask)[0][1] == last


def test_what_is_downloaded_is_the_whole_trajectory(library: Path) -> None:
    with serving(library) as app_state:
        ask = app_state.ask(
            app_state.video("a.mp4"), "Where is the <b>kettle</b>?", options=["on the roof", "in the lake"]
        )
        ended = app_state.ended(ask)
        assert ended["answer"] == "on the roof"
        told = app_state.client.get(f"/api/jobs/{ask}/trace")
        assert told.json()["answer"] == "on the roof"
        assert "attachment" in told.headers["content-disposition"]
        page = app_state.client.get(f"/api/jobs/{ask}/page")
        assert "Where is the &lt;b&gt;kettle&lt;/b&gt;?" in page.text
        assert "attachment" in page.headers["content-disposition"]


def test_a_stop_ends_it_in_the_middle_and_keeps_what_was_found(library: Path, tmp_path: Path) -> None:
    team = replace(scripted(tmp_path, LOOK, ANSWER), vision=SlowVision(600))
    with serving(library, {"told": team}) as app_state:
        video = app_state.video("a.mp4")
        ask = app_state.ask(video, "Where is the kettle?")
        app_state.until(lambda: app_state.get(f"/api/jobs/{ask}")["trace"], lambda told: told and told["rounds"])
        assert app_state.client.post(f"/api/jobs/{ask}/stop").status_code == 202
        ended = app_state.ended(ask)
        assert (ended["state"], ended["outcome"], len(ended["trace"]["rounds"])) == ("stopped", None, 1)
        assert app_state.get("/api/health")["running"] == 0
        assert app_state.client.post(f"/api/jobs/{ask}/stop").status_code == 202  # twice does no harm


def test_no_more_than_so_many_run_and_the_others_know_their_place(library: Path, tmp_path: Path) -> None:
    team = replace(scripted(tmp_path, LOOK, LOOK), vision=SlowVision(600))
    with serving(library, {"told": team}, max_concurrency=2) as app_state:
        video = app_state.video("a.mp4")
        asks = [app_state.ask(video, f"Where is kettle {number}?") for number in range(5)]
        app_state.until(lambda: app_state.get("/api/health"), lambda told: told["running"] == 2)
        places = [app_state.get(f"/api/jobs/{ask}")["queue_position"] for ask in asks]
        assert places == [None, None, 1, 2, 3]
        assert app_state.get("/api/health")["queued"] == 3
        app_state.client.post(f"/api/jobs/{asks[2]}/stop")
        assert app_state.ended(asks[2])["trace"] is None
        assert app_state.get(f"/api/jobs/{asks[4]}")["queue_position"] == 2
        told = app_state.client.get(f"/api/jobs/{asks[2]}/trace")
        assert (told.status_code, "nothing has come of this ask" in told.text) == (404, True)


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_stop_that_follows_at_once_is_a_stop(turns: int, library: Path) -> None:
    """Even before the ask has begun, or while its first record is being written."""
    here = open_library(library, None)

    async def go() -> Job:
        asks = JobQueue(VideoCache(here), {"offline": load_team()}, here.keep / "asks")
        ask = asks.add(here.videos()[0], Question("Where is the kettle?"), "offline", RolloutSettings())
        for _ in range(turns):
            await asyncio.sleep(0)
        await asks.close()
        return ask

    ask = asyncio.run(go())
    assert (ask.state, ask.cause, ask.trace) == ("stopped", "", None)
    if turns:
        kept = JobQueue(VideoCache(here), {}, here.keep / "asks").get(ask.id)
        assert (kept.state, kept.cause) == ("stopped", "")


def test_an_agent_that_is_down_is_no_answer(library: Path, tmp_path: Path) -> None:
    team = replace(scripted(tmp_path, LOOK, ANSWER), vision=BrokenVision())
    with serving(library, {"told": team}) as app_state:
        ended = app_state.ended(app_state.ask(app_state.video("a.mp4"), "Where is the kettle?"))
        assert (ended["state"], ended["outcome"], ended["answer"]) == ("finished", "failed", "")
        assert "does not answer" in ended["trace"]["cause"]


def test_a_video_that_cannot_be_opened_fails_in_words(library: Path) -> None:
    (library / "b.mp4").write_bytes(b"nothing")
    with serving(library) as app_state:
        ended = app_state.ended(app_state.ask(app_state.video("b.mp4"), "What?"))
        assert (ended["state"], ended["trace"]) == ("failed", None)
        assert "not a readable video" in ended["cause"]


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        ({"question": " "}, 422, "the question is empty"),
        ({"question": "x" * 10_001}, 422, "question: "),
        ({"options": ["a", ""]}, 422, "options.1: "),
        ({"max_rounds": 0}, 422, "max_rounds: "),
        ({"team": "nobody"}, 422, "nobody: no such team here"),
        ({"video_id": "nothing"}, 404, "no video of that id"),
        ({"videos": "x"}, 422, "videos: "),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(
    asked: dict[str, object], status: int, told: str, library: Path
) -> None:
    with serving(library) as app_state:
        given = {"video_id": app_state.video("a.mp4"), "question": "Where?", **asked}
        answer = app_state.client.post("/api/jobs", json=given)
        assert (answer.status_code, answer.json()["detail"].startswith(told)) == (status, True), answer.text
        assert app_state.get("/api/jobs") == {"jobs": []}


def test_of_many_that_ask_at_once_none_is_lost(library: Path) -> None:
    with serving(library, max_concurrency=4) as app_state, ThreadPoolExecutor(50) as crowd:
        video = app_state.video("a.mp4")
        asks = list(crowd.map(lambda number: app_state.ask(video, f"Where is kettle {number}?"), range(50)))
        told = list(crowd.map(app_state.events, asks))
        assert all(events[-1] == ("end", None) and events[-2][1]["state"] == "finished" for events in told)
        assert {line["id"] for line in app_state.get("/api/jobs")["jobs"]} == set(asks)
        assert len(list((library / ".longvideoagent" / "asks").glob("*.json"))) == 50


def test_a_record_that_was_spoilt_hides_no_other(library: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(library) as app_state:
        ask = app_state.ask(app_state.video("a.mp4"), "Where is the kettle?")
        app_state.ended(ask)
    asks = library / ".longvideoagent" / "asks"
    (record,) = asks.glob("*.json")
    trace_from_dict(json.loads(record.read_text())["trace"])  # the whole trace is in it
    for number, text in enumerate(("", "{", "[]", "{}", record.read_text()[:-9])):
        (asks / f"{number}.json").write_text(text)
    with serving(library) as app_state:
        assert [line["id"] for line in app_state.get("/api/jobs")["jobs"]] == [ask]
        assert caplog.text.count("no record of an ask") == 5
        record.write_text("spoilt meanwhile")
        assert app_state.client.get(f"/api/jobs/{ask}").status_code == 404


def test_what_a_video_was_asked_stays_when_the_video_goes(library: Path) -> None:
    with serving(library) as app_state:
        ask = app_state.ask(app_state.video("a.mp4"), "Where is the kettle?")
        app_state.ended(ask)
        (library / "a.mp4").unlink()
        told = app_state.get(f"/api/jobs/{ask}")
        assert (told["is_playable"], told["trace"]["outcome"]) == (False, "answered")
        page = app_state.client.get(f"/api/jobs/{ask}/page")
        assert (page.status_code, "no video of that id" in page.text) == (404, True)


def test_servers_answers_are_told_apart_by_team(library: Path, tmp_path: Path) -> None:
    teams = {"offline": load_team(), "told": scripted(tmp_path, "<answer>because</answer>")}
    with serving(library, teams) as app_state:
        assert [each["name"] for each in app_state.get("/api/teams")["teams"]] == ["offline", "told"]
        ended = app_state.ended(ask_team(app_state, "told"))
        assert (ended["team"], ended["answer"]) == ("told", "because")


def ask_team(app_state: AppState, team: str) -> str:
    return app_state.ask(app_state.video("a.mp4"), "Why?", team=team)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"asked_at": null}', '{"state": "odd"}'])
def test_hostile_records_keep_nobody_from_asking(text: str, library: Path) -> None:
    asks = library / ".longvideoagent" / "asks"
    asks.mkdir(parents=True)
    (asks / "odd.json").write_text(text)
    (library / "a.json").write_text(text)
    with serving(library) as app_state:
        assert app_state.get("/api/jobs") == {"jobs": []}
        assert app_state.timeline(app_state.video("a.mp4"))["suggestions"]
        assert app_state.ended(app_state.ask(app_state.video("a.mp4"), "Where is the kettle?"))["state"] == "finished"


def test_a_master_that_says_half_a_character_is_kept(library: Path, tmp_path: Path) -> None:
    with serving(library, {"told": scripted(tmp_path, "<answer>\ud83d</answer>")}) as app_state:
        ask = app_state.ask(app_state.video("a.mp4"), "Where?")
        assert app_state.ended(ask)["state"] == "finished"
    with serving(library) as app_state:
        assert app_state.get(f"/api/jobs/{ask}")["outcome"] == "answered"


def test_an_ask_whose_server_was_killed_is_told(library: Path, tmp_path: Path) -> None:
    command = [str(LVA), "serve", "--library", str(library), "--port", "0", "--concurrency", "1"]
    (library / "a.srt").unlink()
    write_video(library / "a.mp4", range(0, 120_000, 200), size=(640, 480))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        assert server.stderr is not None
        url = next(word for word in server.stderr.readline().split() if word.startswith("http"))
        video = httpx.get(f"{url}api/videos").json()["videos"][0]["id"]
        ask = httpx.post(f"{url}api/jobs", json={"video_id": video, "question": "Where?"}).json()["id"]
        while not (library / ".longvideoagent" / "asks" / f"{ask}.json").exists():
            time.sleep(0.05)
        server.kill()
    with serving(library) as app_state:
        told = app_state.get(f"/api/jobs/{ask}")
        assert (told["state"], "the server ended" in told["cause"]) == ("stopped", True)


def test_the_server_ends_soon_whatever_it_does(library: Path) -> None:
    (library / "a.srt").unlink()
    write_video(library / "a.mp4", range(0, 600_000, 500), size=(640, 480))  # minutes of reading text off the screen
    command = [str(LVA), "serve", "--library", str(library), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        url = next(word for word in server.stderr.readline().split() if word.startswith("http"))
        video = httpx.get(f"{url}api/videos").json()["videos"][0]["id"]
        ask = httpx.post(f"{url}api/jobs", json={"video_id": video, "question": "Where?"}).json()["id"]
        with httpx.stream("GET", f"{url}api/jobs/{ask}/events") as events:
            for line in events.iter_lines():
                if "reading the text" in line:
                    break
            server.send_signal(signal.SIGINT)
            told = server.communicate(timeout=20)[1]
        assert "Traceback" not in told
        assert "ERROR" not in told
