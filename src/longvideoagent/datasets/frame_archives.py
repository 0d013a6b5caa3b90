"""TVQA's frames: one archive a show on the hub, unpacked into ``{show}_frames/{clip}/{00001}.jpg``.

An archive is read once, as a stream. Only numbered JPEGs in folders named after a clip are written, each below the
clip's own folder, wherever it is in the archive. A member that leads out of the archive, a link or a device ends the
work, and nothing that was unpacked is kept.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, NamedTuple, Self

from longvideoagent.datasets.download import download_files
from longvideoagent.datasets.longtvqa.clips import ClipName
from longvideoagent.datasets.longtvqa.frames import find_clip_folders
from longvideoagent.errors import DataError, UsageError
from longvideoagent.progress import Progress, no_progress

ARCHIVES = {
    "bbt": "bbt_frames.tar.gz",
    "castle": "castle_frames.tar",
    "friends": "friends_frames.tar",
    "grey": "grey_frames.tar",
    "house": "house_frames.tar.gz",
    "met": "met_frames.tar.gz",
}
"""The archive of each show in ``REPOSITORY``."""
REPOSITORY = "Yuxuan0701/tvqa-frames"
PARTIAL = ".unpacking-{show}"
"""The folder of a show until it is complete. Its name lacks ``frames``, so that no data set reads it."""
LICENCE_NOTE = (
    "these are frames of TV shows, shared by third parties; whether you may use them is for you to settle with their "
    "owners (TVQA's authors share them for research on request)"
)
_FRAME = re.compile(r"[0-9]{1,7}\.jpe?g", re.IGNORECASE)
_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK_BYTES = 1 << 20
_REPORT_EVERY = 200
_MAX_EXTENDED_HEADER_BYTES = 65_536
_EXTENDED_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """No archive of frames is beyond these; one that is was made to fill the disk."""

    max_members: int = 5_000_000
    max_frame_bytes: int = 20_000_000
    min_total_bytes: int = 1_000_000_000
    """The members of an archive may always have this size together."""
    max_ratio: float = 4.0
    """The size of all members over that of their archive: JPEGs hardly shrink."""


class _Member(tarfile.TarInfo):
    """A member whose header must be whole. ``tarfile`` takes a damaged header for the end of the archive, and reads a
    long name of any size into memory."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the zeros that end an archive
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENDED_HEADERS and member.size > _MAX_EXTENDED_HEADER_BYTES:
            raise tarfile.ReadError(f"a name of {member.size:,} bytes")
        return member


class UnpackReport(NamedTuple):
    """What an archive held."""

    folder: Path
    num_clips: int
    num_frames: int
    num_left_out: int = 0
    """Files in an archive that are not frames of clips."""


def download_frames(
    shows: Sequence[str], out: Path, repository: str | None = None, progress: Progress = no_progress
) -> list[UnpackReport]:
    """Download and unpack the frames of shows into ``out``, a data set's folder. What is there already is kept: an
    interrupted download or unpacking resumes, and a finished show is not touched.

    Raises:
        UsageError: For an unknown show, or none, and for a file or a folder without frames in the place of its folder.
        DataError: As ``download_files`` and ``unpack_frames``.
    """
    check_shows(shows)
    reports = []
    for show in dict.fromkeys(shows):
        folder = out / f"{show}_frames"
        if os.path.lexists(folder) and not folder.is_dir():
            raise UsageError(f"{folder}: is not a folder; move it away and run it again")
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
        num_left_out = 0
        if not folder.exists():
            download_files(repository or REPOSITORY, out, [ARCHIVES[show]])
            partial = out / PARTIAL.format(show=show)
            num_left_out = unpack_frames(out / ARCHIVES[show], folder, partial, progress=progress)
        report = _count_frames(folder)._replace(num_left_out=num_left_out)
        if not report.num_frames:
            raise UsageError(f"{folder}: exists but has no frames of clips; move it away and run it again")
        reports.append(report)
    return reports


def _count_frames(folder: Path) -> UnpackReport:
    clips = find_clip_folders(folder).values()
    num_frames = sum(_FRAME.fullmatch(path.name) is not None for clip in clips for path in clip.iterdir())
    return UnpackReport(folder, len(clips), num_frames)


def check_shows(shows: Sequence[str]) -> None:
    """Raises UsageError for an unknown show, or none."""
    unknown = [show for show in shows if show not in ARCHIVES]
    if unknown or not shows:
        problem = f"--show {unknown[0]}: not one of TVQA's shows" if unknown else "frames: no show is named"
        raise UsageError(f"{problem}; give --show {', '.join(ARCHIVES)}, and repeat it for several")


def unpack_frames(
    archive: Path,
    folder: Path,
    partial: Path,
    limits: UnpackLimits = UnpackLimits(),
    progress: Progress = no_progress,
) -> int:
    """Unpack a tar archive, gzipped or not, into ``folder``, by way of ``partial``, which is kept when the work is
    interrupted and then continued: frames that are there with their size are not written again. Returns the number of
    files that are not frames of clips, and are left out.

    Raises:
        DataError: If the archive is damaged, unsafe or too large, has no frame, or has one twice; ``partial`` is then
            deleted.
    """
    try:
        num_frames, num_left_out = _unpack(archive, partial, limits, progress)
        if not num_frames:
            raise DataError(
                f"{archive}: has no frames of clips, such as s01e01_seg01_clip_00/00001.jpg; check its name"
            )
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise DataError(f"{archive}: damaged or cut short ({error}); delete it and download it again") from error
    except DataError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(folder)
    return num_left_out


def _unpack(archive: Path, partial: Path, limits: UnpackLimits, progress: Progress) -> tuple[int, int]:
    """The numbers of frames and of other files."""
    size = archive.stat().st_size
    max_bytes = max(limits.min_total_bytes, int(limits.max_ratio * size))
    num_members = num_bytes = num_left_out = 0
    numbers: dict[str, set[int]] = {}
    partial.mkdir(parents=True, exist_ok=True)
    with archive.open("rb") as file, tarfile.open(fileobj=_stream(file), mode="r|", tarinfo=_Member) as members:
        while (member := members.next()) is not None:
            members.members.clear()  # type: ignore[attr-defined]  # it would keep a million of them
            num_members += 1
            num_bytes += member.size
            if num_members % _REPORT_EVERY == 0:
                progress(f"unpacking {archive.name}", file.tell() / max(1, size))
            _check_member(archive, member)
            if num_members > limits.max_members or num_bytes > max_bytes or member.size > limits.max_frame_bytes:
                raise DataError(
                    f"{archive}: {member.name[:80]!r} is beyond the size of TVQA's frames; check the archive"
                )
            target = _target(member)
            if target is None:
                num_left_out += member.isreg()
            else:
                clip, number = target.parent.name, int(target.stem)
                if number in numbers.setdefault(clip, set()):
                    raise DataError(f"{archive}: has frame {number} of {clip} twice; do not unpack it, and get another")
                numbers[clip].add(number)
                _write_frame(members, member, partial / target)
        _read_to_end(members)
    return sum(map(len, numbers.values())), num_left_out


def _stream(file: IO[bytes]) -> IO[bytes]:
    """The bytes of an archive, decompressed if it is compressed. Unlike ``tarfile``, ``gzip`` compares them with their
    checksum."""
    magic = file.read(len(_GZIP_MAGIC))
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if magic == _GZIP_MAGIC else file  # type: ignore[return-value]


def _read_to_end(members: tarfile.TarFile) -> None:
    """Read what follows the last member: zeros, and the checksum of the whole. Raises ReadError for anything else."""
    assert members.fileobj is not None
    while block := members.fileobj.read(_BLOCK_BYTES):
        if block.strip(b"\0"):
            raise tarfile.ReadError("data after its end")


def _check_member(archive: Path, member: tarfile.TarInfo) -> None:
    """Raise DataError for a member that leads out of the archive, and for anything but a file or a folder."""
    name = member.name
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or PureWindowsPath(name).drive:
        raise DataError(f"{archive}: {name[:80]!r} leads out of the archive; do not unpack it, and get another")
    if not member.isdir() and (not member.isreg() or member.issparse()):
        raise DataError(f"{archive}: {name[:80]!r} is a link or a device; do not unpack it, and get another")


def _target(member: tarfile.TarInfo) -> Path | None:
    """The path of a frame below the folder of its show; None for any other member, which is left out."""
    parts = PurePosixPath(member.name).parts
    if not member.isreg() or len(parts) < 2 or _FRAME.fullmatch(parts[-1]) is None or ClipName.parse(parts[-2]) is None:
        return None
    return Path(parts[-2], parts[-1])


def _write_frame(members: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    if target.is_file() and target.stat().st_size == member.size:
        return
    data = members.extractfile(member)
    assert data is not None  # it is a file
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(data.read())
