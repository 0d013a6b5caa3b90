from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.media.subtitles import parse_subtitles
from longvideoagent.media.subtitles.cue import Cue
from longvideoagent.media.subtitles.repetition import merge_repeats

Timed = list[tuple[float, float, str]]


def parsed(cues: Timed) -> tuple[Timed, str]:
    """What is read of an SRT file with these cues, and its warnings."""

    def clock(time_s: float) -> str:
        ms = round(1000 * time_s)
        return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    blocks = [f"{n}\n{clock(start)} --> {clock(end)}\n{text}\n" for n, (start, end, text) in enumerate(cues, 1)]
    result = parse_subtitles("\n".join(blocks).encode())
    return [(line.start_s, line.end_s, line.text) for line in result.subtitles], "; ".join(result.warnings)


def test_rolling_captions_with_word_times() -> None:
    text = (
        "WEBVTT\nKind: captions\n\n"
        "00:00:00.500 --> 00:00:02.000 align:start position:0%\n"
        " \nwe<00:00:00.900><c> sail</c><00:00:01.300><c> at</c>\n\n"
        "00:00:02.000 --> 00:00:02.010 align:start position:0%\nwe sail at\n \n\n"
        "00:00:02.010 --> 00:00:04.000 align:start position:0%\nwe sail at\ndawn<00:00:02.500><c> with</c>\n\n"
        "00:00:04.000 --> 00:00:04.010 align:start position:0%\ndawn with\n \n\n"
        "00:00:04.010 --> 00:00:06.000 align:start position:0%\ndawn with\nthe<00:00:04.500><c> tide</c>\n\n"
    )
    result = parse_subtitles(text.encode())
    assert [(line.start_s, line.text) for line in result.subtitles] == [
        (0.5, "we sail at"), (2.01, "dawn with"), (4.01, "the tide"),
    ]  # fmt: skip
    assert "4 subtitle cues repeated lines" in " ".join(result.warnings)


def test_rolling_captions_of_three_lines() -> None:
    lines = [f"sentence number {n}" for n in range(12)]
    cues = [(float(n), n + 1.0, "\n".join(lines[max(0, n - 2) : n + 1])) for n in range(12)]
    texts, warnings = parsed(cues)
    assert [(start, text) for start, _, text in texts] == [(float(n), line) for n, line in enumerate(lines)]
    assert "11 subtitle cues repeated lines" in warnings


def test_captions_that_grow_by_words() -> None:
    words = ["the", "parcel", "is", "in", "the", "lighthouse"]
    cues = [(n * 0.5, n * 0.5 + 0.5, " ".join(words[: n + 1])) for n in range(6)]
    assert parsed([*cues, (9.0, 10.0, "The parcel")])[0] == [(0.0, 3.0, " ".join(words)), (9.0, 10.0, "The parcel")]


def test_sign_of_one_cue_a_frame_among_dialogue() -> None:
    frames = [(10 + n / 25, 10 + (n + 1) / 25, "HARBOUR") for n in range(50)]
    dialogue = [(10.5, 11.2, "Look."), (11.3, 11.9, "There.")]
    texts, warnings = parsed(sorted([*frames, *dialogue]))
    assert texts == [(10.0, 12.0, "HARBOUR"), (10.5, 11.2, "Look."), (11.3, 11.9, "There.")]
    assert "49 subtitle cues repeated" in warnings


def test_text_repeated_after_a_pause_is_kept() -> None:
    cues = [(1.0, 2.0, "No."), (2.5, 3.0, "No."), (4.0, 5.0, "No.\nYes."), (6.0, 7.0, "Yes.\nNo.")]
    assert parsed(cues) == ([(start, end, " ".join(text.split())) for start, end, text in cues], "")


def test_one_line_shared_by_chance_in_a_long_file_is_kept() -> None:
    cues = [(3.0 * n, 3.0 * n + 2, f"line {n}") for n in range(40)] + [
        (120.0, 122.0, "Wait.\nStop!"),
        (122.0, 123.0, "Stop!\nNow!"),
    ]
    texts, warnings = parsed(cues)
    assert [text for *_, text in texts[-2:]] == ["Wait. Stop!", "Stop! Now!"]
    assert warnings == ""


lines_of_cues = st.lists(
    st.tuples(
        st.integers(0, 20), st.integers(0, 5), st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("\n".join)
    ),
    max_size=30,
)


@given(lines_of_cues)
def test_merging_loses_no_text_and_keeps_the_order(drawn: list[tuple[int, int, str]]) -> None:
    cues = [Cue(float(start), float(start + length), text) for start, length, text in sorted(drawn)]
    merged = merge_repeats(cues)
    assert {line for cue in cues for line in cue.text.split("\n")} == {
        line for cue in merged.cues for line in cue.text.split("\n")
    }
    starts_s = [cue.start_s for cue in merged.cues]
    assert starts_s == sorted(start_s for start_s in starts_s if start_s is not None)
    assert len(merged.cues) >= len(cues) - merged.num_merged
