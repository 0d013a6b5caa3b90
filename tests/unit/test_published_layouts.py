"""Folders of data sets as their publishers lay them out, and the oddities of their annotations."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.datasets.registry import DATASETS, open_dataset
from longvideoagent.errors import DataError
from tests.fakes.annotations import egoschema, longvideobench, lvbench, mlvu, nextgqa


def move(folder: Path, name: str, target: str) -> None:
    (folder / target).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).rename(folder / target)


def test_lvbench_repository(tmp_path: Path, short_video: Path) -> None:
    lvbench(tmp_path)
    move(tmp_path, "video_info.meta.jsonl", "data/video_info.meta.jsonl")
    data = open_dataset(tmp_path)
    assert (data.name, len(data.samples), data.problems) == ("LVBench", 1, [])
    (tmp_path / "scripts" / "videos").mkdir(parents=True)
    shutil.copy(short_video, tmp_path / "scripts" / "videos" / "talk.mp4")
    assert open_dataset(tmp_path).open_video("talk").reader.path.name == "talk.mp4"


@pytest.mark.parametrize("url", ["https://www.youtube.com/watch?v=AbC-d_12345", "https://youtu.be/AbC-d_12345?t=3"])
def test_lvbench_videos_downloaded_by_number(url: str, tmp_path: Path, short_video: Path) -> None:
    lvbench(tmp_path)
    text = (tmp_path / "video_info.meta.jsonl").read_text().replace('"talk"', '"AbC-d_12345"')
    (tmp_path / "video_info.meta.jsonl").write_text(text)
    folder = tmp_path / "videos" / "00000"
    folder.mkdir(parents=True)
    for number, metadata in (("000000", "{broken"), ("000001", json.dumps({"url": url})), ("000002", "[]")):
        shutil.copy(short_video, folder / f"{number}.mp4")
        (folder / f"{number}.json").write_text(metadata)
    data = open_dataset(tmp_path)
    assert data.open_video(data.samples[0].video).reader.path.name == "000001.mp4"


@pytest.mark.parametrize("folder", ["data", "MLVU/data", "MLVU", "."])
def test_mlvu_tasks_in_another_folder(folder: str, tmp_path: Path, short_video: Path) -> None:
    mlvu(tmp_path)
    move(tmp_path, "json/1_plotQA.json", f"{folder}/1_plotQA.json")
    (tmp_path / "MLVU" / "video" / "1_plotQA").mkdir(parents=True)
    shutil.copy(short_video, tmp_path / "MLVU" / "video" / "1_plotQA" / "talk.mp4")
    data = open_dataset(tmp_path)
    assert (data.name, [sample.kind for sample in data.samples]) == ("MLVU", ["plotQA"])
    assert data.open_video(data.samples[0].video).reader.path.name == "talk.mp4"


@pytest.mark.parametrize("answers", [{"Q_1": "blue"}, {"Q_1": "C"}, {}])
def test_mlvu_test_set(answers: dict[str, str], tmp_path: Path, short_video: Path) -> None:
    mlvu(tmp_path, question_id="Q_1")
    (record,) = json.loads((tmp_path / "json" / "1_plotQA.json").read_text())
    del record["answer"]
    shutil.rmtree(tmp_path / "json")
    (tmp_path / "test_multi_choice_tasks.json").write_text(json.dumps([record]))
    if answers:
        (tmp_path / "test-ground-truth").mkdir()
        rows = [{"question_id": name, "answer": answer} for name, answer in answers.items()]
        (tmp_path / "test-ground-truth" / "test_mcq_gt.json").write_text(json.dumps(rows))
    (tmp_path / "MLVU_Test" / "video").mkdir(parents=True)
    shutil.copy(short_video, tmp_path / "MLVU_Test" / "video" / "talk.mp4")
    data = open_dataset(tmp_path, "test")
    assert [sample.gold.option_index for sample in data.samples] == [2 if answers else None]
    assert data.open_video("talk").reader.path.name == "talk.mp4"
    with pytest.raises(DataError, match="no split 'val'; there is test"):
        open_dataset(tmp_path, "val")


def test_longvideobench_next_to_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longvideobench(tmp_path)
    (tmp_path / "validation-00000-of-00001.parquet").write_bytes(b"not read")
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # the tables would need an extra
    assert open_dataset(tmp_path).name == "LongVideoBench"


def write_lines(folder: Path, lines: list[dict[str, Any]], video: Path, name: str = "talk_en.json") -> None:
    (folder / "videos").mkdir()
    shutil.copy(video, folder / "videos" / "talk.mp4")
    (folder / "subtitles" / name).parent.mkdir(parents=True)
    (folder / "subtitles" / name).write_text(json.dumps(lines))


def test_json_subtitles_open_ends(tmp_path: Path, short_video: Path) -> None:
    longvideobench(tmp_path, starting_timestamp_for_subtitles=20.0)
    lines: list[dict[str, Any]] = [
        {"timestamp": [21.0, None], "text": "one"},
        {"start": "00:00:23.000", "line": "two"},
        {"timestamp": [27.0, None], "text": "three"},
        {"timestamp": [28.0, "soon"], "text": "no end"},
    ]
    write_lines(tmp_path, lines, short_video)
    video = open_dataset(tmp_path).open_video("talk")
    spans = [(line.start_s, line.end_s, line.text) for line in video.timeline.subtitles]
    assert spans == [(1.0, 3.0, "one"), (3.0, 7.0, "two"), (7.0, 8.0, "three")]
    assert "1 line without times" in video.warnings[-1]


def test_json_subtitles_last_open_end_is_end_of_video(tmp_path: Path, short_video: Path) -> None:
    longvideobench(tmp_path)
    lines: list[dict[str, Any]] = [{"timestamp": [-0.2, 2.0], "text": "a"}, {"timestamp": [6, None], "text": "b"}]
    write_lines(tmp_path, lines, short_video)
    data = open_dataset(tmp_path)
    video = data.open_video("talk")
    assert [(line.start_s, line.end_s) for line in video.timeline.subtitles] == [(0.0, 2.0), (6.0, 10.0)]
    assert data.check().problems == ()


@pytest.mark.parametrize("name", ["other.json", "en/talk.json", "other.srt"])
def test_longvideobench_subtitle_path(name: str, tmp_path: Path, short_video: Path) -> None:
    longvideobench(tmp_path, subtitle_path=name)
    write_lines(tmp_path, [{"timestamp": [1.0, 2.0], "text": "hello"}], short_video, name)
    if name.endswith(".srt"):
        (tmp_path / "subtitles" / name).write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n")
    data = open_dataset(tmp_path)
    assert [line.text for line in data.open_video("talk").timeline.subtitles] == ["hello"]
    assert data.check().counts["missing subtitles"] == 0


@pytest.mark.parametrize("name", ["../secret.json", "/etc/passwd", "a/../../secret.json", "a\\b", 5, "x" * 5000])
def test_longvideobench_subtitle_path_not_a_file_of_the_set(name: object, tmp_path: Path, short_video: Path) -> None:
    longvideobench(tmp_path, subtitle_path=name)
    write_lines(tmp_path, [{"timestamp": [1.0, 2.0], "text": "hello"}], short_video)
    (tmp_path / "secret.json").write_text('[{"timestamp": [1, 2], "text": "secret"}]')
    data = open_dataset(tmp_path)
    assert [line.text for line in data.open_video("talk").timeline.subtitles] == ["hello"]
    assert [problem.field for problem in data.problems] == ([] if str(name)[0] == "x" else ["subtitle_path"])


def test_longvideobench_missing_subtitles_counted(tmp_path: Path) -> None:
    longvideobench(tmp_path)
    assert open_dataset(tmp_path).check().counts["missing subtitles"] == 1


@pytest.mark.parametrize(
    ("spans", "read"),
    [
        ([[-0.1, 4.0], [9, 10]], ((0.0, 4.0), (9.0, 10.0))),
        ([[-3, 0.0]], ((0.0, 0.0),)),
        ([["-0.5", "2"]], ((0.0, 2.0),)),
    ],
)
def test_nextgqa_span_begins_before_video(spans: object, read: object, tmp_path: Path) -> None:
    nextgqa(tmp_path)
    (tmp_path / "gsub_val.json").write_text(json.dumps({"123": {"location": {"7": spans}}}))
    data = open_dataset(tmp_path)
    assert (data.samples[0].gold.spans, data.problems) == (read, [])


def test_nextgqa_one_invalid_span(tmp_path: Path) -> None:
    nextgqa(tmp_path)
    spans = [[1, 2], [-5, -1], [4, 3], [6, 7]]
    (tmp_path / "gsub_val.json").write_text(json.dumps({"123": {"location": {"7": spans}}}))
    data = open_dataset(tmp_path)
    assert data.samples[0].gold.spans == ((1.0, 2.0), (6.0, 7.0))
    assert "2 are not spans in seconds, [-5, -1] first; 2 others are used" in str(data.problems[0])


def test_unknown_folder_lists_all_sets(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text("[]")
    with pytest.raises(DataError, match="not a known data set; give a folder with the files of one") as caught:
        open_dataset(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(f"{row.name}: {row.markers[0]}" in message for row in DATASETS)


def test_dataset_two_folders_below(tmp_path: Path) -> None:
    inner = tmp_path / "datasets" / "ego"
    inner.mkdir(parents=True)
    egoschema(inner)
    (tmp_path / "broken" / "inner").mkdir(parents=True)
    (tmp_path / "broken" / "inner" / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=f"but {inner} is one; give that folder"):
        open_dataset(tmp_path)
