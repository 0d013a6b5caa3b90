"""Questions on the page: form, steps, answer, history."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from longvideoagent.agents.build import load_team
from tests.plugins.browser import HeldRequests, OpenPage, ask_on_page, needs_browser
from tests.plugins.web_jobs import ANSWER, LOOK, SlowVision, scripted_team
from tests.plugins.web_server import serving

pytestmark = needs_browser


def test_steps_live_and_stopped(library: Path, tmp_path: Path, open_page: OpenPage) -> None:
    team = replace(scripted_team(tmp_path, LOOK, LOOK, ANSWER), vision=SlowVision(600))
    with serving(library, {"scripted": team}) as server:
        page = open_page(server, f"/#/videos/{server.video('a.mp4')}")
        ask_on_page(page, "Where is the kettle?")
        expect(page.locator("#steps .step[data-kind=look]").first).to_be_visible()
        assert page.locator("#answer:visible").count() == 0
        page.click("#stop-button")
        expect(page.locator("#traces")).to_contain_text("Stopped")
        expect(page.locator("#stop-button")).not_to_be_visible()
        (job,) = server.get("/api/jobs")["jobs"]
        assert job["state"] == "stopped"
        assert page.locator("#steps .step[data-kind=grounding]").count() == 1


@pytest.mark.parametrize("path", ["videos", "videos/{video}"])
def test_question_held_until_video_is_open(path: str, library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        video = server.video("a.mp4")
        page = open_page(server, f"/#/videos/{video}")
        held = HeldRequests(page, f"**/api/{path.format(video=video)}")
        ask_on_page(page, "Where is the kettle?", "roof", "lake")
        expect(page.locator("#form-note")).to_contain_text("not open yet")
        expect(page.locator("#ask-button")).to_be_disabled()
        assert page.input_value("#question") == "Where is the kettle?"
        assert server.get("/api/jobs") == {"jobs": []}
        held.release()
        expect(page.locator("#answer")).to_contain_text("roof")
        expect(page.locator("#ask-button")).to_be_enabled()
        (job,) = server.get("/api/jobs")["jobs"]
        assert (job["question"], job["video_id"]) == ("Where is the kettle?", video)


def test_question_held_video_fails_to_open(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        page = open_page(server, f"/#/videos/{server.video('a.mp4')}")
        held = HeldRequests(page, f"**/api/videos/{server.video('a.mp4')}")
        ask_on_page(page, "Where is the kettle?")
        expect(page.locator("#form-note")).to_contain_text("not open yet")
        held.release(status=503, json={"detail": "the video cannot be read just now"})
        expect(page.locator("#form-note")).to_contain_text("could not be opened")
        expect(page.locator("#error-banner")).to_contain_text("cannot be read just now")
        assert page.input_value("#question") == "Where is the kettle?"
        assert server.get("/api/jobs") == {"jobs": []}
        page.click("#error-retry")
        expect(page.locator("#timeline")).to_be_visible()
        page.click("#ask-button")
        expect(page.locator("#answer")).to_contain_text("kettle")


def test_question_held_another_video_chosen(library: Path, short_video: Path, open_page: OpenPage) -> None:
    shutil.copy(short_video, library / "b.mp4")
    with serving(library) as server:
        page = open_page(server, f"/#/videos/{server.video('a.mp4')}")
        held = HeldRequests(page, f"**/api/videos/{server.video('a.mp4')}")
        expect(page.locator("[aria-current] .name")).to_have_text("a.mp4")
        ask_on_page(page, "Where is the kettle?")
        page.locator(".video-item").get_by_text("b.mp4").click()
        expect(page.locator("#form-note")).to_contain_text("another video was chosen")
        expect(page.locator("#video-name")).to_have_text("b.mp4")
        expect(page.locator("#ask-button")).to_be_enabled()
        held.release()
        page.locator(".video-item").get_by_text("a.mp4").click()
        expect(page.locator("#question")).to_have_value("Where is the kettle?")
        expect(page.locator("#video-name")).to_have_text("a.mp4")
        assert server.get("/api/jobs") == {"jobs": []}


def test_question_server_down(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        page = open_page(server, f"/#/videos/{server.video('a.mp4')}")
        expect(page.locator("#timeline")).to_be_visible()
    ask_on_page(page, "Is anybody there?")
    expect(page.locator("#error-banner")).to_be_visible()
    expect(page.locator("#error-retry")).to_be_visible()
    assert page.input_value("#question") == "Is anybody there?"


def test_ask_again_fills_the_form(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        job = server.ask(server.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"], max_rounds=3)
        server.ended(job)
        page = open_page(server, f"/#/jobs/{job}")
        page.click("#ask-again")
        assert page.input_value("#question") == "Where is the kettle?"
        options = page.locator(".option-input").evaluate_all("inputs => inputs.map(input => input.value)")
        assert options[:2] == ["roof", "lake"]
        assert page.input_value("#rounds") == "3"


def test_answer_low_confidence(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        job = server.ask(server.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"])
        finished_job = server.ended(job)
        unsure_job = finished_job | {"trace": finished_job["trace"] | {"confidence": 0.12, "hint": "add -m SPEC"}}
        page = open_page(server)
        page.route(f"**/api/jobs/{job}", lambda route: route.fulfill(json=unsure_job))
        page.goto(f"{server.url}/#/jobs/{job}")
        expect(page.locator("#answer .low-confidence")).to_have_text("Not sure")
        expect(page.locator("#answer .hint")).to_have_text("add -m SPEC")
        expect(page.locator("#answer .confidence")).to_contain_text("0.12")
        expect(page.locator("#status")).to_contain_text("not sure")


def test_answer_without_any_confidence(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        job = server.ask(server.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"])
        finished_job = server.ended(job)
        guess = finished_job | {"trace": finished_job["trace"] | {"confidence": 0.004, "evidence": []}}
        page = open_page(server)
        page.route(f"**/api/jobs/{job}", lambda route: route.fulfill(json=guess))
        page.goto(f"{server.url}/#/jobs/{job}")
        expect(page.locator("#answer .outcome")).to_have_text("a guess: nothing in the video supports it")
        expect(page.locator("#answer")).not_to_contain_text("Confidence")
        expect(page.locator(".clip.visited").first).to_be_visible()
        expect(page.locator(".evidence-mark")).to_have_count(0)  # the answer lists no evidence
        expect(page.locator("#evidence-key")).not_to_be_visible()


@pytest.mark.parametrize("has_model", [False, True])
def test_hint_leads_to_another_team(has_model: bool, library: Path, tmp_path: Path, open_page: OpenPage) -> None:
    hint = "the offline team saw little. A model answers better: add -m ollama:some-model"
    others = {"scripted": scripted_team(tmp_path, ANSWER)} if has_model else {}
    with serving(library, {"offline": load_team()} | others) as server:
        job = server.ask(server.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"], max_rounds=3)
        finished_job = server.ended(job)
        finished_job["trace"] |= {"hint": hint}
        page = open_page(server)
        page.route(f"**/api/jobs/{job}", lambda route: route.fulfill(json=finished_job))
        page.goto(f"{server.url}/#/jobs/{job}")
        expect(page.locator("#answer .hint")).to_have_text(hint)
        if not has_model:
            expect(page.locator("#answer .better-team code")).to_have_text("lva serve -m ollama:some-model")
            return
        page.click("#better-team")
        expect(page.locator("#team")).to_be_focused()
        expect(page.locator("#team")).to_have_value("scripted")
        expect(page.locator("#question")).to_have_value("Where is the kettle?")


def test_enter_asks(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        page = open_page(server, f"/#/videos/{server.video('a.mp4')}")
        expect(page.locator("#timeline")).to_be_visible()
        page.locator("#question").press_sequentially("Where is")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("the kettle?")
        expect(page.locator("#question")).to_have_value("Where is\nthe kettle?")
        page.click("#add-option")
        page.keyboard.type("roof")
        page.keyboard.press("Enter")
        page.keyboard.type("lake")
        page.keyboard.press("Enter")
        expect(page.locator(".option-input")).to_have_count(3)
        page.keyboard.press("Enter")  # in an empty option
        expect(page.locator("#answer")).to_contain_text("roof")
        page.locator("#question-unfold").click()
        page.locator("#question").fill("Who is torn?")
        page.locator("#question").press("Enter")
        expect(page.locator(".trace-head")).to_contain_text("Who is torn?")
        page.locator("#question-unfold").click()
        page.locator("#rounds").press("Control+Enter")
        expect(page.locator("#history li")).to_have_count(3)


def test_grounding_candidates_and_window(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        job = server.ask(server.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"])
        finished_job = server.ended(job)
        grounding = finished_job["trace"]["first_grounding"]
        neighbor = grounding["window"][0] | {"label": "c02", "start_s": 10.0, "end_s": 12.0}
        grounding["window"].append(neighbor)
        grounding["candidates"] = [{"label": "c07", "reason": "names a <b>kettle</b>"}]
        page = open_page(server)
        page.route(f"**/api/jobs/{job}", lambda route: route.fulfill(json=finished_job))
        page.goto(f"{server.url}/#/jobs/{job}")
        step = page.locator("#steps .step").first
        expect(step).to_contain_text("First grounding")
        expect(step).to_contain_text("The grounding agent points at")
        window, candidates = (step.locator(".clip-list").nth(index) for index in (0, 1))
        expect(window).to_contain_text("Evidence window")
        expect(window).to_contain_text("0:10 to 0:12")
        expect(candidates).to_contain_text("Also considered")
        expect(candidates.locator("li")).to_have_text(["c07 (names a <b>kettle</b>)"])


def test_steps_show_the_table_of_actions(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        job = server.ask(server.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"])
        server.ended(job)
        actions = server.get("/api/actions")
        for action in actions["actions"]:
            action |= {"label": f"{action['label']} (test)", "icon": "§"}
        page = open_page(server)
        page.route("**/api/actions", lambda route: route.fulfill(json=actions))
        page.goto(f"{server.url}/#/jobs/{job}")
        page.reload()
        expect(page.locator("#steps .step").last).to_contain_text("Answer (test)")
        expect(page.locator("#steps .step-icon").last).to_have_text("§")


def test_job_unknown_to_the_server(library: Path, tmp_path: Path, open_page: OpenPage) -> None:
    team = replace(scripted_team(tmp_path, LOOK, LOOK, ANSWER), vision=SlowVision(600))
    not_found = {"detail": "no job has this id; reload the list"}
    with serving(library, {"scripted": team}) as server:
        running = server.ask(server.video("a.mp4"), "Where is the kettle?")
        page = open_page(server)
        page.route("**/api/jobs/*/events", lambda route: route.fulfill(status=404, json=not_found))
        page.goto(f"{server.url}/#/jobs/{running}")
        expect(page.locator("#stop-button")).to_be_visible()
        page.route(f"**/api/jobs/{running}", lambda route: route.fulfill(status=404, json=not_found))
        expect(page.locator("#traces")).to_contain_text("no job has this id")
        expect(page.locator("#traces")).not_to_contain_text("Trying again")
        expect(page.locator("#stop-button")).not_to_be_visible()
        page.click("#ask-again")
        expect(page.locator("#question")).to_have_value("Where is the kettle?")
        server.client.post(f"/api/jobs/{running}/stop")


def test_draft_kept_per_video(library: Path, short_video: Path, open_page: OpenPage) -> None:
    shutil.copy(short_video, library / "b.mp4")
    with serving(library) as server:
        page = open_page(server, f"/#/videos/{server.video('a.mp4')}")
        expect(page.locator("#suggestions button").first).to_be_visible()
        page.fill("#question", "Where is the kettle?")
        for option in ("roof", ""):
            page.click("#add-option")
            page.locator(".option-input").last.fill(option)
        page.locator(".video-item").get_by_text("b.mp4").click()
        expect(page.locator("#video-name")).to_have_text("b.mp4")
        expect(page.locator("#question")).to_have_value("")
        expect(page.locator(".option-input")).to_have_count(0)
        page.locator(".video-item").get_by_text("a.mp4").click()
        expect(page.locator("#question")).to_have_value("Where is the kettle?")
        expect(page.locator(".option-input")).to_have_count(1)


def test_history_shows_questions_of_others(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        page = open_page(server)
        expect(page.locator("#no-history")).to_be_visible()
        server.ask(server.video("a.mp4"), "Where is the kettle?")
        expect(page.locator("#history")).to_contain_text("Where is the kettle?")


def test_trace_downloads(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        job = server.ask(server.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"])
        server.ended(job)
        page = open_page(server, f"/#/jobs/{job}")
        with page.expect_download() as download:
            page.click("#download-json")
        assert json.loads(download.value.path().read_text())["answer"] == "roof"
        with page.expect_download() as download:
            page.click("#download-page")
        assert "Where is the kettle?" in download.value.path().read_text()
