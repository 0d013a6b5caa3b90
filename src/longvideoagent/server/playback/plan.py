"""How a browser can play a video: as it is, or as fragmented MP4 that is produced while it is watched.

A remuxed stream starts at a keyframe; if none is near, the stream is transcoded and starts at the requested second.
Audio that browsers cannot play is always transcoded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import av.error

from longvideoagent.media.container import find_audio, find_video, open_container
from longvideoagent.media.isolation import STREAMING
from longvideoagent.media.packet_index import read_packet_index
from longvideoagent.media.readers.base import VideoReader, open_reader
from longvideoagent.server.fingerprint import Fingerprint, file_fingerprint
from longvideoagent.server.playback.demux import TICK_S, codec_name, first_frame
from longvideoagent.server.playback.fmp4 import encode_frame_folder, remux, transcode

MAX_LEAD_S = 0.4
"""How long before a second the stream that shows it may start."""
MAX_READERS = 16
MAX_MODES = 256
MP4_VIDEO, MP4_AUDIO = {"h264", "av1", "vp9"}, {"aac", "mp3", "opus", "flac"}
WEBM_VIDEO, WEBM_AUDIO = {"vp8", "vp9", "av1"}, {"opus", "vorbis"}
PLAYABLE_PIXEL_FORMATS = {"yuv420p", "yuvj420p"}
"""What every browser decodes; h264 with more bits or chroma samples is not played."""
QUICKTIME = "qt"
MIN_STREAM_S = 0.5
"""The shortest stream: a seek to the end of a video shows its end instead of nothing."""


class PlaybackMode(StrEnum):
    """How a browser gets a video."""

    DIRECT = "direct"
    """The file itself."""
    REMUX = "remux"
    """Its video track is copied into another container, from a keyframe on."""
    TRANSCODE = "transcode"
    """Its video track is encoded again."""


def open_cached(path: Path) -> VideoReader:
    """The reader of a video, cached with its index as long as the file stays unchanged. Raises DataError if the video
    cannot be read."""
    return _open_cached(path, file_fingerprint(path))


def playback_mode(path: Path) -> PlaybackMode:
    """``choose_mode``, cached as long as the file stays unchanged. Raises DataError like ``open_cached``."""
    return _mode_cached(path, file_fingerprint(path))


@lru_cache(MAX_READERS)
def _open_cached(path: Path, _: Fingerprint) -> VideoReader:
    return open_reader(path)


@lru_cache(MAX_MODES)
def _mode_cached(path: Path, _: Fingerprint) -> PlaybackMode:
    return PlaybackMode(STREAMING.run(_mode_name, path))


def _mode_name(path: Path) -> str:
    return str(choose_mode(path))


def choose_mode(path: Path) -> PlaybackMode:
    """The cheapest mode that browsers support, by container and codecs. Raises DataError if the file is unreadable."""
    if path.is_dir():
        return PlaybackMode.TRANSCODE
    if read_packet_index(path).video is not None:  # a browser would show it by its own timestamps
        return PlaybackMode.TRANSCODE
    with open_container(path) as container:
        video, audio = find_video(container, path), find_audio(container)
        format_names = set(container.format.name.split(","))
        video_codec, audio_codec = codec_name(video), codec_name(audio) if audio is not None else None
        has_playable_pixels = video_codec != "h264" or video.codec_context.pix_fmt in PLAYABLE_PIXEL_FORMATS
        brand = container.metadata.get("major_brand", "").strip()
        is_mp4 = "mp4" in format_names and brand != QUICKTIME
        is_webm = "webm" in format_names and path.suffix.lower() == ".webm"
        has_header = bool(video.codec_context.extradata)
    if is_mp4 and has_playable_pixels and video_codec in MP4_VIDEO and audio_codec in {None, *MP4_AUDIO}:
        return PlaybackMode.DIRECT
    if is_webm and video_codec in WEBM_VIDEO and audio_codec in {None, *WEBM_AUDIO}:
        return PlaybackMode.DIRECT
    if video_codec == "h264" and has_playable_pixels and has_header and first_frame(path).matrix is None:
        return PlaybackMode.REMUX
    return PlaybackMode.TRANSCODE


def stream_start(video: VideoReader, mode: PlaybackMode, time_s: float) -> float:
    """Where a stream that shows ``time_s`` (or the end of a shorter video) starts: there, or in a remuxed stream at a
    keyframe shortly before. Browsers play a stream from its start: they cannot seek to a part that was not sent yet."""
    time_s = max(0.0, min(time_s, video.duration_s - MIN_STREAM_S))
    if mode is PlaybackMode.REMUX:
        keyframe_s = _keyframe_before(video, time_s)
        return keyframe_s if time_s - keyframe_s <= MAX_LEAD_S else time_s
    return time_s


def _keyframe_before(video: VideoReader, time_s: float) -> float:
    keyframes_s = video.keyframes_s
    index = bisect_right(keyframes_s, time_s + TICK_S)
    return max(0.0, keyframes_s[index - 1]) if index else 0.0


def stream(video: VideoReader, mode: PlaybackMode, start_s: float) -> Generator[bytes]:
    """The video from ``start_s`` on as fragmented MP4 with timestamps from 0, produced while it is read. A chunk may be
    empty while much is read. The video track is copied if the stream starts at a keyframe, and transcoded otherwise.
    The stream ends early if the file is damaged. Raises DataError at the first chunk if there is nothing to show."""
    start_s = max(0.0, min(start_s, video.duration_s - MIN_STREAM_S))
    if video.path.is_dir():
        yield from encode_frame_folder(video, start_s)
    else:
        is_copied = mode is PlaybackMode.REMUX and start_s - _keyframe_before(video, start_s) <= TICK_S
        yield from STREAMING.iterate(_stream_file, video.path, start_s, is_copied=is_copied)


def _stream_file(path: Path, start_s: float, *, is_copied: bool) -> Iterator[bytes]:
    try:
        yield from remux(path, start_s) if is_copied else transcode(path, start_s)
    except av.error.FFmpegError:
        return
