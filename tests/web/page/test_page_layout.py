"""Layout and accessibility of the page: order, overflow, axe, keyboard, hostile text."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.plugins.browser import ColorScheme, OpenPage, ask_on_page, needs_browser, tab_to, wait_until
from tests.plugins.hostile import HOSTILE
from tests.plugins.web_jobs import scripted_team
from tests.plugins.web_server import RunningServer, serving

pytestmark = needs_browser
HAS_OVERFLOW = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.mark.parametrize("width", [1280, 400])
def test_answer_shown_before_steps(width: int, library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        job = server.ask(server.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"])
        server.ended(job)
        page = open_page(server, f"/#/jobs/{job}", width)
        expect(page.locator("#answer .answer-text")).to_be_in_viewport()
        expect(page.locator("#ask-form")).not_to_be_visible()
        answer, steps = page.locator("#answer").bounding_box(), page.locator("#steps").bounding_box()
        assert answer is not None
        assert steps is not None
        assert answer["y"] + answer["height"] <= steps["y"]
        page.click("#question-unfold")
        expect(page.locator("#question")).to_be_visible()


IS_HEAD_IN_VIEW = """() => ["#answer h3", "#answer .answer-text"].every(selector => {
  const box = document.querySelector(selector).getBoundingClientRect();
  return document.elementFromPoint(box.left + 4, box.top + 4)?.closest("#answer");
})"""


@pytest.mark.parametrize(("width_px", "height_px"), [(1280, 800), (1024, 600), (400, 800), (360, 560), (844, 390)])
def test_answer_head_in_view_after_ask(width_px: int, height_px: int, library: Path, open_page: OpenPage) -> None:
    """Wherever the page was scrolled to, and also if the answer card is higher than the window."""
    question = "Where is the kettle? " + "It is about the kettle that somebody has put somewhere. " * 6
    with serving(library) as server:
        for fraction in (0.0, 0.5, 1.0):
            page = open_page(server, f"/#/videos/{server.video('a.mp4')}", width_px)
            page.set_viewport_size({"width": width_px, "height": height_px})
            expect(page.locator("#suggestions button").first).to_be_visible()
            page.fill("#question", question)
            page.evaluate("part => scrollTo(0, part * document.documentElement.scrollHeight)", fraction)
            page.evaluate("document.querySelector('#ask-form').requestSubmit()")
            expect(page.locator("#answer")).to_be_visible()
            wait_until(page, IS_HEAD_IN_VIEW)


@pytest.mark.parametrize("width_px", [400, 900])
def test_player_stays_in_view_when_narrow(width_px: int, library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        job = server.ask(server.video("a.mp4"), "Where is the kettle?", options=["roof", "lake"])
        server.ended(job)
        page = open_page(server, f"/#/jobs/{job}", width_px)
        page.set_viewport_size({"width": width_px, "height": 600})
        page.locator("#steps .clip-line button").last.click()
        expect(page.locator("#player")).to_be_in_viewport(ratio=1)
        expect(page.locator("#steps .clip-line button").last).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("width_px", [1280, 400])
def test_run_table_fits(width_px: int, run_library: Path, open_page: OpenPage) -> None:
    with serving(run_library) as server:
        one, two = server.get("/api/runs")["runs"]
        for other in ("", f"?with={two['id']}"):
            page = open_page(server, f"/#/runs/{one['id']}{other}", width_px)
            expect(page.locator("#run-rows tr").first).to_be_visible()
            excess_px = (
                "() => { const box = document.querySelector('.table'); return box.scrollWidth - box.clientWidth; }"
            )
            assert width_px < 1280 or page.evaluate(excess_px) <= 0
            assert not page.evaluate(HAS_OVERFLOW)


def test_question_keyboard_only(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        page = open_page(server)
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


def views(server: RunningServer) -> dict[str, str]:
    """The hash of each view of the page, with a selector of what it shows last."""
    video = server.video("a.mp4")
    job = server.ask(video, "Where is the kettle?", options=["on the roof", "in the lake"])
    server.ended(job)
    one, two = (each["id"] for each in server.get("/api/runs")["runs"])
    question = server.get(f"/api/runs/{one}")["rows"][0]["id"]
    timeline = "#suggestions button"
    answer = "#answer .answer-text"
    return {
        "#/": timeline,
        f"#/videos/{video}": timeline,
        f"#/jobs/{job}": answer,
        f"#/runs/{one}": "#run-rows tr",
        f"#/runs/{one}?question={question}": answer,
        f"#/runs/{one}?with={two}&question={question}": ".trace:nth-child(2) .answer-text",
    }


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_layout_accessible_without_overflow(
    scheme: ColorScheme, run_library: Path, library: Path, open_page: OpenPage
) -> None:
    shutil.copytree(library, run_library, dirs_exist_ok=True)
    with serving(run_library) as server:
        for width in (1280, 400):
            for view, last_shown in views(server).items():
                page = open_page(server, f"/{view}", width, scheme)
                expect(page.locator(last_shown).first).to_be_visible()
                violations = Axe().run(page).response["violations"]
                serious = [
                    (each["id"], each["nodes"][0]["html"])
                    for each in violations
                    if each["impact"] in ("serious", "critical")
                ]
                assert not serious, (view, width)
                assert not page.evaluate(HAS_OVERFLOW), (view, width)


def test_hostile_text_shown_as_text(tmp_path: Path, short_video: Path, open_page: OpenPage) -> None:
    name = HOSTILE.replace("/", "").replace('"', "'")
    (tmp_path / f"{name}.mp4").write_bytes(short_video.read_bytes())
    (tmp_path / f"{name}.srt").write_text(f"1\n00:00:01,000 --> 00:00:04,000\nMira: {HOSTILE} kettle\n")
    folder = tmp_path / "script"
    folder.mkdir()
    replies = (f"<think>{HOSTILE}</think><visual_query>{HOSTILE}</visual_query>", f"<answer>{HOSTILE}</answer>")
    with serving(tmp_path, {HOSTILE: scripted_team(folder, *replies)}) as server:
        (video,) = (each["id"] for each in server.get("/api/videos")["videos"])
        page = open_page(server, f"/#/videos/{video}")
        ask_on_page(page, f"kettle {HOSTILE}", HOSTILE, "b")
        expect(page.locator("#answer")).to_contain_text("<script>alert(1)</script>")
        page.locator("#transcript-summary").click()
        expect(page.locator("#transcript-lines")).to_contain_text("alert(1)")  # subtitle tags are not text
        expect(page.locator("#video-list")).to_contain_text("<img src=x")
        assert page.locator("main script, nav script, img[src=x]").count() == 0
