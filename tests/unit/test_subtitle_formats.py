from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.core.types import Subtitle
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.subtitles import (
    SUFFIXES,
    find_sidecars,
    parse_subtitles,
    plain_text,
    read_subtitles,
    subtitle_text,
)
from tests.plugins.media import write_video

Cues = list[tuple[float, float, str]]
TIMES = "1\n00:00:01,000 --> 00:00:02,000\n"


def cues_of(text: str) -> Cues:
    return [(line.start_s, line.end_s, line.text) for line in parse_subtitles(text.encode()).subtitles]


def texts_of(text: str) -> list[str]:
    return [line.text for line in parse_subtitles(text.encode()).subtitles]


def warnings_of(text: str) -> str:
    return "; ".join(parse_subtitles(text.encode()).warnings)


@pytest.mark.parametrize(
    "text",
    [
        "a < b > c",
        "a dict[str, List<T>]",
        "Map<String, Integer>",
        "Vec<I>",
        "write to <ana@example.org>",
        "I <3 you",
        "the folder C:\\new\\Notes",
        "press {enter} or {now}",
        "[whispers] 1/2 | 3",
        "AT&T and R&B; x &y;",
        "5 > 3 -> true",
    ],
)
def test_cue_text_that_looks_like_markup_survives(text: str) -> None:
    assert texts_of(f"{TIMES}{text}\n\n2\n00:00:03,000 --> 00:00:04,000\nend\n") == [text, "end"]


@pytest.mark.parametrize(
    ("marked", "text"),
    [
        ("<i>one</i> <B>two</B> <font color='#ffffff'>three</font>", "one two three"),
        ("one<br>two<BR/>three<br />four", "one two three four"),
        ("{\\an8}one {\\i1}two{\\i0}", "one two"),
        ("&lt;i&gt; &amp;lt; &#233;&#xe9;", "<i> &lt; éé"),
        ("one\xa0\xa0two\u200b three\xadfold \u202bfour\u202c", "one two threefold four"),
        ("می\u200cروم ශ්\u200dරී", "می\u200cروم ශ්\u200dරී"),
        ("<v Ana>one</v> two", "Ana: one two"),
    ],
)
def test_cue_markup_removed(marked: str, text: str) -> None:
    assert texts_of(TIMES + marked) == [text]


@pytest.mark.parametrize("last", ["2001", "10:15 --> 12:40", "from 10:15 -> 12:40", "00:10 → 00:20", "3\n4"])
def test_cue_last_line_like_a_number_or_times_survives(last: str) -> None:
    text = f"{TIMES}The answer is\n{last}\n\n2\n00:00:03,000 --> 00:00:04,000\n{last}\n"
    shown = " ".join(last.split())
    assert texts_of(text) == [f"The answer is {shown}", shown]


def test_cue_numbers_are_not_text_whatever_stands_between_cues() -> None:
    glued = f"{TIMES}one\n2\n00:00:03,000 --> 00:00:04,000\n1999\n3\n00:00:05,000 --> 00:00:06,000\nx"
    assert texts_of(glued) == ["one", "1999", "x"]
    unnumbered = "00:00:01,000 --> 00:00:02,000\none\n1999\n00:00:03,000 --> 00:00:04,000\ntwo\n"
    assert texts_of(unnumbered) == ["one 1999", "two"]
    cut_off = f"{TIMES}one\n\n2\n00:00:03,000 --> 00:00:04,000\ntwo\n\n3\n"
    assert texts_of(cut_off) == ["one", "two"]


@pytest.mark.parametrize(
    "times",
    [
        "00:00:03,000 --> 00:00:04,000",
        "00:00:03,000 -> 00:00:04,000",
        "00:00:03,000 –> 00:00:04,000",
        "00:00:03,000 → 00:00:04,000",
        "00:00:03,000 ==> 00:00:04,000",
        "00:00:03,000 --&gt; 00:00:04,000",
        "00:00:03,000-->00:00:04,000",
        "00 : 00 : 03 , 000 -- > 00: 00:04,000",
        "00:03.0 --> 00:04",
        "0:3,0 --> 0:4,000",
        "0:00:03:000 --> 0:00:04:000",
        "00:00:03:00 --> 00:00:04:00",
        "00:00:03,000 --> 00:00:04,000  X1:10 X2:90 Y1:1 Y2:2",
        "\t00:00:03.000\t-->\t00:00:04.000\t",
    ],
)
def test_timing_line_spellings(times: str) -> None:
    text = f"{TIMES}one\n\n2\n{times}\ntwo\n\n3\n00:00:05,000 --> 00:00:06,000\nthree\n"
    assert cues_of(text) == [(1.0, 2.0, "one"), (3.0, 4.0, "two"), (5.0, 6.0, "three")]


def test_timing_line_frames_are_reported() -> None:
    text = "1\n00:00:01:12 --> 00:00:02:00\none\n"
    assert cues_of(text) == [(1.48, 2.0, "one")]
    assert "2 times have frames" in warnings_of(text)


def test_timing_line_minutes_beyond_99() -> None:
    assert cues_of("WEBVTT\n\n125:00.000 --> 126:00.500\nx\n") == [(7500.0, 7560.5, "x")]


def test_timing_line_text_after_times() -> None:
    assert texts_of("1\n00:00:01,000 --> 00:00:02,000 Hello\nthere\n") == ["Hello there"]


def test_first_cue_negative_start() -> None:
    text = "1\n-00:00:01,500 --> 00:00:02,000\none\n\n2\n00:00:03,000 --> 00:00:04,000\ntwo\n"
    assert cues_of(text) == [(0.0, 2.0, "one"), (3.0, 4.0, "two")]
    assert "1 subtitle cue starts before the video" in warnings_of(text)


@pytest.mark.parametrize("arrow", ["-->", "->", "→"])
def test_cue_without_end_lasts_until_the_next(arrow: str) -> None:
    text = f"1\n00:00:01,000 {arrow}\none\n\n2\n00:00:02,500 --> 00:00:04,000\ntwo\n"
    assert cues_of(text) == [(1.0, 2.5, "one"), (2.5, 4.0, "two")]
    assert "1 subtitle cue has no end" in warnings_of(text)


@pytest.mark.parametrize(
    "times", ["0x:00:01,000 --> 00:00:02,000", "??:??:?? --> ??:??:??", "00:0Z:00,000 -> 00:0Z:01,000"]
)
def test_cue_with_unreadable_times_keeps_its_text(times: str) -> None:
    first = f"1\n{times}\nfirst\n\n2\n00:00:05,000 --> 00:00:06,000\nlater\n"
    assert texts_of(first) == ["first", "later"]
    inner = f"{TIMES}before\n\n2\n{times}\ninner\n\n3\n00:00:05,000 --> 00:00:06,000\nlater\n"
    assert texts_of(inner) == ["before", "inner", "later"]
    for text in (first, inner):
        assert "1 subtitle cue has times that cannot be read" in warnings_of(text)
        inside = next(cue for cue in cues_of(text) if cue[2] in ("first", "inner"))
        assert 0 <= inside[0] < inside[1] <= 5.0


def test_cues_all_unreadable_are_refused() -> None:
    with pytest.raises(DataError, match="times that can be read"):
        parse_subtitles(b"1\n0x:00:01,000 --> 0x:00:02,000\none\n")


def test_lines_before_the_first_cue_are_reported() -> None:
    assert "2 lines before the first cue were ignored" in warnings_of(f"An introduction\nof two lines\n\n{TIMES}one\n")


words = st.sampled_from(["a", "<i>", "&amp;", "1", "42", "{x}", "->", "-->", "é", "\\N", "."])
bodies = st.lists(words, min_size=1, max_size=6).map(" ".join)


@given(st.lists(st.lists(bodies, min_size=1, max_size=3).map("\n".join), min_size=1, max_size=5))
def test_usual_form_is_read_like_the_tolerant_one(texts: list[str]) -> None:
    blocks = [f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},500\n{text}\n" for n, text in enumerate(texts, 1)]
    usual, unusual = "\n".join(blocks), "\n\n".join(blocks)
    assert outcome(usual) == outcome(unusual)


def outcome(text: str) -> object:
    try:
        return parse_subtitles(text.encode())
    except DataError as error:
        return str(error)


ASS = (
    "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)


def test_ass_text() -> None:
    text = ASS + (
        r"Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\an8}one\Ntwo, three\hfour {a comment}"
        "\n"
        r"Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\p1}m 0 0 l 10 0 10 10{\p0}seen {\pos(1,2)}text"
        "\n"
        r"Dialogue: 0,0:00:05.00,0:00:06.00,Default,,0,0,0,,{\p4\c&H00&}m 0 0 l 10 0"
        "\n"
    )
    assert cues_of(text) == [(1.0, 2.5, "one two, three four"), (3.0, 4.0, "seen text")]


def test_ssa_field_order_and_unreadable_times() -> None:
    text = (
        "[Script Info]\n[Events]\nFormat: Marked, Start, End, Style, Text\n"
        "Dialogue: Marked=0,0:00:01.00,0:00:02.00,Default,one\nDialogue: Marked=0,0:0x:02.00,0:00:04.00,Default,two\n"
    )
    assert texts_of(text) == ["one", "two"]
    assert "1 subtitle cue has times that cannot be read" in warnings_of(text)


def test_srt_with_a_line_like_ass_stays_srt() -> None:
    assert texts_of(f"{TIMES}Dialogue: two men\n[Events] of the day\n") == ["Dialogue: two men [Events] of the day"]


def test_plain_text_of_ass_streams() -> None:
    assert plain_text(r"{\p1}m 0 0 l 100 0 100 100{\p0}") == ""
    assert plain_text(r"{\i1}one{\i0}\Ntwo \{three\} <i>four</i>") == "one two {three} four"


def test_sbv_and_subviewer() -> None:
    assert cues_of("0:00:01.000,0:00:02.500\none\n2, 3\n\n0:00:03.000,0:00:04.000\n1999\n") == [
        (1.0, 2.5, "one 2, 3"), (3.0, 4.0, "1999"),
    ]  # fmt: skip
    subviewer = "[INFORMATION]\n[TITLE]x\n[END INFORMATION]\n[SUBTITLE]\n00:00:01.00,00:00:02.50\none[br]two\n"
    assert cues_of(subviewer) == [(1.0, 2.5, "one two")]
    unreadable = "0:00:01.000,0:00:02.000\none\n\n0:0x:03.000,0:00:04.000\ntwo\n"
    assert texts_of(unreadable) == ["one", "two"]
    assert "cannot be read" in warnings_of(unreadable)


def test_microdvd_rate_of_the_file() -> None:
    assert cues_of("{1}{1}25\n{25}{50}one|/two {now}\n{75}{100}{y:i}three\n") == [
        (1.0, 2.0, "one two {now}"),
        (3.0, 4.0, "three"),
    ]


def test_microdvd_rate_of_the_video(tmp_path: Path) -> None:
    video, path = tmp_path / "a.mp4", tmp_path / "a.sub"
    write_video(video, range(0, 2000, 50))
    path.write_text("{20}{40}one\n")
    parsed = read_subtitles(path, video=video)
    assert [(line.start_s, line.end_s) for line in parsed.subtitles] == [pytest.approx((1.0, 2.0), abs=0.05)]
    assert parsed.warnings == []


def test_microdvd_rate_assumed_is_reported() -> None:
    assert "23.976 per second were assumed" in warnings_of("{24}{48}one\n")


def test_mpl2_and_tmplayer() -> None:
    assert cues_of("[10][25]one|/two\n[30][40]three\n") == [(1.0, 2.5, "one two"), (3.0, 4.0, "three")]
    assert [cue[::2] for cue in cues_of("00:00:01:one|two\n00:00:04:three\n")] == [(1.0, "one two"), (4.0, "three")]


def test_lrc_offset_repeated_lines_and_word_times() -> None:
    text = (
        "[ti:A song]\n[offset:+500]\n[00:01.50]one\n[00:03.00][00:09.00]two <00:03.40>three\n[00:05]\n[00:12:50]four\n"
    )
    assert cues_of(text) == [(1.0, 2.5, "one"), (2.5, 4.5, "two three"), (8.5, 12.0, "two three"), (12.0, 22.0, "four")]


def test_sami_languages() -> None:
    text = (
        "<SAMI><BODY>\n<SYNC Start=1000><P Class=KRCC>one<br>two\n<SYNC Start=2500><P Class=KRCC>&nbsp;\n"
        "<SYNC Start=3000><P Class=KRCC>three<P Class=ENCC>drei\n<SYNC Start=4000><P Class=KRCC>&nbsp;\n</BODY></SAMI>"
    )
    assert cues_of(text) == [(1.0, 2.5, "one two"), (3.0, 4.0, "three")]
    assert "KRCC was read, not ENCC" in warnings_of(text)


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("a < b --> {now} & <i>c</i>", "vtt", "a &lt; b --&gt; {now} &amp; &lt;i&gt;c&lt;/i&gt;"),
        ("a < b & c", "srt", "a < b & c"),
        ("<i>a</i> {\\an8}", "srt", "&lt;i&gt;a&lt;/i&gt; &#123;\\an8}"),
    ],
)
def test_written_text_is_escaped(text: str, form: str, expected: str) -> None:
    written = subtitle_text([Subtitle(3661.5, 3662.25, text)], "vtt" if form == "vtt" else "srt")
    assert expected in written.split("\n")
    assert cues_of(written) == [(3661.5, 3662.25, text)]


def test_every_suffix_is_read(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        path = tmp_path / f"a{suffix}"
        path.write_text(TIMES + "one\n")  # the content decides
        assert [line.text for line in read_subtitles(path).subtitles] == ["one"]


def test_sidecar_sub_is_text_unless_it_has_an_index(tmp_path: Path) -> None:
    (tmp_path / "film.sub").write_text("{1}{1}25\n{25}{50}one\n")
    assert [track.name for track in find_sidecars(tmp_path / "film.mp4").tracks] == ["film.sub"]
    (tmp_path / "film.idx").touch()
    found = find_sidecars(tmp_path / "film.mp4")
    assert (found.tracks, found.unread) == ([], ["film.idx"])


def test_encoding_given(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(f"{TIMES}žluťoučký kůň\n".encode("iso8859_2"))
    assert read_subtitles(path, encoding="ISO-8859-2").subtitles[0].text == "žluťoučký kůň"
    for name in ("latin-99", "rot13", "punycode", ""):
        with pytest.raises(UsageError, match="encoding"):
            read_subtitles(path, encoding=name)


CUE = "1\n00:00:01,000 --> 00:00:02,000\n"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("if a<b and b>c", "if a<b and b>c"),
        ("x <i and j> y", "x <i and j> y"),
        ("a <b/c> d", "a <b/c> d"),
        ('<b class="x">bold</b> <i >it</i > <c.red>c</c> <font color=red>f</font>', "bold it c f"),
        ("<i/>kept", "kept"),
    ],
)
def test_letters_between_signs_are_not_tags(text: str, read: str) -> None:
    assert [line.text for line in parse_subtitles(f"{CUE}{text}\n".encode()).subtitles] == [read]


def test_text_on_the_line_of_times() -> None:
    (line,) = parse_subtitles(b"1\n00:00:01,000 --> 00:00:02,000 More: text\n").subtitles
    assert line.text == "More: text"


def test_line_ends_that_were_doubled() -> None:
    data = f"{CUE}Hello\n\n2\n00:00:03,000 --> 00:00:04,000\nBye\n".replace("\n", "\r\r\n").encode()
    assert [line.text for line in parse_subtitles(data).subtitles] == ["Hello", "Bye"]


def test_microdvd_style_is_not_spoken() -> None:
    lines = parse_subtitles(b"{1}{1}25\n{25}{50}Hello\n{DEFAULT}{}{C:1}\n{75}{100}Bye\n").subtitles
    assert [line.text for line in lines] == ["Hello", "Bye"]


def segment(ticks: int, *cues: str) -> str:
    header = f"WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:{ticks}\n\n"
    return header + "".join(f"00:00:01.000 --> 00:00:03.000\n{cue}\n\n" for cue in cues)


def test_empty_segments_of_a_stream() -> None:
    first = parse_subtitles((segment(900_000) + segment(1_440_000, "b")).encode()).subtitles
    assert [(line.start_s, line.text) for line in first] == [(7.0, "b")]
    middle = parse_subtitles((segment(900_000, "a") + segment(1_440_000) + segment(1_980_000, "b")).encode()).subtitles
    assert [(line.start_s, line.text) for line in middle] == [(1.0, "a"), (13.0, "b")]


@pytest.mark.parametrize("separator", ["", "-", "--", "–"])
def test_arrow_that_is_lost(separator: str) -> None:
    cues = "1\n00:00:01,000 --> 00:00:02,000\na\n\n2\n00:00:05,000 {0} 00:00:06,000\nb 10:00 11:30\n"
    found = parse_subtitles(cues.format(separator).encode()).subtitles
    assert [(line.start_s, line.end_s, line.text) for line in found] == [(1.0, 2.0, "a"), (5.0, 6.0, "b 10:00 11:30")]
    alone = parse_subtitles(f"1\n00:00:05,000 {separator} 00:00:06,000\nb\n".encode()).subtitles
    assert [(line.start_s, line.text) for line in alone] == [(5.0, "b")]


def test_text_that_whisper_prints() -> None:
    data = b"[00:00.000 --> 00:02.000]  Hello there\n[00:02.000 --> 00:04.500]  How are you\n"
    found = parse_subtitles(data).subtitles
    assert [(line.start_s, line.text) for line in found] == [(0.0, "Hello there"), (2.0, "How are you")]
