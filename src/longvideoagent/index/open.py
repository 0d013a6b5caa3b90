"""Opening a video for questions: find its text, cut it into clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from longvideoagent.core.types import Subtitle
from longvideoagent.errors import DataError
from longvideoagent.index.speech import transcribe
from longvideoagent.media import speech
from longvideoagent.media.ocr import read_video_text
from longvideoagent.media.readers.base import VideoReader, open_reader
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S
from longvideoagent.media.subtitles import ParsedSubtitles, find_sidecar, read_embedded, read_subtitles
from longvideoagent.media.timeline import build_timeline, find_silence
from longvideoagent.media.video import Video
from longvideoagent.progress import Progress, no_progress


class _Text(NamedTuple):
    subtitles: list[Subtitle]
    source: str
    warnings: list[str]


def open_video(
    path: str | Path,
    subtitles: str | Path | None = None,
    progress: Progress = no_progress,
    *,
    frames_per_s: float = TVQA_FRAMES_PER_S,
    warnings: Sequence[str] = (),
) -> Video:
    """Open a video file or a folder of frames, and cut it into clips.

    The text comes from the first of these that has any: the ``subtitles`` file, a subtitle file next to the video with
    its name, a stream inside it, its speech (if the extra ``asr`` and its weights are available), the text on screen.

    Args:
        path: A video file, or a folder of numbered JPEG frames.
        subtitles: A subtitle file that is preferred to all other text.
        progress: Called with a stage and its fraction, 0 to 1.
        frames_per_s: The rate of a folder of frames, in frames per second (TVQA: 3).
        warnings: Warnings to begin those of the video with.

    Returns:
        The video, for any number of questions. Its ``warnings`` state what could not be used.

    Raises:
        DataError: The video cannot be read, or ``subtitles`` does not exist.

    Example:
        >>> video = open_video("talk.mp4", "talk.srt")  # doctest: +SKIP
        >>> video.timeline.duration_s, video.text_source  # doctest: +SKIP
    """
    reader = open_reader(path, frames_per_s)
    if subtitles is not None and not Path(subtitles).expanduser().is_file():
        problem = "a folder, not a subtitle file" if Path(subtitles).is_dir() else "no such subtitle file"
        raise DataError(f"{subtitles}: {problem}; check the path or leave it out")
    duration_s = reader.duration_s
    text = _read_subtitles(reader, subtitles, duration_s)
    if not text.subtitles and speech.is_installed() and reader.path.is_file():
        spoken = _transcribe(reader.path, progress)
        text = _Text(spoken.subtitles, "the speech", [*text.warnings, *spoken.warnings])
    silence = [] if text.subtitles else find_silence(reader.path)
    if not text.subtitles:
        text = _Text(read_video_text(reader, progress), "the screen", text.warnings)
    timeline = build_timeline(duration_s, text.subtitles, reader.keyframes_s, silence)
    source = text.source if text.subtitles else "nowhere"
    return Video(reader, timeline, source, (*warnings, *reader.warnings, *text.warnings))


def _transcribe(path: Path, progress: Progress) -> ParsedSubtitles:
    """The speech, or a warning if it cannot be transcribed."""
    try:
        return ParsedSubtitles(transcribe(path, speech.configured_model(), progress=progress), [])
    except DataError as error:
        return ParsedSubtitles([], [f"{error} (the speech is not used)"])


def _read_subtitles(reader: VideoReader, given: str | Path | None, duration_s: float) -> _Text:
    """Subtitles from the first file or stream that has any within the video."""
    warnings: list[str] = []
    for file in dict.fromkeys((given and Path(given), find_sidecar(reader.path))):
        if file is None:
            continue
        try:
            parsed = read_subtitles(file)
        except DataError as error:
            warnings.append(f"{error} (ignored)")
            continue
        kept = _before_end(parsed, duration_s, Path(file).name)
        warnings += kept.warnings
        if kept.subtitles:
            return _Text(kept.subtitles, Path(file).name, warnings)
    source = "subtitles inside the file"
    kept = _before_end(read_embedded(reader.path), duration_s, source)
    return _Text(kept.subtitles, source, [*warnings, *kept.warnings])


def _before_end(parsed: ParsedSubtitles, duration_s: float, name: str) -> ParsedSubtitles:
    """Drop the subtitles that start after the video ends, with a warning."""
    kept = [subtitle for subtitle in parsed.subtitles if subtitle.start_s < duration_s]
    num_late = len(parsed.subtitles) - len(kept)
    if not num_late:
        return parsed
    warning = (
        f"{name}: {num_late} of {len(parsed.subtitles)} cues start after the video ends ({duration_s:.1f} s) and were "
        "ignored; do they belong to this video?"
    )
    return ParsedSubtitles(kept, [*parsed.warnings, warning])
