"""Files that programs and people have broken: cut off, joined, retyped, with line ends doubled."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.media.subtitles import parse_subtitles
from longvideoagent.media.subtitles.cue import MAX_CUES

Cues = list[tuple[float, str]]
TWO = "1\n00:00:01,000 --> 00:00:02,000\nGood morning\n\n2\n00:00:03,000 --> 00:00:04,000\nto all\n"
EVENTS = (
    "[Script Info]\nTitle: x\n[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)


def cues_of(data: str | bytes) -> Cues:
    data = data.encode() if isinstance(data, str) else data
    return [(line.start_s, line.text) for line in parse_subtitles(data).subtitles]


def warnings_of(text: str) -> str:
    return "; ".join(parse_subtitles(text.encode()).warnings)


def event(start: str, text: str) -> str:
    return f"Dialogue: 0,0:00:{start},0:00:59.00,Default,,0,0,0,,{text}\n"


@pytest.mark.parametrize("length", range(1, len("3\n00:00:05,000 --> 00:00:06,00")))
def test_cut_inside_the_times_of_srt(length: int) -> None:
    text = TWO + "\n" + "3\n00:00:05,000 --> 00:00:06,00"[:length]
    assert cues_of(text) == [(1.0, "Good morning"), (3.0, "to all")]
    assert "the file ends inside a cue" in warnings_of(text)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n\n00:03.0", "Hi"),
        ("0:00:01.000,0:00:02.000\nHi\n\n0:00:03.", "Hi"),
        ("0:00:01.000,0:00:02.000\nHi\n\n0:00:03.000,0:0", "Hi"),
        (EVENTS + event("01.00", "Hi") + "Dialogue: 0,0:00:03.00,0:0", "Hi"),
        (EVENTS + event("01.00", "Hi") + "Dialo", "Hi"),
        ("{1}{1}25\n{25}{50}Hi\n{75}{1", "Hi"),
        ("[10][20]Hi\n[30]", "Hi"),
        ("00:00:01:Hi\n00:00:0", "Hi"),
        ("[00:01.00]Hi\n[00:0", "Hi"),
        ("<SAMI><BODY><SYNC Start=1000><P Class=A>Hi\n<SYNC Sta", "Hi"),
    ],
)
def test_cut_inside_the_times_of_other_formats(text: str, spoken: str) -> None:
    assert cues_of(text) == [(1.0, spoken)]
    assert "the file ends inside a cue" in warnings_of(text)


@pytest.mark.parametrize("last", ["10:30", "3", "2 > 1", "[applause]"])
def test_last_line_like_times_is_spoken(last: str) -> None:
    assert cues_of(f"{TWO}{last}\n") == [(1.0, "Good morning"), (3.0, f"to all {last}")]


@pytest.mark.parametrize("num_blank", [1, 2])
def test_blank_lines_between_all_lines(num_blank: int) -> None:
    text = "3\n".join([TWO, "00:00:05,000 --> 00:00:06,000\n7\n"])
    spread = text.replace("\n", "\n" * (1 + num_blank))
    assert cues_of(spread) == [(1.0, "Good morning"), (3.0, "to all"), (5.0, "7")]
    assert not warnings_of(spread)


def test_numbers_that_are_said_before_a_blank_line() -> None:
    text = "".join(f"00:00:0{n},000 --> 00:00:0{n},900\ncount\n\n{n}\n\n" for n in (1, 2, 3))
    assert cues_of(text) == [(1.0, "count 1"), (2.0, "count 2"), (3.0, "count 3")]


@pytest.mark.parametrize(
    "times", ["00:00:05,000 --> zz", "00:00:05,000 --> 00:00:zz,000", "00:00:05,000 --> 00:00:06 z,5"]
)
def test_end_that_cannot_be_read_is_not_spoken(times: str) -> None:
    text = f"{TWO}\n3\n{times}\nBye\n"
    assert cues_of(text)[-1] == (5.0, "Bye")
    assert "no end" in warnings_of(text) or "cannot be read" in warnings_of(text)


def test_text_after_an_arrow_without_end_is_spoken() -> None:
    assert cues_of("1\n00:00:01,000 --> Hello\n\n2\n00:00:03,000 --> 00:00:04,000\nBye\n") == [
        (1.0, "Hello"),
        (3.0, "Bye"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "[00:01.00]one\n[00:zz.00]two\n[00:09.00]three\n",
        "00:00:01:one\n00:0z:05:two\n00:00:09:three\n",
        "{1}{1}25\n{25}{50}one\n{z5}{150}two\n{225}{250}three\n",
    ],
)
def test_unreadable_time_of_one_line_is_not_spoken(text: str) -> None:
    assert [spoken for _, spoken in cues_of(text)] == ["one", "two", "three"]
    assert "1 subtitle cue has times that cannot be read" in warnings_of(text)


def test_ass_event_on_several_lines() -> None:
    text = (
        EVENTS
        + event("01.00", "We met")
        + "in Rome: yes\n[laughs]\n; a remark\n"
        + "Comment: 0,0:00:02.00,0:00:03.00,Default,,0,0,0,,unsaid\nunsaid too\n"
        + event("04.00", "Bye")
        + "\n[Fonts]\nfontname: x.ttf\nABCDEF\n"
    )
    assert cues_of(text) == [(1.0, "We met in Rome: yes [laughs]"), (4.0, "Bye")]
    assert "2 lines without a field's name" in warnings_of(text)


def test_tmplayer_in_brackets() -> None:
    assert cues_of("[00:00:01]one|two\n[00:59:58]late\n[01:02:03]later\n") == [
        (1.0, "one two"),
        (3598.0, "late"),
        (3723.0, "later"),
    ]
    assert cues_of("[00:01:01]one\n[00:02:75]two\n") == [(1.01, "one"), (2.75, "two")]
    assert cues_of("[00:01.00]one\n[00:12:50]two\n") == [(1.0, "one"), (12.5, "two")]


WIDE = str.maketrans("0123456789:,.", "０１２３４５６７８９：，．")


@pytest.mark.parametrize("written", ["0123456789", ":", ",.", "0123456789:,."])
@pytest.mark.parametrize(
    "text",
    [
        "1\n00:00:01,000 --> 00:00:02,000\n{0}\n\n2\n00:00:03,000 --> 00:00:04,000\nend\n",
        "WEBVTT\n\n00:01.000 --> 00:02.000\n{0}\n\n00:03.000 --> 00:04.000\nend\n",
        "0:00:01.000,0:00:02.000\n{0}\n\n0:00:03.000,0:00:04.000\nend\n",
        "[00:01.00]{0}\n[00:03.00]end\n",
        "00:00:01:{0}\n00:00:03:end\n",
        EVENTS + event("01.00", "{0}") + event("03.00", "end"),
    ],
)
def test_times_with_full_width_signs(text: str, written: str) -> None:
    said = "十二：３０に会う，１．５倍"

    def retyped(match: re.Match[str]) -> str:
        return "".join(sign.translate(WIDE) if sign in written else sign for sign in match[0])

    assert cues_of(re.sub(r"\d+:\d\d(?::\d\d)?(?:[.,]\d+)?", retyped, text).replace("{0}", said)) == [
        (1.0, said),
        (3.0, "end"),
    ]


def part(num: int, first_s: int, word: str) -> str:
    times = [(first_s + 10 * index, first_s + 10 * index + 5) for index in range(num)]
    clock = "00:{0:02}:{1:02},000"
    return "".join(
        f"{number}\n{clock.format(*divmod(start, 60))} --> {clock.format(*divmod(end, 60))}\n{word} {number}\n\n"
        for number, (start, end) in enumerate(times, 1)
    )


@pytest.mark.parametrize("first_s", [2, 4])
def test_joined_discs_are_reported(first_s: int) -> None:
    text = part(120, 2, "one") + part(100, first_s, "two")
    assert "numbers and times of the cues start again once" in warnings_of(text)
    assert len(cues_of(text)) == 220
    assert "start again 2 times" in warnings_of(text + part(5, 1, "three"))
    assert "start again" not in warnings_of(part(120, 2, "one") + part(100, 1300, "two"))


@pytest.mark.parametrize(
    ("line", "num_lines", "num_ignored"),
    [
        ("[00:01.00]la\n", MAX_CUES + 50_000, 50_000),
        ("[00:01.00][00:02.00]la\n", MAX_CUES // 2 + 7, 14),
        ("00:00:01:la\n", MAX_CUES + 9, 9),
    ],
)
def test_lines_after_the_limit_are_counted(line: str, num_lines: int, num_ignored: int) -> None:
    assert f"{num_ignored} cues after the first {MAX_CUES} were ignored" in warnings_of(line * num_lines)


@given(st.lists(st.sampled_from(["[00:01.00]a", "[00:0z.00]b", "[00:", "c", "", "[01:02:03]d", "[x:y]"]), max_size=12))
def test_lyrics_keep_every_word(lines: list[str]) -> None:
    text = "\n".join(["[00:00.50]begin", *lines, "[09:09.00]end"])
    spoken = " ".join(text for _, text in cues_of(text))
    assert all(word in spoken for line in lines for word in "abcd" if line.endswith(word))


@pytest.mark.parametrize("said", ["안녕", "사랑해", "여보세요?", "쉿, 조용히 해"])
@pytest.mark.parametrize(
    "form",
    [
        "<SYNC Start={t}><P Class=KRCC>{said}<br>\n",
        "<SYNC Start={t}><P Class=KRCC><font color='#ffffff'><b>{said}</b></font>\n",
    ],
)
def test_korean_sami(said: str, form: str) -> None:
    head = (
        "<SAMI>\n<HEAD>\n<TITLE>A film</TITLE>\n<STYLE TYPE='text/css'>\n<!--\nP { margin-left: 8pt; "
        "font-size: 20pt; text-align: center; font-family: arial, sans-serif; color: white; }\n"
        ".KRCC { Name: Korean; lang: ko-KR; SAMIType: CC; }\n-->\n</STYLE>\n</HEAD>\n<BODY>\n"
    )
    for begin in ("", head):
        text = begin + form.format(t=1000, said=said) + form.format(t=4000, said="네")
        assert cues_of(text.encode("cp949")) == [(1.0, said), (4.0, "네")]
