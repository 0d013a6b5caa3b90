"""The index of a video: what is read once is kept, whatever happens to its file."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.core.types import Subtitle
from longvideoagent.index import schema
from longvideoagent.index.build import current_texts
from longvideoagent.index.lines import occurrences
from longvideoagent.index.location import BLOCK_BYTES, DIR_VARIABLE, MAX_BLOCKS, NEXT_TO_VIDEO, content_fingerprint
from longvideoagent.index.open import open_video
from longvideoagent.index.search import search_lines
from longvideoagent.index.stored_text import (
    MAX_SUBTITLES,
    Step,
    StepCost,
    StoredText,
    TextKind,
    read_steps,
    read_summaries,
    read_text,
    write_text,
)
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.media.subtitles import SubtitleOptions
from longvideoagent.media.timeline import build_timeline
from longvideoagent.media.video import Video
from tests.plugins.media import TALK_CUES, write_video

pytestmark = pytest.mark.usefixtures("index_dir")
COST = StepCost("subtitles", "talk.srt", 0.1)


def texts(video: Video) -> list[str]:
    return [line.text for line in video.timeline.subtitles]


def steps(path: Path) -> list[Step]:
    with VideoIndex.open(path) as index:
        return read_steps(index)


def index_file(folder: Path) -> Path:
    (path,) = folder.glob("*.lva-index")
    return path


# --- kept, and read again when something changes --------------------------------------------------


def test_second_opening_reads_nothing(talk: Path) -> None:
    first = open_video(talk)
    before = steps(talk)
    assert [step.name for step in before] == ["length", "subtitles"]
    second = open_video(talk)
    assert second.timeline == first.timeline
    assert (second.text_source, second.warnings) == (first.text_source, first.warnings) == ("talk.srt", ())
    assert steps(talk) == before


def test_renamed_copy_shares_the_index(talk: Path, index_dir: Path, tmp_path: Path) -> None:
    open_video(talk)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(talk.read_bytes())
    copy.with_suffix(".srt").write_text(TALK_CUES.replace("red", "green"))
    assert texts(open_video(copy)) == ["Mira: The lanterns are green", "Otto: Yes"]
    assert texts(open_video(talk)) == ["Mira: The lanterns are red", "Otto: Yes"]
    assert index_file(index_dir).is_file()


def test_subtitles_changed_are_read_again(talk: Path) -> None:
    open_video(talk)
    talk.with_suffix(".srt").write_text(TALK_CUES.replace("red", "blue"))
    assert texts(open_video(talk))[0] == "Mira: The lanterns are blue"
    talk.with_suffix(".en.srt").write_text(TALK_CUES)
    assert any("talk.en.srt" in warning for warning in open_video(talk).warnings)


def test_subtitles_kept_are_limited(talk: Path) -> None:
    for number in range(MAX_SUBTITLES + 3):
        talk.with_suffix(".srt").write_text(TALK_CUES.replace("red", f"red {number}"))
        open_video(talk)
    with VideoIndex.open(talk) as index:
        assert len(read_summaries(index)) == MAX_SUBTITLES
        (text,) = current_texts(index, talk, SubtitleOptions())
        assert [line.text for line in search_lines(index, text, "lantern")] == [f"Mira: The lanterns are red {number}"]


@pytest.mark.parametrize("place", [NEXT_TO_VIDEO, "folder"])
def test_video_replaced_under_its_name(place: str, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DIR_VARIABLE, place if place == NEXT_TO_VIDEO else str(tmp_path / place))
    assert open_video(talk).timeline.duration_s == pytest.approx(10.0)
    assert (tmp_path / "talk.mp4.lva-index").exists() == (place == NEXT_TO_VIDEO)
    write_video(talk, range(0, 6000, 40))
    video = open_video(talk)
    assert video.timeline.duration_s == pytest.approx(6.0)
    assert (texts(video), video.warnings) == (["Mira: The lanterns are red", "Otto: Yes"], ())


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES + 1, 3 * BLOCK_BYTES, BLOCK_BYTES * MAX_BLOCKS])
def test_fingerprint_covers_small_files(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a"
    content = bytearray(os.urandom(size))
    path.write_bytes(content)
    digests = {content_fingerprint(path)}
    for place in {0, size // 3, size // 2, size - 1} if size else ():
        content[place] ^= 1
        path.write_bytes(content)
        digests.add(content_fingerprint(path))
    path.write_bytes(bytes(content) + b"more")
    digests.add(content_fingerprint(path))
    assert len(digests) == 1 + len({0, size // 3, size // 2, size - 1} if size else ()) + 1


def test_fingerprint_of_frames(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "00001.jpg").write_bytes(b"a")
    (folder / "00002.jpg").symlink_to("nowhere.jpg")
    one = content_fingerprint(folder, 3.0)
    assert content_fingerprint(folder, 3.0) == one
    assert content_fingerprint(folder, 1.0) != one
    (folder / "00001.jpg").write_bytes(b"ab")
    assert content_fingerprint(folder, 3.0) != one


# --- files that cannot be used ----------------------------------------------------------------------


def problem(video: Video) -> str:
    (warning,) = video.warnings
    assert "the index of this video is not used" in warning
    assert "\n" not in warning
    return warning


def test_newer_version(talk: Path, index_dir: Path) -> None:
    expected = open_video(talk).timeline
    with sqlite3.connect(index_file(index_dir)) as database:
        database.execute("PRAGMA user_version = 99")
    content = index_file(index_dir).read_bytes()
    video = open_video(talk)
    assert video.timeline == expected
    assert "version 99" in problem(video)
    assert "lva index --drop talk.mp4" in problem(video)
    assert index_file(index_dir).read_bytes() == content


def test_older_version_keeps_its_parts(talk: Path, index_dir: Path) -> None:
    expected = open_video(talk).timeline
    with sqlite3.connect(index_file(index_dir)) as database:  # as version 1 was written
        database.execute("DROP TABLE vectors")
        database.execute("DROP TABLE scenes")
        database.execute("DROP TABLE events")
        database.execute("DROP TABLE event_sets")
        database.execute("ALTER TABLE texts DROP COLUMN language")
        database.execute("PRAGMA user_version = 1")
    finished = {step.finished_at for step in steps(talk)}
    video = open_video(talk)
    assert video.timeline == expected
    assert not video.warnings
    assert {step.finished_at for step in steps(talk)} == finished
    with sqlite3.connect(index_file(index_dir)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert database.execute("SELECT count(*) FROM vectors").fetchone() == (0,)


def test_file_is_not_an_index(talk: Path, index_dir: Path) -> None:
    open_video(talk)
    path = index_file(index_dir)
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE customers (name TEXT)")
    assert "not an index" in problem(open_video(talk))
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM customers").fetchone() == (0,)


def test_folder_cannot_be_made(talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / "file"))
    video = open_video(talk)
    assert texts(video) == ["Mira: The lanterns are red", "Otto: Yes"]
    assert "--index-dir" in problem(video)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser writes everywhere")
def test_folder_is_read_only(talk: Path, index_dir: Path) -> None:
    expected = open_video(talk)
    index_dir.chmod(0o500)
    try:
        assert open_video(talk).timeline == expected.timeline
        assert open_video(talk).warnings == ()
        talk.with_suffix(".srt").write_text(TALK_CUES.replace("red", "blue"))
        assert "--index-dir" in problem(open_video(talk))
    finally:
        index_dir.chmod(0o700)


FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
from longvideoagent import open_video
video = open_video(sys.argv[1])
print(*[line.text for line in video.timeline.subtitles], *video.warnings, sep="\\n")
"""


@pytest.mark.parametrize("limit_bytes", [0, 30_000])
def test_disk_is_full(limit_bytes: int, talk: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, talk, str(limit_bytes)], capture_output=True, text=True, check=True
    )
    *lines, warning = done.stdout.splitlines()
    assert lines == ["Mira: The lanterns are red", "Otto: Yes"]
    assert "the index of this video is not used" in warning
    assert texts(open_video(talk)) == lines


@pytest.fixture(scope="module")
def indexed(short_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, bytes, Video]]:
    """A video with subtitles, the content of its index, and the video as it was opened."""
    folder = tmp_path_factory.mktemp("indexed")
    path = folder / "talk.mp4"
    path.write_bytes(short_video.read_bytes())
    path.with_suffix(".srt").write_text(TALK_CUES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DIR_VARIABLE, str(folder / "indexes"))
        video = open_video(path)
        yield path, index_file(folder / "indexes").read_bytes(), video


@given(data=st.data())
def test_damaged_file(indexed: tuple[Path, bytes, Video], data: st.DataObject) -> None:
    path, content, expected = indexed
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 20))):
        damaged[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    kept = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv(DIR_VARIABLE, folder)
        file = Path(folder) / f"{content_fingerprint(path)}.lva-index"
        file.write_bytes(damaged[:kept])
        video = open_video(path)
        assert texts(video) == texts(expected)
        assert len(video.warnings) <= 1


COLUMNS = [
    *((f"video.{column}") for column in ("key", "name", "duration_s", "has_audio", "needs_packet_times", "warnings")),
    *((f"texts.{column}") for column in ("kind", "key", "source", "warnings", "digest", "language")),
    *((f"lines.{column}") for column in ("text_id", "start_s", "end_s", "speaker", "text")),
    *((f"clips.{column}") for column in ("text_id", "key", "start_s", "end_s")),
]


@pytest.mark.parametrize("column", COLUMNS)
def test_values_of_another_kind(column: str, indexed: tuple[Path, bytes, Video]) -> None:
    """An index next to a video may come from anybody."""
    path, content, expected = indexed
    table, name = column.split(".")
    for value in ("7", '["x"]', "x", b"\xff\x00", -1, 2**62, 1e300, float("inf"), None):
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setenv(DIR_VARIABLE, folder)
            file = Path(folder) / f"{content_fingerprint(path)}.lva-index"
            file.write_bytes(content)
            database = sqlite3.connect(file)
            try:
                database.execute(f"UPDATE OR IGNORE {table} SET {name} = ?", (value,))
                database.commit()
            except sqlite3.IntegrityError:  # NULL where there may be none
                continue
            finally:
                database.close()
            video = open_video(path)
            assert texts(video) == texts(expected)
            assert 0 < video.timeline.duration_s < 1e16


# --- search -------------------------------------------------------------------------------------------

WORDS = ["lantern", "lanterns", "Red", "the", "don't", "re-do", "日本語", "日本", "_", "naïve", "Ω", '"', "12"]
LINES = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join), min_size=1, max_size=12)
QUERY = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)


def stored(lines: list[str]) -> StoredText:
    made = [Subtitle(float(n), n + 0.5, text) for n, text in enumerate(lines)]
    return StoredText(TextKind.SUBTITLES, "key", tuple(made), "talk.srt")


@given(
    lines=LINES, query=st.one_of(QUERY, QUERY.map(lambda text: f'"{text}"'), QUERY.map(lambda text: f"{text} by Mira"))
)
def test_search_finds_what_the_timeline_finds(lines: list[str], query: str) -> None:
    text = stored([f"Mira: {line}" if number % 3 else line for number, line in enumerate(lines)])
    expected = [each.line for each in occurrences(query, build_timeline(100.0, text.lines))]
    with TemporaryDirectory() as folder, VideoIndex(Path(folder) / "i", "f") as index:
        write_text(index, text, COST)
        (summary,) = read_summaries(index)
        assert search_lines(index, summary, query) == expected
        assert read_text(index, TextKind.SUBTITLES, "key") == text


@pytest.mark.parametrize("is_begun", [False, True])
def test_search_without_fts5(is_begun: bool, talk: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_begun:
        open_video(talk)
    monkeypatch.setenv(DIR_VARIABLE, str(index_dir))
    monkeypatch.setattr(schema, "FTS5", "CREATE VIRTUAL TABLE line_terms USING not_compiled_in(terms)")
    schema.has_fts5.cache_clear()
    try:
        assert open_video(talk).warnings == ()
        with VideoIndex.open(talk) as index:
            (text,) = current_texts(index, talk, SubtitleOptions())
            assert [line.start_s for line in search_lines(index, text, "lantern")] == [1.0]
        talk.with_suffix(".srt").write_text(TALK_CUES.replace("red", "blue"))
        open_video(talk)
    finally:
        monkeypatch.undo()
        schema.has_fts5.cache_clear()
    monkeypatch.setenv(DIR_VARIABLE, str(index_dir))
    with VideoIndex.open(talk) as index:  # with FTS5 again
        (text,) = current_texts(index, talk, SubtitleOptions())
        assert [line.text for line in search_lines(index, text, "lantern")] == ["Mira: The lanterns are blue"]


def test_text_that_sqlite_cannot_hold_is_not_kept(tmp_path: Path) -> None:
    with VideoIndex(tmp_path / "i", "f") as index:
        write_text(index, stored(["half a pair: \ud83d"]), COST)
        assert (read_summaries(index), index.problem) == ([], "")
