"""Speech to text, with a tiny Whisper whose only output is "o" for as long as there is speech."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from longvideoagent import ask, open_video
from longvideoagent.core.types import Subtitle
from longvideoagent.errors import DataError, UsageError
from longvideoagent.index.speech import transcribe
from longvideoagent.media import speech
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
        assert transcribe(short_video, "small") == []


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
    monkeypatch.setattr(speech, "transcribe", lambda _, model, **__: [Subtitle(1.5, 2.25, model)])
    assert [transcribe(talk, model)[0].text for model in ("small", "tiny")] == ["small", "tiny"]
    monkeypatch.setattr(speech, "transcribe", lambda *_, **__: [])
    assert [transcribe(talk, model)[0].text for model in ("small", "tiny")] == ["small", "tiny"]


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
    assert any("484 MB" in warning for warning in trace.warnings)


@needs_whisper
def test_transcribe_texts_and_times(talk: Path, whisper: str) -> None:
    fractions: list[float] = []
    lines = transcribe(talk, whisper, progress=lambda _, fraction: fractions.append(fraction))
    assert lines
    assert all(set(line.text) == {"o"} for line in lines)
    assert all(0.4 < line.start_s < line.end_s <= 6.3 for line in lines)
    assert 0 < fractions[-1] <= 1


@needs_whisper
def test_transcript_kept_by_content(talk: Path, whisper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = transcribe(talk, whisper)
    copy = tmp_path / "renamed.mp4"
    copy.write_bytes(talk.read_bytes())
    monkeypatch.setattr(speech, "transcribe", lambda *_, **__: [])
    assert transcribe(copy, whisper) == lines


@needs_whisper
def test_transcript_without_speech_is_kept(whisper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tone = (0.2 * np.sin(np.arange(RATE * 5) * 0.3)).astype(np.float32)
    write_talk(tmp_path / "tone.mp4", tone)
    assert transcribe(tmp_path / "tone.mp4", whisper) == []
    monkeypatch.setattr(speech, "transcribe", lambda *_, **__: [Subtitle(1.5, 2.25, "again")])
    assert transcribe(tmp_path / "tone.mp4", whisper) == []


@needs_whisper
def test_open_video_transcribes_without_subtitles(talk: Path, whisper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LVA_SPEECH_MODEL", whisper)
    video = open_video(talk)
    assert video.text_source == "the speech"
    assert all(line.source == "subtitle" for line in video.timeline.subtitles)


@needs_whisper
def test_transcribe_command_writes_sidecar(talk: Path, whisper: str, tmp_path: Path) -> None:
    video = tmp_path / "talk.mp4"
    video.write_bytes(talk.read_bytes())
    done = lva_process("transcribe", video, "--model", whisper)
    assert done.returncode == 0, done.stderr
    assert "talk.srt" in done.stderr
    assert open_video(video).text_source == "talk.srt"
    refusal("transcribe", video, "--model", whisper)
