"""The library on the page: uploads, subtitles, missing videos."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.plugins.browser import HeldRequests, OpenPage, ask_on_page, needs_browser, wait_until_shown
from tests.plugins.web_server import serving

pytestmark = needs_browser


def test_upload_to_evidence(tmp_path: Path, library: Path, open_page: OpenPage) -> None:
    with serving(tmp_path) as server:
        page = open_page(server)
        page.set_input_files("#upload-input", library / "a.mp4")
        expect(page.locator("#video-name")).to_have_text("a.mp4")  # the page opens the upload
        page.locator(".video-item").first.click()
        page.set_input_files("#subtitle-input", library / "a.srt")
        expect(page.locator("#transcript-summary")).to_contain_text("3")
        ask_on_page(page, "Who says that the lamp is torn?", "Mira", "Otto")
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
        wait_until_shown(page, time_s)
        assert page.evaluate("document.querySelector('#player').currentTime") == pytest.approx(time_s, abs=0.5)
        page.reload()
        expect(page.locator("#answer")).to_contain_text("Otto")
        assert page.locator("#steps .step").evaluate_all("steps => steps.map(step => step.dataset.kind)") == kinds
        expect(page.locator("#history")).to_contain_text("Who says that the lamp is torn?")


def test_upload_not_a_video(tmp_path: Path, open_page: OpenPage) -> None:
    (tmp_path / "words.txt").write_text("not a video")
    fake = tmp_path / "elsewhere"
    fake.mkdir()
    (fake / "fake.mp4").write_text("not a video")
    library = tmp_path / "library"
    library.mkdir()
    with serving(library) as server:
        page = open_page(server)
        page.set_input_files("#upload-input", fake / "fake.mp4")
        expect(page.locator("body")).to_contain_text(re.compile("not a readable video"))
        assert page.locator(".video-item").count() == 0


def test_upload_dropped_file(tmp_path: Path, short_video: Path, open_page: OpenPage) -> None:
    with serving(tmp_path) as server:
        page = open_page(server)
        transfer = page.evaluate_handle(
            """bytes => {
              const transfer = new DataTransfer();
              transfer.items.add(new File([new Uint8Array(bytes)], "dropped.mp4", { type: "video/mp4" }));
              return transfer;
            }""",
            list(short_video.read_bytes()),
        )
        page.dispatch_event("#drop-zone", "drop", {"dataTransfer": transfer})
        expect(page.locator(".video-item")).to_have_count(1)
        expect(page.locator(".video-item")).to_contain_text("dropped.mp4")


def test_upload_subtitles_of_the_same_name(
    library: Path, tmp_path: Path, short_video: Path, open_page: OpenPage
) -> None:
    for name in ("b.srt", "other.srt"):
        shutil.copy(library / "a.srt", tmp_path / name)
    shutil.copy(short_video, tmp_path / "b.mp4")
    with serving(library) as server:
        page = open_page(server, f"/#/videos/{server.video('a.mp4')}")
        expect(page.locator("#timeline")).to_be_visible()
        page.set_input_files("#upload-input", [tmp_path / name for name in ("b.srt", "b.mp4", "other.srt")])
        expect(page.locator("#toasts")).to_contain_text("b.srt is now used as the subtitles of b.mp4")
        expect(page.locator("#error-banner")).to_contain_text("other.srt was not used")
        expect(page.locator("#error-retry")).not_to_be_visible()
        expect(page.locator("#video-name")).to_have_text("b.mp4")
        has_subtitles = {each["name"]: each["has_uploaded_subtitles"] for each in server.get("/api/videos")["videos"]}
        assert has_subtitles == {"a.mp4": False, "b.mp4": True}
        page.locator(".video-item").get_by_text("a.mp4").click()
        expect(page.locator("#video-name")).to_have_text("a.mp4")
        page.set_input_files("#upload-input", tmp_path / "other.srt")
        expect(page.locator("#toasts")).to_contain_text("other.srt is now used as the subtitles of a.mp4")
        expect(page.locator("#error-banner")).not_to_be_visible()


def test_errors_shown_until_success(library: Path, tmp_path: Path, short_video: Path, open_page: OpenPage) -> None:
    for name in ("one.mp4", "two.mp4"):
        (tmp_path / name).write_text("not a video")
    shutil.copy(short_video, tmp_path / "b.mp4")
    with serving(library) as server:
        page = open_page(server, f"/#/videos/{server.video('a.mp4')}")
        page.set_input_files("#upload-input", [tmp_path / name for name in ("one.mp4", "b.mp4", "two.mp4")])
        expect(page.locator("#error-list li")).to_have_count(2)
        expect(page.locator("#error-list")).to_contain_text("one.mp4 was not added")
        expect(page.locator("#error-list")).to_contain_text("two.mp4 was not added")
        expect(page.locator("#error-retry")).not_to_be_visible()
        expect(page.locator("#video-name")).to_have_text("b.mp4")
        expect(page.locator("#error-list li")).to_have_count(2)
        ask_on_page(page, "Where is the kettle?")
        expect(page.locator("#answer")).to_be_visible()
        expect(page.locator("#error-banner")).not_to_be_visible()


def test_errors_kept_when_the_page_starts_slowly(library: Path, tmp_path: Path, open_page: OpenPage) -> None:
    (tmp_path / "one.mp4").write_text("not a video")
    with serving(library) as server:
        page = open_page(server)
        held = HeldRequests(page, "**/api/teams")
        page.set_input_files("#upload-input", tmp_path / "one.mp4")
        expect(page.locator("#error-list li")).to_have_count(1)
        held.release()
        expect(page.locator("#video-name")).to_have_text("a.mp4")  # the page opens the first video
        expect(page.locator("#error-list")).to_contain_text("one.mp4 was not added")
        shutil.copy(library / "a.mp4", library / "c.mp4")
        page.evaluate("dispatchEvent(new Event('focus'))")
        page.locator(".video-item a", has_text="c.mp4").click()
        expect(page.locator("#error-banner")).not_to_be_visible()


def test_route_not_found(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        page = open_page(server, "/#/videos/0123")
        expect(page.locator("#not-found")).to_contain_text("No video of the id 0123 is in the library")
        expect(page.locator("#question")).to_be_disabled()
        page.goto(f"{server.url}/#/jobs/0123")
        expect(page.locator("#not-found")).to_contain_text("no job has this id")
        page.goto(f"{server.url}/#/nowhere/0123")
        expect(page.locator("#not-found")).to_contain_text("#/nowhere/0123")
        page.locator(".video-item a").first.click()
        expect(page.locator("#question")).to_be_enabled()
        expect(page.locator("#timeline")).to_be_visible()
        (library / "a.mp4").unlink()
        server.until(lambda: server.get("/api/videos")["videos"], lambda videos: not videos)
        page.evaluate("dispatchEvent(new Event('focus'))")
        expect(page.locator("#not-found")).to_contain_text("a.mp4 is no longer in the library")
        expect(page.locator(".video-item")).to_have_count(0)
        expect(page.locator("#question")).to_be_disabled()


def test_upload_renamed_recognised_and_deleted(tmp_path: Path, library: Path, open_page: OpenPage) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with serving(empty) as server:
        page = open_page(server)
        page.set_input_files("#upload-input", [library / "a.mp4", library / "a.srt"])
        expect(page.locator("#subtitle-name")).to_have_text("a.srt")
        expect(page.locator(".video-item .thumbnail img")).to_be_visible()
        page.locator(".video-item").get_by_text("Rename").click()
        page.locator("dialog input").fill("My talk")
        page.keyboard.press("Enter")
        expect(page.locator("#video-name")).to_have_text("My talk.mp4")
        page.set_input_files("#upload-input", library / "a.mp4")
        expect(page.locator("#toasts")).to_contain_text("This video was uploaded before, as My talk.mp4")
        page.click("#subtitle-rename")
        page.locator("dialog input").fill("second")
        page.locator("dialog .primary").click()
        expect(page.locator("#subtitle-name")).to_have_text("second.srt")
        expect(page.locator("#video-facts")).to_contain_text("second.srt")
        page.click("#subtitle-delete")
        page.locator("dialog .primary").click()
        expect(page.locator("#subtitle-own")).not_to_be_visible()
        page.locator(".video-item").get_by_text("Delete").click()
        page.locator("dialog").get_by_text("Cancel").click()
        expect(page.locator(".video-item")).to_have_count(1)
        page.locator(".video-item").get_by_text("Delete").click()
        page.locator("dialog .primary").click()
        expect(page.locator(".video-item")).to_have_count(0)


def test_question_renamed_and_deleted(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        job = server.ask(server.video("a.mp4"), "Where is the kettle?")
        server.ended(job)
        page = open_page(server, f"/#/jobs/{job}")
        page.click("#rename-job")
        page.locator("dialog input").fill("Kettle")
        page.keyboard.press("Enter")
        expect(page.locator("#history .name")).to_have_text("Kettle")
        expect(page.locator(".trace-head h2")).to_have_text("Where is the kettle?")
        page.click("#delete-job")
        page.locator("dialog .primary").click()
        expect(page.locator("#history li")).to_have_count(0)
        expect(page.locator("#video-name")).to_have_text("a.mp4")
        assert server.get("/api/jobs") == {"jobs": []}
