"""Opening a video for questions: find its text, cut it into clips. What is in its index is not read again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from longvideoagent.core.types import Evidence, Timeline
from longvideoagent.errors import DataError, read_problem
from longvideoagent.index.build import IndexBuilder
from longvideoagent.index.events import Event, EventKind, read_source, with_events
from longvideoagent.index.objects import Announce, find_objects, no_announcement
from longvideoagent.index.scenes import find_scenes, read_scenes
from longvideoagent.index.screen_text import (
    FIRST_FRAMES,
    USUAL_FRAMES,
    Coverage,
    read_screen_columns,
    read_screen_text,
)
from longvideoagent.index.sounds import Tagger, find_sounds, sounds_key
from longvideoagent.index.stored_text import TextKind
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.index.visible_objects import Detector
from longvideoagent.media import isolation
from longvideoagent.media.container import has_audio
from longvideoagent.media.readers.base import VideoReader, open_reader
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S, FrameFolderReader
from longvideoagent.media.sound import sound_length_s
from longvideoagent.media.subtitles import SubtitleOptions
from longvideoagent.media.video import NO_SOURCE, Video
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
    options = _options(subtitles)
    return index_video(open_reader(path, frames_per_s), options, progress, warnings, USUAL_FRAMES).video


def open_for_question(
    path: str | Path,
    subtitles: str | Path | Sequence[str | Path] | SubtitleOptions | None = None,
    progress: Progress = no_progress,
    *,
    frames_per_s: float = TVQA_FRAMES_PER_S,
    warnings: Sequence[str] = (),
) -> Video:
    """As ``open_video``, but waits for less: of the text on screen only a first pass is read, unless more is known
    already. ``timeline.unread`` and a warning then say what was read."""
    options = _options(subtitles)
    return index_video(open_reader(path, frames_per_s), options, progress, warnings, FIRST_FRAMES).video


class IndexedVideo(NamedTuple):
    """A video that can be asked about, and what its index has."""

    video: Video
    coverage: Coverage | None
    """How much of the text on screen was read; None if it was not meant to be."""
    problem: str
    """Why the index is not used, for people; empty if it is."""


def index_video(
    reader: VideoReader,
    options: SubtitleOptions,
    progress: Progress = no_progress,
    warnings: Sequence[str] = (),
    max_frames: int | None = None,
) -> IndexedVideo:
    """Open a video, and add to its index what that takes.

    Args:
        reader: Reads the video.
        options: Which subtitles are read.
        progress: Called with a stage and its fraction.
        warnings: Warnings to begin those of the video with.
        max_frames: Frames to be sampled for the text on screen, if there is no other text; None: all.

    Returns:
        The video. It is the same without a usable index, which is one warning more.

    Raises:
        DataError: The video, or a subtitle file of ``options``, cannot be read.
        UsageError: The video has no such stream or language, or Python no such encoding.
    """
    with isolation.reporting(progress), open_index(reader) as index:
        builder = IndexBuilder(reader, index, options, progress)
        text = builder.text(max_frames)
        timeline = builder.timeline(text)
        if text.kind is not TextKind.SCREEN:
            timeline = replace(timeline, screen_texts=_screen_texts(index, timeline))
        timeline = with_events(replace(timeline, scene_starts_s=read_scenes(index, reader)), index)
    found = [*builder.warnings, *([index.problem] if index.problem else [])]
    coverage = builder.coverage
    if coverage is not None and not coverage.is_complete:
        unread = f"the text on screen was read in {coverage.text}"
        found.append(f"{unread}; lva index {shlex.quote(reader.path.name)} reads the rest")
        timeline = replace(timeline, unread=unread)
    source = text.source if text.lines else NO_SOURCE
    return IndexedVideo(Video(reader, timeline, source, (*warnings, *found)), coverage, index.problem)


def index_screen_text(
    reader: VideoReader, duration_s: float, progress: Progress = no_progress, max_frames: int | None = None
) -> Coverage:
    """Read the text on screen of a video that has other text, too, into its index.

    Args:
        reader: Reads the video.
        duration_s: Its length.
        progress: Called with a stage and its fraction.
        max_frames: Frames to be sampled in all; None: one of each slot; 0: none, to learn what is known.

    Returns:
        How much of it was read.

    Raises:
        DataError: The video cannot be read.
    """
    with isolation.reporting(progress), open_index(reader) as index:
        return read_screen_text(reader, index, duration_s, progress, max_frames).coverage


def index_scenes(reader: VideoReader, progress: Progress = no_progress) -> tuple[float, ...]:
    """Find where the scenes of a video begin, and keep that in its index; see ``index.scenes.find_scenes``."""
    with isolation.reporting(progress), open_index(reader) as index:
        return find_scenes(reader, index, progress)


def index_objects(
    reader: VideoReader, detector: Detector, progress: Progress = no_progress, announce: Announce = no_announcement
) -> tuple[Event, ...]:
    """Search a video for objects, and keep them in its index; see ``index.objects.find_objects``."""
    with isolation.reporting(progress), open_index(reader) as index:
        return find_objects(reader, index, detector, progress, announce)


def index_sounds(reader: VideoReader, tagger: Tagger, progress: Progress = no_progress) -> tuple[Event, ...]:
    """Find the sounds of a video, and keep them in its index; see ``index.sounds.find_sounds``."""
    with open_index(reader) as index:  # its progress is that of the sound, not that of the file
        return find_sounds(reader.path, index, tagger, progress)


def seconds_to_hear(reader: VideoReader, tagger: Tagger) -> float:
    """How long the sound is that the tagger has not heard yet, 0 if its events are in the index. Raises DataError if
    the video cannot be read."""
    with open_index(reader) as index:
        source = read_source(index, EventKind.SOUND)
        if source is not None and source.key == sounds_key(tagger):
            return 0.0
    has_sound = reader.path.is_file() and has_audio(reader.path)
    return sound_length_s(reader.path) if has_sound else 0.0


def _screen_texts(index: VideoIndex, timeline: Timeline) -> tuple[Evidence, ...]:
    detections = read_screen_columns(index, timeline.duration_s)
    clips = [timeline.clip_at(each.start_s) for each in detections]
    return tuple(
        Evidence(clip.label, each.start_s, each.end_s, "frame", each.start_s, each.text, clip.video)
        for each, clip in zip(detections, clips, strict=True)
    )


def _options(subtitles: str | Path | Sequence[str | Path] | SubtitleOptions | None) -> SubtitleOptions:
    if isinstance(subtitles, SubtitleOptions):
        return subtitles
    return SubtitleOptions((subtitles,) if isinstance(subtitles, str | Path) else tuple(subtitles or ()))


def open_index(reader: VideoReader) -> VideoIndex:
    """The index of the video of a reader. Raises DataError if the video cannot be read."""
    frames_per_s = reader.frames_per_s if isinstance(reader, FrameFolderReader) else None
    try:
        return VideoIndex.open(reader.path, frames_per_s)
    except OSError as error:
        raise DataError(f"{reader.path}: cannot be read ({read_problem(error)}); check its permissions") from error
