"""Videos for browsers: as they are where a browser plays them, else as fragmented MP4 made while it is watched.

A stream that is copied begins at a keyframe; one that is encoded anew begins where it was asked to. Sound that
browsers do not know is encoded anew either way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from longvideoagent.media.container import open_container
from longvideoagent.media.video import Video
from longvideoagent.web.streaming import codec_of, decoded, packets, pictures, remuxed, streams_of, transcoded

MP4_VIDEO, MP4_AUDIO = {"h264", "av1", "vp9"}, {"aac", "mp3", "opus", "flac"}
WEBM_VIDEO, WEBM_AUDIO = {"vp8", "vp9", "av1"}, {"opus", "vorbis"}
PLAIN_PIXELS = {"yuv420p", "yuvj420p"}
"""What every browser decodes; h264 with more bits or colours is not played."""
QUICKTIME = "qt"
LEAST_S = 0.5
"""What a stream shows at least: the end of a video and not nothing."""


class Plays(StrEnum):
    """How a browser can be shown a video."""

    DIRECTLY = "directly"
    REMUXED = "remuxed"
    """Its pictures are copied into another container."""
    TRANSCODED = "transcoded"
    """Its pictures are encoded anew."""


def how_it_plays(path: Path) -> Plays:
    """By container and codecs. Raises DataError where the file cannot be read."""
    if path.is_dir():
        return Plays.TRANSCODED
    with open_container(path) as container:
        video, sound = streams_of(container)
        names = set(container.format.name.split(","))
        codec, heard = codec_of(video), codec_of(sound) if sound is not None else None
        is_plain = codec != "h264" or video.codec_context.pix_fmt in PLAIN_PIXELS
        brand = container.metadata.get("major_brand", "").strip()
        is_mp4 = "mp4" in names and brand != QUICKTIME
        is_webm = "webm" in names and path.suffix.lower() == ".webm"
        if is_mp4 and is_plain and codec in MP4_VIDEO and heard in {None, *MP4_AUDIO}:
            return Plays.DIRECTLY
        if is_webm and codec in WEBM_VIDEO and heard in {None, *WEBM_AUDIO}:
            return Plays.DIRECTLY
        if codec == "h264" and is_plain and not _is_turned(container, video) and video.codec_context.extradata:
            return Plays.REMUXED
        return Plays.TRANSCODED


def start_of_stream(video: Video, plays: Plays, time_s: float) -> float:
    """Where a stream that shows ``time_s``, or the end where the video is shorter, begins."""
    time_s = max(0.0, min(time_s, video.duration_s - LEAST_S))
    if plays is not Plays.REMUXED:
        return time_s
    keyframes = video.keyframes_s
    return max(0.0, keyframes[max(0, bisect_right(keyframes, time_s) - 1)]) if keyframes else 0.0


def stream(video: Video, plays: Plays, start_s: float) -> Iterator[bytes]:
    """The video from there on as fragmented MP4 whose own clock begins at 0, made while it is read. Ends early where
    the file is damaged."""
    start_s = max(0.0, min(start_s, video.duration_s - LEAST_S))
    if video.path.is_dir():
        yield from pictures(video, start_s)
    elif plays is Plays.REMUXED:
        yield from remuxed(video.path, start_s)
    else:
        yield from transcoded(video.path, start_s)


def _is_turned(container: InputContainer, video: VideoStream) -> bool:
    """Whether its pictures are stored lying on a side; the first of them tells."""
    frame = next(iter(frame for packet in packets(container, video, None) for frame in decoded(packet)), None)
    container.seek(0)
    return frame is not None and frame.rotation % 360 != 0
