"""A subset of a data set as a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.longtvqa.episode_videos import link_folder
from longvideoagent.datasets.longtvqa.read import SYNTHETIC_CONFIG_FILES, SYNTHETIC_NAME, LongTVQA, set_name
from longvideoagent.datasets.longtvqa.texts import TIMED_LINES
from longvideoagent.datasets.longtvqa.write import join_records, to_json, write_json, write_text
from longvideoagent.datasets.records import RecordFile
from longvideoagent.errors import UsageError


def write_subset(data: LongTVQA, samples: Sequence[Sample], out: Path) -> None:
    """Write a folder with the unchanged records of these questions, the texts of their episodes, and links to frames
    and videos. The folder may hold another split of the same set. Raises UsageError if it holds this split or another
    set, and if there is no question."""
    target = out / data.questions_file.name
    if target.exists():
        raise UsageError(f"{target}: exists already; choose another --out")
    if not samples:
        raise UsageError(f"{data.questions_file}: has no usable question; lva data check says why")
    videos = dict.fromkeys(sample.video for sample in samples)
    clips = [clip for video in videos for clip in data.episodes.clips[video]]
    texts = {clip: data.texts[clip] for clip in clips if clip in data.texts}
    known_durations_s = {
        clip: data.episodes.known_durations_s[clip] for clip in clips if clip in data.episodes.known_durations_s
    }
    members_of: dict[Path, Mapping[str, object]] = {
        out / f"{set_name(data.questions_file)}_subtitle_clip_level.json": {
            clip: data.raw_texts[clip] for clip in clips if clip in data.raw_texts
        },
        out / "clip_durations.json": known_durations_s,
    }
    if any(not isinstance(text, str) for text in texts.values()):
        members_of[out / TIMED_LINES] = texts
    merged = {path: _merge_members(path, members) for path, members in members_of.items() if members}
    for path, members in merged.items():
        write_json(path, members)
    if data.name == SYNTHETIC_NAME:  # it stays one, and lva data synth does not take its folder for its own
        write_json(out / SYNTHETIC_CONFIG_FILES[0], {"subset_of": data.folder.name})
    for folder in (*data.frames.roots, data.folder / "videos"):
        if folder.is_dir():
            link_folder(out / folder.name, folder)
    records = [to_json(data.records[sample.question.id].values) for sample in samples]
    write_text(target, join_records(records, as_list=target.suffix == ".json"))


def _merge_members(path: Path, members: Mapping[str, object]) -> dict[str, object]:
    """The members of an earlier subset's file and these. Raises UsageError if they contradict each other."""
    existing: dict[str, object] = RecordFile.read(path).members() if path.exists() else {}
    conflict = next((name for name in existing if name in members and existing[name] != members[name]), None)
    if conflict is not None:
        raise UsageError(f"{path}: differs in {conflict}, so it is of another set; choose another --out")
    return {**existing, **members}
