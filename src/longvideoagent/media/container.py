"""Open media containers: the only module that does, with limits for all commands alike.

A name is a name, never an address: ``Talk: part one.mp4`` is a file. What the content is decides how it is read, and
only formats that hold their frames themselves are; a list of other files or addresses is refused under any name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from longvideoagent.errors import DataError
from longvideoagent.media.isolation import READING

FORMATS = (
    "mov,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,ogg,asf,h264,hevc,vvc,m4v,obu,av1,vc1,mjpeg,dv,mxf,nut,ivf,gxf,"
    "wtv,rm,nsv,yuv4mpegpipe,sup,mp3,aac,flac,wav,w64,aiff,caf,ac3,eac3,dts,amr,ape,wv,tta"
)
"""FFmpeg's names of the containers of films, sound and subtitles that hold their data themselves. FFmpeg judges by
content: a text file named .mp4 may be a list of other files or addresses, which is not in here, nor are images."""
MAX_FILM_PIXELS = 8192 * 4352
"""Of a frame of a codec in ``FILM_CODECS``: 8K."""
MAX_PICTURE_PIXELS = 4096 * 2304
"""Of a frame of any other codec. These compress an empty picture to next to nothing."""
MIN_PIXELS = 1920 * 1088
"""Frames of this size are always decoded, whatever the container says."""
MAX_GROWTH = 4
"""How many times as many pixels as the container says a later frame may have."""
MAX_THREADED_PIXELS = 4096 * 2304
"""Each frame that is decoded at the same time as others needs its own memory."""
MAX_SAMPLES = 4_000_000
"""Of one audio frame, of all channels together."""
FILM_CODECS = {
    *("h264", "hevc", "vvc", "av1", "vp8", "vp9", "vp6", "vp6f", "mpeg1video", "mpeg2video", "mpeg4", "h263", "flv1"),
    *("msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "wmv3", "vc1", "theora", "rv30", "rv40"),
    *("prores", "dnxhd", "cfhd"),
}
"""FFmpeg's names of codecs whose frames take bytes in proportion to their pixels, unless they repeat other frames."""


def open_container(path: Path) -> InputContainer:
    """Open the container at ``path``. Nothing else is opened, whatever it says.

    Raises DataError if it is not a file, not a container of frames or sound, or damaged.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}; give a video file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty (0 bytes); copy or download it again")
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file", "max_pixels": str(MAX_FILM_PIXELS)}
    try:
        return av.open(f"file:{path}", metadata_errors="replace", options=options)
    except av.error.ArgumentError as error:
        raise DataError(
            f"{path}: not a video but an image, a list of files, or damaged; give a video file that plays"
        ) from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DataError(
            f"{path}: not a readable video ({ffmpeg_reason(error)}); check that it plays, or remux it"
        ) from error


def ffmpeg_reason(error: BaseException) -> str:
    """What FFmpeg says is wrong, without the file's name."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()


@contextmanager
def ffmpeg_errors(path: Path) -> Iterator[None]:
    """Turn the errors of FFmpeg in a block, and what its bindings raise over damaged streams, into DataError."""
    try:
        yield
    except (av.error.FFmpegError, ValueError, OverflowError, MemoryError) as error:
        raise DataError(
            f"{path}: cannot be decoded ({ffmpeg_reason(error)}); check that it plays, or remux it"
        ) from error


def find_video(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is not a cover image, with limits set on its decoder.

    Raises DataError if there is none, if no decoder knows it, or if its frames have too many pixels.
    """
    streams = _films(container)
    if not streams:
        raise DataError(f"{path}: no video stream; give a file that has one")
    stream = next((s for s in streams if s.codec_context is not None), None)
    if stream is None:
        raise DataError(f"{path}: the codec of its video stream is not known; convert the video to H.264")
    is_film = stream.codec_context.codec.canonical_name in FILM_CODECS
    max_pixels = MAX_FILM_PIXELS if is_film else MAX_PICTURE_PIXELS
    num_pixels = stream.width * stream.height
    if num_pixels > max_pixels:
        raise DataError(f"{path}: {stream.width}x{stream.height} pixels are too many; make it smaller")
    if num_pixels:
        max_pixels = min(max_pixels, max(MIN_PIXELS, MAX_GROWTH * num_pixels))
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    stream.thread_type = "AUTO" if is_film and num_pixels <= MAX_THREADED_PIXELS else "SLICE"
    return stream


def has_video(container: InputContainer) -> bool:
    """Whether there is a video stream that ``find_video`` may accept: sound files may have a cover image."""
    return any(stream.codec_context is not None for stream in _films(container))


def _films(container: InputContainer) -> list[VideoStream]:
    return [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]


def find_audio(container: InputContainer) -> AudioStream | None:
    """The first audio stream that a decoder knows, with limits set on it, or None."""
    stream = next((s for s in container.streams.audio if s.codec_context is not None), None)
    if stream is not None:
        stream.codec_context.options = {"max_samples": str(MAX_SAMPLES)}
    return stream


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """Yield the packets of these streams, up to the end or to where the file is truncated."""
    demuxer = container.demux(*streams)
    while True:
        try:
            packet = next(demuxer)
        except (StopIteration, av.error.FFmpegError, IndexError):  # in a damaged file a new stream may appear
            return
        yield packet


def has_audio(path: Path) -> bool:
    """Whether the file has an audio stream that can be decoded. Raises DataError if FFmpeg cannot read it."""
    return READING.run(_has_audio, path)


def _has_audio(path: Path) -> bool:
    with open_container(path) as container:
        return find_audio(container) is not None


def average_frames_per_s(path: Path) -> float | None:
    """The average frame rate of a video file; None if it has no video or states none. Raises DataError if FFmpeg cannot
    read it."""
    with open_container(path) as container:
        rates = (stream.average_rate for stream in container.streams.video)
        return next((float(rate) for rate in rates if rate), None)


def origin_s(container: InputContainer) -> float:
    """The first timestamp in seconds, which players show as 0."""
    return (container.start_time or 0) / av.time_base
