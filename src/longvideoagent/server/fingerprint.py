"""Fingerprints of files: cache keys that change when a file does."""

from __future__ import annotations

from pathlib import Path

Fingerprint = tuple[object, ...]


def file_fingerprint(path: Path) -> Fingerprint:
    """Path, modification time and size. Raises OSError if the file does not exist."""
    status = path.stat()
    return (path, status.st_mtime_ns, status.st_size)
