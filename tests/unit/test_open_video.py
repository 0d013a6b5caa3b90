from __future__ import annotations

from pathlib import Path

import pytest

from longvideoagent.errors import DataError
from longvideoagent.index.open import open_video

CUE = "1\n00:00:01,000 --> 00:00:02,000\nMira: Hello\n"
LATE = "1\n01:00:00,000 --> 01:00:01,000\nlate\n"


@pytest.fixture
def film(short_video: Path, tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(short_video.read_bytes())
    return path


def test_given_subtitles_come_before_those_beside(film: Path, tmp_path: Path) -> None:
    film.with_suffix(".srt").write_text(CUE.replace("Hello", "beside"))
    (tmp_path / "given.srt").write_text(CUE.replace("Hello", "given"))
    assert open_video(film).timeline.subtitles[0].text == "Mira: beside"
    assert open_video(film, tmp_path / "given.srt").timeline.subtitles[0].text == "Mira: given"


@pytest.mark.parametrize("useless", [LATE, "", "Dear diary"])
def test_subtitles_of_no_use_make_way_for_the_next_source(useless: str, film: Path, tmp_path: Path) -> None:
    film.with_suffix(".srt").write_text(CUE)
    (tmp_path / "given.srt").write_text(useless)
    episode = open_video(film, tmp_path / "given.srt")
    assert episode.text_source == "film.srt"
    assert any("given.srt" in warning and "ignored" in warning for warning in episode.warnings)


def test_without_any_text_that_is_said(film: Path) -> None:
    told: list[float] = []
    episode = open_video(film, progress=lambda _, fraction: told.append(fraction))
    assert episode.text_source == "nowhere"
    assert told[-1] == 1.0


@pytest.mark.parametrize("name", ["nowhere.srt", "."])
def test_a_subtitle_file_that_is_none_is_an_error(name: str, film: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="subtitle file"):
        open_video(film, tmp_path / name)
