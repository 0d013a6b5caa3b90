"""Damaged annotation files of every set: only DataError, UsageError or problems come of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, UsageError
from longvideoagent.evaluation.config import merge_boxes
from longvideoagent.views.run_folder import sample_to_dict
from tests.fakes.annotations import egoschema, longvideobench, lvbench, mlvu, nextgqa, nextqa
from tests.fakes.release import CLIPS, TEXTS, question, write_release
from tests.plugins.damage import damage_file

Maker = Callable[[Path], object]


def longvideobench_with_subtitles(folder: Path) -> None:
    longvideobench(folder, starting_timestamp_for_subtitles=1.0)
    (folder / "subtitles").mkdir()
    lines = [{"start": "00:00:01", "end": 2.5, "line": "a"}, {"timestamp": [3, None], "text": "b"}]
    (folder / "subtitles" / "talk_en.json").write_text(json.dumps(lines))


def mlvu_with_test_set(folder: Path) -> None:
    mlvu(folder, question_id="Q")
    (folder / "json" / "1_plotQA.json").rename(folder / "test_multi_choice_tasks.json")
    (folder / "test_mcq_gt.json").write_text('[{"question_id": "Q", "answer": "blue"}]')


def longtvqa(folder: Path) -> None:
    write_release(folder, [question(1), question(2, ts="1.5-2.5", bbox=None)])
    lines = {CLIPS[0]: [[0, 1.5, "Mira : Hello"], {"start": 2, "end": 3, "text": "there"}]}
    (folder / "clip_subtitles.json").write_text(json.dumps(lines))


def tvqa_long(folder: Path) -> None:
    record = {**question(1), "vid_name": CLIPS[0], "answer_idx": "1"}
    episode = {"questions": [record], "clips": list(CLIPS[:3])}
    (folder / "tvqa_val_edited.json").write_text(json.dumps({"bbt": {"s01": {"e01": episode}}}))
    rows = [{"vid_name": clip, "sub": [{"start": 0.5, "end": 1.5, "text": text}]} for clip, text in TEXTS.items()]
    (folder / "tvqa_preprocessed_subtitles.json").write_text(json.dumps(rows))


def longtvqa_by_episode(folder: Path) -> None:
    write_release(folder)
    (folder / "LongTVQA_plus_subtitle_clip_level.json").unlink()
    text = "".join(f"<{clip}>{TEXTS[clip]}</{clip}>" for clip in CLIPS[:3])
    (folder / "LongTVQA_plus_subtitle_episode_level.json").write_text(json.dumps({"s01e01": text}))


SETS: list[tuple[Maker, str]] = [
    (longvideobench_with_subtitles, "val"),
    (mlvu, "val"),
    (mlvu_with_test_set, "test"),
    (lvbench, "val"),
    (egoschema, "subset"),
    (egoschema, "all"),
    (nextqa, "val"),
    (nextgqa, "val"),
    (longtvqa, "val"),
    (longtvqa_by_episode, "val"),
    (tvqa_long, "val"),
]


def use(folder: Path, split: str) -> None:
    """What commands do with a data set, without its videos."""
    dataset = open_dataset(folder, split)
    for problem in dataset.check().problems:
        assert str(problem)
    for sample in dataset.samples:
        json.dumps(sample_to_dict(sample)).encode()
        assert sample.gold.option_index is None or sample.question.options[sample.gold.option_index]
        try:
            dataset.open_video(sample.video)
        except DataError:
            continue
    merge_boxes(dataset)
    assert dataset.samples or dataset.problems


@pytest.mark.parametrize(("make", "split"), SETS, ids=[f"{make.__name__}-{split}" for make, split in SETS])
@given(data=st.data())
def test_damaged_set_is_reported(make: Maker, split: str, data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        use(folder, split)
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".jsonl", ".csv"))
        damage_file(data.draw(st.sampled_from(files)), data)
        message = ""
        try:
            use(folder, split)
        except (DataError, UsageError) as error:
            message = str(error)
        assert "\n" not in message
        assert not message or str(folder) in message
