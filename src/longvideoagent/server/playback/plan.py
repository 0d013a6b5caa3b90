"""Videos for browsers: as they are where a browser plays them, else as fragmented MP4 made while it is watched.

A stream that is copied begins at a keyframe; where none is near, it is encoded anew and begins where it was asked to.
Sound that browsers do not know is encoded anew either way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from longvideoagent.errors import DataError
from longvideoagent.media.container import open_container, packets
from longvideoagent.media.readers.base import VideoReader, open_reader
from longvideoagent.server.playback.demux import TICK_S, codec_of, decoded, streams_of
from longvideoagent.server.playback.fmp4 import pictures, remuxed, transcoded

PLAIN_FORMATS = "mov,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,ogg,asf,h264,hevc,m4v,dv,mxf,nut,ivf"
"""FFmpeg's names of containers that hold their pictures themselves. It judges by content, and a text that is named
.mp4 may list other files, or an address."""
MOST_PIXELS = 8192 * 8192
MOST_EARLY_S = 0.4
"""How much before a second the stream that shows it may begin."""
MOST_KEPT = 16
MOST_JUDGED = 256
MP4_VIDEO, MP4_AUDIO = {"h264", "av1", "vp9"}, {"aac", "mp3", "opus", "flac"}
WEBM_VIDEO, WEBM_AUDIO = {"vp8", "vp9", "av1"}, {"opus", "vorbis"}
PLAIN_PIXELS = {"yuv420p", "yuvj420p"}
"""What every browser decodes; h264 with more bits or colours is not played."""
QUICKTIME = "qt"
LEAST_S = 0.5
"""What a stream shows at least: the end of a video and not nothing."""


class PlaybackMode(StrEnum):
    """How a browser can be shown a video."""

    DIRECT = "direct"
    REMUX = "remux"
    """Its pictures are copied into another container, from a keyframe on."""
    TRANSCODE = "transcode"
    """Its pictures are encoded anew."""


def check_safe_container(path: Path) -> None:
    """Raises DataError for a picture, for a list of other files, and for pictures too large to be decoded. What cannot
    be read at all passes: opening it tells why. Has to come before anything else opens a file that others brought."""
    if path.is_dir():
        return
    try:
        container = av.open(str(path), metadata_errors="replace", options={"format_whitelist": PLAIN_FORMATS})
    except av.error.ArgumentError as error:
        raise DataError(f"{path}: a picture, a list of other files or damaged, and no video; give a video") from error
    except (av.error.FFmpegError, OSError, ValueError):
        return
    with container:
        known = (stream for stream in container.streams.video if stream.codec_context is not None)
        for each in known:
            if each.width * each.height > MOST_PIXELS:
                raise DataError(f"{path}: {each.width}x{each.height} pixels are too many; make it smaller")


def opened(path: Path) -> VideoReader:
    """The video, kept with what has been learned of it for the next who asks, as long as its file stays what it is.
    Raises DataError where it cannot be read or is not plain."""
    told = path.stat()
    return _kept(path, told.st_mtime_ns, told.st_size)


def plays_as(path: Path) -> PlaybackMode:
    """As below, remembered as above."""
    told = path.stat()
    return _judged(path, told.st_mtime_ns, told.st_size)


@lru_cache(MOST_KEPT)
def _kept(path: Path, _written_at: int, _bytes: int) -> VideoReader:
    check_safe_container(path)
    return open_reader(path)


@lru_cache(MOST_JUDGED)
def _judged(path: Path, _written_at: int, _bytes: int) -> PlaybackMode:
    check_safe_container(path)
    return how_it_plays(path)


def how_it_plays(path: Path) -> PlaybackMode:
    """By container and codecs. Raises DataError where the file cannot be read."""
    if path.is_dir():
        return PlaybackMode.TRANSCODE
    with open_container(path) as container:
        video, sound = streams_of(container)
        names = set(container.format.name.split(","))
        codec, heard = codec_of(video), codec_of(sound) if sound is not None else None
        is_plain = codec != "h264" or video.codec_context.pix_fmt in PLAIN_PIXELS
        brand = container.metadata.get("major_brand", "").strip()
        is_mp4 = "mp4" in names and brand != QUICKTIME
        is_webm = "webm" in names and path.suffix.lower() == ".webm"
        if is_mp4 and is_plain and codec in MP4_VIDEO and heard in {None, *MP4_AUDIO}:
            return PlaybackMode.DIRECT
        if is_webm and codec in WEBM_VIDEO and heard in {None, *WEBM_AUDIO}:
            return PlaybackMode.DIRECT
        if codec == "h264" and is_plain and not _is_turned(container, video) and video.codec_context.extradata:
            return PlaybackMode.REMUX
        return PlaybackMode.TRANSCODE


def start_of_stream(video: VideoReader, plays: PlaybackMode, time_s: float) -> float:
    """Where a stream that shows ``time_s``, or the end where the video is shorter, begins: there, or where pictures are
    copied at a keyframe that is hardly before it. Browsers play a stream from its beginning: they cannot skip to a
    place in it that is still to come."""
    time_s = max(0.0, min(time_s, video.duration_s - LEAST_S))
    if plays is PlaybackMode.REMUX:
        before_s = _keyframe_before(video, time_s)
        return before_s if time_s - before_s <= MOST_EARLY_S else time_s
    return time_s


def _keyframe_before(video: VideoReader, time_s: float) -> float:
    keyframes_s = video.keyframes_s
    before = bisect_right(keyframes_s, time_s + TICK_S)
    return max(0.0, keyframes_s[before - 1]) if before else 0.0


def stream(video: VideoReader, plays: PlaybackMode, start_s: float) -> Generator[bytes]:
    """The video from there on as fragmented MP4 whose own clock begins at 0, made while it is read; now and then an
    empty piece where much has to be read. Pictures are copied from a keyframe on, and encoded anew from any other
    second. Ends early where the file is damaged. Raises DataError at its beginning
    where there is nothing to be shown."""
    start_s = max(0.0, min(start_s, video.duration_s - LEAST_S))
    try:
        if video.path.is_dir():
            yield from pictures(video, start_s)
        elif plays is PlaybackMode.REMUX and start_s - _keyframe_before(video, start_s) <= TICK_S:
            yield from remuxed(video.path, start_s)
        else:
            yield from transcoded(video.path, start_s)
    except av.error.FFmpegError:
        return


def _is_turned(container: InputContainer, video: VideoStream) -> bool:
    """Whether its pictures are stored lying on a side; the first of them tells."""
    frame = next(iter(frame for packet in packets(container, video) for frame in decoded(packet)), None)
    container.seek(0)
    return frame is not None and frame.rotation % 360 != 0
