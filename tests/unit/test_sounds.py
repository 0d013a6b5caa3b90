"""Sounds of a video: from tones at known times to events in its index."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.errors import DataError
from longvideoagent.index import sound_spans
from longvideoagent.index.events import Event, EventKind, read_events
from longvideoagent.index.open import index_sounds, open_video
from longvideoagent.index.query import query_timeline
from longvideoagent.index.sound_spans import Frames, Span, SpanFinder, is_voice, join_nearest
from longvideoagent.index.sounds import find_sounds, read_voices
from longvideoagent.index.stored_text import read_steps
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.media.isolation import disable, enable
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.sound import decode_sound, sound_blocks
from longvideoagent.models.sound_tagger import SoundTagger, load_tagger
from tests.fakes.tone_tagger import RATE, labels_csv, tone_model, tones, write_film, write_tagger
from tests.plugins.media import write_screens

pytestmark = pytest.mark.usefixtures("index_dir")
CUES = "1\n00:00:01,000 --> 00:00:02,000\nMira: The lanterns are red\n"
Found = list[tuple[str, float, float]]
Heard = tuple[str, float, float]


@pytest.fixture(scope="session")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> SoundTagger:
    return load_tagger(str(write_tagger(tmp_path_factory.mktemp("tagger") / "tones")))


def sounds_of(film: Path, tagger: SoundTagger) -> Found:
    with VideoIndex.open(film) as index:
        return [(event.label, event.start_s, event.end_s) for event in find_sounds(film, index, tagger)]


def covered(film: Path) -> list[str]:
    with VideoIndex.open(film) as index:
        return [step.covered for step in read_steps(index) if step.name == "sounds"]


def assert_close(found: Found, heard: Iterable[Heard], within_s: float = 0.73) -> None:
    """By default, half a window and half a hop: a faint score counts for speech."""
    expected = sorted(heard, key=lambda each: (each[1], each[2]))
    assert [each[0] for each in found] == [each[0] for each in expected]
    for (_, *times_s), (_, *expected_s) in zip(found, expected, strict=True):
        assert times_s == pytest.approx(expected_s, abs=within_s)


# --- the whole chain ------------------------------------------------------------------------------


def test_sounds_become_evidence(tmp_path: Path, tagger: SoundTagger) -> None:
    heard = ("Speech", 1.0, 3.0), ("Explosion", 5.0, 6.0), ("Music", 8.0, 12.0), ("Explosion", 9.0, 9.9)
    film = write_film(tmp_path / "film.mp4", tones(15, *heard))
    film.with_suffix(".srt").write_text(CUES)
    assert open_video(film).timeline.sounds is None
    fractions: list[float] = []
    assert_close(
        [(event.label, event.start_s, event.end_s) for event in _index(film, tagger, fractions)],
        heard,
    )
    assert fractions[-1] == 1.0
    timeline = open_video(film).timeline
    assert timeline.sounds is not None
    assert_close([(each.label, each.start_s, each.end_s) for each in timeline.sounds], heard)
    assert query_timeline("sounds explosion", timeline).is_found
    assert covered(film) == ["0:15 by tones, 4 sounds of 3 kinds"]


def _index(film: Path, tagger: SoundTagger, fractions: list[float]) -> tuple[Event, ...]:
    return index_sounds(open_reader(film), tagger, lambda _, fraction: fractions.append(fraction))


def test_sounds_are_found_once_for_each_tagger(tmp_path: Path, tagger: SoundTagger) -> None:
    film = write_film(tmp_path / "film.mp4", tones(4, ("Music", 0.5, 3.5)))
    fractions: list[float] = []
    first = _index(film, tagger, fractions)
    num_calls = len(fractions)
    assert _index(film, tagger, fractions) == first
    assert len(fractions) == num_calls
    labels = labels_csv(["Speech", "Siren", "Explosion"])
    other = load_tagger(str(write_tagger(tmp_path / "o", {"model.onnx": tone_model(), "labels.csv": labels})))
    assert [event.label for event in _index(film, other, fractions)] == ["Siren"]
    with VideoIndex.open(film) as index:
        assert [event.label for event in read_events(index, EventKind.SOUND) or ()] == ["Siren"]


def test_stopped_search_stores_nothing(tmp_path: Path, tagger: SoundTagger) -> None:
    film = write_film(tmp_path / "film.mp4", tones(65, ("Music", 1, 5), ("Music", 61, 64)))

    def stop(_stage: str, _fraction: float) -> None:
        raise KeyboardInterrupt

    with VideoIndex.open(film) as index:
        with pytest.raises(KeyboardInterrupt):
            find_sounds(film, index, tagger, stop)
        assert read_events(index, EventKind.SOUND) is None
    assert_close(sounds_of(film, tagger), [("Music", 1, 5), ("Music", 61, 64)])


@pytest.mark.parametrize("border_s", [60.0, 60.24, 59.5, 120.0])
def test_sounds_at_the_borders_of_blocks(tmp_path: Path, tagger: SoundTagger, border_s: float) -> None:
    heard = ("Explosion", border_s - 0.5, border_s + 0.5), ("Music", border_s - 4, border_s + 3)
    film = write_film(tmp_path / "film.mkv", tones(border_s + 8, *heard), codec="pcm_s16le")
    assert_close(sounds_of(film, tagger), heard)


def test_sounds_in_8_khz_mono(tmp_path: Path, tagger: SoundTagger) -> None:
    heard = ("Speech", 2.0, 4.0), ("Explosion", 6.0, 7.5)
    film = write_film(tmp_path / "film.mkv", tones(9, *heard, rate=8000), rate=8000, codec="pcm_s16le")
    assert_close(sounds_of(film, tagger), heard)


@pytest.mark.parametrize("pause_s", [0.1, 1.0, 40.0])
def test_sounds_after_a_pause_in_the_stream(tmp_path: Path, tagger: SoundTagger, pause_s: float) -> None:
    sound = tones(12, ("Explosion", 1, 2), ("Explosion", 8, 9), ("Music", 2, 11))
    path = tmp_path / "film.mkv"
    film = write_film(path, sound, codec="pcm_s16le", pause=(5.12, pause_s), seconds=60)
    blocks = list(sound_blocks(film, RATE))
    assert [block.start_s for block in blocks] == pytest.approx([0.0] if pause_s < 30 else [0.0, 45.12], abs=0.05)
    found = [each for each in sounds_of(film, tagger) if each[0] == "Explosion"]
    assert_close(found, [("Explosion", 1, 2), ("Explosion", 8 + pause_s, 9 + pause_s)])


def test_sound_in_pieces_is_that_of_frames(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", tones(3, ("Music", 1, 2), rate=44_100), rate=44_100)
    frames, pieces = list(decode_sound(film, RATE)), list(decode_sound(film, RATE, 0.3))
    assert len(pieces) < len(frames) / 8
    assert [piece.start_s for piece in pieces] == sorted({piece.start_s for piece in pieces})
    assert {piece.start_s for piece in pieces} <= {frame.start_s for frame in frames}
    one, other = (np.concatenate([each.samples for each in sounds]) for sounds in (frames, pieces))
    shorter = min(len(one), len(other))
    assert abs(len(one) - len(other)) <= 2
    assert np.abs(one[:shorter].astype(int) - other[:shorter]).max() <= 2


def test_sounds_of_an_audio_file(tmp_path: Path, tagger: SoundTagger) -> None:
    with wave.open(str(tmp_path / "talk.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((tones(5, ("Speech", 1, 3)) * 32767).astype("<i2").tobytes())
    assert_close(sounds_of(tmp_path / "talk.wav", tagger), [("Speech", 1, 3)])


@pytest.mark.parametrize("seconds", [0.1, 0.5, 0.97, 1.5])
def test_sounds_shorter_than_a_window(tmp_path: Path, tagger: SoundTagger, seconds: float) -> None:
    film = write_film(tmp_path / "film.mkv", tones(seconds, ("Explosion", 0, seconds)), codec="pcm_s16le")
    found = sounds_of(film, tagger)
    assert_close(found, [("Explosion", 0, seconds)] if seconds >= 0.5 else [], within_s=0.05)


def test_silence(tmp_path: Path, tagger: SoundTagger) -> None:
    film = write_film(tmp_path / "film.mp4", tones(5))
    assert sounds_of(film, tagger) == []
    assert covered(film) == ["0:05 by tones, no sounds that it knows"]
    with VideoIndex.open(film) as index:
        assert read_events(index, EventKind.SOUND) == ()


def test_no_sound(tmp_path: Path, tagger: SoundTagger) -> None:
    film = write_film(tmp_path / "film.mp4", None)
    frames = write_screens(tmp_path / "frames", ["SIGN"], seconds=2)
    for path in (film, frames):
        assert index_sounds(open_reader(path), tagger) == ()
    assert covered(film) == ["there is no sound"]


def test_sounds_read_in_a_child_process(tmp_path: Path, tagger: SoundTagger) -> None:
    film = write_film(tmp_path / "film.mp4", tones(65, ("Music", 57, 63)))
    enable()
    try:
        assert_close(sounds_of(film, tagger), [("Music", 57, 63)])
    finally:
        disable()


def test_tagger_that_fails_stores_nothing(tmp_path: Path) -> None:
    """It fails on sound and not on the silence that it is tried with."""
    folder = write_tagger(tmp_path / "bad", {"model.onnx": tone_model(gain=-1.0), "labels.csv": labels_csv()})
    film = write_film(tmp_path / "film.mp4", tones(3, ("Music", 1, 2)))
    with pytest.raises(DataError, match=r"model\.onnx"):
        sounds_of(film, load_tagger(str(folder)))
    assert covered(film) == []


# --- where voices are heard -----------------------------------------------------------------------


def test_voices(tmp_path: Path, tagger: SoundTagger) -> None:
    film = write_film(tmp_path / "film.mp4", tones(14, ("Music", 1, 5), ("Speech", 8, 10)))
    with VideoIndex.open(film) as index:
        assert read_voices(index) is None
        find_sounds(film, index, tagger)
        voices = read_voices(index)
    assert voices is not None
    ((start_s, end_s),) = voices.spans_s
    assert (start_s, end_s) == pytest.approx((8, 10), abs=0.73)


@pytest.mark.parametrize(("label", "spans_s"), [("Speech", ()), ("Bell", None)])
def test_no_voices_if_a_tagger_knows_some(tmp_path: Path, label: str, spans_s: tuple[()] | None) -> None:
    files = {"model.onnx": tone_model(), "labels.csv": labels_csv([label, "Music", "Explosion"])}
    film = write_film(tmp_path / "film.mp4", tones(4, ("Music", 1, 4)))
    with VideoIndex.open(film) as index:
        find_sounds(film, index, load_tagger(str(write_tagger(tmp_path / "tagger", files))))
        voices = read_voices(index)
    assert (None if voices is None else voices.spans_s) == spans_s


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Speech", True),
        ("speech", True),
        ("Narration, monologue", True),
        ("Child singing", True),
        ("Hubbub, speech noise, speech babble", True),
        ("Music", False),
        ("Rapids", False),
        ("Bird vocalization, bird call, bird song", False),
    ],
)
def test_voice_labels(label: str, expected: bool) -> None:
    assert is_voice(label) == expected


# --- from scores to spans -------------------------------------------------------------------------


def spans_of(label: str, scores: Sequence[float], *, block: int = 1000, hop_s: float = 0.5) -> list[Span]:
    """The spans of one label whose frames have these scores, given in blocks of so many frames."""
    finder = SpanFinder([label])
    for start in range(0, len(scores), block):
        part = np.array(scores[start : start + block], np.float32)[:, None]
        finder.add(Frames(np.arange(start, start + len(part) + 1, dtype=np.float64) * hop_s, part))
    return finder.finish()[0].get(label, [])


def test_span_lasts_until_the_score_is_low() -> None:
    found = spans_of("Dog", [0.3, 0.5, 0.25, 0.9, 0.2, 0.1, 0.1, 0.1, 0.3, 0.39, 0.1])
    assert found == [Span(0.0, 2.5, float(np.float32(0.9)))]


def test_spans_with_a_short_pause_are_one() -> None:
    assert spans_of("Dog", [0.5, 0, 0, 0.6]) == [Span(0, 2.0, float(np.float32(0.6)))]
    assert len(spans_of("Dog", [0.5, 0, 0, 0, 0.6])) == 2
    assert len(spans_of("Music", [0.5] * 4 + [0] * 10 + [0.6] * 4)) == 1
    assert len(spans_of("Speech", [0.2, *[0] * 6, 0.2])) == 1
    assert len(spans_of("Choir", [0.2, 0.9, *[0] * 6, 0.9, 0.2])) == 1


def test_short_spans_are_dropped() -> None:
    assert spans_of("Music", [0, 0.9, 0.9, 0]) == []
    assert spans_of("Dog", [0, 0.9, 0], hop_s=0.1) == []
    assert len(spans_of("Dog", [0, 0.9, 0])) == 1


def test_faint_speech_counts_if_it_lasts() -> None:
    assert spans_of("Speech", [0, 0.3, 0]) == spans_of("Dog", [0, *[0.3] * 9, 0]) == []
    assert len(spans_of("Speech", [0, 0.3, 0.15, 0])) == 1
    assert len(spans_of("Speech", [0, 0.4, 0])) == 1


@given(
    scores=st.lists(st.sampled_from([0.0, 0.15, 0.3, 0.5, 0.9]), max_size=60),
    block=st.integers(1, 60),
    label=st.sampled_from(["Dog", "Music", "Speech"]),
)
def test_blocks_without_effect(scores: list[float], block: int, label: str) -> None:
    whole = spans_of(label, scores)
    assert spans_of(label, scores, block=block) == whole
    assert all(before.end_s < after.start_s for before, after in pairwise(whole))


def test_too_many_spans_join_the_nearest() -> None:
    num_frames = 10 * sound_spans.MAX_SPANS_PER_LABEL
    scores = np.zeros((4 * num_frames, 2), np.float32)
    scores[::4] = 0.9
    finder = SpanFinder(["Dog", "Cat"])
    edges_s = np.arange(len(scores) + 1, dtype=np.float64) / 2
    for start in range(0, len(scores), 5000):
        part = scores[start : start + 5000]
        finder.add(Frames(edges_s[start : start + len(part) + 1], part))
    spans, joined = finder.finish()
    for label in ("Dog", "Cat"):
        assert len(spans[label]) == sound_spans.MAX_SPANS_PER_LABEL
        assert spans[label][0].start_s == 0.0
        assert spans[label][-1].end_s == edges_s[-4]
        assert joined[label] == num_frames - len(spans[label])


def test_join_nearest() -> None:
    spans = [Span(0, 1, 0.5), Span(3, 4, 0.9), Span(4.5, 5, 0.6), Span(9, 10, 0.7)]
    assert join_nearest(spans, 4) == spans
    assert join_nearest(spans, 3) == [spans[0], Span(3, 5, 0.9), spans[3]]
    assert join_nearest(spans, 1) == [Span(0, 10, 0.9)]
