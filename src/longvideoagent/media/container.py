"""Opening a media container, and where its clock starts."""

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
    """The container at ``path``. Raises DataError where FFmpeg cannot read it."""
    try:
        return av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
        raise DataError(f"{path}: not a readable video ({reason}); check that it plays, or remux it") from error


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """The packets of these streams, up to the end or to where the file is cut off."""
    found = container.demux(*streams)
    while True:
        try:
            packet = next(found)
        except (StopIteration, av.error.FFmpegError, IndexError):  # damage may bring up a stream that was not there
            return
        yield packet


def has_audio(path: Path) -> bool:
    """Whether it has an audio stream. Raises DataError where FFmpeg cannot read it."""
    with open_container(path) as container:
        return bool(container.streams.audio)


def origin_s(container: InputContainer) -> float:
    """The first timestamp, from which players count."""
    return (container.start_time or 0) / av.time_base
