from __future__ import annotations

from pathlib import Path

import pytest

from longvideoagent.errors import DataError
from longvideoagent.media.subtitles import parse_subtitles, read_subtitles
from tests.plugins.environment import SHARED

SRT = "1\n00:00:01,000 --> 00:00:02,500\nMira: Hello\nthere\n\n2\n00:01:00,000 --> 00:01:02,000\n<i>Bye</i>\n"


def parsed_cues(data: bytes | str) -> list[tuple[float, float, str]]:
    cues, _ = parse_subtitles(data.encode() if isinstance(data, str) else data)
    return [(cue.start_s, cue.end_s, cue.text) for cue in cues]


def warnings_of(data: str) -> str:
    return " ".join(parse_subtitles(data.encode())[1])


EXPECTED = [(1.0, 2.5, "Mira: Hello there"), (60.0, 62.0, "Bye")]


def test_srt() -> None:
    assert parsed_cues(SRT) == EXPECTED


def test_vtt_voices_notes_styles_settings() -> None:
    text = (
        "WEBVTT - a film\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE\nnot spoken --> at all\n\n"
        "intro\n00:01.000 --> 00:02.500 align:start\n<v Mira>Hello <c.loud>there</c></v>\n\n"
        "00:01:00.000 --> 00:01:02.000\n<00:01:00.500>Bye &amp; out\n"
    )
    assert parsed_cues(text) == [(1.0, 2.5, "Mira: Hello there"), (60.0, 62.0, "Bye & out")]


def test_vtt_header_missing() -> None:
    assert parsed_cues("00:01.000 --> 00:02.500\nMira: Hello there\n\n01:00.000 --> 01:02.000\nBye\n") == EXPECTED


def test_ass_overrides_and_comments() -> None:
    text = (
        "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,Arial\n\n"
        "[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,not shown\n"
        r"Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\an8\b1}Mira: Hello\Nthere" + "\n"
        "Dialogue: 0,0:01:00.00,0:01:02.00,Default,,0,0,0,,Bye\n"
    )
    assert parsed_cues(text) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encoding_unicode(encoding: str) -> None:
    text = SRT.replace("Hello", "Grüße 你好")
    assert parsed_cues(text.encode(encoding))[0][2] == "Mira: Grüße 你好 there"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("latin-1", "Où est le garçon? Él mañana está aquí."),
        ("latin-1", "Schöne Grüße, äußerst übel"),
        ("cp1252", "“Café” — déjà vu…"),
        ("gbk", "你好，世界。今天天气很好"),
        ("gbk", "我们走吧 OK"),
        ("gbk", "今天天气很好，我们回家吧。" * 5),
        ("cp1251", "Привет, как дела? Мы идём домой, сегодня хорошая погода. Что ты делаешь вечером?"),
        ("iso8859_7", "Γεια σας, τι κάνετε; Πάμε σπίτι, ο καιρός είναι καλός. Θέλω να φάω κάτι τώρα."),
        ("big5", "你好，我們回家吧。今天天氣很好，" * 4),
        ("shift_jis", "こんにちは、家に帰りましょう。今日はいい天気です。" * 2),
        ("euc_kr", "안녕하세요 우리는 집에 갑니다 오늘 날씨가 좋습니다 " * 2),
    ],
)
def test_encoding_legacy_is_guessed_with_a_warning(encoding: str, text: str) -> None:
    data = SRT.replace("Hello", text).encode(encoding)
    assert parsed_cues(data)[0][2] == f"Mira: {' '.join(text.split())} there"
    assert "were read as" in " ".join(parse_subtitles(data)[1])


def test_encoding_utf_16_without_byte_order_mark() -> None:
    assert parsed_cues(SRT.replace("Hello", "一一").encode("utf-16-le"))[0][2] == "Mira: 一一 there"


def test_encoding_one_invalid_byte() -> None:
    data = SRT.replace("Hello", "Grüße, äußerst schön").encode() + b"\xff"
    assert parsed_cues(data)[0][2] == "Mira: Grüße, äußerst schön there"
    assert "invalid UTF-8" in " ".join(parse_subtitles(data)[1])


def test_cue_with_blank_line_inside() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,500\nMira: Hello\n\nthere\n\n2\n00:01:00,000 --> 00:01:02,000\nBye\n"
    assert parsed_cues(text) == EXPECTED


def test_cue_control_characters_are_removed() -> None:
    assert parsed_cues(SRT.replace("Hello", "\x1b]0;x\x07Hello\x1b[31m"))[0][2] == "Mira: ]0;x Hello [31m there"


def test_cues_out_of_order_are_sorted_with_a_warning() -> None:
    text = "1\n00:01:00,000 --> 00:01:02,000\nBye\n\n2\n00:00:01,000 --> 00:00:02,500\nMira: Hello there\n"
    assert parsed_cues(text) == EXPECTED
    assert "out of order" in warnings_of(text)


def test_cue_end_before_start_gets_a_length() -> None:
    text = "1\n00:00:10,000 --> 00:00:05,000\nA\n\n2\n00:00:11,000 --> 00:00:12,000\nB\n"
    assert parsed_cues(text) == [(10.0, 11.0, "A"), (11.0, 12.0, "B")]
    assert "1 subtitle cue ended before it started" in warnings_of(text)


def test_cues_without_blank_lines_or_numbers() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,500\nMira: Hello there\n2\n00:01:00,000 --> 00:01:02,000\nBye"
    assert parsed_cues(text) == EXPECTED


def test_cue_text_that_is_a_number() -> None:
    assert parsed_cues("1\n00:00:01,000 --> 00:00:02,000\n42\n\n2\n00:00:03,000 --> 00:00:04,000\nx\n")[0][2] == "42"


def test_srt_windows_line_ends_and_unusual_timestamps() -> None:
    text = "1\r\n0:00:01.0 --> 00:00:02,5\r\nMira: Hello there\r\n\r\n2\r\n1:00,000-->1:02\r\nBye\r\n"
    assert parsed_cues(text) == EXPECTED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" \n\n",
        b"\xef\xbb\xbf",
        bytes(range(256)) * 20,
        b"\x1f\x8b\x08" + b"\x00\x01\x02" * 300,
        b"Dear diary,\n",
        b"WEBVTT\n",
    ],
)
def test_not_a_subtitle_file_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match=";"):
        parse_subtitles(data)


def test_error_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_bytes(b"")
    for path in (tmp_path / "a.srt", tmp_path / "none.srt", tmp_path):
        with pytest.raises(DataError, match=str(path)):
            read_subtitles(path)


@pytest.mark.shared
def test_real_subtitle_files() -> None:
    media = SHARED / "media"
    for name, start in (("sintel-en.vtt", "What brings you"), ("sintel-de.vtt", "Adern fließt")):
        lines, warnings = read_subtitles(media / name)
        assert len(lines) > 3
        assert any(start in line.text for line in lines), lines
        assert not any("<" in line.text for line in lines)
        assert warnings == []
    assert read_subtitles(media / "subtitles-unicode.srt")[0]
