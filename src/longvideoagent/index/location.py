"""Where the index of a video is kept, and what it is named after: the content of the video.

A file counts by its size and by blocks spread over it, all of it if it is small, so that opening an hour of video does
not read gigabytes. A folder of frames counts by the names, sizes and times of its files.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

from longvideoagent.fs import cache_dir

DIR_VARIABLE = "LVA_INDEX_DIR"
"""The environment variable that ``--index-dir`` sets, for this process and those that it starts."""
NEXT_TO_VIDEO = "next-to-video"
"""Its value for an index next to each video."""
SUFFIX = ".lva-index"
BLOCK_BYTES = 64 * 1024
MAX_BLOCKS = 64
"""A file of up to 4 MiB is read completely."""
_DIGEST_BYTES = 16
_MEDIA = Path(__file__).resolve().parents[1] / "media"


def index_path(video: Path, fingerprint: str) -> Path:
    """The file of a video's index: in the directory of ``LVA_INDEX_DIR`` or, by default, ``index`` in the cache
    directory, named by the fingerprint; or next to the video, named after it."""
    directory = os.environ.get(DIR_VARIABLE, "")
    if directory == NEXT_TO_VIDEO:
        absolute = video.absolute() if video.name else video.resolve()
        return absolute.with_name(absolute.name + SUFFIX)
    folder = Path(directory).expanduser() if directory else cache_dir() / "index"
    return folder / f"{fingerprint}{SUFFIX}"


def content_fingerprint(video: Path, frames_per_s: float | None = None) -> str:
    """A digest of the content of a video.

    Args:
        video: A video file, or a folder of frames.
        frames_per_s: The rate of a folder of frames, which decides its times.

    Returns:
        32 hexadecimal digits.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    if video.is_dir():
        with os.scandir(video) as entries:
            states = sorted((entry.name, *_state(entry)) for entry in entries if not entry.name.startswith("."))
        digest.update(repr(states).encode("utf-8", "surrogatepass"))
        digest.update(f"{float(frames_per_s or 0)}".encode())
        return digest.hexdigest()
    size_bytes = video.stat().st_size
    digest.update(f"{size_bytes}\0".encode())
    num_blocks = min(MAX_BLOCKS, -(-size_bytes // BLOCK_BYTES))
    with video.open("rb") as file:
        for block in range(num_blocks):
            last_start = max(0, size_bytes - BLOCK_BYTES)
            file.seek(last_start * block // max(1, num_blocks - 1))
            digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()


def _state(entry: os.DirEntry[str]) -> tuple[int, int]:
    """Size and time of what an entry of a folder leads to, or of the entry itself if it leads nowhere."""
    try:
        state = entry.stat()
    except OSError:
        state = entry.stat(follow_symlinks=False)
    return state.st_size, state.st_mtime_ns


@cache
def media_version() -> str:
    """A digest of this package's code that reads media files: what it reads fast is read again after any change of it,
    and what takes minutes has version numbers of its own."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for path in sorted(_MEDIA.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
