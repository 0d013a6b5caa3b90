"""Frames of clips kept with a data set, and made into one film an episode."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from longvideoagent.datasets.longtvqa.clips import Episodes
from longvideoagent.datasets.longtvqa.write import read_json, write_json
from longvideoagent.datasets.records import Problem
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.readers.frame_folder import FrameFolderReader
from longvideoagent.media.video_writer import encode_frames
from longvideoagent.progress import Progress, no_progress

CUT_FRAMES_S = 1.0
"""Frames that end so much before their clip lack the last of them; less is a length and frames counted apart."""
MADE_OF = "made_of.json"
"""Beside the films: what each was made of, so that it is made anew when that changes."""


def link_folder(link: Path, folder: Path) -> None:
    """Make ``folder`` known under another path, without copying it. Raises UsageError where something else is
    there already."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no folder; give one that holds {{clip}}/00001.jpg")
    if link.exists() and link.resolve() != folder.resolve():
        raise UsageError(f"{link}: is there already and is not {folder}; move it away or choose another --out")
    if not link.exists():
        link.unlink(missing_ok=True)  # a link to what has gone
        link.symlink_to(folder.resolve(), target_is_directory=True)


def lengths_by_frames(frames: Path, clips: Sequence[str]) -> dict[str, float]:
    """Seconds of each clip that has frames, told by the last of them."""
    lengths_s = {}
    for clip in clips:
        try:
            lengths_s[clip] = FrameFolderReader(frames / clip).duration_s
        except DataError:  # no frames of this clip; the check tells of it
            continue
    return lengths_s


def frame_problems(folder: FrameFolderReader, known_durations_s: float = 0.0) -> Iterator[Problem]:
    """What is wrong with the frames of a clip: names without a number, numbers that are missing, at the end too where
    the clip is told to last ``known_durations_s``, files cut short."""
    yield from (Problem(folder.path, 0, "frame names", warning) for warning in folder.warnings)
    if missing := folder.missing():
        yield Problem(folder.path, 0, "frame names", f"{len(missing)} frames are missing ({missing[0]:05}.jpg first)")
    if (lacking_s := known_durations_s - folder.duration_s) > CUT_FRAMES_S:
        told = f"the last {round(lacking_s * folder.frames_per_s)} are missing; they end at {folder.duration_s:.1f} s"
        yield Problem(folder.path, 0, "frame names", f"{told} of {known_durations_s:.1f} s")
    for file in folder.broken():
        yield Problem(file, 0, "frame", "no whole JPEG; extract it again")


def _problems(folder: FrameFolderReader, episodes: Episodes) -> Iterator[Problem]:
    return frame_problems(folder, episodes.known_durations_s.get(folder.path.name, 0.0))


def write_films(
    out: Path, frames: Path, episodes: Episodes, progress: Progress = no_progress
) -> tuple[int, list[Problem]]:
    """One mp4 an episode, from frames in {clip}/{00001}.jpg at 3 a second, so that any video tool works on it.
    Clips without frames and frames that cannot be read are black; an episode without any gets no film. Films that were
    made of the same are kept. Returns how many films there are, and what was missing."""
    folder = out / "videos"
    told = read_json(folder / MADE_OF)
    made_of = {name: str(digest) for name, digest in told.items()} if isinstance(told, dict) else {}
    problems, films = [], 0
    for done, (name, clips) in enumerate(episodes.clips.items(), 1):
        film = folder / f"{name}.mp4"
        video = ClipFoldersReader(frames, episodes.lay_out(name, {}))
        problems += [Problem(film, 0, "frames", warning) for warning in video.warnings]
        problems += [problem for folder in video.folders for problem in _problems(folder, episodes)]
        if video.is_seen:
            digest = _digest(frames, clips, episodes)
            if made_of.get(name) != digest or not film.exists():
                encode_frames(video, film)
                write_json(folder / MADE_OF, made_of := made_of | {name: digest})
            films += 1
        progress("writing videos", done / len(episodes.clips))
    return films, problems


def _digest(frames: Path, clips: Sequence[str], episodes: Episodes) -> str:
    """Of the names, sizes and times of writing of the frames, and the lengths of the clips."""
    digest = hashlib.sha256()
    for clip in clips:
        files = sorted((frames / clip).iterdir()) if (frames / clip).is_dir() else []
        told = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        digest.update(json.dumps([clip, episodes.lengths_s[clip], told]).encode())
    return digest.hexdigest()
