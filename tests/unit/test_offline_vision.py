from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from longvideoagent.agents.build import load_team
from longvideoagent.agents.offline.vision import look, sample_times_s
from longvideoagent.core.actions import Look
from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.types import Clip
from longvideoagent.datasets.synthetic.episode import SyntheticEpisode
from longvideoagent.index.store import KeyValueCache
from longvideoagent.media.cv import COLOURS, colour_fractions, compare, count_faces
from longvideoagent.media.frames import Pixels
from longvideoagent.media.ocr import read_screen
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.readers.frame_folder import FrameFolderReader


def canvas(colour: tuple[int, int, int] = (200, 205, 210)) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (640, 360), colour)
    return image, ImageDraw.Draw(image)


def pixels(image: Image.Image) -> Pixels:
    return np.asarray(image, dtype=np.uint8)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((0, 0, 0), "black"), ((255, 255, 255), "white"), ((128, 128, 128), "grey"), ((200, 30, 30), "red"),
        ((240, 140, 20), "orange"), ((250, 220, 40), "yellow"), ((40, 150, 60), "green"), ((40, 80, 205), "blue"),
        ((128, 40, 160), "purple"), ((250, 130, 180), "pink"), ((110, 70, 30), "brown"),
    ],
)  # fmt: skip
def test_colour_names(rgb: tuple[int, int, int], name: str) -> None:
    assert colour_fractions(np.full((4, 4, 3), rgb, np.uint8)) == [(name, 1.0)]


@given(st.binary(min_size=48, max_size=48))
def test_colour_fractions_sum_to_one(data: bytes) -> None:
    shares = colour_fractions(np.frombuffer(data, np.uint8).reshape(4, 4, 3))
    assert {name for name, _ in shares} <= set(COLOURS)
    assert sum(share for _, share in shares) == pytest.approx(1.0)


def box_at(x: int) -> Pixels:
    image, draw = canvas()
    draw.rectangle((x, 200, x + 50, 250), fill=(40, 150, 60))
    return pixels(image)


def test_movement_colour_and_direction() -> None:
    (moved,) = compare(box_at(100), box_at(400)).movements
    assert moved.colour == "green"
    assert moved.to_x - moved.from_x == pytest.approx(300 / 640, abs=0.02)
    assert moved.to_y == pytest.approx(moved.from_y, abs=0.02)
    assert compare(box_at(100), box_at(100)).changed_fraction == 0.0


def test_movement_scene_change() -> None:
    change = compare(box_at(100), 255 - box_at(400))
    assert change.is_scene_change
    assert change.movements == ()


def test_no_faces_on_wall() -> None:
    assert count_faces(pixels(canvas()[0])) == 0


def video_of_signs(folder: Path, words: list[str]) -> FrameFolderReader:
    """One frame per second; each word stays for ten seconds."""
    folder.mkdir()
    for number in range(10 * len(words)):
        image, draw = canvas()
        draw.rectangle((150, 120, 490, 220), fill=(200, 40, 40))
        draw.text((320, 170), words[number // 10], font=ImageFont.load_default(44), fill="white", anchor="mm")
        image.save(folder / f"{number + 1:05}.jpg", quality=90)
    return FrameFolderReader(folder, 1)


def test_screen_text() -> None:
    image, draw = canvas()
    draw.text((320, 170), "HARBOR", font=ImageFont.load_default(44), fill="black", anchor="mm")
    (piece,) = read_screen(pixels(image))
    assert piece.text == "HARBOR"
    assert piece.left < 0.5 < piece.right


def test_look_text_with_times(tmp_path: Path) -> None:
    video = video_of_signs(tmp_path / "f", ["HARBOR", "CASTLE"])
    result = look(VisionRequest(Look("the sign"), (Clip("c01", 0.0, 20.0),)), video)
    signs = [each for each in result.evidence if "“" in each.text]
    assert [each.text for each in signs] == [
        "text at the middle: “HARBOR” on red",
        "text at the middle: “CASTLE” on red",
    ]
    assert signs[0].end_s < 10.0 <= signs[1].time_s
    assert all(each.kind == "frame" and each.clip == "c01" for each in result.evidence)
    assert "HARBOR" in result.text


def test_look_broken_frame(tmp_path: Path) -> None:
    video = video_of_signs(tmp_path / "f", ["HARBOR"])
    (tmp_path / "f" / "00005.jpg").write_bytes(b"\xff\xd8 broken")
    assert "HARBOR" in look(VisionRequest(Look(""), (Clip("c01", 0.0, 10.0),)), video).text


def test_look_text_spans(tmp_path: Path) -> None:
    video = video_of_signs(tmp_path / "f", ["HARBOR", " ", "HARBOR"])
    result = look(VisionRequest(Look("the sign"), (Clip("c01", 0.0, 30.0),)), video)
    first, second = [each for each in result.evidence if "HARBOR" in each.text]
    assert first.end_s < 10.0
    assert second.start_s >= 20.0


def test_look_text_fading_in(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for number in range(60):
        image, draw = canvas()
        level = 205 - 3 * number
        draw.text((320, 170), "HARBOR", font=ImageFont.load_default(60), fill=(level, level, level), anchor="mm")
        image.save(folder / f"{number + 1:05}.jpg", quality=95)
    assert "HARBOR" in look(VisionRequest(Look(""), (Clip("c01", 0.0, 60.0),)), FrameFolderReader(folder, 1)).text


def test_look_concurrent(tmp_path: Path) -> None:
    videos = [video_of_signs(tmp_path / str(number), [word]) for number, word in enumerate(["HARBOR", "CASTLE"])]
    request = VisionRequest(Look(""), (Clip("c01", 0.0, 10.0),))
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda video: look(request, video).text, videos))
    assert together == [look(request, video).text for video in videos]


def test_sample_times_near_named_time() -> None:
    clip = Clip("c02", 60.0, 120.0)
    plain = sample_times_s((clip,), [])
    close = sample_times_s((clip,), [75.0, 500.0])
    assert all(60.0 <= time_s < 120.0 for time_s in close)
    assert len([time_s for time_s in close if 70 <= time_s <= 80]) > len([t for t in plain if 70 <= t <= 80]) + 5


def test_look_cached_until_file_changes(sample_episode: SyntheticEpisode, tmp_path: Path) -> None:
    file = tmp_path / "v.mp4"
    shutil.copy(sample_episode.video, file)
    video = open_reader(file)
    clip = Clip("c01", 0.0, 4.0)
    cache = KeyValueCache(tmp_path / "cache.sqlite")
    result = look(VisionRequest(Look("a sign"), (clip,)), video, cache)

    class NoFrames:
        """A video without frames."""

        path = file

    assert look(VisionRequest(Look("a sign"), (clip,)), NoFrames(), cache) == result  # type: ignore[arg-type]
    assert look(VisionRequest(Look("nothing of it"), (clip,)), NoFrames(), cache).is_found is False  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        look(VisionRequest(Look("at 0:02"), (clip,)), NoFrames(), cache)  # type: ignore[arg-type]
    os.utime(file, ns=(1, 1))
    with pytest.raises(AttributeError):
        look(VisionRequest(Look("a sign"), (clip,)), NoFrames(), cache)  # type: ignore[arg-type]
    cache.close()


def test_offline_team_without_usable_cache(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_bytes(b"not a database at all, but long enough to look at" * 9)
    assert load_team(cache_file=tmp_path / "c.sqlite").cache is None
