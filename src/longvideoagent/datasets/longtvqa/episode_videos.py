"""Frames of clips linked into a data set, and encoded as one video an episode."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from longvideoagent.core.text import plural
from longvideoagent.datasets.longtvqa.clips import Episodes
from longvideoagent.datasets.longtvqa.frames import find_clip_folders
from longvideoagent.datasets.longtvqa.write import read_json, write_json
from longvideoagent.datasets.records import Problem
from longvideoagent.errors import UsageError
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.readers.frame_folder import FrameFolderReader
from longvideoagent.media.video_writer import encode_frames
from longvideoagent.progress import Progress, no_progress

MISSING_FRAMES_S = 1.0
"""Frames that end so much before their clip lack the last ones; less is a rounding difference."""
INPUT_DIGESTS = "input_digests.json"
"""Next to the videos: the digest of each one's frames, so that it is encoded again when they change."""
OLD_INPUT_DIGESTS = "made_of.json"
"""The earlier name of this file, which is still read."""


class EpisodeVideosReport(NamedTuple):
    """The result of ``write_episode_videos``."""

    num_videos: int
    """The episodes that have a video."""
    problems: list[Problem]


def link_folder(link: Path, folder: Path) -> None:
    """Create a symbolic link to a folder. Raises UsageError if something else is there already."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: not a folder; give one that holds {{clip}}/00001.jpg")
    if link.exists() and link.resolve() != folder.resolve():
        raise UsageError(f"{link}: exists already and is not {folder}; move it away or choose another --out")
    if not link.exists():
        link.unlink(missing_ok=True)  # a broken link
        link.symlink_to(folder.resolve(), target_is_directory=True)


def frame_problems(folder: FrameFolderReader, known_duration_s: float = 0.0) -> Iterator[Problem]:
    """The problems of a clip's frames: names without a number, missing numbers, also at the end if the clip lasts
    ``known_duration_s``, and JPEGs that are cut short."""
    yield from (Problem(folder.path, 0, "frame names", warning) for warning in folder.warnings)
    if missing := folder.missing_numbers():
        num_frames = sum(map(len, missing))
        message = f"{num_frames} {plural('frame', num_frames)} missing ({missing[0].start:05}.jpg first)"
        yield Problem(folder.path, 0, "frame names", message)
    if (missing_s := known_duration_s - folder.duration_s) > MISSING_FRAMES_S:
        last = f"the last {round(missing_s * folder.frames_per_s)} are missing"
        end = f"they end at {folder.duration_s:.1f} s of {known_duration_s:.1f} s"
        yield Problem(folder.path, 0, "frame names", f"{last}; {end}")
    for file in folder.broken_files():
        yield Problem(file, 0, "frame", "not a complete JPEG; extract it again")


def write_episode_videos(
    out: Path, frames: Path, episodes: Episodes, progress: Progress = no_progress
) -> EpisodeVideosReport:
    """Write one mp4 an episode from frames at 3 a second, so that any video tool can read it.
    Clips without frames and unreadable frames are black; an episode without any frame gets no video. A video whose
    frames have not changed is kept."""
    folder, by_clip = out / "videos", find_clip_folders(frames)
    digests = _read_digests(folder)
    problems: list[Problem] = []
    count = 0
    for done, (name, clips) in enumerate(episodes.clips.items(), 1):
        path = folder / f"{name}.mp4"
        reader = ClipFoldersReader(frames, episodes.build_timeline(name, {}), by_clip)
        problems += [Problem(path, 0, "frames", warning) for warning in reader.warnings]
        for clip in reader.folders:
            problems += frame_problems(clip, episodes.known_durations_s.get(clip.path.name, 0.0))
        if reader.has_frames:
            digest = _digest_frames(by_clip, clips, episodes)
            if digests.get(name) != digest or not path.exists():
                encode_frames(reader, path)
                digests[name] = digest
                write_json(folder / INPUT_DIGESTS, digests)
            count += 1
        progress("writing videos", done / len(episodes.clips))
    return EpisodeVideosReport(count, problems)


def _read_digests(folder: Path) -> dict[str, str]:
    """The digest of each video's frames, by episode."""
    for name in (INPUT_DIGESTS, OLD_INPUT_DIGESTS):
        digests = read_json(folder / name)
        if isinstance(digests, dict):
            return {episode: str(digest) for episode, digest in digests.items()}
    return {}


def _digest_frames(by_clip: Mapping[str, Path], clips: Sequence[str], episodes: Episodes) -> str:
    """SHA-256 of the names, sizes and modification times of the frames, and of the lengths of the clips."""
    digest = hashlib.sha256()
    for clip in clips:
        files = sorted(by_clip[clip].iterdir()) if clip in by_clip else []
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        digest.update(json.dumps([clip, episodes.lengths_s[clip], stats]).encode())
    return digest.hexdigest()
