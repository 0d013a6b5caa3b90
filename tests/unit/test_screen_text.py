"""The text on screen of a whole video: in passes over its whole length, kept in its index."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from longvideoagent import Question, answer, load_team
from longvideoagent.core.types import Subtitle, VisionResult
from longvideoagent.index.location import DIR_VARIABLE
from longvideoagent.index.open import index_screen_text, index_video, open_for_question, open_video
from longvideoagent.index.query import query_timeline
from longvideoagent.index.screen_text import (
    FIRST_FRAMES,
    MAX_SLOTS,
    PASS_FRAMES,
    Coverage,
    num_slots,
    passes,
    screen_key,
    spans,
)
from longvideoagent.index.stored_frames import FrameReading, count_frames, read_frames
from longvideoagent.index.stored_text import Place, TextKind, read_text
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.media.ocr import ScreenText, is_text_different, text_crops
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.readers.frame_folder import FrameFolderReader
from longvideoagent.media.subtitles import SubtitleOptions
from tests.plugins.cli import LVA, Completed, lva_process
from tests.plugins.media import write_screens

pytestmark = pytest.mark.usefixtures("index_dir")
OPTIONS = SubtitleOptions()
LONG_S = 420
"""More slots than a first pass has; frames without text that all look alike, so that one is read."""
LONG_SLOTS = LONG_S // 4


@pytest.fixture
def long_video(tmp_path: Path) -> Path:
    return write_screens(tmp_path / "long", [""], seconds=LONG_S, size=(64, 48))


def sampled(path: Path, frames_per_s: float = 1.0) -> dict[float, FrameReading]:
    reader = open_reader(path, frames_per_s)
    with VideoIndex.open(path, frames_per_s) as index:
        return read_frames(index, screen_key(reader.duration_s))


# --- passes, spans -----------------------------------------------------------------------------------


@given(slots=st.integers(1, MAX_SLOTS + 1))
def test_passes_take_each_slot_once_and_are_spread(slots: int) -> None:
    plan = passes(slots)
    assert sorted(slot for each in plan for slot in each) == list(range(slots))
    taken: list[int] = []
    for each in plan:
        taken = sorted([*taken, *each])
        assert len(taken) in (*PASS_FRAMES, slots)
        gaps = [after - before for before, after in pairwise([0, *taken, slots])]
        assert max(gaps) <= slots / len(taken) + 1


@given(duration_s=st.floats(0.01, 7 * 86_400))
def test_slots_of_any_length(duration_s: float) -> None:
    assert 1 <= num_slots(duration_s) <= MAX_SLOTS + 1
    assert Coverage(duration_s, num_slots(duration_s)).is_complete


def test_coverage_counts_complete_passes() -> None:
    assert Coverage(3600, 0).text == "one frame every 1:00:00 (0 of 900)"
    assert Coverage(3600, 45).text == "one frame every 1:30 (45 of 900)"
    assert Coverage(3600, 900).text == "one frame every 4 s (900 of 900)"


def shown(time_s: float, text: str) -> FrameReading:
    return FrameReading(time_s, time_s, (ScreenText(text, 0.1, 0.2, 0.3, 0.4),) if text else ())


def test_spans_end_with_the_first_frame_without_the_text() -> None:
    readings = [shown(0.0, ""), shown(4.0, "HARBOR"), FrameReading(8.0, None), FrameReading(12.0, 4.0)]
    readings += [shown(16.0, "CASTLE"), FrameReading(20.0, 4.0)]
    place = Place(0.1, 0.2, 0.3, 0.4)
    assert spans({each.time_s: each for each in readings}, 30.0) == [
        (Subtitle(4.0, 16.0, "HARBOR", "screen"), place),
        (Subtitle(16.0, 20.0, "CASTLE", "screen"), place),
        (Subtitle(20.0, 30.0, "HARBOR", "screen"), place),
    ]


@pytest.mark.parametrize("size", [14, 24, 44])
@pytest.mark.parametrize(
    ("before", "after"), [("SIGN 30", "SIGN 36"), ("Room 101, second floor", "Room 107, second floor")]
)
def test_one_character_makes_another_text(before: str, after: str, size: int, tmp_path: Path) -> None:
    boxes = {}
    frames = []
    for text, quality in ((before, 90), (before, 40), (after, 90)):
        image = Image.new("RGB", (640, 360), (40, 90, 40))
        draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
        draw.text((320, 180), text, font=font, fill="white", anchor="mm")
        boxes[text] = draw.textbbox((320, 180), text, font=font, anchor="mm")
        image.save(tmp_path / "frame.jpg", quality=quality)
        frames.append(np.asarray(Image.open(tmp_path / "frame.jpg")))
    left, top, right, bottom = boxes[before]
    place = ScreenText(before, left / 640, top / 360, right / 640, bottom / 360)
    one, compressed, other = (text_crops(frame, [place]) for frame in frames)
    assert not is_text_different(one, compressed)
    assert is_text_different(one, other)


# --- reading -----------------------------------------------------------------------------------------


def test_text_and_spans(tmp_path: Path) -> None:
    folder = write_screens(tmp_path / "f", ["HARBOR", "CASTLE"], seconds=10)
    (folder / "00005.jpg").unlink()
    (folder / "00005.jpg").write_bytes(b"\xff\xd8 broken")
    fractions: list[float] = []
    video = open_video(folder, frames_per_s=1, progress=lambda _, fraction: fractions.append(fraction))
    first, second = video.timeline.subtitles
    assert [(line.text, line.source) for line in (first, second)] == [("HARBOR", "screen"), ("CASTLE", "screen")]
    assert first.start_s == 0.0
    assert first.end_s == second.start_s == 12.0
    assert second.end_s == 20.0
    assert (video.text_source, video.timeline.unread, fractions[-1]) == ("the screen", "", 1.0)
    assert [each.time_s for each in sampled(folder).values() if each.texts] == [0.0, 12.0]
    with VideoIndex.open(folder, 1) as index:
        stored = read_text(index, TextKind.SCREEN, screen_key(20.0))
    assert stored is not None
    assert all(place.left < 0.5 < place.right and place.top < 0.5 < place.bottom for place in stored.places)


def test_signs_of_a_video_with_subtitles(tmp_path: Path) -> None:
    folder = write_screens(tmp_path / "f", ["HARBOR", "Mira", "CASTLE"], seconds=20)
    (tmp_path / "f.srt").write_text("1\n00:00:01,000 --> 00:00:03,000\nMira: Where are we?\n")
    reader = FrameFolderReader(folder, 1)
    assert open_video(folder, frames_per_s=1).timeline.screen_texts == ()
    assert not index_screen_text(reader, 60.0, max_frames=3).is_complete
    assert open_video(folder, frames_per_s=1).timeline.screen_texts == ()  # a part would pass for all
    assert index_screen_text(reader, 60.0).is_complete
    video = open_video(folder, frames_per_s=1)
    assert (video.text_source, len(video.timeline.subtitles)) == ("f.srt", 1)
    columns = [(each.start_s, each.text) for each in video.timeline.screen_texts]
    assert columns == [
        (0.0, "text at the middle: “HARBOR”"),
        (20.0, "text at the middle: “Mira”"),
        (40.0, "text at the middle: “CASTLE”"),
    ]
    assert query_timeline("screen_texts", video.timeline).value == "HARBOR, Mira, CASTLE"
    trace = answer(Question("List every sign."), video, load_team())
    assert trace.answer == "HARBOR, CASTLE"
    assert [each.start_s for each in trace.evidence] == [0.0, 40.0]
    assert not any(isinstance(each, VisionResult) for each in trace.observations)
    assert "clips" not in trace.hint
    chosen = Question("List every sign.", ("HARBOR and CASTLE", "HARBOR and Mira"))
    assert answer(chosen, video, load_team()).option_index == 0


def test_first_question_reads_a_first_pass(long_video: Path) -> None:
    first = open_for_question(long_video, frames_per_s=1)
    assert first.timeline.unread == f"the text on screen was read in one frame every 10 s (40 of {LONG_SLOTS})"
    (warning,) = first.warnings
    assert warning == f"{first.timeline.unread}; lva index long reads the rest"
    times_s = sorted(sampled(long_video))
    assert len(times_s) == FIRST_FRAMES
    assert max(after - before for before, after in pairwise([0.0, *times_s, LONG_S])) <= 16
    assert open_for_question(long_video, frames_per_s=1).timeline == first.timeline
    rest = index_video(FrameFolderReader(long_video, 1), OPTIONS)
    assert rest.coverage == Coverage(LONG_S, LONG_SLOTS)
    assert (rest.video.timeline.unread, rest.video.warnings) == ("", ())
    assert [clip.start_s for clip in rest.video.timeline.clips] == [clip.start_s for clip in first.timeline.clips]
    assert len(sampled(long_video)) == LONG_SLOTS
    assert open_for_question(long_video, frames_per_s=1).timeline == rest.video.timeline


def test_index_not_usable_reads_the_same(long_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / "file"))
    indexed = index_video(FrameFolderReader(long_video, 1), OPTIONS)
    assert indexed.coverage == Coverage(LONG_S, LONG_SLOTS)
    assert "is not used" in indexed.problem


def test_threads_share_one_builder(tmp_path: Path) -> None:
    folder = write_screens(tmp_path / "f", ["HARBOR", "CASTLE"], seconds=10)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: open_video(folder, frames_per_s=1), range(2))
    assert one.timeline == other.timeline
    assert one.warnings == other.warnings == ()


def test_queries_say_what_was_not_read(long_video: Path) -> None:
    timeline = open_for_question(long_video, frames_per_s=1).timeline
    result = query_timeline("count lantern", timeline)
    assert (result.value, timeline.unread in result.text) == ("", True)
    clip = replace(timeline.clips[0], subtitles=(Subtitle(1.0, 2.0, "LANTERN", "screen"),))
    result = query_timeline("count lantern", replace(timeline, clips=(clip,)))
    assert (result.value, timeline.unread in result.text) == ("at least once", True)
    assert query_timeline("length", timeline).value == "7:00"


# --- processes that end --------------------------------------------------------------------------------


def start(folder: Path) -> subprocess.Popen[bytes]:
    command: list[str | Path] = [LVA, "index", folder, "--frames-per-s", "1"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def num_sampled(folder: Path) -> int:
    with VideoIndex.open(folder, 1) as index:
        count = count_frames(index, screen_key(float(LONG_S)))
        assert index.problem == ""
        return count


def kill_when(is_time: Callable[[], bool], folder: Path) -> None:
    process = start(folder)
    while process.poll() is None and not is_time():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def kill_and_go_on(folder: Path, points: list[int]) -> None:
    """Kill ``lva index`` soon after so many frames were sampled; whatever it had stored has to be there ever after."""
    known: dict[float, FrameReading] = {}
    for point in points:
        wait_s = random.uniform(0, 0.05)

        def is_time(point: int = point, wait_s: float = wait_s) -> bool:
            if num_sampled(folder) < point:
                return False
            time.sleep(wait_s)
            return True

        kill_when(is_time, folder)
        stored = sampled(folder)
        assert {time_s: (each.shown_s, each.texts) for time_s, each in known.items()} == {
            time_s: (stored[time_s].shown_s, stored[time_s].texts) for time_s in known
        }
        assert len(stored) >= point
        known = stored
    indexed = index_video(FrameFolderReader(folder, 1), OPTIONS)
    assert indexed.coverage is not None
    assert indexed.coverage.is_complete
    assert indexed.problem == ""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
def test_killed_process_loses_nothing_finished(long_video: Path) -> None:
    kill_and_go_on(long_video, [0, 16, 72])


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
def test_killed_at_many_points(tmp_path: Path) -> None:
    for round_ in range(5):
        points = sorted(random.choices(range(LONG_SLOTS), k=10))
        kill_and_go_on(write_screens(tmp_path / f"{round_}", [""], seconds=LONG_S, size=(64, 48)), points)


def test_two_processes_build_one_index(long_video: Path) -> None:
    def build(_: int) -> Completed:
        return lva_process("index", long_video, "--frames-per-s", "1")

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(build, range(2))
    assert (one.returncode, other.returncode) == (0, 0), (one.stderr, other.stderr)
    readings = sampled(long_video)
    assert len(readings) == LONG_SLOTS
    assert len([each for each in readings.values() if each.shown_s == each.time_s]) == 1
