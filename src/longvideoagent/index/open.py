"""Opening a video for questions: find its text, cut it into clips."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from longvideoagent.errors import DataError
from longvideoagent.index.speech import transcribe
from longvideoagent.media import isolation, speech
from longvideoagent.media.container import has_audio
from longvideoagent.media.ocr import read_video_text
from longvideoagent.media.readers.base import VideoReader, open_reader
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S
from longvideoagent.media.subtitles import ChosenSubtitles, ParsedSubtitles, SubtitleOptions, choose_subtitles
from longvideoagent.media.timeline import build_timeline, find_silence
from longvideoagent.media.video import Video
from longvideoagent.progress import Progress, no_progress


def open_video(
    path: str | Path,
    subtitles: str | Path | Sequence[str | Path] | SubtitleOptions | None = None,
    progress: Progress = no_progress,
    *,
    frames_per_s: float = TVQA_FRAMES_PER_S,
    warnings: Sequence[str] = (),
) -> Video:
    """Open a video file or a folder of frames, and cut it into clips.

    The text comes from the first of these that has any: ``subtitles``, the best of the subtitle files next to the video
    and the streams inside it, its speech (if the extra ``asr`` and its weights are available), the text on screen.

    Args:
        path: A video file, or a folder of numbered JPEG frames.
        subtitles: The subtitles to use, or several to use together: a file, a language such as ``de``, or ``#2`` for
            the second subtitle stream; see ``choose_subtitles``. ``SubtitleOptions`` name the encoding of files, too.
        progress: Called with a stage and its fraction, 0 to 1.
        frames_per_s: The rate of a folder of frames, in frames per second (TVQA: 3).
        warnings: Warnings to begin those of the video with.

    Returns:
        The video, for any number of questions. Its ``warnings`` state what could not be used.

    Raises:
        DataError: The video cannot be read, or a file of ``subtitles`` does not exist.
        UsageError: The video has no such stream or language, or Python no such encoding.

    Example:
        >>> video = open_video("talk.mp4", "talk.srt")  # doctest: +SKIP
        >>> video.timeline.duration_s, video.text_source  # doctest: +SKIP
    """
    with isolation.reporting(progress):
        return _open(open_reader(path, frames_per_s), subtitles, progress, warnings)


def _open(
    reader: VideoReader,
    subtitles: str | Path | Sequence[str | Path] | SubtitleOptions | None,
    progress: Progress,
    warnings: Sequence[str],
) -> Video:
    duration_s = reader.duration_s
    if not isinstance(subtitles, SubtitleOptions):
        subtitles = SubtitleOptions((subtitles,) if isinstance(subtitles, str | Path) else tuple(subtitles or ()))
    text = isolation.READING.run(_choose_subtitles, reader.path, subtitles, duration_s)
    if not text.subtitles and reader.path.is_file() and has_audio(reader.path):
        spoken = _transcribe(reader.path, progress)
        text = ChosenSubtitles(spoken.subtitles, "the speech", (*text.warnings, *spoken.warnings))
    silence = [] if text.subtitles else find_silence(reader.path)
    if not text.subtitles:
        text = ChosenSubtitles(read_video_text(reader, progress), "the screen", text.warnings)
    timeline = build_timeline(duration_s, text.subtitles, reader.keyframes_s, silence)
    source = text.source if text.subtitles else "nowhere"
    return Video(reader, timeline, source, (*warnings, *reader.warnings, *text.warnings))


def _choose_subtitles(path: Path, options: SubtitleOptions, end_s: float) -> ChosenSubtitles:
    """``choose_subtitles``, which may open the video, without an argument that cannot be sent to a child process."""
    return choose_subtitles(path, options.tracks, end_s, isolation.report, options.encoding)


def _transcribe(path: Path, progress: Progress) -> ParsedSubtitles:
    """The speech, or a warning if it cannot be transcribed."""
    if not speech.is_installed():
        commands = f"pip install 'longvideoagent[asr]' and lva transcribe {shlex.quote(path.name)}"
        return ParsedSubtitles([], [f"{path.name} has sound but no subtitles, so what is said is unknown; {commands}"])
    try:
        return ParsedSubtitles(transcribe(path, speech.configured_model(), progress=progress), [])
    except DataError as error:
        return ParsedSubtitles([], [f"{error} (the speech is not used)"])
