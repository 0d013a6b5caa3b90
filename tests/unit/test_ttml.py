from __future__ import annotations

import pytest

from longvideoagent.errors import DataError
from longvideoagent.media.subtitles import parse_subtitles

Cues = list[tuple[float, float, str]]


def document(body: str, root: str = "", body_attributes: str = "", head: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="en" {root}>'
        f"<head>{head}</head><body {body_attributes}>{body}</body></tt>"
    )


def cues_of(text: str) -> Cues:
    lines = parse_subtitles(text.encode()).subtitles
    return [(round(line.start_s, 6), round(line.end_s, 6), line.text) for line in lines]


@pytest.mark.parametrize(
    ("root", "begin", "end", "start_s", "end_s"),
    [
        ("", "00:01:02.5", "00:01:04", 62.5, 64.0),
        ("", "1.5h", "1.6h", 5400.0, 5760.0),
        ("", "2m", "130s", 120.0, 130.0),
        ("", "1500ms", "2.25s", 1.5, 2.25),
        ("", "12.5", "13", 12.5, 13.0),
        ("", "1:02.5", "1:04", 62.5, 64.0),
        ("", "30f", "60f", 1.0, 2.0),
        ('ttp:frameRate="25"', "00:00:01:05", "00:00:02:00", 1.2, 2.0),
        ('ttp:frameRate="24" ttp:frameRateMultiplier="1000 1001"', "24f", "48f", 1.001, 2.002),
        ('ttp:frameRate="25" ttp:subFrameRate="2"', "00:00:01:05.1", "00:00:02:00", 1.22, 2.0),
        ('ttp:tickRate="10000000"', "15000000t", "20000000t", 1.5, 2.0),
        ('ttp:frameRate="50"', "50t", "100t", 1.0, 2.0),
        ("", "2t", "3t", 2.0, 3.0),
        (
            'ttp:timeBase="smpte" ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001" ttp:dropMode="dropNTSC"',
            "00:10:00:00", "00:10:01:00", 599.9994, 601.0004,
        ),
        (
            'ttp:timeBase="smpte" ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001" ttp:dropMode="nonDrop"',
            "00:00:10:00", "00:00:20:00", 10.01, 20.02,
        ),
    ],
)  # fmt: skip
def test_time_expressions(root: str, begin: str, end: str, start_s: float, end_s: float) -> None:
    text = document(f'<div><p begin="{begin}" end="{end}">one</p></div>', root)
    line = parse_subtitles(text.encode()).subtitles[0]
    assert (line.start_s, line.end_s) == pytest.approx((start_s, end_s), abs=1e-3)


def test_times_count_from_the_element_around() -> None:
    text = document('<div begin="1s"><p begin="1s" dur="2s">one<br/>two</p></div>', "", 'begin="10s"')
    assert cues_of(text) == [(12.0, 14.0, "one two")]
    shifted = document(
        '<div begin="-01:00:00:00"><p begin="01:00:05:00" end="01:00:10:00">one</p></div>', 'ttp:frameRate="25"'
    )
    assert cues_of(shifted) == [(5.0, 10.0, "one")]
    sequence = document('<div timeContainer="seq"><p dur="2s">one</p><p begin="1s" dur="2s">two</p></div>')
    assert cues_of(sequence) == [(0.0, 2.0, "one"), (3.0, 5.0, "two")]


def test_times_of_apple_count_from_the_document() -> None:
    body = (
        '<div begin="17.292" end="22.0"><p begin="17.292" end="19.5"><span begin="17.292" end="17.998">Good</span> '
        '<span begin="18.0" end="19.5">morn</span><span begin="19.0" end="19.5">ing</span></p>'
        '<p begin="20.1" end="22.0">again</p></div>'
        '<div begin="1:00.5" end="1:05.0"><p begin="1:00.5" end="1:05.0">end</p></div>'
    )
    assert cues_of(document(body, "", 'dur="3:00"')) == [
        (17.292, 19.5, "Good morning"), (20.1, 22.0, "again"), (60.5, 65.0, "end"),
    ]  # fmt: skip


def test_spans_with_times_of_their_own() -> None:
    sentences = document(
        '<p><span begin="1s" end="2s">One two.</span> <span begin="3s" end="4s">Three four.</span></p>'
    )
    assert cues_of(sentences) == [(1.0, 2.0, "One two."), (3.0, 4.0, "Three four.")]
    words = document('<p><span begin="1s" end="2s">One</span> <span begin="3s" end="4s">two.</span></p>')
    assert cues_of(words) == [(1.0, 4.0, "One two.")]


def test_programme_start_of_ebu() -> None:
    head = "<metadata><ebuttm:documentStartOfProgramme>10:00:00:00</ebuttm:documentStartOfProgramme></metadata>"
    text = document(
        '<p begin="10:00:02:00" end="10:00:03:00">one</p>', 'ttp:timeBase="smpte" ttp:frameRate="25"', head=head
    )
    assert cues_of(text) == [(2.0, 3.0, "one")]


def test_speakers_and_metadata() -> None:
    head = '<ttm:agent xml:id="a1" type="person"><ttm:name type="full">Ana</ttm:name></ttm:agent><title>no</title>'
    body = '<p begin="1s" end="2s" ttm:agent="a1"><metadata>no</metadata>hello\n   there</p>'
    assert cues_of(document(body, head=head)) == [(1.0, 2.0, "Ana: hello there")]


def test_unreadable_times_are_reported() -> None:
    parsed = parse_subtitles(
        document('<p begin="later" end="2s">one</p><p begin="3s" end="4s">two</p><p>three</p>').encode()
    )
    assert sorted(line.text for line in parsed.subtitles) == ["one", "three", "two"]
    assert "2 subtitle cues have times that cannot be read" in " ".join(parsed.warnings)


def test_bare_ampersands_and_html_entities() -> None:
    parsed = parse_subtitles(document('<p begin="1s" end="2s">salt & pepper&nbsp;&lt; 3 <br>more</p>').encode())
    assert [line.text for line in parsed.subtitles] == ["salt & pepper < 3 more"]
    assert "not escaped" in " ".join(parsed.warnings)


def test_cut_off_document_is_read_until_there() -> None:
    text = document('<p begin="1s" end="2s">one</p><p begin="3s" end="4s">two</p>').partition("</p><p")[0] + "</p><p"
    parsed = parse_subtitles(text.encode())
    assert [line.text for line in parsed.subtitles] == ["one"]
    assert "the XML is damaged" in " ".join(parsed.warnings)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE tt [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><tt><body><p begin="1s">&b;</p></body></tt>',
        '<!DOCTYPE tt [<!ENTITY a SYSTEM "file:///etc/hostname">]><tt><body><p begin="1s">&a;</p></body></tt>',
        "<?xml version='1.0'?><svg><text>one</text></svg>",
        "<tt><body><div></div></body></tt>",
        "<tt><body><p>one</p></body></tt>",
        "<?xml version='1.0'?>",
    ],
)
def test_refused_documents(text: str) -> None:
    with pytest.raises(DataError, match=";"):
        parse_subtitles(text.encode())


def lyrics(*starts_s: float) -> str:
    lines = "".join(f"<p begin='{start}' end='{start + 2}'>at {start:g}</p>" for start in starts_s)
    return f"<tt><body><div begin='20.0' end='44.0'>{lines}</div></body></tt>"


@pytest.mark.parametrize("outside_s", [5.0, 18.0, 50.0])
def test_line_of_lyrics_outside_of_its_part(outside_s: float) -> None:
    starts_s = [20.0, 24.0, 28.0, 32.0, 36.0, 40.0, outside_s]
    found = [(line.start_s, line.end_s, line.text) for line in parse_subtitles(lyrics(*starts_s).encode()).subtitles]
    assert found == [(start, start + 2, f"at {start:g}") for start in sorted(starts_s)]


def test_times_from_the_element_around_with_one_beyond_its_end() -> None:
    found = [line.start_s for line in parse_subtitles(lyrics(0.0, 4.0, 8.0, 12.0, 30.0).encode()).subtitles]
    assert found[:4] == [20.0, 24.0, 28.0, 32.0]
