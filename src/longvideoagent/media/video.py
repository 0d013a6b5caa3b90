"""A long video made ready for questions: its reader, its timeline, and what was ignored on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longvideoagent.core.types import Subtitle, Timeline
from longvideoagent.errors import DataError
from longvideoagent.media import speech
from longvideoagent.media.ocr import read_video_text
from longvideoagent.media.readers.base import VideoReader, open_reader
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S
from longvideoagent.media.subtitles import find_sidecar, read_embedded, read_subtitles
from longvideoagent.media.timeline import build_timeline, find_silence
from longvideoagent.progress import Progress, no_progress


@dataclass(frozen=True, slots=True)
class Video:
    """The video, cut into clips with their lines. ``text_source`` says where the lines come from."""

    video: VideoReader
    timeline: Timeline
    text_source: str
    warnings: tuple[str, ...] = ()


def open_video(
    path: str | Path,
    subtitles: str | Path | None = None,
    progress: Progress = no_progress,
    *,
    frames_per_s: float = TVQA_FRAMES_PER_S,
    warnings: Sequence[str] = (),
) -> Video:
    """Open a video file or frame folder and lay out its timeline.

    Text is taken from ``subtitles``, else from a file beside the video with its stem, else from a
    stream inside it, else from its speech where the extra ``asr`` and its weights are at hand, else from
    the text on screen. What cannot be used is reported in the episode's ``warnings``, after those given,
    and the next source is tried; a ``subtitles`` file that does not exist is an error. ``frames_per_s``
    is the rate of a frame folder. Raises DataError where the video itself cannot be read.
    """
    video = open_reader(path, frames_per_s)
    if subtitles is not None and not Path(subtitles).expanduser().is_file():
        what = "a folder and no subtitle file" if Path(subtitles).is_dir() else "no such subtitle file"
        raise DataError(f"{subtitles}: {what}; check the path or leave it out")
    duration_s = video.duration_s
    lines, text_source, ignored = _find_subtitles(video, subtitles, duration_s)
    if not lines and speech.is_installed() and video.path.is_file():
        text_source = "its speech"
        lines, unheard = _listen(video.path, progress)
        ignored += unheard
    quiet = [] if lines else find_silence(video.path)
    if not lines:
        text_source = "the screen"
        lines = read_video_text(video, progress)
    timeline = build_timeline(duration_s, lines, video.keyframes_s, quiet)
    return Video(video, timeline, text_source if lines else "nowhere", (*warnings, *video.warnings, *ignored))


def _listen(path: Path, progress: Progress) -> tuple[list[Subtitle], list[str]]:
    """What is said, and a warning where it cannot be told."""
    try:
        return speech.transcribe(path, speech.chosen_model(), progress=progress), []
    except DataError as error:
        return [], [f"{error} (its speech is not used)"]


def _find_subtitles(
    video: VideoReader, given: str | Path | None, duration_s: float
) -> tuple[list[Subtitle], str, list[str]]:
    """Lines from the first source that has any within the video, its name, and warnings."""
    warnings: list[str] = []
    for file in dict.fromkeys((given and Path(given), find_sidecar(video.path))):
        if file is None:
            continue
        try:
            lines, repaired = read_subtitles(file)
        except DataError as error:
            warnings.append(f"{error} (ignored)")
            continue
        kept, late = _before_end(lines, duration_s, Path(file).name)
        warnings += repaired + late
        if kept:
            return kept, Path(file).name, warnings
    lines, repaired = read_embedded(video.path)
    kept, late = _before_end(lines, duration_s, "subtitles inside the file")
    return kept, "subtitles inside the file", warnings + repaired + late


def _before_end(lines: list[Subtitle], duration_s: float, name: str) -> tuple[list[Subtitle], list[str]]:
    """The lines that start before the video ends, and a warning for the rest."""
    kept = [line for line in lines if line.start_s < duration_s]
    late = len(lines) - len(kept)
    if not late:
        return kept, []
    told = f"{name}: {late} of {len(lines)} cues start after the video ends ({duration_s:.1f} s) and were ignored"
    return kept, [f"{told}; do they belong to this video?"]
