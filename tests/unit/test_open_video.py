from __future__ import annotations

from pathlib import Path

import pytest

from longvideoagent.errors import DataError, UsageError
from longvideoagent.index.open import open_video
from longvideoagent.media.subtitles import SubtitleOptions

CUE = "1\n00:00:01,000 --> 00:00:02,000\nMira: Hello\n"
LATE = "1\n01:00:00,000 --> 01:00:01,000\nlate\n"


@pytest.fixture
def video_file(short_video: Path, tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(short_video.read_bytes())
    return path


def test_given_subtitles_before_sidecar(video_file: Path, tmp_path: Path) -> None:
    video_file.with_suffix(".srt").write_text(CUE.replace("Hello", "sidecar"))
    (tmp_path / "given.srt").write_text(CUE.replace("Hello", "given"))
    assert open_video(video_file).timeline.subtitles[0].text == "Mira: sidecar"
    assert open_video(video_file, tmp_path / "given.srt").timeline.subtitles[0].text == "Mira: given"


@pytest.mark.parametrize("unusable", [LATE, "", "Dear diary"])
def test_unusable_subtitles_fall_back_to_next_source(unusable: str, video_file: Path, tmp_path: Path) -> None:
    video_file.with_suffix(".srt").write_text(CUE)
    (tmp_path / "given.srt").write_text(unusable)
    video = open_video(video_file, tmp_path / "given.srt")
    assert video.text_source == "film.srt"
    assert any("given.srt" in warning and "ignored" in warning for warning in video.warnings)


def test_text_source_nowhere(video_file: Path) -> None:
    fractions: list[float] = []
    video = open_video(video_file, progress=lambda _, fraction: fractions.append(fraction))
    assert (video.text_source, video.text_origin) == ("nowhere", "no text")
    assert fractions[-1] == 1.0


@pytest.mark.parametrize("name", ["nowhere.srt", "."])
def test_subtitle_file_missing_is_an_error(name: str, video_file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="subtitle file"):
        open_video(video_file, tmp_path / name)


def test_subtitle_encoding_given(video_file: Path) -> None:
    video_file.with_suffix(".srt").write_bytes(CUE.replace("Hello", "Řeka").encode("mac_latin2"))
    options = SubtitleOptions(encoding="mac_latin2")
    video = open_video(video_file, options)
    assert (video.timeline.subtitles[0].text, video.warnings) == ("Mira: Řeka", ())
    with pytest.raises(UsageError, match="latin-99"):
        open_video(video_file, SubtitleOptions(encoding="latin-99"))
