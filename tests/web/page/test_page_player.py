"""The player and the timeline of the page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from longvideoagent.agents.build import load_team
from tests.plugins.browser import (
    OpenPage,
    ask_on_page,
    click_timeline,
    needs_browser,
    shown_time_s,
    wait_until,
    wait_until_shown,
)
from tests.plugins.media import EVERY_40_MS, shade, write_video
from tests.plugins.web_server import serving

pytestmark = needs_browser
STARTS_PLAYING = "() => document.querySelector('#player').play().then(() => true, () => false)"
HAS_FRAME = "() => document.querySelector('#player').readyState >= 2"


@pytest.mark.parametrize("name", ["b.mkv", "b.avi"])
def test_player_format_unknown_to_browsers(name: str, tmp_path: Path, library: Path, open_page: OpenPage) -> None:
    write_video(tmp_path / name, EVERY_40_MS, codec="mpeg4" if name.endswith("avi") else "libx264", gop=25)
    (tmp_path / name).with_suffix(".srt").write_text((library / "a.srt").read_text())
    with serving(tmp_path) as server:
        page = open_page(server, f"/#/videos/{server.video(name)}")
        expect(page.locator("#playback-note")).to_contain_text("on the fly")
        ask_on_page(page, "Who says that the lamp is torn?", "Mira", "Otto")
        expect(page.locator("#answer")).to_contain_text("Otto")
        button = page.locator("#answer [data-time-s]").first
        time_s = float(button.get_attribute("data-time-s") or "nan")
        assert time_s >= 3
        button.click()
        shown = re.compile(rf"time_s={re.escape(button.get_attribute('data-time-s') or '')}\b")
        expect(page.locator("#player")).to_have_attribute("poster", shown)  # until it plays
        assert shown_time_s(page) == pytest.approx(time_s, abs=0.5)
        wait_until(page, STARTS_PLAYING)
        wait_until(page, HAS_FRAME)
        page.evaluate("document.querySelector('#player').pause()")
        assert time_s - 0.5 <= shown_time_s(page) <= 6.0


PLAY_A_LITTLE = """async () => {
  const player = document.querySelector("#player");
  player.playbackRate = 0.0625; // so slow that a busy machine pauses it within the same second
  const isShown = new Promise((resolve) => player.requestVideoFrameCallback(resolve));
  await player.play();
  await isShown;
  player.pause();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [player.videoWidth, player.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(player, 0, 0);
  return context.getImageData(canvas.width * 0.75, canvas.height * 0.75, 1, 1).data[0];
}"""


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])  # copied and transcoded
def test_player_stream_seek_is_exact(codec: str, tmp_path: Path, open_page: OpenPage) -> None:
    write_video(tmp_path / "b.mkv", range(0, 20_000, 1000), codec=codec, gop=4)  # one frame per second
    with serving(tmp_path) as server:
        video = server.video("b.mkv")
        duration_s = server.get(f"/api/videos/{video}")["duration_s"]
        page = open_page(server, f"/#/videos/{video}")
        expect(page.locator("#timeline")).to_be_visible()
        for wanted_s in (10.5, 17.4, 2.5):
            with page.expect_response(lambda response: "/frame?" in response.url):
                click_timeline(page, wanted_s / duration_s)
            brightness = page.evaluate(PLAY_A_LITTLE)
            assert shown_time_s(page) == pytest.approx(wanted_s, abs=1.0)  # the page rounds to seconds
            assert brightness == pytest.approx(shade(int(wanted_s)), abs=10)


def test_timeline_mouse_and_keys(library: Path, open_page: OpenPage) -> None:
    with serving(library) as server:
        page = open_page(server, f"/#/videos/{server.video('a.mp4')}")
        timeline = page.locator("#timeline")
        click_timeline(page, 0.5)
        wait_until_shown(page, 5.0)
        before_s = shown_time_s(page)
        timeline.focus()
        page.keyboard.press("ArrowRight")
        wait_until(page, "time_s => document.querySelector('#timeline').ariaValueNow > time_s", before_s)
        assert timeline.get_attribute("aria-valuetext")
        page.keyboard.press("Home")
        wait_until_shown(page, 0.0)


@pytest.mark.slow
@pytest.mark.shared
def test_real_footage_mouse_only(tmp_path: Path, open_page: OpenPage) -> None:
    footage = Path(__file__).resolve().parents[4] / "shared" / "media" / "tears-of-steel-battle-clip-medium.webm"
    shutil.copy(footage, tmp_path / "battle.webm")
    with serving(tmp_path, {"offline": load_team()}) as server:
        page = open_page(server)
        page.locator(".video-item").first.click()
        page.locator("#suggestions button").first.click(timeout=300_000)
        page.click("#ask-button")
        expect(page.locator("#answer")).to_be_visible(timeout=300_000)
        page.locator("#answer [data-time-s]").first.click()
        time_s = float(page.locator("#answer [data-time-s]").first.get_attribute("data-time-s") or "nan")
        wait_until_shown(page, time_s)
