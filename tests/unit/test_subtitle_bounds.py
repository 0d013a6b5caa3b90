"""No input makes a reader fail in another way than DataError, or take more than time in proportion to its size."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longvideoagent.errors import DataError
from longvideoagent.media.subtitles import MAX_FILE_BYTES, parse_subtitles
from longvideoagent.media.subtitles.cue import MAX_CUE_CHARS, MAX_CUES

BEGINNINGS = {
    "srt": "1\n00:00:01,000 --> 00:00:02,000\n",
    "webvtt": "WEBVTT\n\n00:01.000 --> 00:02.000\n",
    "ass": "[Script Info]\n[Events]\nFormat: Layer, Start, End, Text\nDialogue: 0,0:00:01.00,0:00:02.50,",
    "ttml": "<tt><body><p begin='1s' end='2s'>",
    "sbv": "0:00:01.000,0:00:02.000\n",
    "microdvd": "{1}{1}25\n{1}{2}",
    "mpl2": "[1][2]",
    "lrc": "[00:01.00]",
    "sami": "<SAMI><SYNC Start=1><P Class=A>",
    "tmplayer": "00:00:01:",
    "none": "",
}
PIECES = [
    "{", "<i ", "&#", "{\\", "{\\p1}", "[", "->", "-->", "<v ", "<br>", "<SYNC ", "<P Class=A", "<div begin='1'>",
    "<1:", "\\{", "WEBVTT", "\n", "1\n", "→\n", "[00:01.00]", "1\n00:00:01,000 -> x\n\n", "NOTE\n\n", " ", "|", "]]>",
    "X-TIMESTAMP-MAP=",
]  # fmt: skip
fragments = st.sampled_from(
    [
        *PIECES, "00:00:01,000", "00:01.000 --> 00:02.000\n", " --> ", "0:00:03.00,0:00:04.00", "Dialogue: 0,",
        "Format: Text\n",
        "{3}{4}", "[3][4]", "[offset:+1]\n", "00:00:03:", "<p begin='3s'>", "</p>", "<span end='1'>",
        "timeContainer='seq'", "text",
        "&#x110000;", "&amp;", "-1", "99999:99:99,999", "\0", "\ufeff", "\r", "é", "²", "٣",
        "X-TIMESTAMP-MAP=LOCAL:0:1,MPEGTS:²",
    ]
)  # fmt: skip
texts = st.builds(
    "".join, st.tuples(st.sampled_from(list(BEGINNINGS.values())), st.lists(fragments, max_size=25).map("".join))
)


@settings(max_examples=200)
@given(
    texts,
    st.sampled_from(["utf-8", "utf-16", "cp1252", "shift_jis"]),
    st.sampled_from([None, "cp1250", "utf-16", "big5"]),
)
def test_any_text_of_any_format(text: str, written: str, encoding: str | None) -> None:
    check_parsed(text.encode(written, errors="ignore"), encoding)


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    check_parsed(data, None)


def check_parsed(data: bytes, encoding: str | None) -> None:
    """That the bytes are refused in one line, or that what is read of them is in order."""
    problem = ""
    try:
        lines, warnings = parse_subtitles(data, encoding)
    except DataError as error:
        problem, lines, warnings = str(error), [], []
    assert bool(lines) != bool(problem)
    assert "\n" not in problem
    assert [line.start_s for line in lines] == sorted(line.start_s for line in lines)
    assert all(0 <= line.start_s < line.end_s and 0 < len(line.text) <= MAX_CUE_CHARS for line in lines)
    assert all(line.text == " ".join(line.text.split()) for line in lines)
    assert not any("\n" in warning for warning in warnings)


@pytest.mark.parametrize("form", BEGINNINGS)
def test_repeated_pieces_end(form: str) -> None:
    """In time that grows with the square of the size, one of these would take hours."""
    for piece in PIECES:
        data = (BEGINNINGS[form] + piece * (50_000 // len(piece))).encode()
        try:
            lines, _ = parse_subtitles(data)
        except DataError:
            continue
        assert sum(len(line.text) for line in lines) <= len(data)


def test_file_size_limit() -> None:
    with pytest.raises(DataError, match="10 MB"):
        parse_subtitles(b"a" * (MAX_FILE_BYTES + 1))


def test_cue_length_limit_is_reported() -> None:
    lines, warnings = parse_subtitles(
        f"{BEGINNINGS['srt']}{'ab ' * 5000}\n\n2\n00:00:03,000 --> 00:00:04,000\nend".encode()
    )
    assert [len(line.text) for line in lines] == [pytest.approx(MAX_CUE_CHARS, abs=2), 3]
    assert "1 subtitle cue is longer than 2000 characters and was cut" in warnings


@pytest.mark.parametrize("block", ["{0}{1}a{number}\n", "[{number}][{number}]a{number}\n", "[00:01.00]a{number}\n"])
def test_number_of_cues_limit_is_reported(block: str) -> None:
    text = "".join(block.replace("{number}", str(number)) for number in range(MAX_CUES + 3))
    lines, warnings = parse_subtitles(text.encode())
    assert len(lines) == MAX_CUES
    assert "3 cues after the first 100000 were ignored" in warnings


def test_line_of_lyrics_with_endless_times() -> None:
    data = b"[00:01.00]" * 40_000 + b"la" * 100_000
    lines = parse_subtitles(data).subtitles
    assert len(lines) == 1  # the same words at the same time
    assert len(lines[0].text) <= 2000
