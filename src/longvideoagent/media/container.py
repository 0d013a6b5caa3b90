"""Open media containers and read their packets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from longvideoagent.errors import DataError


def open_container(path: Path) -> InputContainer:
    """Open the container at ``path``. Raises DataError if FFmpeg cannot read it."""
    try:
        return av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
        raise DataError(f"{path}: not a readable video ({reason}); check that it plays, or remux it") from error


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
    """Whether the file has an audio stream. Raises DataError if FFmpeg cannot read it."""
    with open_container(path) as container:
        return bool(container.streams.audio)


def origin_s(container: InputContainer) -> float:
    """The first timestamp in seconds, which players show as 0."""
    return (container.start_time or 0) / av.time_base
