"""The other data sets in their published annotation formats, on small synthetic files."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longvideoagent.datasets.registry import DATASETS, open_dataset
from longvideoagent.datasets.sets.lvbench import read_time_reference
from longvideoagent.errors import DataError
from tests.fakes.annotations import ASKED, OPTIONS, egoschema, longvideobench, lvbench, mlvu, nextgqa, nextqa, videomme
from tests.fakes.release import write_release

Maker = Callable[..., None]

SETS: list[tuple[Maker, str, str]] = [
    (longvideobench, "val", "LongVideoBench"),
    (videomme, "long", "Video-MME"),
    (mlvu, "val", "MLVU"),
    (lvbench, "val", "LVBench"),
    (egoschema, "subset", "EgoSchema"),
    (nextqa, "val", "NExT-QA"),
    (nextgqa, "val", "NExT-GQA"),
]

each_set = pytest.mark.parametrize(("make", "split", "name"), SETS, ids=[name for _, _, name in SETS])


@each_set
def test_set_recognised_and_read(make: Maker, split: str, name: str, tmp_path: Path, short_video: Path) -> None:
    make(tmp_path)
    data = open_dataset(tmp_path, split)
    assert data.name == name
    assert data.problems == []
    (sample,) = data.samples
    assert sample.question.text == "What colour?"
    assert sample.question.options[:4] == tuple(OPTIONS[:4])
    assert sample.gold.option_index == 2
    with pytest.raises(DataError, match="no video"):
        data.open_video(sample.video)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "talk.mp4").write_bytes(short_video.read_bytes())
    assert open_dataset(tmp_path, split).open_video(sample.video).reader.duration_s == pytest.approx(10.0)


@each_set
def test_set_record_problems(make: Maker, split: str, name: str, tmp_path: Path) -> None:  # noqa: ARG001
    make(tmp_path, **{"correct_choice" if make is longvideobench else "answer": "Z9"})
    data = open_dataset(tmp_path, split)
    assert data.samples[0].gold.option_index is None
    assert "matches none of" in str(data.problems[0])
    make(tmp_path, question="")
    data = open_dataset(tmp_path, split)
    assert data.samples == []
    assert "no question" in str(data.problems[0])


def test_videomme_unknown_duration_group(tmp_path: Path) -> None:
    videomme(tmp_path, duration="epic")
    for split, count in (("short", 1), ("all", 2)):
        data = open_dataset(tmp_path, split)
        assert len(data.samples) == count
        assert "'epic' is none of short, medium, long" in str(data.problems[0])


def test_lvbench_problem_names_question(tmp_path: Path) -> None:
    lvbench(tmp_path, answer="Z", uid="u7")
    assert "question u7: 'Z' matches none of 4 options" in str(open_dataset(tmp_path).problems[0])


def test_egoschema_option_missing_or_duplicate(tmp_path: Path) -> None:
    egoschema(tmp_path, **{"option 4": "blue"})
    data = open_dataset(tmp_path, "subset")
    assert "option 3, the correct one, is listed twice" in str(data.problems[0])
    records = json.loads((tmp_path / "questions.json").read_text())
    del records[0]["option 4"]
    (tmp_path / "questions.json").write_text(json.dumps(records))
    data = open_dataset(tmp_path, "subset")
    assert data.samples == []
    assert "option 5 is missing or empty" in str(data.problems[0])


@pytest.mark.parametrize("question_id", [None, "", " "])
def test_longvideobench_without_id(question_id: str | None, tmp_path: Path) -> None:
    record = {"id": question_id, "question": "What ?", "candidates": ["a", "b"], "correct_choice": 0, "video_id": "v"}
    (tmp_path / "lvb_val.json").write_text(json.dumps([record]))
    (problem,) = open_dataset(tmp_path).problems
    assert (problem.field, problem.message.split(";")[0]) == ("id", "no id")


def test_check_missing_videos(tmp_path: Path, short_video: Path) -> None:
    mlvu(tmp_path)
    assert open_dataset(tmp_path).check().counts["missing videos"] == 1
    (tmp_path / "video" / "1_plotQA").mkdir(parents=True)
    shutil.copy(short_video, tmp_path / "video" / "1_plotQA" / "talk.mp4")
    assert open_dataset(tmp_path).check().counts["missing videos"] == 0


def test_gold_spans(tmp_path: Path) -> None:
    for make, spans in ((lvbench, ((15.0, 79.0),)), (nextgqa, ((1.5, 4.0), (9.0, 10.0)))):
        folder = tmp_path / make.__name__
        folder.mkdir()
        make(folder)
        assert open_dataset(folder).samples[0].gold.spans == spans
    assert read_time_reference("01:02:03-01:02:09") == ((3723.0, 3729.0),)
    assert read_time_reference("00:15") == ((15.0, 15.0),)
    assert read_time_reference("00:15 – 00:19, 01:00-01:02.5") == ((15.0, 19.0), (60.0, 62.5))
    invalid = ("", None, 15, "00:19-00:15", "a-b", "1", "00:15-", "00:15-00:19-00:20", "00:15, soon")
    assert [read_time_reference(value) for value in invalid] == [()] * len(invalid)


@pytest.mark.parametrize("value", ["at the end", 15, ["00:15"]])
def test_lvbench_invalid_time_reference(value: object, tmp_path: Path) -> None:
    lvbench(tmp_path, time_reference=value)
    data = open_dataset(tmp_path)
    (sample,) = data.samples
    assert (sample.gold.option_index, sample.gold.spans) == (2, ())
    (problem,) = data.problems
    assert (problem.field, problem.line) == ("time_reference", 1)


def test_egoschema_unpublished_answers(tmp_path: Path) -> None:
    egoschema(tmp_path)
    data = open_dataset(tmp_path, "all")
    assert [sample.gold.option_index for sample in data.samples] == [2, None]
    assert data.problems == []


@pytest.mark.parametrize("name", ["../secret", "..", "*", "secret/../../secret", "?ther"])
def test_video_name_is_never_a_path(name: str, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (tmp_path / "videos" / "other.mp4").write_bytes(b"x")
    egoschema(tmp_path, q_uid=name)
    (tmp_path / "subset_answers.json").write_text(json.dumps({name: 1}))
    data = open_dataset(tmp_path, "subset")
    with pytest.raises(DataError, match="no video"):
        data.open_video(data.samples[0].video)


@each_set
def test_set_unknown_split(make: Maker, split: str, name: str, tmp_path: Path) -> None:  # noqa: ARG001
    make(tmp_path)
    with pytest.raises(DataError, match=f"no split 'weather'; there (is|are) .*{split}"):
        open_dataset(tmp_path, "weather")


def test_longvideobench_test_split(tmp_path: Path) -> None:
    longvideobench(tmp_path, correct_choice=None)
    (tmp_path / "lvb_val.json").rename(tmp_path / "lvb_test_wo_gt.json")
    data = open_dataset(tmp_path, "test")
    assert [sample.gold.option_index for sample in data.samples] == [None]
    assert data.problems == []


@pytest.mark.parametrize("make", [longvideobench, mlvu])
@pytest.mark.parametrize("candidates", [7, "red", None, {"a": "red", "b": "green"}])
def test_options_not_a_list(make: Maker, candidates: object, tmp_path: Path) -> None:
    make(tmp_path, candidates=candidates)
    data = open_dataset(tmp_path)
    assert data.samples == []
    assert [problem.field for problem in data.problems] == ["options"]


@pytest.mark.parametrize("kind", ["entity", ["entity", "event"]])
def test_lvbench_kind_text_or_list(kind: object, tmp_path: Path) -> None:
    lvbench(tmp_path, question_type=kind)
    assert open_dataset(tmp_path).samples[0].kind == "entity"


def test_mlvu_open_ended_tasks(tmp_path: Path) -> None:
    mlvu(tmp_path)
    record = {**ASKED, "video": "talk.mp4", "answer": "It is blue.", "question_type": "summary"}
    (tmp_path / "json" / "9_summary.json").write_text(json.dumps([record] * 3))
    data = open_dataset(tmp_path)
    assert [sample.kind for sample in data.samples] == ["plotQA"]
    (problem,) = data.problems
    assert "9_summary.json: candidates: 3 questions have no options" in str(problem)


def test_mlvu_published_layout(tmp_path: Path, short_video: Path) -> None:
    root = tmp_path / "MLVU"
    root.mkdir()
    mlvu(root)
    (root / "video" / "1_plotQA").mkdir(parents=True)
    shutil.copy(short_video, root / "video" / "1_plotQA" / "talk.mp4")
    data = open_dataset(tmp_path)
    assert data.name == "MLVU"
    assert data.open_video(data.samples[0].video).reader.duration_s == pytest.approx(10.0)


def test_nextqa_published_layout(tmp_path: Path, short_video: Path) -> None:
    nextqa(tmp_path)
    (tmp_path / "NExTVideo" / "1164").mkdir(parents=True)
    shutil.copy(short_video, tmp_path / "NExTVideo" / "1164" / "talk.mp4")
    data = open_dataset(tmp_path)
    assert data.open_video(data.samples[0].video).reader.duration_s == pytest.approx(10.0)


def test_video_stem_must_match(tmp_path: Path, short_video: Path) -> None:
    nextqa(tmp_path)
    (tmp_path / "videos").mkdir()
    shutil.copy(short_video, tmp_path / "videos" / "talk.f137.mp4")
    data = open_dataset(tmp_path)
    with pytest.raises(DataError, match="no video"):
        data.open_video(data.samples[0].video)


def test_videomme_tables(tmp_path: Path) -> None:
    videomme(tmp_path)
    path = tmp_path / "videomme" / "test-00000-of-00001.parquet"
    table = pq.read_table(path)
    for number in range(2):
        pq.write_table(table.slice(number, 1), path.with_name(f"test-0000{number}-of-00002.parquet"))
    path.unlink()
    pq.write_table(pa.table({"prompt": ["What?"], "answer": ["A"]}), tmp_path / "train.parquet")
    data = open_dataset(tmp_path, "all")
    assert [sample.question.id for sample in data.samples] == ["001-1", "002-1"]
    assert data.problems == []


def test_training_rows_are_not_a_dataset(tmp_path: Path) -> None:
    pq.write_table(pa.table({"prompt": ["What?"], "data_source": ["x"]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="not a known data set; give a folder with"):
        open_dataset(tmp_path)


def test_dataset_one_folder_below(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    folder = write_release(tmp_path / "data")
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}: not a known data set, but {folder} is one; give that")):
        open_dataset(tmp_path)


def test_videomme_table_cut_short(tmp_path: Path) -> None:
    (tmp_path / "test-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="not a Parquet table"):
        open_dataset(tmp_path, "long")


def test_json_subtitles_offset(tmp_path: Path, short_video: Path) -> None:
    longvideobench(tmp_path, starting_timestamp_for_subtitles=100.0)
    (tmp_path / "videos").mkdir()
    (tmp_path / "subtitles").mkdir()
    shutil.copy(short_video, tmp_path / "videos" / "talk.mp4")
    lines = [
        {"start": "00:01:30.000", "end": "00:01:31.000", "line": "before it begins"},
        {"start": "00:01:41.500", "end": "00:01:43.000", "line": "Hello"},
        {"timestamp": [102.5, 103.0], "text": "again"},
        {"line": "no times"},
    ]
    (tmp_path / "subtitles" / "talk_en.json").write_text(json.dumps(lines))
    data = open_dataset(tmp_path)
    video = data.open_video(data.samples[0].video)
    assert [(line.start_s, line.text) for line in video.timeline.subtitles] == [(1.5, "Hello"), (2.5, "again")]
    assert "1 line without times" in video.warnings[-1]


@pytest.mark.parametrize("questions", [["x"], 5, None])
def test_lvbench_invalid_questions(questions: object, tmp_path: Path) -> None:
    (tmp_path / "video_info.meta.jsonl").write_text(json.dumps({"key": "talk", "qa": questions}))
    data = open_dataset(tmp_path)
    assert not data.samples
    assert len(data.problems) == 1


@pytest.mark.parametrize(
    "spans", [{"123": 5}, {"123": {"location": {"7": [["a", "b"]]}}}, {"123": {"location": {"7": [[9, 1]]}}}]
)
def test_nextgqa_invalid_spans(spans: object, tmp_path: Path) -> None:
    nextgqa(tmp_path)
    (tmp_path / "gsub_val.json").write_text(json.dumps(spans))
    data = open_dataset(tmp_path)
    assert data.samples[0].gold.spans == ()
    assert "val.csv:2: record 1: gsub_val.json:" in str(data.problems[0])


def test_nextgqa_question_without_spans(tmp_path: Path) -> None:
    nextgqa(tmp_path, qid=8)
    data = open_dataset(tmp_path)
    assert (data.samples[0].gold.spans, data.problems) == ((), [])


def test_nextgqa_spans_not_an_object(tmp_path: Path) -> None:
    nextgqa(tmp_path)
    (tmp_path / "gsub_val.json").write_text("[]")
    with pytest.raises(DataError, match=r"gsub_val\.json: not a JSON object"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(("make", "right"), [(nextqa, 3), (nextgqa, 0)])
def test_nextqa_answer_index_nextgqa_answer_text(make: Maker, right: int, tmp_path: Path) -> None:
    make(tmp_path, **{f"a{index}": text for index, text in enumerate("35241")}, answer="3")
    assert open_dataset(tmp_path).samples[0].gold.option_index == right


def test_mlvu_same_video_name_in_two_tasks(tmp_path: Path, short_video: Path) -> None:
    mlvu(tmp_path)
    shutil.copy(tmp_path / "json" / "1_plotQA.json", tmp_path / "json" / "2_needle.json")
    records = json.loads((tmp_path / "json" / "2_needle.json").read_text())
    (tmp_path / "json" / "2_needle.json").write_text(json.dumps([records[0] | {"question_type": "needle"}]))
    (tmp_path / "video" / "2_needle").mkdir(parents=True)
    shutil.copy(short_video, tmp_path / "video" / "2_needle" / "talk.mp4")
    plot, needle = open_dataset(tmp_path).samples
    assert open_dataset(tmp_path).check().counts["missing videos"] == 1
    with pytest.raises(DataError, match="no video '1_plotQA/talk'"):
        open_dataset(tmp_path).open_video(plot.video)
    assert open_dataset(tmp_path).open_video(needle.video).reader.path.parent.name == "2_needle"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ('[{"start": 1, "end": 2, "line": "Hi"}, "x", {"line": "no times"}]',
         ["talk_en.json:1: record 2: not a JSON object", "talk_en.json: 1 line without times or text"]),
        ('[{"start": 1, "end": 2, "li', ["talk_en.json: broken JSON"]),
    ],
)  # fmt: skip
def test_json_subtitles_problems(text: str, messages: list[str], tmp_path: Path) -> None:
    longvideobench(tmp_path)
    (tmp_path / "subtitles").mkdir()
    (tmp_path / "subtitles" / "talk_en.json").write_text(text)
    problems = [str(problem) for problem in open_dataset(tmp_path).check().problems]
    assert len(problems) == len(messages)
    assert all(message in problem for message, problem in zip(messages, problems, strict=True))


def test_srt_subtitles_unreadable(tmp_path: Path) -> None:
    mlvu(tmp_path)
    (tmp_path / "subtitle").mkdir()
    (tmp_path / "subtitle" / "talk.srt").write_bytes(b"\0\1\2" * 100)
    (problem,) = open_dataset(tmp_path).check().problems
    assert "talk.srt: binary data" in str(problem)


def test_egoschema_duplicate_key(tmp_path: Path) -> None:
    egoschema(tmp_path)
    (tmp_path / "subset_answers.json").write_text('{"talk": 1,\n"talk": 2}')
    (problem,) = open_dataset(tmp_path, "subset").problems
    assert "subset_answers.json:2: talk: duplicate key in one object" in str(problem)


def test_documented_sets_are_registered() -> None:
    """The table of docs/data.md has a row for each data set but LongTVQA, with its splits."""
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for entry in DATASETS[1:]:
        (row,) = [row for row in rows if row.startswith(f"| {entry.name}")]
        assert all(f"`{split}`" in row for split in entry.splits)
