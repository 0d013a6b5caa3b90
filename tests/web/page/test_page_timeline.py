"""What the page shows of a whole video: search, chapters, text on screen, and the occurrences that an answer cites."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import expect

from longvideoagent.index.events import Event, EventKind, EventSource, FoundEvents, find_events
from longvideoagent.index.video_index import VideoIndex
from tests.plugins.browser import (
    OpenPage,
    ask_on_page,
    click_timeline,
    needs_browser,
    shown_time_s,
    wait_until,
    wait_until_shown,
)
from tests.plugins.media import write_video
from tests.plugins.web_server import serving

pytestmark = needs_browser


def test_search_goes_from_match_to_match(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        page = open_page(server, f"/#/videos/{server.video('a.mp4')}")
        lines, count = page.locator("#transcript-lines li:visible"), page.locator("#transcript-count")
        page.fill("#transcript-find", "MÍRA on")
        expect(page.locator("#transcript-lines li:visible mark")).to_have_text(["Mira", "on"])
        page.fill("#transcript-find", "MÍRA")
        expect(lines).to_have_count(2)
        expect(count).to_have_text("2 of 3 lines")
        expect(page.locator("#timeline .match-mark")).to_have_count(2)
        page.keyboard.press("Enter")
        expect(count).to_have_text("Match 1 of 2")
        page.keyboard.press("ArrowDown")
        expect(count).to_have_text("Match 2 of 2")
        wait_until_shown(page, 6)
        page.click("#next-match")
        expect(count).to_have_text("Match 1 of 2")
        wait_until_shown(page, 0)
        page.fill("#transcript-find", "no such words")
        expect(count).to_have_text("No line has these words.")
        expect(page.locator("#next-match")).not_to_be_visible()
        page.keyboard.press("Escape")
        expect(lines).to_have_count(3)
        expect(page.locator("#timeline .match-mark, #transcript-lines mark")).to_have_count(0)


MATCHES = """async ([text, query]) => {
  const { fold, matchSpans, searchWords } = await import("/static/text-match.js");
  return matchSpans(fold(text), searchWords(query))?.map(([start, end]) => text.slice(start, end)) ?? null;
}"""


def test_search_of_any_text(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        page = open_page(server)
        for text, query, found in (
            ("The red lantern", "lantern red", ["red", "lantern"]),
            ("The red lantern", '"lantern red"', None),
            ("The red lantern", '"RED  lant', ["red lant"]),
            ("Über den Ärger", "uber arger", ["Über", "Ärger"]),
            ("A cafe\u0301 \U0001f600 cafe", "café", ["cafe\u0301", "cafe"]),
            ("\ufb01ne", "f", ["\ufb01"]),
            ("東京の天気", "天気", ["天気"]),
            ("aaa", "aa a", ["aaa"]),
            ("", "a", None),
        ):
            assert page.evaluate(MATCHES, [text, query]) == found, (text, query)


def test_chapters_seek(talk_library: Path, open_page: OpenPage) -> None:
    with serving(talk_library) as server:
        page = open_page(server, f"/#/videos/{server.video('talk.mp4')}")
        row = page.locator("#chapter-row .chapter")
        expect(row).to_have_count(2)
        expect(row.last).to_have_attribute("title", "Baker · bakes · bread, 2:00 to 4:00")
        row.last.click()
        wait_until_shown(page, 120)
        expect(row.last).to_have_attribute("aria-current", "true")
        page.click("#chapters-summary")
        page.locator("#chapter-list button").first.click()
        wait_until_shown(page, 0)


def test_answer_cites_every_occurrence(talk_library: Path, open_page: OpenPage) -> None:
    with serving(talk_library) as server:
        page = open_page(server, f"/#/videos/{server.video('talk.mp4')}")
        ask_on_page(page, "How often is the boat mentioned?")
        expect(page.locator("#answer .answer-text")).to_have_text("24 times")
        expect(page.locator("#timeline .evidence-mark")).to_have_count(24)
        expect(page.locator("#answer .evidence-item:visible")).to_have_count(5)
        page.locator("#answer summary", has_text="Show all 24").click()
        expect(page.locator("#answer .evidence-item:visible")).to_have_count(24)
        page.locator("#answer summary", has_text="Show fewer").click()
        expect(page.locator("#answer .evidence-item:visible")).to_have_count(5)
        click_timeline(page, 50.6 / 240)  # close to the mark at 50 s
        wait_until(page, "() => document.querySelector('#player').currentTime === 50")
        assert shown_time_s(page) == 50


def test_sounds_and_objects_are_lines(tmp_path: Path, open_page: OpenPage) -> None:
    path = tmp_path / "talk.mp4"
    write_video(path, range(0, 20_000, 1000))
    path.with_suffix(".srt").write_text("1\n00:00:01,000 --> 00:00:04,000\nMira: The boat is late\n")
    applause, boat = Event(3.0, 5.0, "Applause", 0.9), Event(9.0, 12.0, "boat", 0.6)
    for kind, event in ((EventKind.SOUND, applause), (EventKind.OBJECT, boat)):
        with VideoIndex.open(path) as index:
            find_events(index, kind, EventSource("a detector"), partial(FoundEvents, [event], "all of it"))
    with serving(tmp_path) as server:
        page = open_page(server, f"/#/videos/{server.video('talk.mp4')}")
        expect(page.locator("#transcript-summary")).to_have_text("Transcript (3 lines, 1 sound, 1 object)")
        page.fill("#transcript-find", "boat")
        expect(page.locator("#transcript-lines li")).to_have_text(
            ["0:01Mira: The boat is late", "0:09boatseems to show"]
        )
        page.fill("#transcript-find", "applause")
        expect(page.locator("#transcript-lines li")).to_have_text("0:03Applausesound")


def test_text_on_screen_is_marked(tmp_path: Path, open_page: OpenPage) -> None:
    (tmp_path / "signs").mkdir()
    for number in range(12):
        image = Image.new("RGB", (640, 360), "navy")
        ImageDraw.Draw(image).text((320, 170), "HARBOR", font=ImageFont.load_default(44), fill="white", anchor="mm")
        image.save(tmp_path / "signs" / f"{number + 1:05}.jpg")
    with serving(tmp_path) as server:
        page = open_page(server, f"/#/videos/{server.video('signs')}")
        expect(page.locator("#transcript-summary")).to_have_text("Text on screen (1 line)")
        expect(page.locator("#timeline .screen-text")).to_have_count(1)
        page.fill("#transcript-find", "harbor")
        expect(page.locator("#transcript-lines li")).to_have_text("0:00HARBORon screen")
        expect(page.locator("#screen-key")).to_be_visible()
