"""LongTVQA from TVQA, LongTVQA+ from TVQA+: what is built is what the reader reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.datasets.longtvqa.build import build, split_names, write_videos
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.video import open_video
from tests.release import CLIPS, DURATIONS, question, write_frames

LINES = {
    CLIPS[0]: [(1.0, 2.5, "(Mira:)The bakery is closed."), (3.0, 4.0, "(Otto:)Is it?")],
    CLIPS[1]: [(0.5, 2.0, "Here is the red lantern.")],
    CLIPS[2]: [(10.0, 12.0, "We are late.")],
    CLIPS[3]: [],
}
SHOWS = ("friends_s06e24-25_seg02_clip_40", "friends_s06e24-25_seg01_clip_03", "met_s02e03_seg02_clip_00")


def raw(number: int, clip: str = CLIPS[1], **changed: Any) -> dict[str, Any]:
    """A record as TVQA writes it."""
    made = question(number, **{"answer": None, "episode_name": None, "occur_clip": None, **changed})
    return {"answer_idx": 1, **made, "vid_name": clip}


def write_srts(folder: Path, clips: dict[str, Any] | None = None) -> Path:
    folder.mkdir()
    for clip, lines in (clips or LINES).items():
        blocks = [
            f"{number}\n00:00:{start:06.3f} --> 00:00:{end:06.3f}\n{text}\n"
            for number, (start, end, text) in enumerate(lines, 1)
        ]
        (folder / f"{clip}.srt").write_text("\n".join(blocks))
    return folder


def write_preprocessed(path: Path, *, as_lines: bool) -> Path:
    rows = [
        {"vid_name": clip, "sub": [{"start": start, "end": end, "text": text} for start, end, text in lines]}
        for clip, lines in LINES.items()
    ]
    path.write_text("\n".join(map(json.dumps, rows)) if as_lines else json.dumps(rows))
    return path


def write_questions(path: Path, *records: dict[str, Any], as_lines: bool = False) -> Path:
    path.write_text("\n".join(map(json.dumps, records)) if as_lines else json.dumps(list(records)))
    return path


def write_durations(path: Path) -> Path:
    path.write_text(json.dumps(DURATIONS))
    return path


def test_tvqa_plus_becomes_longtvqa_plus(tmp_path: Path) -> None:
    asked = write_questions(tmp_path / "tvqa_plus_val.json", raw(1), raw(2, CLIPS[3]))
    lines = write_preprocessed(tmp_path / "subs.json", as_lines=False)
    made = build({"val": asked}, lines, tmp_path / "out", write_durations(tmp_path / "d.json"))
    assert made.problems == ()
    assert made.counts == {"episodes": 2, "clips": 4, "clips without a told duration": 0, "val questions": 2}
    data = read_longtvqa(tmp_path / "out")
    assert (data.name, data.problems) == ("LongTVQA_plus", ())
    sample = data.samples[0]
    assert (sample.video, sample.gold.clip, sample.gold.option_index) == ("s01e01", CLIPS[1], 1)
    assert (sample.gold.start_s, sample.gold.end_s) == (62.0, 65.5)
    assert len(data.boxes(sample) or ()) == 1
    told = [(round(line.start_s, 3), line.text) for line in data.timeline("s01e01").subtitles]
    assert told[1:3] == [(3.0, "(Otto:)Is it?"), (60.5, "Here is the red lantern.")]
    stored, _ = json.loads((tmp_path / "out" / "LongTVQA_plus_val.json").read_text())
    assert (stored["ts"], stored["episode_ts"]) == ([2.0, 5.5], [62.0, 65.5])


def test_tvqa_becomes_longtvqa(tmp_path: Path) -> None:
    kept_back = {name: value for name, value in raw(3, bbox=None).items() if name != "answer_idx"}
    records = [raw(1, bbox=None, ts="2.0-5.5", answer_idx="3"), raw(2, bbox=None, ts="NaN-NaN"), kept_back]
    asked = write_questions(tmp_path / "tvqa_test.jsonl", *records, as_lines=True)
    made = build({"test": asked}, write_srts(tmp_path / "srt"), tmp_path / "out", write_durations(tmp_path / "d.json"))
    assert made.problems == ()
    data = read_longtvqa(tmp_path / "out", "test")
    assert data.questions.name == "LongTVQA_test.jsonl"
    assert [sample.gold.option_index for sample in data.samples] == [3, 1, None]
    assert [sample.gold.start_s for sample in data.samples] == [62.0, None, 62.0]
    assert [line.text for line in data.timeline("s01e01").clips[1].subtitles] == ["Here is the red lantern."]


@pytest.mark.parametrize("as_lines", [True, False])
def test_the_same_inputs_give_the_same_bytes(as_lines: bool, tmp_path: Path) -> None:
    asked = write_questions(tmp_path / "q_val.json", raw(1), raw(2))
    lines = write_preprocessed(tmp_path / "subs.json", as_lines=as_lines)
    for out in ("a", "b"):
        build({"val": asked}, lines, tmp_path / out)
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / out).iterdir()} for out in ("a", "b"))
    assert first == second
    assert len(first) == 6
    assert set(json.loads(first["manifest.json"])["inputs_sha256"]) == {"val", "subtitles"}


def test_double_episodes_and_shows_are_kept_apart_and_in_order(tmp_path: Path) -> None:
    lines = write_srts(tmp_path / "srt", {clip: [(0.0, 30.0, clip)] for clip in SHOWS})
    asked = write_questions(tmp_path / "q_val.json", raw(1, SHOWS[0]), raw(2, SHOWS[2]))
    build({"val": asked}, lines, tmp_path / "out")
    data = read_longtvqa(tmp_path / "out")
    assert data.clips == {"friends_s06e24-25": [SHOWS[1], SHOWS[0]], "met_s02e03": [SHOWS[2]]}
    assert data.samples[0].gold.start_s == 32.0


def test_records_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    records = [raw(1), raw(2, "../x"), raw(3, "s09e09_seg01_clip_00"), raw(4, answer_idx=9), raw(5, a1=""), raw(1)]
    asked = write_questions(tmp_path / "q_val.jsonl", *records, as_lines=True)
    with asked.open("a") as file:
        file.write("\n{broken")
    made = build({"val": asked}, write_srts(tmp_path / "srt"), tmp_path / "out")
    told = [str(problem) for problem in made.problems]
    assert made.counts["val questions"] == 1
    for line, field in ((2, "vid_name"), (3, "vid_name"), (4, "answer_idx"), (5, "a1"), (6, "qid"), (7, "")):
        assert any(f"q_val.jsonl:{line}: " in each and field in each for each in told), (line, told)


def test_one_film_an_episode_is_made_of_its_frames(tmp_path: Path) -> None:
    asked = write_questions(tmp_path / "q_val.json", raw(1))
    durations = tmp_path / "d.json"
    durations.write_text(json.dumps(dict.fromkeys(CLIPS, 2.0)))
    build({"val": asked}, write_srts(tmp_path / "srt"), tmp_path / "out", durations)
    write_frames(tmp_path / "frames")
    assert write_videos(tmp_path / "out", tmp_path / "frames") == 2
    video = open_video(tmp_path / "out" / "videos" / "s01e01.mp4")
    assert abs(video.duration_s - 6.0) < 0.4
    shades = [int(frame.rgb().mean()) for frame in video.frames([1.0, 3.0, 5.0])]
    assert all(abs(shade - told) < 8 for shade, told in zip(shades, (40, 90, 140), strict=True))
    assert write_videos(tmp_path / "out", tmp_path / "frames") == 0
    assert read_longtvqa(tmp_path / "out").episode("s01e01").video.path.name == "s01e01.mp4"


def test_inputs_that_cannot_be_are_refused(tmp_path: Path) -> None:
    asked = write_questions(tmp_path / "q_val.json", raw(1))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no subtitles of clips"):
        build({"val": asked}, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(DataError, match="no such file"):
        build({"val": tmp_path / "none.json"}, write_srts(tmp_path / "srt"), tmp_path / "out")
    assert split_names([asked, Path("x_train.jsonl")]) == {"val": asked, "train": Path("x_train.jsonl")}
    for wrong in ([Path("questions.json")], [asked, asked]):
        with pytest.raises(UsageError, match="does not tell one split"):
            split_names(wrong)


def test_two_sets_are_not_mixed_in_one_folder(tmp_path: Path) -> None:
    subtitles = write_srts(tmp_path / "srt")
    with_boxes = write_questions(tmp_path / "plus_val.json", raw(1))
    build({"val": with_boxes}, subtitles, tmp_path / "out")
    build({"val": with_boxes}, subtitles, tmp_path / "out")
    without = write_questions(tmp_path / "val.json", raw(1, bbox=None))
    with pytest.raises(UsageError, match="holds another data set"):
        build({"val": without}, subtitles, tmp_path / "out")
