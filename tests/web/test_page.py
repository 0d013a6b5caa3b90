"""The page in a real browser: what a person does, and what they see of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from longvideoagent.agents.build import load_team
from tests.fakes.release import some_questions, write_release
from tests.plugins.hostile import HOSTILE
from tests.plugins.media import EVERY_40_MS, shade, write_video
from tests.plugins.runs import asked, run
from tests.plugins.web_jobs import ANSWER, LOOK, SlowVision, scripted_team
from tests.plugins.web_server import RunningServer, serving

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_MS = 60_000
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
NO_CALLS_HOME = ("--disable-background-networking", "--disable-component-update")

STARTS_PLAYING = "() => document.querySelector('#player').play().then(() => true, () => false)"
HAS_FRAME = "() => document.querySelector('#player').readyState >= 2"
IS_SHOWN_AT = """time_s => {
  const player = document.querySelector("#player");
  const shown_s = Number(document.querySelector("#timeline").getAttribute("aria-valuenow"));
  return Math.abs(shown_s - time_s) < 0.5 && player.readyState >= 2 && !player.seeking;
}"""
expect.set_options(timeout=PATIENCE_MS)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium, or name it in CHROMIUM"),
]
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *NO_CALLS_HOME])
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a page of a server. At the end nothing may have gone wrong in it or been asked of elsewhere."""
    faults: list[str] = []
    contexts = []

    def open_it(app_state: RunningServer, path: str = "/", width: int = 1280, **given: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", **given)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda told: faults.append(told.text) if is_fault(told.text) else None)
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("request", lambda asked: faults.append(asked.url) if not is_own(asked.url, app_state) else None)
        page.goto(app_state.url + path)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not faults


def is_fault(told: str) -> bool:
    return "Content Security Policy" in told or "Uncaught" in told


def is_own(url: str, app_state: RunningServer) -> bool:
    return url.startswith((app_state.url, "data:", "blob:"))


def ask(page: Page, question: str, *options: str) -> None:
    page.fill("#question", question)
    for number, option in enumerate(options):
        if page.locator(".option-input").count() <= number:
            page.click("#add-option")
        page.locator(".option-input").nth(number).fill(option)
    page.click("#ask-button")


def place_s(page: Page) -> float:
    """Where in the video the player is."""
    return float(page.get_attribute("#timeline", "aria-valuenow") or "nan")


def wait_until(page: Page, claim: str, arg: object = None) -> None:
    """Evaluate a JavaScript function until it returns something true.

    Polls from Python: ``page.wait_for_function`` polls by eval inside the page, which the page's CSP forbids.
    """
    end_s = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(claim, arg):
        assert time.monotonic() < end_s, claim
        page.wait_for_timeout(50)


def is_shown_at(page: Page, time_s: float) -> None:
    wait_until(page, IS_SHOWN_AT, time_s)


def click_timeline(page: Page, fraction: float) -> None:
    """Click at a fraction of the timeline's width. Playwright waits until nothing moves it any more."""
    timeline = page.locator("#timeline")
    expect(timeline).to_be_visible()
    box = timeline.bounding_box()
    assert box is not None
    timeline.click(position={"x": box["width"] * fraction, "y": box["height"] / 2})


def test_from_an_upload_to_evidence_one_can_see(tmp_path: Path, library: Path, open_page: Open) -> None:
    with serving(tmp_path) as app_state:
        page = open_page(app_state)
        page.set_input_files("#upload-input", library / "a.mp4")
        expect(page.locator("#video-name")).to_have_text("a.mp4")  # the page turns to what was brought
        page.locator(".video-item").first.click()
        page.set_input_files("#subtitle-input", library / "a.srt")
        expect(page.locator("#transcript-summary")).to_contain_text("3")
        ask(page, "Who says that the lamp is torn?", "Mira", "Otto")
        expect(page.locator("#answer")).to_contain_text("Otto")
        kinds = page.locator("#steps .step").evaluate_all("steps => steps.map(step => step.dataset.kind)")
        assert kinds[0] == "grounding"
        assert kinds[-1] == "answer"
        expect(page.locator(".clip.visited").first).to_be_visible()
        expect(page.locator("#status")).to_contain_text("Otto")
        button = page.locator("#answer [data-time-s]").first
        time_s = float(button.get_attribute("data-time-s") or "nan")
        assert time_s > 0
        button.click()
        is_shown_at(page, time_s)
        assert page.evaluate("document.querySelector('#player').currentTime") == pytest.approx(time_s, abs=0.5)
        page.reload()
        expect(page.locator("#answer")).to_contain_text("Otto")
        assert page.locator("#steps .step").evaluate_all("steps => steps.map(step => step.dataset.kind)") == kinds
        expect(page.locator("#history")).to_contain_text("Who says that the lamp is torn?")


def test_steps_appear_one_by_one_and_can_be_stopped(library: Path, tmp_path: Path, open_page: Open) -> None:
    team = replace(scripted_team(tmp_path, LOOK, LOOK, ANSWER), vision=SlowVision(600))
    with serving(library, {"told": team}) as app_state:
        page = open_page(app_state, f"/#/videos/{app_state.video('a.mp4')}")
        ask(page, "Where is the kettle?")
        expect(page.locator("#steps .step[data-kind=look]").first).to_be_visible()
        assert page.locator("#answer:visible").count() == 0
        page.click("#stop-button")
        expect(page.locator("#trajectories")).to_contain_text("Stopped")
        expect(page.locator("#stop-button")).not_to_be_visible()
        (line,) = app_state.get("/api/jobs")["jobs"]
        assert line["state"] == "stopped"
        assert page.locator("#steps .step[data-kind=grounding]").count() == 1


@pytest.mark.parametrize("path", ["videos", "videos/{video}"])
def test_question_waits_until_its_video_is_open(path: str, library: Path, open_page: Open) -> None:
    with serving(library) as app_state:
        video = app_state.video("a.mp4")
        page = open_page(app_state, f"/#/videos/{video}")
        held = HeldRequests(page, f"**/api/{path.format(video=video)}")
        page.reload()
        ask(page, "Where is the kettle?", "roof", "lake")
        expect(page.locator("#form-note")).to_contain_text("not open yet")
        expect(page.locator("#ask-button")).to_be_disabled()
        assert page.input_value("#question") == "Where is the kettle?"
        assert app_state.get("/api/jobs") == {"jobs": []}
        held.release()
        expect(page.locator("#answer")).to_contain_text("roof")
        expect(page.locator("#ask-button")).to_be_enabled()
        (job,) = app_state.get("/api/jobs")["jobs"]
        assert (job["question"], job["video_id"]) == ("Where is the kettle?", video)


def test_question_is_kept_if_its_video_fails_to_open(library: Path, open_page: Open) -> None:
    with serving(library) as app_state:
        page = open_page(app_state, f"/#/videos/{app_state.video('a.mp4')}")
        held = HeldRequests(page, f"**/api/videos/{app_state.video('a.mp4')}")
        page.reload()
        ask(page, "Where is the kettle?")
        expect(page.locator("#form-note")).to_contain_text("not open yet")
        held.release(status=503, json={"detail": "the video cannot be read just now"})
        expect(page.locator("#form-note")).to_contain_text("could not be opened")
        expect(page.locator("#error-banner")).to_contain_text("cannot be read just now")
        assert page.input_value("#question") == "Where is the kettle?"
        assert app_state.get("/api/jobs") == {"jobs": []}
        page.click("#error-retry")
        expect(page.locator("#timeline")).to_be_visible()
        page.click("#ask-button")
        expect(page.locator("#answer")).to_contain_text("kettle")


def test_question_is_not_sent_to_another_video(library: Path, short_video: Path, open_page: Open) -> None:
    shutil.copy(short_video, library / "b.mp4")
    with serving(library) as app_state:
        page = open_page(app_state, f"/#/videos/{app_state.video('a.mp4')}")
        held = HeldRequests(page, f"**/api/videos/{app_state.video('a.mp4')}")
        page.reload()
        expect(page.locator("[aria-current] .name")).to_have_text("a.mp4")
        ask(page, "Where is the kettle?")
        page.locator(".video-item").get_by_text("b.mp4").click()
        expect(page.locator("#form-note")).to_contain_text("another video was chosen")
        expect(page.locator("#video-name")).to_have_text("b.mp4")
        expect(page.locator("#ask-button")).to_be_enabled()
        held.release()
        page.locator(".video-item").get_by_text("a.mp4").click()
        expect(page.locator("#question")).to_have_value("Where is the kettle?")
        expect(page.locator("#video-name")).to_have_text("a.mp4")
        assert app_state.get("/api/jobs") == {"jobs": []}


class HeldRequests:
    """Requests of a page for ``pattern``; their replies wait for ``release``."""

    def __init__(self, page: Page, pattern: str) -> None:
        self._routes: list[Route] | None = []
        page.route(pattern, self._hold)

    def _hold(self, route: Route) -> None:
        if self._routes is None:
            route.continue_()
        else:
            self._routes.append(route)

    def release(self, **reply: Any) -> None:
        """Answer the requests that wait with ``reply``, and all others by the server."""
        routes, self._routes = self._routes or [], None
        for route in routes:
            route.fulfill(**reply) if reply else route.continue_()


def test_ask_again_brings_everything_back_into_the_form(library: Path, open_page: Open) -> None:
    with serving(library) as app_state:
        done = app_state.ask(app_state.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"], max_rounds=3)
        app_state.ended(done)
        page = open_page(app_state, f"/#/jobs/{done}")
        page.click("#ask-again")
        assert page.input_value("#question") == "Where is the kettle?"
        assert page.locator(".option-input").evaluate_all("all => all.map(one => one.value)")[:2] == ["roof", "lake"]
        assert page.input_value("#rounds") == "3"


@pytest.mark.parametrize("width", [1280, 400])
def test_an_opened_ask_shows_its_answer_before_all_else(width: int, library: Path, open_page: Open) -> None:
    with serving(library) as app_state:
        done = app_state.ask(app_state.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"])
        app_state.ended(done)
        page = open_page(app_state, f"/#/jobs/{done}", width)
        expect(page.locator("#answer .answer-text")).to_be_in_viewport()
        expect(page.locator("#ask-form")).not_to_be_visible()
        answer, steps = page.locator("#answer").bounding_box(), page.locator("#steps").bounding_box()
        assert answer is not None
        assert steps is not None
        assert answer["y"] + answer["height"] <= steps["y"]
        page.click("#question-unfold")
        expect(page.locator("#question")).to_be_visible()


def test_an_answer_that_is_hardly_believed_says_so(library: Path, open_page: Open) -> None:
    with serving(library) as app_state:
        done = app_state.ask(app_state.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"])
        sure = app_state.ended(done)
        unsure = {**sure, "trace": {**sure["trace"], "confidence": 0.12}}
        page = open_page(app_state)
        page.route(f"**/api/jobs/{done}", lambda route: route.fulfill(json=unsure))
        page.goto(f"{app_state.url}/#/jobs/{done}")
        expect(page.locator("#answer .low-confidence")).to_have_text("Not sure")
        expect(page.locator("#answer .confidence")).to_contain_text("0.12")
        expect(page.locator("#status")).to_contain_text("not sure")


def test_an_ask_that_the_server_forgot_is_told_and_asked_again(library: Path, tmp_path: Path, open_page: Open) -> None:
    team = replace(scripted_team(tmp_path, LOOK, LOOK, ANSWER), vision=SlowVision(600))
    forgotten = {"detail": "no ask of that id is known here; reload the list"}
    with serving(library, {"told": team}) as app_state:
        running = app_state.ask(app_state.video("a.mp4"), "Where is the kettle?")
        page = open_page(app_state)
        page.route("**/api/jobs/*/events", lambda route: route.fulfill(status=404, json=forgotten))
        page.goto(f"{app_state.url}/#/jobs/{running}")
        expect(page.locator("#stop-button")).to_be_visible()
        page.route(f"**/api/jobs/{running}", lambda route: route.fulfill(status=404, json=forgotten))
        expect(page.locator("#trajectories")).to_contain_text("no ask of that id is known here")
        expect(page.locator("#trajectories")).not_to_contain_text("Trying again")
        expect(page.locator("#stop-button")).not_to_be_visible()
        page.click("#ask-again")
        expect(page.locator("#question")).to_have_value("Where is the kettle?")
        app_state.client.post(f"/api/jobs/{running}/stop")


def test_what_is_written_about_one_video_stays_with_it(library: Path, short_video: Path, open_page: Open) -> None:
    shutil.copy(short_video, library / "b.mp4")
    with serving(library) as app_state:
        page = open_page(app_state, f"/#/videos/{app_state.video('a.mp4')}")
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


def test_what_is_not_there_is_said_to_be_missing(library: Path, open_page: Open) -> None:
    with serving(library) as app_state:
        page = open_page(app_state, "/#/videos/0123")
        expect(page.locator("#not-found")).to_contain_text("No video of the id 0123 is in the library")
        expect(page.locator("#question")).to_be_disabled()
        page.goto(f"{app_state.url}/#/jobs/0123")
        expect(page.locator("#not-found")).to_contain_text("no job has this id")
        page.goto(f"{app_state.url}/#/nowhere/0123")
        expect(page.locator("#not-found")).to_contain_text("#/nowhere/0123")
        page.locator(".video-item a").first.click()
        expect(page.locator("#question")).to_be_enabled()
        expect(page.locator("#timeline")).to_be_visible()
        (library / "a.mp4").unlink()
        app_state.until(lambda: app_state.get("/api/videos")["videos"], lambda videos: not videos)
        page.evaluate("dispatchEvent(new Event('focus'))")
        expect(page.locator("#not-found")).to_contain_text("a.mp4 is no longer in the library")
        expect(page.locator(".video-item")).to_have_count(0)
        expect(page.locator("#question")).to_be_disabled()


def test_what_others_ask_appears(library: Path, open_page: Open) -> None:
    with serving(library) as app_state:
        page = open_page(app_state)
        expect(page.locator("#no-history")).to_be_visible()
        app_state.ask(app_state.video("a.mp4"), "Where is the kettle?")
        expect(page.locator("#history")).to_contain_text("Where is the kettle?")


@pytest.mark.parametrize("name", ["b.mkv", "b.avi"])
def test_formats_that_browsers_do_not_play_are_seen_all_the_same(
    name: str, tmp_path: Path, library: Path, open_page: Open
) -> None:
    write_video(tmp_path / name, EVERY_40_MS, codec="mpeg4" if name.endswith("avi") else "libx264", gop=25)
    (tmp_path / name).with_suffix(".srt").write_text((library / "a.srt").read_text())
    with serving(tmp_path) as app_state:
        page = open_page(app_state, f"/#/videos/{app_state.video(name)}")
        expect(page.locator("#playback-note")).to_contain_text("on the fly")
        ask(page, "Who says that the lamp is torn?", "Mira", "Otto")
        expect(page.locator("#answer")).to_contain_text("Otto")
        button = page.locator("#answer [data-time-s]").first
        time_s = float(button.get_attribute("data-time-s") or "nan")
        assert time_s >= 3
        button.click()
        shown = re.compile(rf"time_s={re.escape(button.get_attribute('data-time-s') or '')}\b")
        expect(page.locator("#player")).to_have_attribute("poster", shown)  # one frame, until it is played
        assert place_s(page) == pytest.approx(time_s, abs=0.5)
        wait_until(page, STARTS_PLAYING)
        wait_until(page, HAS_FRAME)
        page.evaluate("document.querySelector('#player').pause()")
        assert time_s - 0.5 <= place_s(page) <= 6.0


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])  # copied, and encoded anew
def test_a_stream_shows_the_picture_of_the_second_that_was_asked_for(
    codec: str, tmp_path: Path, open_page: Open
) -> None:
    write_video(tmp_path / "b.mkv", range(0, 20_000, 1000), codec=codec, gop=4)  # each picture stays for a second
    with serving(tmp_path) as app_state:
        video = app_state.video("b.mkv")
        duration_s = app_state.get(f"/api/videos/{video}")["duration_s"]
        page = open_page(app_state, f"/#/videos/{video}")
        expect(page.locator("#timeline")).to_be_visible()
        for wanted_s in (10.5, 17.4, 2.5):
            with page.expect_response(lambda response: "/frame?" in response.url):
                click_timeline(page, wanted_s / duration_s)
            brightness = page.evaluate(PLAY_A_LITTLE)
            assert place_s(page) == pytest.approx(wanted_s, abs=1.0)  # the page rounds to seconds
            assert brightness == pytest.approx(shade(int(wanted_s)), abs=10)


PLAY_A_LITTLE = """async () => {
  const player = document.querySelector("#player");
  player.playbackRate = 0.0625; // so slow that a busy machine pauses it within the same second
  const isShown = new Promise((done) => player.requestVideoFrameCallback(done));
  await player.play();
  await isShown;
  player.pause();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [player.videoWidth, player.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(player, 0, 0);
  return context.getImageData(canvas.width * 0.75, canvas.height * 0.75, 1, 1).data[0];
}"""


def test_the_timeline_is_used_with_mouse_and_keys(library: Path, open_page: Open) -> None:
    with serving(library) as app_state:
        page = open_page(app_state, f"/#/videos/{app_state.video('a.mp4')}")
        timeline = page.locator("#timeline")
        click_timeline(page, 0.5)
        is_shown_at(page, 5.0)
        before_s = place_s(page)
        timeline.focus()
        page.keyboard.press("ArrowRight")
        wait_until(page, "time_s => document.querySelector('#timeline').ariaValueNow > time_s", before_s)
        assert timeline.get_attribute("aria-valuetext")
        page.keyboard.press("Home")
        is_shown_at(page, 0.0)


def test_a_question_is_asked_by_keyboard_alone(library: Path, open_page: Open) -> None:
    with serving(library) as app_state:
        page = open_page(app_state)
        expect(page.locator(".video-item")).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.locator("#skip")).to_be_focused()
        tab_to(page, ".video-item, .video-item *")
        page.keyboard.press("Enter")
        expect(page.locator("#timeline")).to_be_visible()
        tab_to(page, "#question")
        page.keyboard.type("Where is the kettle?")
        tab_to(page, "#ask-button")
        page.keyboard.press("Enter")
        expect(page.locator("#answer")).to_contain_text("kettle")


def tab_to(page: Page, selector: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached by Tab")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    release = write_release(folder / "data", some_questions(6))
    with ThreadPoolExecutor(1) as aside:  # the browser's event loop runs in this thread
        aside.submit(run, asked(release), folder / "one").result()
        aside.submit(run, asked(release, first_clip="gold"), folder / "two").result()
    return folder


def test_a_run_is_filtered_looked_into_and_compared(runs: Path, open_page: Open) -> None:
    with serving(runs) as app_state:
        one, two = app_state.get("/api/runs")["runs"]
        rows = app_state.get(f"/api/runs/{one['id']}")["rows"]
        page = open_page(app_state)
        page.locator("#run-list").get_by_text("one").click()
        expect(page.locator("#run-rows tr")).to_have_count(6)
        right = sum(row["correct"] for row in rows)
        page.select_option("#filter-verdict", "correct")
        expect(page.locator("#run-rows tr")).to_have_count(right)
        page.select_option("#filter-verdict", "wrong")
        expect(page.locator("#run-rows tr")).to_have_count(6 - right)
        page.select_option("#filter-verdict", "all")
        page.fill("#filter-text", "scene 3")
        expect(page.locator("#run-rows tr")).to_have_count(1)
        page.locator("#run-rows tr a").first.click()
        expect(page.locator("#steps .step").first).to_be_visible()
        expect(page.locator("#trajectories")).to_contain_text("A lantern")  # the right answer
        page.reload()
        expect(page.locator("#steps .step").first).to_be_visible()
        page.select_option("#compare-with", two["id"])
        page.fill("#filter-text", "")
        expect(page.locator("#run-rows tr")).to_have_count(6)
        page.locator("#run-rows tr a").first.click()
        expect(page.locator(".steps")).to_have_count(2)
        expect(page.locator("#trajectories")).to_be_in_viewport()
        page.fill("#filter-text", "no such words")
        expect(page.locator("#run-count")).to_have_text("No question matches.")


def views(app_state: RunningServer) -> dict[str, str]:
    """Each view of the page, with a selector of what it shows last: home, a video, an answered question, a run, one
    of its questions, two runs."""
    video = app_state.video("a.mp4")
    done = app_state.ask(video, "Where is the kettle?", options=["on the roof", "in the lake"])
    app_state.ended(done)
    one, two = (each["id"] for each in app_state.get("/api/runs")["runs"])
    question = app_state.get(f"/api/runs/{one}")["rows"][0]["id"]
    timeline = "#suggestions button"
    answer = "#answer .answer-text"
    return {
        "#/": timeline,
        f"#/videos/{video}": timeline,
        f"#/jobs/{done}": answer,
        f"#/runs/{one}": "#run-rows tr",
        f"#/runs/{one}?question={question}": answer,
        f"#/runs/{one}?with={two}&question={question}": ".trajectory:nth-child(2) .answer-text",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_bars_anybody_and_nothing_overflows(
    scheme: str, runs: Path, library: Path, open_page: Open
) -> None:
    shutil.copytree(library, runs, dirs_exist_ok=True)
    with serving(runs) as app_state:
        for width in (1280, 400):
            for view, last_shown in views(app_state).items():
                page = open_page(app_state, f"/{view}", width, color_scheme=scheme)
                expect(page.locator(last_shown).first).to_be_visible()
                found = Axe().run(page).response["violations"]
                serious = [
                    (each["id"], each["nodes"][0]["html"])
                    for each in found
                    if each["impact"] in ("serious", "critical")
                ]
                assert not serious, (view, width)
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, (view, width)
                page.close()


def test_what_others_wrote_is_shown_as_text(tmp_path: Path, short_video: Path, open_page: Open) -> None:
    name = HOSTILE.replace("/", "").replace('"', "'")
    (tmp_path / f"{name}.mp4").write_bytes(short_video.read_bytes())
    (tmp_path / f"{name}.srt").write_text(f"1\n00:00:01,000 --> 00:00:04,000\nMira: {HOSTILE} kettle\n")
    folder = tmp_path / "script"
    folder.mkdir()
    say = (f"<think>{HOSTILE}</think><visual_query>{HOSTILE}</visual_query>", f"<answer>{HOSTILE}</answer>")
    with serving(tmp_path, {HOSTILE: scripted_team(folder, *say)}) as app_state:
        (video,) = (each["id"] for each in app_state.get("/api/videos")["videos"])
        page = open_page(app_state, f"/#/videos/{video}")
        ask(page, f"kettle {HOSTILE}", HOSTILE, "b")
        expect(page.locator("#answer")).to_contain_text("<script>alert(1)</script>")
        page.locator("#transcript-summary").click()
        expect(page.locator("#transcript-lines")).to_contain_text("alert(1)")  # tags in subtitles are no text
        expect(page.locator("#video-list")).to_contain_text("<img src=x")
        assert page.locator("main script, nav script, img[src=x]").count() == 0


def test_a_file_that_is_no_video_is_refused_in_words(tmp_path: Path, open_page: Open) -> None:
    (tmp_path / "words.txt").write_text("no video")
    fake = tmp_path / "elsewhere"
    fake.mkdir()
    (fake / "fake.mp4").write_text("no video")
    library = tmp_path / "library"
    library.mkdir()
    with serving(library) as app_state:
        page = open_page(app_state)
        page.set_input_files("#upload-input", fake / "fake.mp4")
        expect(page.locator("body")).to_contain_text(re.compile("not a readable video"))
        assert page.locator(".video-item").count() == 0


def test_subtitles_go_to_the_video_they_came_with(
    library: Path, tmp_path: Path, short_video: Path, open_page: Open
) -> None:
    for name in ("b.srt", "other.srt"):
        shutil.copy(library / "a.srt", tmp_path / name)
    shutil.copy(short_video, tmp_path / "b.mp4")
    with serving(library) as app_state:
        page = open_page(app_state, f"/#/videos/{app_state.video('a.mp4')}")
        expect(page.locator("#timeline")).to_be_visible()
        page.set_input_files("#upload-input", [tmp_path / name for name in ("b.srt", "b.mp4", "other.srt")])
        expect(page.locator("#toasts")).to_contain_text("b.srt is now used as the subtitles of b.mp4")
        expect(page.locator("#error-banner")).to_contain_text("other.srt was not used")
        expect(page.locator("#error-retry")).not_to_be_visible()
        expect(page.locator("#video-name")).to_have_text("b.mp4")
        own = {each["name"]: each["has_uploaded_subtitles"] for each in app_state.get("/api/videos")["videos"]}
        assert own == {"a.mp4": False, "b.mp4": True}
        page.locator(".video-item").get_by_text("a.mp4").click()
        expect(page.locator("#video-name")).to_have_text("a.mp4")
        page.set_input_files("#upload-input", tmp_path / "other.srt")
        expect(page.locator("#toasts")).to_contain_text("other.srt is now used as the subtitles of a.mp4")
        expect(page.locator("#error-banner")).not_to_be_visible()


def test_failures_are_all_told_until_something_succeeds(
    library: Path, tmp_path: Path, short_video: Path, open_page: Open
) -> None:
    for name in ("one.mp4", "two.mp4"):
        (tmp_path / name).write_text("no video")
    shutil.copy(short_video, tmp_path / "b.mp4")
    with serving(library) as app_state:
        page = open_page(app_state, f"/#/videos/{app_state.video('a.mp4')}")
        page.set_input_files("#upload-input", [tmp_path / name for name in ("one.mp4", "b.mp4", "two.mp4")])
        expect(page.locator("#error-list li")).to_have_count(2)
        expect(page.locator("#error-list")).to_contain_text("one.mp4 was not added")
        expect(page.locator("#error-list")).to_contain_text("two.mp4 was not added")
        expect(page.locator("#error-retry")).not_to_be_visible()
        expect(page.locator("#video-name")).to_have_text("b.mp4")
        expect(page.locator("#error-list li")).to_have_count(2)
        ask(page, "Where is the kettle?")
        expect(page.locator("#answer")).to_be_visible()
        expect(page.locator("#error-banner")).not_to_be_visible()


def test_a_file_is_dropped_onto_the_page(tmp_path: Path, short_video: Path, open_page: Open) -> None:
    with serving(tmp_path) as app_state:
        page = open_page(app_state)
        numbers = list(short_video.read_bytes())
        dropped = page.evaluate_handle(
            """numbers => {
              const moved = new DataTransfer();
              moved.items.add(new File([new Uint8Array(numbers)], "dropped.mp4", { type: "video/mp4" }));
              return moved;
            }""",
            numbers,
        )
        page.dispatch_event("#drop-zone", "drop", {"dataTransfer": dropped})
        expect(page.locator(".video-item")).to_have_count(1)
        expect(page.locator(".video-item")).to_contain_text("dropped.mp4")


def test_a_server_that_is_gone_is_told_in_words(library: Path, open_page: Open) -> None:
    with serving(library) as app_state:
        page = open_page(app_state, f"/#/videos/{app_state.video('a.mp4')}")
        expect(page.locator("#timeline")).to_be_visible()
    ask(page, "Is anybody there?")
    expect(page.locator("#error-banner")).to_be_visible()
    expect(page.locator("#error-retry")).to_be_visible()
    assert page.input_value("#question") == "Is anybody there?"


@pytest.mark.shared
def test_real_footage_is_asked_with_the_mouse_alone(tmp_path: Path, open_page: Open) -> None:
    footage = Path(__file__).resolve().parents[3] / "shared" / "media" / "tears-of-steel-battle-clip-medium.webm"
    shutil.copy(footage, tmp_path / "battle.webm")
    with serving(tmp_path, {"offline": load_team()}) as app_state:
        page = open_page(app_state)
        page.locator(".video-item").first.click()
        page.locator("#suggestions button").first.click(timeout=120_000)
        page.click("#ask-button")
        expect(page.locator("#answer")).to_be_visible(timeout=120_000)
        page.locator("#answer [data-time-s]").first.click()
        time_s = float(page.locator("#answer [data-time-s]").first.get_attribute("data-time-s") or "nan")
        is_shown_at(page, time_s)


def test_a_trajectory_is_taken_home(library: Path, open_page: Open) -> None:
    with serving(library) as app_state:
        done = app_state.ask(app_state.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"])
        app_state.ended(done)
        page = open_page(app_state, f"/#/jobs/{done}")
        with page.expect_download() as download:
            page.click("#download-json")
        assert json.loads(download.value.path().read_text())["answer"] == "roof"
        with page.expect_download() as download:
            page.click("#download-page")
        assert "Where is the kettle?" in download.value.path().read_text()
