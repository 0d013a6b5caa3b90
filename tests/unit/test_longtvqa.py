"""LongTVQA in its release layout: questions, gold answers and episodes, valid and invalid."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from longvideoagent import RolloutSettings, answer, load_team
from longvideoagent.agents.offline.vision import sample_times_s
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.trace import Agents
from longvideoagent.datasets.base import DatasetOptions
from longvideoagent.datasets.fields import read_span
from longvideoagent.datasets.longtvqa.clips import ClipName
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.datasets.sets.tvqa_long import read_tvqa_long
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.readers.frame_folder import FrameFolderReader
from longvideoagent.media.video_writer import encode_frames
from tests.fakes.public_rows import public_row, write_public_rows
from tests.fakes.release import CLIPS, question, write_frames, write_release
from tests.fakes.tvqa import tvqa_record
from tests.plugins.environment import SHARED

HERE = json.dumps({"clip": CLIPS[1], "subtitle": "Otto : Here."})

REAL = SHARED / "data" / "longtvqa_plus"


def test_question_gold_on_episode_axis(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d"))
    (sample,) = data.samples
    assert data.problems == ()
    assert (sample.question.id, sample.question.text) == ("1", "What does Otto hold ?")
    assert sample.question.options[1] == "A lantern"
    assert (sample.video, sample.kind) == ("s01e01", "what")
    assert (sample.gold.option_index, sample.gold.clip) == (1, CLIPS[1])
    assert (sample.gold.start_s, sample.gold.end_s) == (62.0, 65.5)
    (box,) = data.boxes(sample) or ()
    assert (box.time_s, box.left, box.top, box.width, box.height, box.label) == (62.0, 2, 1, 3, 4, "Otto")


def test_episode_clips_in_order(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d"))
    timeline = data.timeline("s01e01")
    assert [clip.label for clip in timeline.clips] == list(CLIPS[:3])
    assert [clip.start_s for clip in timeline.clips] == [0.0, 60.0, 110.0]
    assert timeline.duration_s == 175.5
    assert [line.text for line in timeline.clips[0].subtitles] == [
        "Mira: The bakery is closed.",
        "Otto: Is it?",
        "Dr. Lund: It is.",
    ]
    assert timeline.clips[1].subtitles[0].start_s == 60.0
    assert data.timeline("s01e01") is timeline


@pytest.mark.parametrize(
    ("fields", "right"),
    [({"answer": "a3"}, 3), ({"answer": None, "answer_idx": 2}, 2), ({"answer": None, "answer_idx": "4"}, 4),
     ({"answer": None}, None), ({"answer": ""}, None), ({"answer": "A2"}, 2), ({"answer": 0}, 0)],
)  # fmt: skip
def test_answer_forms(fields: dict[str, Any], right: int | None, tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(**fields)]))
    assert data.samples[0].gold.option_index == right
    assert data.problems == ()


@pytest.mark.parametrize(
    ("value", "span"),
    [([48.62, 60.0], (48.62, 60.0)), ("48.62-60.02", (48.62, 60.02)), ("NaN-NaN", None), (["1", "2"], (1.0, 2.0)),
     ([5, 2], None), ([-1, 2], None), ([1], None), (7, None), ([True, 2], None), ([float("nan"), 2.0], None)],
)  # fmt: skip
def test_read_span(value: object, span: tuple[float, float] | None) -> None:
    assert read_span(value) == span


@pytest.mark.parametrize(
    ("changed", "field", "message", "is_kept"),
    [
        ({"q": ""}, "q", "no question", False),
        ({"a2": " "}, "a2", "missing or empty", False),
        ({"a2": True}, "a2", "missing or empty", False),
        ({"a0": None}, "a0", "missing or empty", False),
        ({"ts": [900.0, 901.0]}, "ts", "begins after the clip ends", True),
        ({"ts": [1.0, 10**400]}, "ts", "not a span in seconds", True),
        ({"qid": None}, "qid", "no id", False),
        ({"qid": " "}, "qid", "no id", False),
        ({"occur_clip": "../../etc/passwd"}, "occur_clip", "not the name of a clip", False),
        ({"occur_clip": {"clip": 1}}, "occur_clip", "not the name of a clip", False),
        ({"occur_clip": "s01e01/clip"}, "occur_clip", "not the name of a clip", False),
        ({"occur_clip": "s09e01_seg01_clip_00"}, "occur_clip", "neither subtitles nor a length", False),
        ({"answer": "a7"}, "answer", "none of a0 to a4", True),
        ({"answer": {"x": 1}}, "answer", "none of a0 to a4", True),
        ({"ts": [float("nan"), 2.0]}, "ts", "not a span in seconds", True),
        ({"ts": [1.0, 51.0]}, "ts", "ends after the clip", True),
        ({"episode_name": "s01e02"}, "episode_name", "its clip is of s01e01", True),
    ],
)
def test_record_problem_line_and_field(
    changed: dict[str, Any], field: str, message: str, is_kept: bool, tmp_path: Path
) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(1), question(2, **changed), question(3)]))
    (problem,) = data.problems
    assert (problem.line, problem.record, problem.field) == (3, 2, field)
    assert message in problem.message
    assert str(problem).startswith(f"{data.questions_file}:3: record 2: {field}: ")
    assert len(data.samples) == (3 if is_kept else 2)


def test_record_null_as_missing(tmp_path: Path) -> None:
    """Tables turned into JSON have every column in every record."""
    folder = write_release(tmp_path / "d", [])
    record = question(1) | {"answer": None, "answer_idx": 3, "occur_clip": None, "vid_name": CLIPS[1], "ts": None}
    (folder / "LongTVQA_plus_val.json").write_text(json.dumps([record | {"bbox": None, "episode_name": None}]))
    data = read_longtvqa(folder)
    assert (data.problems, data.boxes(data.samples[0])) == ((), ())
    assert (data.samples[0].gold.option_index, data.samples[0].gold.clip) == (3, CLIPS[1])


def test_record_empty_text_as_missing(tmp_path: Path) -> None:
    record = question(1, answer="", occur_clip="", answer_idx=3, vid_name=CLIPS[0])
    data = read_longtvqa(write_release(tmp_path / "d", [record]))
    assert data.problems == ()
    assert (data.samples[0].gold.option_index, data.samples[0].gold.clip) == (3, CLIPS[0])


def test_span_nan_is_valid(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(1, ts="NaN-NaN")]))
    assert (data.problems, data.samples[0].gold.start_s) == ((), None)
    assert data.check().counts["questions without times"] == 1


def test_span_limited_to_clip(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(1, ts=[2.0, 50.2])]))
    assert (data.problems, data.samples[0].gold.end_s) == ((), 110.0)


def test_span_after_a_minute_in_clip_of_unknown_length(tmp_path: Path) -> None:
    records = [question(1, ts=[70.0, 75.5]), question(2, ts=[50.0, 90.0]), question(3, ts=[200.0, 201.0])]
    folder = write_release(tmp_path / "d", records[:2])
    (folder / "clip_durations.json").unlink()
    data = read_longtvqa(folder)
    assert data.problems == ()
    assert [(sample.gold.start_s, sample.gold.end_s) for sample in data.samples] == [(160.0, 165.5), (140.0, 180.0)]
    assert [clip.end_s for clip in data.timeline("s01e01").clips] == [90.0, 180.0, 270.0]  # whatever the questions are
    counts = data.check().counts
    assert (counts["clips of unknown length"], counts["seconds assumed for each of them"]) == (3, 90)
    write_release(folder, records)
    (folder / "clip_durations.json").unlink()
    (problem,) = read_longtvqa(folder).problems
    assert "begins after the clip ends (90.0 s, assumed)" in problem.message


def test_clip_length_from_frames(tmp_path: Path) -> None:
    records = [question(1, ts=[61.0, 74.0], bbox={"220": [question()["bbox"]["7"][0] | {"img_id": 220}]})]
    folder = write_release(tmp_path / "d", records)
    (folder / "clip_durations.json").unlink()
    write_frames(folder / "frames")
    Image.new("RGB", (64, 48), (7, 7, 7)).save(folder / "frames" / CLIPS[1] / "00225.jpg")
    for name in ("00000.jpg", "note.txt"):
        (folder / "frames" / CLIPS[0] / name).write_bytes(b"")
    data = read_longtvqa(folder)
    assert data.problems == ()
    first, second, third = data.timeline("s01e01").clips
    assert [round(clip.end_s - clip.start_s, 3) for clip in (first, second, third)] == [2.333, 75.0, 2.0]
    (sample,) = data.samples
    assert (sample.gold.start_s, sample.gold.end_s) == (first.end_s + 61.0, first.end_s + 74.0)
    assert [box.time_s for box in data.boxes(sample)] == [first.end_s + 73.0]
    reader = data.open_video("s01e01").reader
    times_s = sample_times_s([second], ())
    assert times_s[-1] > second.start_s + 60.0
    assert reader.frames([second.end_s - 0.1])[0].rgb().max() < 10  # the last frame of the clip
    assert data.check().counts["clips of unknown length"] == 0


LAYOUTS = {
    "frames": ["frames"] * 2,
    "one show": ["bbt_frames"] * 2,
    "one level down": ["frames/bbt_frames"] * 2,
    "two levels down": ["frames/frames_hq/bbt_frames"] * 2,
    "several shows": ["bbt_frames", "castle_frames"],
    "several shows one level down": ["tvqa_frames/bbt_frames", "tvqa_frames/castle_frames"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_frame_folders(layout: str, tmp_path: Path) -> None:
    clips = (CLIPS[3], "castle_s01e01_seg02_clip_00")
    records = [question(n, occur_clip=clip, episode_name=None, ts=[0.5, 1.5], bbox={}) for n, clip in enumerate(clips)]
    folder = write_release(tmp_path / "d", records)
    texts = dict.fromkeys(clips, "Lena : Another day.")
    (folder / "LongTVQA_plus_subtitle_clip_level.json").write_text(json.dumps(texts))
    (folder / "clip_durations.json").unlink()
    for place, clip, count in zip(LAYOUTS[layout], clips, (6, 9), strict=True):
        (folder / place / clip).mkdir(parents=True)
        for number in range(1, count + 1):
            Image.new("RGB", (64, 48), (20 * count,) * 3).save(folder / place / clip / f"{number:05}.jpg")
    data = read_longtvqa(folder)
    report = data.check()
    assert (report.problems, report.counts["clips without frames"]) == ((), 0)
    for sample, count in zip(data.samples, (6, 9), strict=True):
        video = data.open_video(sample.video)
        assert (video.timeline.duration_s, list(video.warnings)) == (count / 3, [])
        (frame,) = video.reader.frames([1.0])
        assert abs(int(frame.rgb().mean()) - 20 * count) < 3


@pytest.mark.parametrize(
    ("lines", "end_s"),
    [([[1, 95.0, "A song."], [2, 3, "Hi."]], 95.0), ([["1", "95", "A song."], ["2", "3", "Hi."]], 95.0),
     ([[1, 95.0, "A song."], [2, "3", "Hi."], "x"], 95.0), ([[1, 95, "A song."], [2, 1e9, 7]], 95.0), ([], 90.0)],
)  # fmt: skip
def test_clip_length_guessed_from_lines(lines: list[Any], end_s: float, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "clip_durations.json").unlink()
    (folder / "clip_subtitles.json").write_text(json.dumps({CLIPS[0]: lines, CLIPS[1]: []}))
    assert read_longtvqa(folder).episodes.starts_s[CLIPS[1]] == end_s


def test_record_duplicate_id(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(1), question(2), question(1)]))
    assert [sample.question.id for sample in data.samples] == ["1", "2"]
    assert "line 2 (record 1)" in str(data.problems[0])


def test_json_lines_one_broken_line(tmp_path: Path) -> None:
    write_release(tmp_path / "d")
    (tmp_path / "d" / "LongTVQA_plus_val.json").unlink()
    rows = [json.dumps(question(1)), '{"qid": 2, "q": "cut off', "", "[]", json.dumps(question(3))]
    (tmp_path / "d" / "LongTVQA_val.jsonl").write_text("\n".join(rows))
    data = read_longtvqa(tmp_path / "d")
    assert [sample.question.id for sample in data.samples] == ["1", "3"]
    assert [problem.line for problem in data.problems] == [2, 4]
    data = read_longtvqa(write_release(tmp_path / "e", [question(1), question(1)]))
    assert data.name == "LongTVQA_plus"


@pytest.mark.parametrize("text", ['[\n{"qid": 1},\n{"qid": 2, "q": "wh', "[", "{", '{"a": '])
def test_json_cut_short(text: str, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_plus_val.json").write_text(text)
    if text.startswith("["):
        with pytest.raises(DataError, match=r"LongTVQA_plus_val\.json:\d+: broken JSON"):
            read_longtvqa(folder)
    else:
        assert read_longtvqa(folder).problems


@pytest.mark.parametrize("shape", ["list", "lines", "one line"])
def test_json_surrogate_and_duplicate_key(shape: str, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    valid = json.dumps(question(1, q="Why \U0001f600 \\ud83d?"))
    invalid = json.dumps(question(2, q="Who came \ud83d?")).replace('"a1": "A lantern"', '"a1": "x", "a1": "A lantern"')
    questions = folder / "LongTVQA_plus_val.json"
    if shape == "lines":
        questions.unlink()
        questions = folder / "LongTVQA_plus_val.jsonl"
        questions.write_text(f"{valid}\n\n{invalid}\n")
    else:
        questions.write_text(f"[{valid},{'' if shape == 'one line' else chr(10) * 2}{invalid}]")
    data = read_longtvqa(folder)
    assert [sample.question.text for sample in data.samples] == ["Why \U0001f600 \\ud83d?", "Who came ??"]
    prefix = f"{questions}:{1 if shape == 'one line' else 3}: record 2"
    messages = sorted(str(problem).partition(",")[0] for problem in data.problems)
    assert messages == [f"{prefix}: a1: duplicate key in one object", f"{prefix}: q: contains an unpaired surrogate"]


@pytest.mark.parametrize("form", ["[{0}]", "{0}\n{0}"], ids=["list", "lines"])
def test_record_with_many_surrogates_fast(form: str, tmp_path: Path) -> None:
    """In time that grows with the size of the record, and not with its square."""
    folder, names = write_release(tmp_path / "d"), [f"x{number}" for number in range(20_000)]
    record = json.dumps(question(1) | dict.fromkeys(names, "\ud83d"))
    (folder / "LongTVQA_plus_val.json").write_text(form.format(record))
    problems = [problem for problem in read_longtvqa(folder).problems if problem.record == 1]
    assert [problem.field for problem in problems] == names


def test_folder_invalid(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    with pytest.raises(DataError, match="no split 'test'; there are val"):
        read_longtvqa(folder, "test")
    with pytest.raises(DataError, match="not a folder"):
        read_longtvqa(tmp_path / "nowhere")
    with pytest.raises(DataError, match="d is one; give that folder"):
        open_dataset(tmp_path)
    (folder / "LongTVQA_val.jsonl").write_text(json.dumps(question()))
    suggestion = "name the set with --data-set (longtvqa-plus) or (longtvqa)$"
    with pytest.raises(
        DataError, match=rf"LongTVQA_plus_val\.json and LongTVQA_val\.jsonl are .* {suggestion}"
    ) as caught:
        read_longtvqa(folder)
    spellings = re.search(suggestion, str(caught.value))
    assert spellings is not None
    names = [read_longtvqa(folder, "val", DatasetOptions(spelling)).name for spelling in spellings.groups()]
    assert names == ["LongTVQA_plus", "LongTVQA"]
    (folder / "LongTVQA_val.jsonl").rename(folder / "LongTVQA_plus_val.jsonl")
    with pytest.raises(DataError, match=r"LongTVQA_plus_val\.jsonl are the same split; delete one of them"):
        read_longtvqa(folder)
    (folder / "LongTVQA_plus_val.jsonl").unlink()
    for name in ("clip_durations.json", "clip_subtitles.json"):
        (folder / name).write_text("[]")
        with pytest.raises(DataError, match=f"{name}: not a JSON object"):
            read_longtvqa(folder)
        (folder / name).unlink()
    with (folder / "LongTVQA_plus_val.json").open("r+b") as file:
        os.ftruncate(file.fileno(), 2_000_000_000)  # sparse, so that it takes no room
    with pytest.raises(DataError, match=r"2\.0 GB"):
        read_longtvqa(folder)


@pytest.mark.parametrize(
    ("name", "text"), [("LongTVQA", "Otto: Hi."), ("longtvqa-plus", "Mira: The bakery is closed.")]
)
def test_two_sets_in_one_folder(name: str, text: str, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_val.jsonl").write_text(json.dumps([question(5, occur_clip=CLIPS[0])]))
    (folder / "LongTVQA_subtitles_clip_level.jsonl").write_text(json.dumps({CLIPS[0]: "(Otto:)Hi."}))
    with pytest.raises(DataError, match="name the set with --data-set longtvqa-plus or longtvqa"):
        open_dataset(folder)
    data = open_dataset(folder, "val", DatasetOptions(name))
    assert data.open_video("s01e01").timeline.clips[0].subtitles[0].text == text
    with pytest.raises(UsageError, match="--data-set else: not a known set; give one of LongTVQA, LongTVQA_plus, "):
        open_dataset(folder, "val", DatasetOptions("else"))
    (folder / "LongTVQA_val.jsonl").unlink()
    with pytest.raises(DataError, match="no set 'LongTVQA'; there are LongTVQA_plus"):
        open_dataset(folder, "val", DatasetOptions("LongTVQA"))
    with pytest.raises(DataError, match="give a folder with the files of one"):
        open_dataset(folder, "val", DatasetOptions("MLVU"))


@pytest.mark.parametrize("shape", ["by clip", "by episode", "lines with times", "TVQA"])
def test_subtitles_option(shape: str, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_plus_subtitle_clip_level.json").unlink()
    lines = [{"text": "Otto : Here.", "start": 1, "end": 2.5}]
    contents: dict[str, Any] = {
        "by clip": {CLIPS[1]: "Otto : Here. <eos>"},
        "by episode": {"s01e01": f"<{CLIPS[1]}>Otto : Here. <eos></{CLIPS[1]}>"},
        "lines with times": {CLIPS[1]: [[1, 2.5, "Otto: Here."]]},
        "TVQA": [{"vid_name": CLIPS[1], "sub": lines}],
    }
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(contents[shape]))
    data = open_dataset(folder, "val", DatasetOptions(subtitles=file))
    assert data.problems == ()
    clip = data.open_video("s01e01").timeline.find_clip(CLIPS[1])
    assert clip is not None
    assert [line.text for line in clip.subtitles] == ["Otto: Here."]
    assert bool(clip.raw_text) == shape.startswith("by")
    if not clip.raw_text:
        assert (clip.subtitles[0].start_s - clip.start_s, clip.subtitles[0].end_s - clip.start_s) == (1.0, 2.5)
    assert file in data.subtitle_files()
    with pytest.raises(DataError, match="no such file"):
        open_dataset(folder, "val", DatasetOptions(subtitles=tmp_path / "none.json"))
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "lvb_val.json").write_text("[]")
    with pytest.raises(UsageError, match=r"--subtitles .*mine\.json: only for sets of clips"):
        open_dataset(tmp_path / "e", "val", DatasetOptions(subtitles=file))


def test_clip_length_default(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "clip_durations.json").write_text(json.dumps({CLIPS[0]: "NaN", CLIPS[1]: -3}))
    data = read_longtvqa(folder)
    assert data.timeline("s01e01").duration_s == 270.0
    assert {problem.field for problem in data.problems} == {CLIPS[0], CLIPS[1]}


@pytest.mark.parametrize(
    ("name", "episode"),
    [
        ("s01e02_seg02_clip_12", "s01e02"),
        ("friends_s06e12_seg02_clip_16", "friends_s06e12"),
        ("friends_s06e24-25_seg02_clip_40", "friends_s06e24-25"),
        ("../s01e02_seg02_clip_12", None),
        ("s01e02_seg02_clip_12/..", None),
        ("s01e02_seg02_clip_12\n", None),
        ("", None),
        (7, None),
    ],
)
def test_clip_name(name: object, episode: str | None) -> None:
    clip = ClipName.parse(name)
    assert (clip.episode_name if clip else None) == episode


def test_episode_frames(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    write_frames(folder / "frames")
    episode = read_longtvqa(folder).open_video("s01e01")
    shades = [int(frame.rgb().mean()) for frame in episode.reader.frames([0.5, 59.0, 61.0, 174.0])]
    assert all(abs(shade - expected) < 3 for shade, expected in zip(shades, (40, 40, 90, 140), strict=True))
    assert [round(frame.time_s, 2) for frame in episode.reader.frames([0.5, 61.0])] == [0.33, 61.0]


def test_episode_video_with_empty_frame_folder(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "videos").mkdir()
    write_frames(tmp_path / "frames")
    encode_frames(FrameFolderReader(tmp_path / "frames" / CLIPS[0]), folder / "videos" / "s01e01.mp4")
    (folder / "frames" / CLIPS[0]).mkdir(parents=True)
    assert read_longtvqa(folder).episode_video("s01e01") == folder / "videos" / "s01e01.mp4"
    (folder / "frames" / CLIPS[3]).mkdir()
    assert read_longtvqa(folder).count_clips(["s01e01", "s01e02"]) == (1, 4)
    shutil.copy(tmp_path / "frames" / CLIPS[0] / "00001.jpg", folder / "frames" / CLIPS[0])
    assert read_longtvqa(folder).episode_video("s01e01") is None


@pytest.mark.parametrize("names", [("bbt_frames", "frames/bbt_frames"), ("frames", "frames/bbt_frames")])
def test_clips_in_several_frame_folders(names: tuple[str, str], tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d", [question(1), question(2, occur_clip=CLIPS[3])])
    for name in names:
        write_frames(folder / name)
    (problem,) = [problem for problem in read_longtvqa(folder).check().problems if "several" in problem.message]
    first = folder / names[0] / CLIPS[0]
    assert problem.message == f"4 clips are in several folders; {first} is the first used"


def test_answer_without_frames(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d"))
    for agents in Agents:
        trace = answer(data.samples[0].question, data.open_video("s01e01"), load_team(), RolloutSettings(agents=agents))
        assert trace.outcome is Outcome.ANSWERED


def write_tvqa_long(folder: Path) -> Path:
    """Two episodes of one show, in the folder that the hub's repository has."""
    annotations = folder / "tvqa-long-annotations"
    annotations.mkdir(parents=True)
    clip = "castle_s01e02_seg02_clip_01"
    record = tvqa_record(1, clip, show_name="Castle", ts="2.5-5.0", bbox=None)
    episodes = {
        "episode_2": {
            "questions": [record, tvqa_record(2, "castle_s09e09_seg01_clip_00")],
            "clips": [clip[:-1] + "0", clip],
        },
        "episode_3": {"questions": "none"},
    }
    (annotations / "tvqa_val_edited.json").write_text(json.dumps({"Castle": {"season_1": episodes}}))
    lines = [{"text": "(Otto:)Here it is.", "start": 2.0, "end": 71.5}]
    (annotations / "tvqa_preprocessed_subtitles.json").write_text(json.dumps([{"vid_name": clip, "sub": lines}]))
    return folder


def test_tvqa_long(tmp_path: Path) -> None:
    data = open_dataset(write_tvqa_long(tmp_path / "d"))
    assert (data.name, [sample.question.id for sample in data.samples]) == ("TVQA-Long", ["1"])
    assert [(problem.field, problem.record) for problem in data.problems] == [
        ("Castle season_1 episode_3", 0), ("Castle season_1 episode_3", 0), ("vid_name", 2),
    ]  # fmt: skip
    (sample,) = data.samples
    assert (sample.gold.option_index, sample.gold.start_s, sample.gold.end_s) == (1, 92.5, 95.0)
    timeline = data.open_video("castle_s01e02").timeline
    assert [(clip.label[-2:], clip.start_s, clip.end_s) for clip in timeline.clips] == [
        ("00", 0, 90),
        ("01", 90, 180),
    ]
    assert [(line.start_s, line.text) for line in timeline.subtitles] == [(92.0, "Otto: Here it is.")]
    with pytest.raises(DataError, match=r"no split 'test'; there is val"):
        open_dataset(tmp_path / "d", "test")
    (subtitles,) = tmp_path.glob("d/*/tvqa_preprocessed*")
    subtitles = subtitles.rename(subtitles.with_suffix(".jsonl"))
    assert open_dataset(tmp_path / "d").open_video("castle_s01e02").timeline == timeline
    subtitles.unlink()
    with pytest.raises(DataError, match=r"has no tvqa_preprocessed_subtitles\.json; add it, or name one with --sub"):
        open_dataset(tmp_path / "d")
    next(tmp_path.glob("d/*/tvqa_val_edited.json")).unlink()
    with pytest.raises(DataError, match=r"has no tvqa_val_edited\.json; lva data download tvqa-long gets it"):
        read_tvqa_long(tmp_path / "d", "val", DatasetOptions())


def test_tvqa_long_other_forms_reported(tmp_path: Path) -> None:
    folder = write_tvqa_long(tmp_path / "d")
    path = folder / "tvqa-long-annotations" / "tvqa_val_edited.json"
    shows = json.loads(path.read_text())
    (episode,) = (each for each in shows["Castle"]["season_1"].values() if "clips" in each)
    episode["questions"] += ["no record", None]
    episode["clips"] += [7, "castle_s01e02_seg02"]
    shows["Castle"]["season_1"] = {"episode_2": episode, "episode_4": []}
    path.write_text(json.dumps(shows | {"House": [], "Grey": {"season_1": 3}}))
    path.with_name("tvqa_preprocessed_subtitles.json.bak").write_text("[]")
    data = open_dataset(folder)
    assert [sample.question.id for sample in data.samples] == ["1"]
    left_out = "not an object; it is left out"
    assert [(problem.field, problem.message) for problem in data.problems if not problem.record] == [
        ("Castle season_1 episode_2", "2 of its questions are not valid, 'no record' first; they are left out"),
        ("Castle season_1 episode_2", "2 of its clips are not valid, '7' first; they are left out"),
        ("Castle season_1 episode_4", left_out),
        ("House", left_out),
        ("Grey season_1", left_out),
    ]


def test_public_rows_as_questions(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_plus_val.json").unlink()
    write_public_rows(folder / "train.parquet")
    data = open_dataset(folder, "train")
    assert (data.name, len(data.samples), data.check().problems) == ("public rows", 4, ())
    sample = data.samples[0]
    assert sample.question.options == ("A saw", "A kite", "A lantern", "A rope")
    assert (sample.gold.option_index, sample.gold.clip, sample.video) == (2, CLIPS[1], "s01e01")
    with pytest.raises(DataError, match="no split 'val'; there are train"):
        open_dataset(folder)


def test_public_rows_invalid(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_plus_val.json").unlink()
    rows = [
        public_row(video_id=CLIPS[3]),
        public_row() | {"extra_info": None},
        public_row(7),
        public_row(8, vid_name="s05e05_seg01_clip_00", video_id=None),
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "val.parquet")
    data = open_dataset(folder)
    assert [sample.question.text for sample in data.samples] == ["What does Otto hold in scene 7 ?"]
    assert [(problem.record, problem.field, problem.message) for problem in data.problems] == [
        (1, "extra_info.vid_name",
         f"{CLIPS[0]} is of another episode than video_id, {CLIPS[3]}; the record is left out"),
        (2, "extra_info", "has no original_question; the record is left out"),
        (4, "vid_name", "s05e05_seg01_clip_00 has neither subtitles nor a length here; the record is left out"),
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist([public_row() | {"extra_info": {"qid": "1"}}]), folder / "val.parquet")
    with pytest.raises(DataError, match="rows of lva data export; ask the questions of the set"):
        open_dataset(folder)


def test_public_rows_not_utf8(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_plus_val.json").unlink()
    path = write_public_rows(folder / "val.parquet")
    table = pq.read_table(path)
    text = pa.array([b"\xff"] * len(table), pa.binary()).view(pa.string())
    pq.write_table(table.set_column(table.schema.get_field_index("data_source"), "data_source", text), path)
    with pytest.raises(DataError, match=r"val\.parquet: not a Parquet table \('utf-8' codec can't decode"):
        open_dataset(folder)
