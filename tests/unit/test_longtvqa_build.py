"""LongTVQA built from TVQA, LongTVQA+ built from TVQA+: the reader reads what was built."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from longvideoagent.datasets.longtvqa.build import BuildInputs, BuildReport, build_longtvqa, files_by_split
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.readers.base import open_reader
from tests.fakes.release import CLIPS, DURATIONS, write_frames
from tests.fakes.tvqa import tvqa_record, write_durations, write_preprocessed, write_questions, write_srts

CLIPS_OF_SHOWS = ("friends_s06e24-25_seg02_clip_40", "friends_s06e24-25_seg01_clip_03", "met_s02e03_seg02_clip_00")


def test_build_longtvqa_plus(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "tvqa_plus_val.json", tvqa_record(1), tvqa_record(2, CLIPS[3]))
    lines = write_preprocessed(tmp_path / "subs.json", as_lines=False)
    report = build_longtvqa(
        BuildInputs({"val": questions}, lines, write_durations(tmp_path / "d.json")), tmp_path / "out"
    )
    assert report.problems == ()
    assert report.counts == {
        "episodes": 2, "clips": 4, "clips without subtitles": 1, "clips of unknown length": 0, "val questions": 2,
    }  # fmt: skip
    data = read_longtvqa(tmp_path / "out")
    assert (data.name, data.problems) == ("LongTVQA_plus", ())
    sample = data.samples[0]
    assert (sample.video, sample.gold.clip, sample.gold.option_index) == ("s01e01", CLIPS[1], 1)
    assert (sample.gold.start_s, sample.gold.end_s) == (62.0, 65.5)
    assert len(data.boxes(sample) or ()) == 1
    lines_read = [(round(line.start_s, 3), line.text) for line in data.timeline("s01e01").subtitles]
    assert lines_read[1:3] == [(3.0, "Otto: Is it?"), (60.5, "Here is the red lantern.")]
    stored, _ = json.loads((tmp_path / "out" / "LongTVQA_plus_val.json").read_text())
    assert (stored["ts"], stored["episode_ts"]) == ([2.0, 5.5], [62.0, 65.5])


def test_build_longtvqa(tmp_path: Path) -> None:
    unanswered = {name: value for name, value in tvqa_record(3, bbox=None).items() if name != "answer_idx"}
    records = [
        tvqa_record(1, bbox=None, ts="2.0-5.5", answer_idx="3"),
        tvqa_record(2, bbox=None, ts="NaN-NaN"),
        unanswered,
    ]
    questions = write_questions(tmp_path / "tvqa_test.jsonl", *records, as_lines=True)
    report = build_longtvqa(
        BuildInputs({"test": questions}, write_srts(tmp_path / "srt"), write_durations(tmp_path / "d.json")),
        tmp_path / "out",
    )
    assert report.problems == ()
    data = read_longtvqa(tmp_path / "out", "test")
    assert data.questions_file.name == "LongTVQA_test.jsonl"
    assert [sample.gold.option_index for sample in data.samples] == [3, 1, None]
    assert [sample.gold.start_s for sample in data.samples] == [62.0, None, 62.0]
    assert [line.text for line in data.timeline("s01e01").clips[1].subtitles] == ["Here is the red lantern."]


@pytest.mark.parametrize("as_lines", [True, False])
def test_build_reproducible(as_lines: bool, tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "q_val.json", tvqa_record(1), tvqa_record(2))
    lines = write_preprocessed(tmp_path / "subs.json", as_lines=as_lines)
    for out in ("a", "b"):
        build_longtvqa(BuildInputs({"val": questions}, lines), tmp_path / out)
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / out).iterdir()} for out in ("a", "b"))
    assert first == second
    assert len(first) == 6
    assert set(json.loads(first["manifest.json"])["inputs_sha256"]) == {"val", "subtitles"}


def test_build_double_episodes_and_shows(tmp_path: Path) -> None:
    lines = write_srts(tmp_path / "srt", {clip: [(0.0, 30.0, clip)] for clip in CLIPS_OF_SHOWS})
    questions = write_questions(
        tmp_path / "q_val.json", tvqa_record(1, CLIPS_OF_SHOWS[0]), tvqa_record(2, CLIPS_OF_SHOWS[2])
    )
    build_longtvqa(BuildInputs({"val": questions}, lines), tmp_path / "out")
    data = read_longtvqa(tmp_path / "out")
    assert data.episodes.clips == {
        "friends_s06e24-25": [CLIPS_OF_SHOWS[1], CLIPS_OF_SHOWS[0]],
        "met_s02e03": [CLIPS_OF_SHOWS[2]],
    }
    assert data.samples[0].gold.start_s == 92.0


def test_build_record_problems(tmp_path: Path) -> None:
    records = [
        tvqa_record(1),
        tvqa_record(2, "../x"),
        tvqa_record(3, "s09e09_seg01_clip_00"),
        tvqa_record(4, answer_idx=9),
        tvqa_record(5, a1=""),
        tvqa_record(1),
    ]
    questions = write_questions(tmp_path / "q_val.jsonl", *records, tvqa_record(6, ts="once"), as_lines=True)
    with questions.open("a") as file:
        file.write("\n{broken")
    report = build_longtvqa(BuildInputs({"val": questions}, write_srts(tmp_path / "srt")), tmp_path / "out")
    messages = [str(problem) for problem in report.problems]
    assert report.counts["val questions"] == 3
    places = ((2, "vid_name"), (3, "vid_name"), (4, "answer_idx"), (5, "a1"), (6, "qid"), (7, "ts"), (8, ""))
    for line, field in places:
        assert any(f"q_val.jsonl:{line}: " in message and field in message for message in messages), (line, messages)
    data = read_longtvqa(tmp_path / "out")
    assert [(sample.question.id, sample.gold.option_index) for sample in data.samples] == [
        ("1", 1),
        ("4", None),
        ("6", 1),
    ]


def test_build_invalid_lengths(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "q_val.json", tvqa_record(1, ts=[95.0, 96.0]))
    durations = tmp_path / "d.json"
    durations.write_text(json.dumps({CLIPS[0]: -3, CLIPS[2]: 50}))
    subtitles = write_srts(tmp_path / "srt", {CLIPS[0]: [(1.0, 30.0, "Hi.")], CLIPS[1]: [(2.0, 15.0, "Hi.")]})
    report = build_longtvqa(BuildInputs({"val": questions}, subtitles, durations), tmp_path / "out")
    assert [str(problem) for problem in report.problems] == [
        f"{durations}: {CLIPS[0]}: not a length in seconds; it is not used",
        f"{questions}:1: record 1: ts: [95.0, 96.0] begins after the clip ends (90.0 s, assumed); it has no times",
    ]
    assert report.counts["clips of unknown length"] == 2
    data = read_longtvqa(tmp_path / "out")
    assert [clip.end_s for clip in data.timeline("s01e01").clips] == [90.0, 180.0, 230.0]
    assert (data.problems, data.samples[0].gold.start_s) == ((), None)  # 140 s would be of the next clip
    durations.write_text("[]")
    with pytest.raises(DataError, match="not a JSON object"):
        build_longtvqa(BuildInputs({"val": questions}, subtitles, durations), tmp_path / "other")


def test_build_unreadable_subtitles(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "q_val.json", tvqa_record(1))
    folder = write_srts(tmp_path / "srt")
    (folder / f"{CLIPS[0]}.srt").write_bytes(b"\0\1\2" * 100)
    (folder / f"{CLIPS[3]}.srt").write_bytes(b"")
    with (folder / f"{CLIPS[2]}.srt").open("a") as file:
        file.write("\n2\n00:00:1x,000 --> 00:00:14,000\nThe bus.\n")
    (folder / "notes.srt").write_text("1\n")
    report = build_longtvqa(BuildInputs({"val": questions}, folder), tmp_path / "out")
    assert {(problem.path.stem, problem.message.split(";")[0]) for problem in report.problems} == {
        (CLIPS[0], "binary data, not subtitle text"), ("notes", "not the name of a clip"),
        (CLIPS[2], "1 subtitle cue has times that cannot be read and was placed between the cues around it"),
    }  # fmt: skip
    duplicate = tmp_path / "twice.json"
    rows = [{"vid_name": CLIPS[1], "sub": [{"start": 0, "end": 1, "text": text}]} for text in ("First.", "Second.")]
    duplicate.write_text(json.dumps([*rows, {"vid_name": "x", "sub": []}]))
    report = build_longtvqa(BuildInputs({"val": questions}, duplicate), tmp_path / "twice")
    places = [(problem.record, problem.field) for problem in report.problems]
    assert places == [(2, "vid_name"), (3, "vid_name"), (0, "clips")]
    assert [line.text for line in read_longtvqa(tmp_path / "twice").timeline("s01e01").subtitles] == ["First."]


@pytest.mark.parametrize(
    "spelling", ["(Mira:)The bakery.", "( Mira : ) The bakery.", "Mira : The bakery.", "Mira: The bakery."]
)
def test_build_speaker_spelling(spelling: str, tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "q_val.json", tvqa_record(1))
    build_longtvqa(
        BuildInputs({"val": questions}, write_srts(tmp_path / "srt", {CLIPS[1]: [(1.0, 2.0, spelling)]})),
        tmp_path / "out",
    )
    assert [line.text for line in read_longtvqa(tmp_path / "out").timeline("s01e01").subtitles] == ["Mira: The bakery."]
    texts = json.loads((tmp_path / "out" / "LongTVQA_plus_subtitle_clip_level.json").read_text())
    assert texts == {CLIPS[1]: "Mira : The bakery."}


def build_videos(tmp_path: Path) -> BuildReport:
    """Of frames that show two seconds a clip."""
    questions = write_questions(tmp_path / "q_val.json", tvqa_record(1, ts=[0.5, 1.5]))
    subtitles = tmp_path / "srt"
    if not subtitles.is_dir():
        write_srts(subtitles, {clip: [(0.0, 1.5, "Hi.")] for clip in CLIPS})
    return build_longtvqa(
        BuildInputs({"val": questions}, subtitles, None, tmp_path / "frames"), tmp_path / "out", with_videos=True
    )


def test_build_frames_linked_and_counted(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames")
    report = build_videos(tmp_path)
    assert (report.counts["clips of unknown length"], report.counts["videos"], report.problems) == (0, 2, ())
    data = read_longtvqa(tmp_path / "out")
    assert data.timeline("s01e01").duration_s == 6.0
    episode = data.open_video("s01e01")
    assert [int(frame.rgb().mean()) for frame in episode.reader.frames([1.0, 3.0])] == [40, 90]
    assert data.episode_video("s01e01") is None  # frames take precedence over a video made of them
    (tmp_path / "other").mkdir()
    questions = tmp_path / "q_val.json"
    with pytest.raises(UsageError, match="exists already and is not"):
        build_longtvqa(BuildInputs({"val": questions}, tmp_path / "srt", None, tmp_path / "other"), tmp_path / "out")


def test_build_video_again_when_frames_change(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames")
    for index in range(1, 7):  # a clip of another size
        Image.new("RGB", (128, 96), (90,) * 3).save(tmp_path / "frames" / CLIPS[1] / f"{index:05}.jpg")
    build_videos(tmp_path)
    path = tmp_path / "out" / "videos" / "s01e01.mp4"
    video = open_reader(path)
    assert abs(video.duration_s - 6.0) < 0.4
    shown = [frame.rgb() for frame in video.frames([1.0, 3.0, 5.0])]
    assert {image.shape for image in shown} == {(48, 64, 3)}
    assert all(abs(int(image.mean()) - expected) < 8 for image, expected in zip(shown, (40, 90, 140), strict=True))
    written_ns = path.stat().st_mtime_ns
    build_videos(tmp_path)
    assert path.stat().st_mtime_ns == written_ns
    digests = path.with_name("input_digests.json")
    digests.rename(path.with_name("made_of.json"))  # its name in earlier versions
    build_videos(tmp_path)
    assert path.stat().st_mtime_ns == written_ns
    Image.new("RGB", (64, 48), (250,) * 3).save(tmp_path / "frames" / CLIPS[2] / "00005.jpg")
    build_videos(tmp_path)
    assert path.stat().st_mtime_ns != written_ns


def test_build_video_missing_frames(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames")
    shutil.rmtree(tmp_path / "frames" / CLIPS[0])
    shutil.rmtree(tmp_path / "frames" / CLIPS[3])
    report = build_videos(tmp_path)
    assert report.counts["videos"] == 1
    assert [problem.path.stem for problem in report.problems] == ["s01e01", "s01e02"]
    shown = open_reader(tmp_path / "out" / "videos" / "s01e01.mp4").frames([30.0, 91.0])
    assert all(abs(int(frame.rgb().mean()) - expected) < 8 for frame, expected in zip(shown, (0, 90), strict=True))


def test_video_used_without_frames(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames")
    build_videos(tmp_path)
    (tmp_path / "out" / "frames").unlink()
    shutil.rmtree(tmp_path / "frames" / CLIPS[3])
    (tmp_path / "frames").rename(tmp_path / "out" / "frames")
    (tmp_path / "out" / "videos" / "s01e02.77.partial.mp4").write_bytes(b"killed")
    data = read_longtvqa(tmp_path / "out")
    assert (data.episode_video("s01e01"), data.open_video("s01e02").reader.path.name) == (None, "s01e02.mp4")
    report = data.check()
    assert (report.problems, report.counts["clips without frames"]) == ((), 0)


def test_build_invalid_inputs(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "q_val.json", tvqa_record(1))
    train_file = write_questions(tmp_path / "x_train.jsonl", tvqa_record(1))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no subtitles of clips"):
        build_longtvqa(BuildInputs({"val": questions}, tmp_path / "empty"), tmp_path / "out")
    with pytest.raises(DataError, match="No such file"):
        build_longtvqa(BuildInputs({"val": tmp_path / "none.json"}, write_srts(tmp_path / "srt")), tmp_path / "out")
    assert files_by_split([questions, train_file]) == {"val": questions, "train": train_file}
    nameless = write_questions(tmp_path / "questions.json", tvqa_record(1))
    cases = (
        ([nameless], "does not contain one split"),
        ([questions, questions], "one file of each"),
        ([Path("x")], "no such"),
    )
    for files, message in cases:
        with pytest.raises(UsageError, match=message):
            files_by_split(files)
    with pytest.raises(UsageError, match="not a folder"):
        build_longtvqa(BuildInputs({"val": questions}, tmp_path / "srt", None, tmp_path / "none"), tmp_path / "other")
    assert not list((tmp_path / "other").glob("LongTVQA*"))


def test_build_two_sets_in_one_folder(tmp_path: Path) -> None:
    subtitles = write_srts(tmp_path / "srt")
    with_boxes = write_questions(tmp_path / "plus_val.json", tvqa_record(1))
    build_longtvqa(BuildInputs({"val": with_boxes}, subtitles), tmp_path / "out")
    build_longtvqa(BuildInputs({"val": with_boxes}, subtitles), tmp_path / "out")
    first = (tmp_path / "out" / "LongTVQA_plus_val.json").read_bytes()
    for changed in ({"bbox": None}, {"q": "Who came?"}):
        other = write_questions(tmp_path / "val.json", tvqa_record(1, **changed))
        with pytest.raises(UsageError, match="exists already and was not built from these files"):
            build_longtvqa(BuildInputs({"val": other}, subtitles), tmp_path / "out")
    assert (tmp_path / "out" / "LongTVQA_plus_val.json").read_bytes() == first
    bare = write_questions(tmp_path / "train.json", tvqa_record(1, bbox=None))
    with pytest.raises(UsageError, match="some files have boxes"):
        build_longtvqa(BuildInputs({"train": bare, "val": with_boxes}, subtitles), tmp_path / "mixed")


@pytest.mark.parametrize("name", ["clip_durations.json", "manifest.json", "clip_subtitles.json", "videos"])
def test_build_never_overwrites(name: str, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    if name == "videos":
        (own / name).mkdir()
    else:
        (own / name).write_text(json.dumps(DURATIONS))
    before = [path.read_bytes() for path in own.iterdir() if path.is_file()]
    durations = own / name if name == "clip_durations.json" else None
    source = BuildInputs(
        {"val": write_questions(tmp_path / "q_val.json", tvqa_record(1))}, write_srts(tmp_path / "srt"), durations
    )
    with pytest.raises(UsageError, match=f"{name}: exists already and was not built from these files; move it away"):
        build_longtvqa(source, own)
    assert [path.read_bytes() for path in own.iterdir() if path.is_file()] == before
    assert len(list(own.iterdir())) == 1


def test_build_again_after_failure(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "q_val.json", tvqa_record(1))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no subtitles"):
        build_longtvqa(BuildInputs({"val": questions}, tmp_path / "empty"), tmp_path / "out")
    assert (
        build_longtvqa(BuildInputs({"val": questions}, write_srts(tmp_path / "srt")), tmp_path / "out").problems == ()
    )


def test_build_subtitle_formats(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "q_val.json", tvqa_record(1))
    folder = write_srts(tmp_path / "srt")
    (folder / f"{CLIPS[0]}.srt").rename(folder / f"{CLIPS[0]}.SRT")
    (folder / f"{CLIPS[1]}.srt").unlink()
    (folder / f"{CLIPS[1]}.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nA lantern.\n")
    (folder / f"{CLIPS[2]}.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nNot this.\n")
    report = build_longtvqa(BuildInputs({"val": questions}, folder), tmp_path / "out")
    (problem,) = report.problems
    assert (problem.path.suffix, f"is of the same clip as {CLIPS[2]}.srt" in problem.message) == (".vtt", True)
    spoken = [line.text for line in read_longtvqa(tmp_path / "out").timeline("s01e01").subtitles]
    assert spoken == ["Mira: The bakery is closed.", "Otto: Is it?", "A lantern.", "We are late."]
    (folder / f"{CLIPS[1]}.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nAnother.\n")
    with pytest.raises(UsageError, match="not built from these files"):
        build_longtvqa(BuildInputs({"val": questions}, folder), tmp_path / "out")


def test_build_missing_clips(tmp_path: Path) -> None:
    clips = {CLIPS[0]: [(1.0, 2.0, "Hi.")], "s01e01_seg01_clip_03": [(1.0, 2.0, "Bye.")]}
    questions = write_questions(tmp_path / "q_val.json", tvqa_record(1, CLIPS[0]))
    report = build_longtvqa(BuildInputs({"val": questions}, write_srts(tmp_path / "srt", clips)), tmp_path / "out")
    (problem,) = report.problems
    assert (problem.field, problem.message.split(";")[0]) == ("clips", f"2 of s01e01 are missing ({CLIPS[1]} first)")
    assert "2 of s01e01 are missing" in str(read_longtvqa(tmp_path / "out").check().problems[0])


def test_build_invalid_boxes(tmp_path: Path) -> None:
    box = {"img_id": 7, "top": float("nan"), "left": 2, "width": 3, "height": 4, "label": "Otto"}
    valid = box | {"top": 1}
    questions = write_questions(
        tmp_path / "q_val.json", tvqa_record(1, bbox={"7": [box, valid]}), tvqa_record(2, bbox={})
    )
    report = build_longtvqa(BuildInputs({"val": questions}, write_srts(tmp_path / "srt")), tmp_path / "out")
    assert [(problem.record, problem.field) for problem in report.problems] == [(1, "bbox")]
    assert read_longtvqa(tmp_path / "out").check().counts["questions with boxes"] == 1


def test_build_clip_length_from_lines(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "q_val.json", tvqa_record(1))
    lines: dict[str, Any] = {CLIPS[1]: [(1.0, 59.9, "A song."), (2.0, 3.0, "Hi.")], CLIPS[0]: [(0.0, 1.0, "Hi.")]}
    write_frames(tmp_path / "frames")
    source = BuildInputs({"val": questions}, write_srts(tmp_path / "srt", lines), None, tmp_path / "frames")
    report = build_longtvqa(source, tmp_path / "out", with_videos=True)
    data = read_longtvqa(tmp_path / "out")
    assert [round(clip.end_s - clip.start_s, 3) for clip in data.timeline("s01e01").clips] == [2.0, 59.9]
    (problem,) = report.problems
    assert data.check().problems[0].message == problem.message
    assert str(problem).endswith(f"{CLIPS[1]}: frame names: the last 174 are missing; they end at 2.0 s of 59.9 s")


def test_build_video_unreadable_frames(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames")
    (tmp_path / "frames" / CLIPS[0] / "00002.jpg").write_bytes(b"no image")
    (tmp_path / "frames" / CLIPS[1] / "00003.jpg").unlink()
    messages = [str(problem) for problem in build_videos(tmp_path).problems]
    assert len(messages) == 2
    assert messages[0].endswith("00002.jpg: frame: not a complete JPEG; extract it again")
    assert "1 frame missing (00003.jpg first)" in messages[1]


def test_check_video_cut_short_with_frames(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames")
    build_videos(tmp_path)
    path = tmp_path / "out" / "videos" / "s01e01.mp4"
    shutil.copy(tmp_path / "out" / "videos" / "s01e02.mp4", path)
    (problem,) = read_longtvqa(tmp_path / "out").check().problems
    assert (problem.path, problem.field) == (path, "video")


def test_build_unpaired_surrogates(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "q_val.json", tvqa_record(1, q="Who \ud83d?"))
    lines = tmp_path / "subs.json"
    lines.write_text(json.dumps([{"vid_name": CLIPS[1], "sub": [{"start": 0, "end": 1, "text": "Hi \ude00"}]}]))
    report = build_longtvqa(BuildInputs({"val": questions}, lines), tmp_path / "out")
    assert [(problem.path, problem.field) for problem in report.problems] == [
        (lines, "text"), (lines, "clips"), (questions, "q"),
    ]  # fmt: skip
    data = read_longtvqa(tmp_path / "out")
    assert (data.samples[0].question.text, data.timeline("s01e01").subtitles[0].text) == ("Who ??", "Hi ?")
