"""``lva index --sound``, and what ``lva doctor`` says about it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from longvideoagent.cli.doctor import run_checks
from longvideoagent.weights.store import weights_dir
from tests.fakes.tone_tagger import labels_csv, tone_files, tone_model, tones, write_film, write_tagger
from tests.plugins.cli import lva, refusal
from tests.plugins.weights import WeightsHome

CUES = "1\n00:00:01,000 --> 00:00:02,000\nMira: The lanterns are red\n"


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LVA_INDEX_DIR", str(tmp_path / "indexes"))
    path = write_film(tmp_path / "film.mp4", tones(10, ("Speech", 1, 3), ("Explosion", 6, 7)))
    path.with_suffix(".srt").write_text(CUES)
    return path


def test_command_finds_sounds(film: Path, tmp_path: Path) -> None:
    tagger = write_tagger(tmp_path / "tones")
    assert re.fullmatch(r".*: 0:10, 1 line from film.srt, \d+ KB\n", lva("index", film).stdout)
    assert "sounds:" not in lva("index", "--status", film).stdout
    done = lva("index", "--sound", tagger, film)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r".*: 0:10, 1 line from film.srt, 2 sounds, \d+ KB\n", done.stdout)
    status = lva("index", "--status", film).stdout
    assert re.search(r"  sounds: 0:10 by tones, 2 sounds of 2 kinds \(\d+\.\d s\)", status)
    asked = lva("ask", film, "When is the explosion?")
    assert "0:06" in asked.stdout or "0:05" in asked.stdout


def test_command_with_weights_of_the_user(film: Path, weights_home: WeightsHome) -> None:
    write_tagger(weights_dir(weights_home.describe(tone_files(), name="tones")))
    assert lva("index", "--sound", "tones", film).returncode == 0
    assert "sounds: 0:10 by tones" in lva("index", "--status", film).stdout


def test_command_states_the_cost_of_what_takes_long(film: Path, tmp_path: Path) -> None:
    write_film(film, tones(3, ("Speech", 1, 2)), seconds=7200)
    tagger = write_tagger(tmp_path / "tones")
    done = lva("index", "--sound", tagger, film)
    assert re.search(r"listening to 1 of 1 video, 2:00:00 of sound, takes about \d+ s of CPU time", done.stderr)
    assert "listening" not in lva("index", "--sound", tagger, film).stderr


def test_command_of_a_folder(film: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    film.rename(videos / "one.mp4")
    write_film(videos / "two.mp4", None)
    for name in ("one.srt", "two.srt"):
        (videos / name).write_text(CUES)
    done = lva("index", "--sound", write_tagger(tmp_path / "tones"), videos)
    assert done.returncode == 0
    assert [line.split(", ")[2] for line in done.stdout.splitlines()] == ["2 sounds", "no sounds"]
    status = lva("index", "--status", videos).stdout
    assert status.count("  sounds: 0:10 by tones") == status.count("  sounds: there is no sound") == 1


def test_command_refusals(film: Path, tmp_path: Path) -> None:
    refused = refusal("index", "--sound", "yamnet", film)
    assert refused.endswith("yamnet: no such weights or folder; give a folder; docs/sound.md says what is in one")
    write_tagger(tmp_path / "bad", {"model.onnx": tone_model()[:-50], "labels.csv": labels_csv()})
    assert "model.onnx" in refusal("index", "--sound", tmp_path / "bad", film)
    assert "some parts are indexed" not in lva("index", "--status", film).stdout


def test_tagger_that_fails_is_one_line(film: Path, tmp_path: Path) -> None:
    bad = write_tagger(tmp_path / "bad", {"model.onnx": tone_model(gain=-1.0), "labels.csv": labels_csv()})
    done = lva("index", "--sound", bad, film)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "gives scores that are not numbers of 0 to 1" in line


def doctor_line(name: str = "sound tagger") -> str:
    (line,) = [f"{each.state}: {each.detail}" for each in run_checks() if each.name == name]
    return line


def test_doctor_shows_the_tagger(weights_home: WeightsHome) -> None:
    """A folder is enough; weights count once they are on this machine."""
    pytest.importorskip("onnxruntime")
    assert doctor_line().startswith("absent: none known by name")
    assert doctor_line().endswith("a folder is enough: lva index --sound FOLDER (docs/sound.md)")
    described = weights_home.describe(tone_files(), name="tones")
    assert doctor_line().endswith(", or lva weights get tones")
    write_tagger(weights_dir(described))
    assert doctor_line() == "ok: lva index --sound tones finds sounds with their times"


@pytest.mark.usefixtures("weights_home")
def test_doctor_extra_without_its_weights() -> None:
    """An extra that is installed is not ready before its weights are there, or a folder is given."""
    line = doctor_line("extra objects")
    assert line.startswith(("ok: installed, but its weights are not on this machine", "absent: adds objects"))
    if line.startswith("ok"):
        assert line.endswith("; lva weights get dfine-nano, or give a folder (docs/objects.md)")
    assert doctor_line("weights dfine-nano").startswith("absent: ")
