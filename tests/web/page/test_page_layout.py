"""Layout and accessibility of the page: order, overflow, axe, keyboard, hostile text."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.plugins.browser import ColorScheme, OpenPage, ask_on_page, needs_browser, tab_to
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
