"""What ``lva ask`` says about something else than a video."""

from __future__ import annotations

from pathlib import Path

import pytest

from longvideoagent.cli.video_argument import check_video_argument
from longvideoagent.errors import DataError, UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with talk.mp4, frames/00001.jpg, and season/ with four videos; also the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("talk.mp4", "notes.txt", "frames/00001.jpg", *(f"season/e{number}.mkv" for number in range(4))):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("video", "message"),
    [
        ("tlak.mp4", "tlak.mp4: no such file; did you mean talk.mp4?"),
        ("talk", "did you mean talk.mp4?"),
        ("TALK.MP4", "did you mean talk.mp4?"),
        ("saeson/e1.mkv", "did you mean season/e1.mkv?"),
        ("season", "season: a folder of 4 videos (e0.mkv, e1.mkv, e2.mkv, …); give one of them, such as season/e0.mkv"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_video_argument_near_names(video: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        check_video_argument(Path(video), "What?")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("folder")
def test_video_argument_swapped() -> None:
    with pytest.raises(UsageError, match=r"comes first; give lva ask talk.mp4 'Who is late\?'"):
        check_video_argument(Path("Who is late?"), "talk.mp4")


@pytest.mark.parametrize(
    "video",
    ["talk.mp4", "frames", "nothing-like-it.mp4", "notes.txt", "\0", "x" * 5000, "~nobody/a.mp4", "a/b/c/d.mp4"],
)
@pytest.mark.usefixtures("folder")
def test_video_argument_left_to_the_reader(video: str) -> None:
    check_video_argument(Path(video), "What?")
