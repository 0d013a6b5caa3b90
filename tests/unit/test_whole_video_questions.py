"""Questions about whole synthetic episodes: wordings and their split, right answers, files, and scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longvideoagent.core.timefmt import durations_in_s
from longvideoagent.datasets.gold import Reference, Sample
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.longtvqa.reference import read_reference, reference_to_dict
from longvideoagent.datasets.synthetic.episode import QuestionPlan, write_episode, write_whole_video_questions
from longvideoagent.datasets.synthetic.generate import (
    SyntheticConfig,
    expand_kinds,
    generate_dataset,
    make_config,
    scene_timeline,
)
from longvideoagent.datasets.synthetic.scenario import FLASH_S, Scene, add_flashes, generate_scenes
from longvideoagent.datasets.synthetic.whole_video import count_word
from longvideoagent.datasets.synthetic.wordings import WHOLE_VIDEO_KINDS, wordings_of
from longvideoagent.errors import UsageError
from longvideoagent.evaluation.open_ended import score_open
from longvideoagent.media.readers.base import open_reader
from tests.plugins.cli import lva

SCENES = add_flashes(generate_scenes(7, 6), 7)


def questions(*kinds: str, count: int = 12, scenes: tuple[Scene, ...] = SCENES) -> tuple[Sample, ...]:
    plan = QuestionPlan(kinds or WHOLE_VIDEO_KINDS, count)
    return write_whole_video_questions(scenes, scene_timeline("s01e01", scenes), 7, plan)


@pytest.mark.parametrize("kind", WHOLE_VIDEO_KINDS)
def test_wordings_split(kind: str) -> None:
    every, dev, held_out = (wordings_of(kind, which) for which in ("all", "dev", "held-out"))
    assert len(set(every)) == len(every) >= 8
    assert {*dev, *held_out} == set(every)
    assert not {*dev} & {*held_out}
    assert len(held_out) == round(len(every) / 3)
    assert any(wordings_of(kind, "held-out", seed) != held_out for seed in range(5))


def test_questions_reproducible_and_independent_of_other_kinds() -> None:
    assert questions("count") == questions("count")
    assert [sample for sample in questions() if sample.kind == "count"] == list(questions("count"))


def test_options_and_reference_agree() -> None:
    for sample in questions():
        gold, options = sample.gold, sample.question.options
        assert gold.reference is not None
        assert gold.option_index is not None
        assert len(set(options)) == 5
        if gold.reference.metric == "set_f1" and sample.kind == "between" and "line" in sample.question.text:
            continue  # one of several lines is the option
        assert score_open(gold.reference.text, gold.reference).correct
        scores = [score_open(option, gold.reference).correct for option in options]
        if sample.kind not in ("between",):
            assert [index for index, is_right in enumerate(scores) if is_right] == [gold.option_index]


@pytest.mark.parametrize("seed", range(20))
def test_five_options_in_short_episodes(seed: int) -> None:
    scenes = add_flashes(generate_scenes(seed, 5), seed)
    plan = QuestionPlan(questions_per_kind=6)
    samples = write_whole_video_questions(scenes, scene_timeline("s01e01", scenes), seed, plan)
    assert {len(set(sample.question.options)) for sample in samples} == {5}


def test_right_answers_by_hand() -> None:
    """Of a few kinds, counted here in another way than where they are made."""
    lines = [line for scene in SCENES for line in scene.lines]
    for sample in questions("count"):
        word = sample.question.text.split("“")[1].split("”")[0]
        names = [name for name in {line.speaker for line in lines} if name in sample.question.text]
        said = [line for line in lines if not names or line.speaker in names]
        assert sample.gold.answer == str(sum(count_word(line.text, word) for line in said))
    for sample in questions("at"):
        if "sign" not in sample.question.text:
            (time_s,) = durations_in_s(sample.question.text)
            (line,) = [line for line in lines if line.start_s <= time_s <= line.end_s]
            assert sample.gold.answer in (line.speaker, line.text)


def test_flash_lasts_a_third_of_a_second(tmp_path: Path) -> None:
    scenes = SCENES[:1]
    video = tmp_path / "flash.mp4"
    write_episode(scenes, video)
    flash = scenes[0].flash
    assert flash is not None
    times_s = [flash.start_s - 0.05, flash.start_s + 0.05, flash.end_s - 0.05, flash.end_s + 0.05]
    corners = [frame.rgb()[20:60, 490:620].mean() for frame in open_reader(video).frames(times_s)]
    assert max(corners[1:3]) < 100 < min(corners[0], corners[3])
    assert flash.end_s - flash.start_s == pytest.approx(FLASH_S)


def test_references_are_read_as_written() -> None:
    for sample in questions():
        assert sample.gold.reference is not None
        assert read_reference(json.loads(json.dumps(reference_to_dict(sample.gold.reference)))) == sample.gold.reference


@pytest.mark.parametrize(
    "value",
    [None, "x", {}, {"metric": "taste"}, {"metric": "time"}, {"metric": "time", "time_s": -1}, {"metric": "order"},
     {"metric": "set_f1", "values": []}, {"metric": "exact_match", "values": [1]}, {"metric": "time", "time_s": "nan"}],
)  # fmt: skip
def test_invalid_reference(value: object) -> None:
    assert read_reference(value) is None


def test_set_score_has_precision_and_recall() -> None:
    score = score_open("“A1”, “B2”, “C3”", Reference("set_f1", ("a1", "d4")))
    assert (score.precision, score.recall, score.value) == pytest.approx((1 / 3, 1 / 2, 0.4))
    assert not score.correct


def test_kinds_by_group() -> None:
    assert expand_kinds(["whole-video"]) == WHOLE_VIDEO_KINDS
    assert expand_kinds(["who-most", "moment", "pixels"]) == ("who_most", "dialogue", "pixels", "both", "before_after")
    with pytest.raises(UsageError, match="kind sounds: unknown; give moment, whole-video"):
        SyntheticConfig(1, kinds=expand_kinds(["sounds"]))
    for field in ("form", "wordings"):
        with pytest.raises(UsageError, match=f"{field} x: unknown; give "):
            make_config(episodes=1, **{field: "x"})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "whole"
    kinds = ("dialogue", "count", "who_most", "duration", "between")
    generate_dataset(folder, SyntheticConfig(1, 5, 3, kinds=kinds, questions_per_kind=2, form="both"))
    return folder


def test_dataset_of_both_forms(dataset: Path) -> None:
    data = read_longtvqa(dataset, "train")
    assert data.check().problems == ()
    assert data.check().counts["questions without an answer"] == 0
    by_id = {sample.question.id: sample for sample in data.samples}
    assert len(by_id) == 20
    for name, sample in by_id.items():
        if sample.question.options:
            other = by_id[f"{name}-open"]
            assert other.question.text == sample.question.text
            assert (other.gold.option_index, other.question.options) == (None, ())
            assert other.gold.reference is not None
            assert other.gold.answer
        assert (sample.gold.clip is None) == (sample.kind != "dialogue")


def test_reference_that_cannot_be_read(dataset: Path, tmp_path: Path) -> None:
    file = dataset / "LongTVQA_plus_train.json"
    records = [record for record in json.loads(file.read_text()) if "reference" in record][:2]
    records[0]["reference"] = {"metric": "taste"}
    for path in dataset.iterdir():
        if path.name != file.name:
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / file.name).write_text(json.dumps(records))
    data = read_longtvqa(tmp_path, "train")
    assert len(data.samples) == 1
    assert [problem.field for problem in data.problems] == ["a0"]


def test_evaluation_of_both_forms(dataset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = lva("eval", dataset, "--split", "train", "--run", run, "--agents", "grounding")
    assert "correct by form: multiple choice" in result.stdout
    assert "open-ended: exact_match" in result.stdout
    summary = json.loads((run / "summary.json").read_text())
    assert summary["by_form"]["multiple_choice"]["num_questions"] == 10
    assert summary["by_form"]["open_ended"]["num_questions"] == 10
    assert summary["open_ended"]["set_f1"]["num_questions"] == summary["open_ended"]["set_recall"]["num_questions"] == 2
    assert 0 <= summary["confident_errors"]["mean"] <= 1
    assert "reference" not in (run / "traces.jsonl").read_text()
    assert "open-ended" in (run / "report.html").read_text()
    assert json.loads((run / "config.json").read_text())["settings"]["timeline_tools"] is True
    other = tmp_path / "other"
    lva(
        "eval", dataset, "--split", "train", "--run", other, "--agents", "grounding", "--switch", "timeline_tools=false"
    )
    assert json.loads((other / "config.json").read_text())["settings"]["timeline_tools"] is False
    compared = lva("compare", other, run).stdout
    assert "10 multiple choice:" in compared
    assert "10 open-ended:" in compared
