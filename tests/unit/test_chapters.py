"""Chapters of a video by its lines, and the forms in which they are written."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.core.types import Clip, Subtitle, Timeline
from longvideoagent.index.chapters import MAX_CHAPTERS, MIN_CHAPTER_S, find_chapters
from longvideoagent.media.subtitles import parse_subtitles
from longvideoagent.views.chapters import chapters_text
from longvideoagent.views.forms import Form
from tests.plugins.cli import lva, refusal
from tests.plugins.media import write_video

TOPICS = (
    ("boat", "harbour", "sail", "captain", "anchor", "wave"),
    ("bread", "oven", "flour", "baker", "crust", "dough"),
    ("star", "planet", "telescope", "orbit", "comet", "moon"),
)


def timeline(*lines: Subtitle, duration_s: float = 540.0) -> Timeline:
    return Timeline((Clip("c01", 0.0, duration_s, lines),))


def talk_of_three_topics() -> Timeline:
    lines = []
    for number in range(108):  # one line each five seconds, 180 s a topic
        words = TOPICS[number // 36]
        text = f"Mira: the {words[number % 6]} and the {words[(number + 2) % 6]} of today"
        lines.append(Subtitle(5.0 * number + 0.5, 5.0 * number + 4.0, text))
    return timeline(*lines)


def test_chapters_begin_where_the_words_change() -> None:
    chapters = find_chapters(talk_of_three_topics())
    assert [chapter.start_s for chapter in chapters] == [0.0, 180.5, 360.5]
    assert chapters[-1].end_s == 540.0
    for chapter, words in zip(chapters, TOPICS, strict=True):
        assert set(chapter.title.lower().split(" · ")) <= set(words)
        assert len(chapter.key_lines) == 2


def test_video_without_lines_is_one_chapter() -> None:
    (chapter,) = find_chapters(timeline())
    assert (chapter.start_s, chapter.end_s, chapter.title, chapter.key_lines) == (0.0, 540.0, "", ())


@given(st.lists(st.tuples(st.floats(0, 3000), st.text(max_size=30)), max_size=60), st.floats(0.1, 4000))
def test_chapters_cover_any_video(texts: list[tuple[float, str]], duration_s: float) -> None:
    lines = sorted((Subtitle(start_s, start_s + 1, text) for start_s, text in texts), key=lambda line: line.start_s)
    chapters = find_chapters(timeline(*lines, duration_s=duration_s))
    assert 1 <= len(chapters) <= MAX_CHAPTERS
    assert (chapters[0].start_s, chapters[-1].end_s) == (0.0, duration_s)
    assert all(one.end_s == following.start_s for one, following in pairwise(chapters))
    assert len(chapters) == 1 or all(chapter.end_s - chapter.start_s >= MIN_CHAPTER_S for chapter in chapters)


def test_forms() -> None:
    chapters = find_chapters(talk_of_three_topics())
    texts = {form: chapters_text(chapters, form) for form in Form}
    assert texts[Form.TEXT].splitlines()[0].strip().startswith("0:00  ")
    assert len(texts[Form.TEXT].splitlines()) == 3
    assert texts[Form.MARKDOWN].count("\n- ") == 6
    assert texts[Form.VTT].startswith("WEBVTT\n")
    assert [line.text for line in parse_subtitles(texts[Form.VTT].encode()).subtitles] == [
        each.title for each in chapters
    ]
    assert [row["title"] for row in json.loads(texts[Form.JSON])["chapters"]] == [each.title for each in chapters]
    assert all(text.endswith("\n") for text in texts.values())


def test_markdown_of_hostile_lines() -> None:
    lines = [Subtitle(n * 5.0, n * 5.0 + 2, "<script>x</script> [a](javascript:b) # *c*") for n in range(9)]
    text = chapters_text(find_chapters(timeline(*lines, duration_s=60.0)), Form.MARKDOWN)
    assert "\\<script\\>" in text
    assert "\\[a\\](javascript:b)" in text


def test_command(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    write_video(path, range(0, 9_000, 500))
    path.with_suffix(".srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nMira: A lantern\n")
    assert lva("chapters", path).stdout == "    0:00  Lantern\n"
    path.with_suffix(".srt").write_bytes("1\n00:00:01,000 --> 00:00:02,000\nMira: A žlutý lantern\n".encode("cp1250"))
    assert "Žlutý" in lva("chapters", path, "--encoding", "cp1250").stdout
    assert "Ћlutэ" in lva("chapters", path, "--encoding", "cp1251").stdout
    assert "encoding 'cp12'" in refusal("chapters", path, "--encoding", "cp12")
    done = lva("chapters", path, "--form", "vtt", "--out", tmp_path / "c.vtt")
    assert done.returncode == 0
    assert (tmp_path / "c.vtt").read_text().startswith("WEBVTT")
    assert "exists already" in refusal("chapters", path, "--out", tmp_path / "c.vtt")
