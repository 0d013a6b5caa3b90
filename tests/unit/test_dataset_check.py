"""What ``lva data check`` counts and reports."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from longvideoagent.datasets.base import DatasetOptions
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.media.readers.frame_folder import FrameFolderReader
from longvideoagent.media.video_writer import encode_frames
from tests.fakes.release import CLIPS, TEXTS, question, write_frames, write_release
from tests.plugins.environment import SHARED

REAL = SHARED / "data" / "longtvqa_plus"


def test_check_frames(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d", [question(1), question(2, occur_clip=CLIPS[3], bbox={"1": [{"img_id": 1}]})])
    write_frames(folder / "frames")
    assert read_longtvqa(folder).check().counts["clips without frames"] == 0
    assert "the last 144 are missing; they end at 2.0 s of 50.0 s" in str(read_longtvqa(folder).check().problems)
    (folder / "frames" / CLIPS[0] / "00003.jpg").unlink()
    (folder / "frames" / CLIPS[1] / "cover.jpg").write_bytes(b"\xff\xd8 cut")
    (folder / "frames" / CLIPS[1] / "00002.jpg").write_bytes(b"\xff\xd8 cut")
    (folder / "frames" / CLIPS[2] / "00001.jpg").write_bytes(b"")
    (folder / "frames" / CLIPS[2] / "00002.jpg").unlink()
    os.mkfifo(folder / "frames" / CLIPS[2] / "00002.jpg")  # reading it would never end
    for file in (folder / "frames" / CLIPS[3]).iterdir():
        file.unlink()
    report = read_longtvqa(folder).check()
    messages = [str(problem) for problem in report.problems]
    for message in (
        "1 frame missing (00003.jpg first)",
        "1 frame missing (00002.jpg first)",
        "1 frames have no number",
        "not a complete JPEG",
        "no folder of numbered frames",
        "bbox",
    ):
        assert any(message in text for text in messages), message
    assert (report.counts["questions"], report.counts["episodes"], report.counts["clips"]) == (2, 2, 4)
    assert report.counts["unreadable frames"] == 2
    assert report.counts["clips without frames"] == 1


def test_check_frames_of_one_show(tmp_path: Path) -> None:
    other = "castle_s01e01_seg02_clip_00"
    records = [question(1, ts=[0, 1], bbox={}), question(2, occur_clip=other, episode_name=None, bbox={})]
    folder = write_release(tmp_path / "d", records)
    (folder / "LongTVQA_plus_subtitle_clip_level.json").write_text(json.dumps({**TEXTS, other: "(Otto:)Hi."}))
    (folder / "clip_durations.json").unlink()
    write_frames(folder / "castle_frames")
    for name in CLIPS:
        (folder / "castle_frames" / name).rename(folder / "castle_frames" / f"house_{name}")
    messages = [problem.message for problem in read_longtvqa(folder).check().problems if problem.field == "frames"]
    assert messages == [
        "no frames of the 3 clips of bbt; lva data download frames --show bbt gets them",
        "no frames of the 1 clips of castle; lva data download frames --show castle gets them",
    ]


def test_check_video_cut_short(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d", [question(1)])
    (folder / "videos").mkdir()
    video = folder / "videos" / "s01e01.mp4"
    write_frames(tmp_path / "frames")
    encode_frames(FrameFolderReader(tmp_path / "frames" / CLIPS[0]), video)
    (problem,) = read_longtvqa(folder).check().problems
    assert (problem.path, "of 175.5 s; is it cut short?" in problem.message) == (video, True)
    video.write_bytes(video.read_bytes()[:300])
    (problem,) = read_longtvqa(folder).check().problems
    assert (problem.path, problem.field) == (video, "video")


@pytest.mark.shared
def test_check_real_data() -> None:
    data = read_longtvqa(REAL)
    report = data.check()
    assert [(problem.record, problem.field) for problem in report.problems] == [(1276, "options")]
    assert [report.counts[name] for name in ("questions", "episodes", "clips")] == [1575, 94, 1798]
    assert report.counts["questions with an ambiguous answer"] == 1
    for video in data.videos:
        timeline = data.timeline(video)
        assert all(clip.subtitles for clip in timeline.clips)
    for sample in data.samples:
        clip = data.timeline(sample.video).find_clip(sample.gold.clip or "")
        assert clip is not None
        assert clip.start_s <= (sample.gold.start_s or 0)


def test_check_boxes_after_clip(tmp_path: Path) -> None:
    box = question()["bbox"]["7"][0]
    far, edge = ({"1": [box | {"img_id": number}]} for number in (99999, 152))
    data = read_longtvqa(write_release(tmp_path / "d", [question(1, bbox=far), question(2, bbox=edge)]))
    (problem,) = data.check().problems
    assert (problem.record, problem.field) == (1, "bbox")
    assert "of a frame after its clip" in problem.message
    assert [len(data.boxes(sample) or ()) for sample in data.samples] == [0, 1]


@pytest.mark.parametrize("boxes", [{"1": [question()["bbox"]["7"][0] | {"width": 0}]}, {"1": 5}, {"1": None}, "x", [1]])
def test_check_boxes_invalid(boxes: object, tmp_path: Path) -> None:
    report = read_longtvqa(write_release(tmp_path / "d", [question(1, bbox=boxes)])).check()
    assert [problem.field for problem in report.problems if problem.field == "bbox"] == ["bbox"]


def test_check_one_invalid_box_of_several(tmp_path: Path) -> None:
    box = question()["bbox"]["7"][0]
    boxes = {"7": [box, box | {"height": "x"}], "9": [box | {"img_id": 9}], "11": None}
    data = read_longtvqa(write_release(tmp_path / "d", [question(1, bbox=boxes)]))
    assert [round(each.time_s - 60, 3) for each in data.boxes(data.samples[0])] == [2.0, 2.667]
    (problem,) = data.check().problems
    assert problem.message.endswith("2 of 4 are left out")


def test_box_after_a_minute_in_clip_of_unknown_length(tmp_path: Path) -> None:
    box = question()["bbox"]["7"][0]
    boxes = {"1": [box | {"img_id": number} for number in (200, 9999)]}
    folder = write_release(tmp_path / "d", [question(1, bbox=boxes)])
    (folder / "clip_durations.json").unlink()
    data = read_longtvqa(folder)
    assert [round(each.time_s, 3) for each in data.boxes(data.samples[0])] == [156.333]
    assert data.check().problems[0].message.endswith("1 of 2 are left out")  # no clip lasts so long


def test_check_no_questions_no_frames(tmp_path: Path) -> None:
    report = read_longtvqa(write_release(tmp_path / "d", [])).check()
    assert "has no question" in str(report.problems[0])
    assert read_longtvqa(write_release(tmp_path / "e")).check().counts["clips without frames"] == 3


def test_check_subtitles_of_another_set(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d", [question(1), question(2)])
    (folder / "LongTVQA_plus_subtitle_clip_level.json").unlink()
    (problem, *_) = read_longtvqa(folder).problems
    assert "add LongTVQA_plus_subtitle_clip_level.json or LongTVQA_plus_subtitle_episode_level.json" in str(problem)
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"castle_s01e01_seg01_clip_00": "Rick : Hello."}))
    problems = read_longtvqa(folder, options=DatasetOptions(subtitles=file)).problems
    fix = "give those of LongTVQA_plus with --subtitles"
    assert [str(each) for each in problems] == [f"{file}: the subtitles fit no episode of the questions; {fix}"]
    (folder / "LongTVQA_plus_val.json").rename(folder / "LongTVQA_val.json")
    (problem, *_) = read_longtvqa(folder).problems
    assert "add LongTVQA_subtitles_clip_level.json" in str(problem)
