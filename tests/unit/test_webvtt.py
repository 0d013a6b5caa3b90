"""The rules of the WebVTT specification, one row each, with inputs made for them."""

from __future__ import annotations

import pytest

from longvideoagent.media.subtitles import parse_subtitles

CUE = "00:01.000 --> 00:02.000\none"
ONE = [(1.0, 2.0, "one")]
HEADER = "WEBVTT\n\n"


def cues_of(text: str) -> list[tuple[float, float, str]]:
    return [(line.start_s, line.end_s, line.text) for line in parse_subtitles(text.encode()).subtitles]


@pytest.mark.parametrize(
    "text",
    [
        f"WEBVTT\n\n{CUE}\n",
        f"\ufeffWEBVTT\n\n{CUE}",
        f"WEBVTT a title --- of the file\n\n{CUE}\n",
        f"WEBVTT\tafter a tab\n\n{CUE}\n",
        f"WEBVTT\nKind: captions\nLanguage: en\n\n{CUE}\n",
        f"WEBVTT\n{CUE}\n",
        f"WEBVTT\n\n\n\n{CUE}\n\n\n",
        f"WEBVTT\r\n\r\n{CUE}\r\n".replace("0\no", "0\r\no"),
        f"WEBVTT\r\r{CUE}\r".replace("0\no", "0\ro"),
    ],
)
def test_signature_and_line_ends(text: str) -> None:
    assert cues_of(text) == ONE


@pytest.mark.parametrize(
    "block",
    [
        "NOTE",
        "NOTE on one line",
        "NOTE\tafter a tab",
        "NOTE\non several\nlines with <tags> & more",
        "STYLE\n::cue(b) { color: lime }",
        "REGION\nid:a\nwidth:40%\nlines:3",
    ],
)
def test_blocks_are_not_text(block: str) -> None:
    before = f"{HEADER}{block}\n\n{CUE}\n"
    between = f"{HEADER}{CUE}\n\n{block}\n\n00:03.000 --> 00:04.000\ntwo\n"
    at_end = f"{HEADER}{CUE}\n\n{block}\n"
    assert cues_of(before) == cues_of(at_end) == ONE
    assert cues_of(between) == [*ONE, (3.0, 4.0, "two")]
    assert [parse_subtitles(text.encode()).warnings for text in (before, between, at_end)] == [[], [], []]


@pytest.mark.parametrize("text", ["NOTES on music", "NOTE this", "STYLE", "REGION"])
def test_first_line_of_a_cue_is_never_a_block(text: str) -> None:
    assert cues_of(f"{HEADER}00:01.000 --> 00:02.000\n{text}\n") == [(1.0, 2.0, text)]


@pytest.mark.parametrize("name", ["1", "intro", "a name with blanks", "Ж-7", "00:05"])
def test_cue_names_are_not_text(name: str) -> None:
    assert cues_of(f"{HEADER}{name}\n{CUE}\n\n{name}\n00:03.000 --> 00:04.000\ntwo\n") == [*ONE, (3.0, 4.0, "two")]


@pytest.mark.parametrize(
    "settings",
    ["align:start", "line:0 position:10%,line-left size:50%", "region:a vertical:rl", "unknown", "D:vertical A:start"],
)
def test_settings_after_times_are_not_text(settings: str) -> None:
    assert cues_of(f"{HEADER}00:01.000 --> 00:02.000 {settings}\none\n") == ONE


@pytest.mark.parametrize(
    ("times", "start_s", "end_s"),
    [
        ("00:01.000 --> 00:02.000", 1.0, 2.0),
        ("00:00:01.000 --> 00:02.000", 1.0, 2.0),
        ("01:00.000 --> 01:00:00.250", 60.0, 3600.25),
        ("100:00:01.000 --> 100:00:02.000", 360001.0, 360002.0),
        ("00:01.000\t-->\t00:02.000", 1.0, 2.0),
        ("00:01.000-->00:02.000", 1.0, 2.0),
    ],
)
def test_times(times: str, start_s: float, end_s: float) -> None:
    assert cues_of(f"{HEADER}{times}\none\n") == [(start_s, end_s, "one")]


@pytest.mark.parametrize(
    ("marked", "text"),
    [
        ("<v Ana>one", "Ana: one"),
        ("<v.loud.first Ana Bly>one</v>", "Ana Bly: one"),
        ("<v Ana>one</v>\n<v Bo>two</v>", "Ana: one Bo: two"),
        ("<v A&amp;B>one</v>", "A&B: one"),
        ("<c>one</c> <c.yellow.bg_blue>two</c>", "one two"),
        ("<i>one</i> <b.x>two</b> <u>three</u>", "one two three"),
        ("<lang en-GB>one</lang>", "one"),
        ("<ruby>one<rt>two</rt></ruby>", "onetwo"),
        ("one <00:01.500>two <00:00:01.750>three", "one two three"),
        ("&amp; &lt; &gt; one&nbsp;two&lrm;&rlm; &hellip;", "& < > one two …"),
        ("&amp;lt; &lt;c&gt;", "&lt; <c>"),
        ("1 &lt; 2 &#x26; &#60;", "1 < 2 & <"),
        ("one\ntwo\nthree", "one two three"),
        ("one\0two", "one\ufffdtwo"),
        ("  one \t two  ", "one two"),
    ],
)
def test_cue_text(marked: str, text: str) -> None:
    assert cues_of(f"{HEADER}00:01.000 --> 00:02.000\n{marked}\n") == [(1.0, 2.0, text)]


def test_line_of_times_begins_a_cue_without_a_blank_line() -> None:
    assert cues_of(f"{HEADER}{CUE}\n00:03.000 --> 00:04.000\ntwo\n") == [*ONE, (3.0, 4.0, "two")]


def test_cue_without_text_is_left_out() -> None:
    assert cues_of(f"{HEADER}00:00.000 --> 00:00.500\n\n00:00.500 --> 00:01.000\n<b></b>\n\n{CUE}\n") == ONE


def test_headerless_file_with_notes() -> None:
    assert cues_of(f"NOTE made by hand\n\n{CUE}\n\nNOTE\nlater\n\n00:03.000 --> 00:04.000\ntwo\n") == [
        *ONE, (3.0, 4.0, "two"),
    ]  # fmt: skip


def segment(cue: str, timestamp_map: str = "") -> str:
    return f"WEBVTT\n{timestamp_map}\n\n{cue}\n"


@pytest.mark.parametrize("separator", ["\n", "", "\ufeff"])
def test_joined_segments_are_put_on_one_clock(separator: str) -> None:
    text = separator.join(
        segment(f"00:01.000 --> 00:02.000\n{word}", f"X-TIMESTAMP-MAP={fields}")
        for word, fields in (
            ("one", "MPEGTS:900000,LOCAL:00:00:00.000"),
            ("two", "LOCAL:00:00:00.000,MPEGTS:1800000"),
            ("three", "LOCAL:00:00:10.000,MPEGTS:3600000"),
        )
    )
    assert cues_of(text) == [*ONE, (11.0, 12.0, "two"), (21.0, 22.0, "three")]


def test_joined_segments_without_a_line_end_between_them() -> None:
    text = segment(CUE, "X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000").rstrip()
    text += segment("00:01.000 --> 00:02.000\ntwo", "X-TIMESTAMP-MAP=MPEGTS:450000,LOCAL:00:00:00.000")
    assert cues_of(text) == [*ONE, (6.0, 7.0, "two")]


def test_joined_segments_clock_wraps_around() -> None:
    text = segment(CUE, f"X-TIMESTAMP-MAP=MPEGTS:{2**33 - 90_000},LOCAL:00:00:00.000")
    text += "\n" + segment("00:01.000 --> 00:02.000\ntwo", "X-TIMESTAMP-MAP=MPEGTS:90000,LOCAL:00:00:00.000")
    assert cues_of(text) == [*ONE, (3.0, 4.0, "two")]


def test_joined_segments_repeat_a_cue() -> None:
    parts = [
        segment("00:01.000 --> 00:09.000\none"),
        segment("00:01.000 --> 00:09.000\none\n\n00:10.000 --> 00:11.000\ntwo"),
    ]
    assert cues_of("\n".join(parts)) == [(1.0, 9.0, "one"), (10.0, 11.0, "two")]
    assert "1 subtitle cue repeated" in " ".join(parse_subtitles("\n".join(parts).encode()).warnings)
