"""Made data sets, parts of them, first clips found beforehand, and rows for training."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import load_team
from longvideoagent.agents.grounding import ModelGrounding
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import OfflineVision
from longvideoagent.agents.prompts import master_messages
from longvideoagent.core.rollout import GroundingRequest, Rollout
from longvideoagent.core.types import GroundingResult
from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.check import check_dataset
from longvideoagent.datasets.export import ExportConfig, export_dataset, shuffle_options, split_by_video
from longvideoagent.datasets.first_clips import ground_dataset
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.longtvqa.read import LongTVQA, read_longtvqa
from longvideoagent.datasets.longtvqa.sample import GroupBy, draw_samples, write_subset
from longvideoagent.datasets.synthetic.episode import KINDS, write_questions
from longvideoagent.datasets.synthetic.generate import (
    SyntheticConfig,
    balance_answers,
    extract_frames,
    generate_dataset,
    scene_timeline,
)
from longvideoagent.datasets.synthetic.scenario import generate_scenes
from longvideoagent.errors import DataError, ModelError, UsageError
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.video import Video
from longvideoagent.models.scripted import ScriptedModel
from tests.fakes.release import CLIPS, question, write_release
from tests.plugins.cli import LVA, Completed, lva


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grown")
    generate_dataset(folder, SyntheticConfig(3, 5, 4))
    return folder


def test_a_made_set_is_whole_and_in_the_release_layout(grown: Path) -> None:
    val, train = read_longtvqa(grown, "val"), read_longtvqa(grown, "train")
    for data in (val, train):
        assert check_dataset(data).problems == ()
        assert {sample.kind for sample in data.samples} == set(KINDS)
    assert (len(train.samples), len(val.samples)) == (24, 12)
    assert not set(train.videos) & set(val.videos)
    sample = next(sample for sample in val.samples if sample.kind == "pixels")
    episode = val.open_video(sample.video)
    (box,) = val.boxes(sample) or ()
    assert episode.video.frames([box.time_s])[0].is_readable()
    clip = episode.timeline.find(sample.gold.clip or "")
    assert clip is not None
    assert clip.start_s <= (sample.gold.start_s or 0) < (sample.gold.end_s or 0) <= clip.end_s


def test_the_number_of_a_question_does_not_tell_its_clip(grown: Path) -> None:
    clips: dict[str, list[str]] = defaultdict(list)
    for split in ("train", "val"):
        for sample in read_longtvqa(grown, split).samples:
            clips[sample.video].append((sample.gold.clip or "").rpartition("_")[2])
    assert len({tuple(each) for each in clips.values()}) == len(clips) == 3


def test_a_made_set_is_kept_where_it_is_the_same(grown: Path) -> None:
    video = grown / "videos" / "s01e01.mp4"
    before = video.stat().st_mtime_ns
    told = {path.name: path.read_bytes() for path in grown.glob("*.json")}
    generate_dataset(grown, SyntheticConfig(3, 5, 4))
    assert video.stat().st_mtime_ns == before
    assert {path.name: path.read_bytes() for path in grown.glob("*.json")} == told


def test_frames_of_a_made_set_can_be_written(grown: Path, tmp_path: Path) -> None:
    generate_dataset(tmp_path, SyntheticConfig(1, 5, 4))
    assert extract_frames(tmp_path) == 5
    assert extract_frames(tmp_path) == 0
    data = read_longtvqa(tmp_path, "train")
    assert check_dataset(data).problems == ()
    folders, film = data.open_video("s01e01").video, read_longtvqa(grown, "train").open_video("s01e01").video
    seen, filmed = (video.frames([75.0])[0].rgb().astype(float) for video in (folders, film))
    assert abs(seen - filmed).mean() < 6


@pytest.mark.parametrize(("episodes", "minutes"), [(0, 10), (1, 4), (1, 26), (1001, 10)])
def test_impossible_sets_are_refused(episodes: int, minutes: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give 1 to 1000"):
        generate_dataset(tmp_path, SyntheticConfig(episodes, minutes))


# --- no shortcut leads to the answer -------------------------------------------------------------


@pytest.fixture(scope="module")
def many() -> list[Sample]:
    asked = {}
    for seed in range(90):
        scenes = generate_scenes(seed, 20)
        asked[str(seed)] = list(write_questions(scenes, scene_timeline(f"s01e{seed:02}", scenes), seed, 3))
    return [sample for samples in balance_answers(asked, 0).values() for sample in samples]


def share_right(samples: list[Sample], picks: list[int]) -> float:
    right = [pick == sample.gold.option_index for pick, sample in zip(picks, samples, strict=True)]
    return sum(right) / len(right)


def test_neither_place_nor_length_tells_the_answer(many: list[Sample]) -> None:
    samples = many[:500]
    places = Counter(sample.gold.option_index for sample in samples)
    assert max(places.values()) - min(places.values()) <= 1
    lengths = [[len(option) for option in sample.question.options] for sample in samples]
    assert abs(share_right(samples, [each.index(max(each)) for each in lengths]) - 0.2) < 0.03
    assert abs(share_right(samples, [each.index(min(each)) for each in lengths]) - 0.2) < 0.03


def test_the_words_of_the_question_alone_do_not_tell_the_answer(many: list[Sample]) -> None:
    """Which options went with which words in other episodes is of no use."""
    learnt, samples = many[:-500], many[-500:]
    together: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in learnt:
        for index, option in enumerate(sample.question.options):
            for word in set(sample.question.text.split()):
                together[word][option] += 4 if index == sample.gold.option_index else -1
    picks = []
    for sample in samples:
        words = set(sample.question.text.split())
        scores = [sum(together[word][option] for word in words) for option in sample.question.options]
        picks.append(scores.index(max(scores)))
    assert abs(share_right(samples, picks) - 0.2) < 0.03


# --- parts ---------------------------------------------------------------------------------------


def test_a_part_is_drawn_by_its_seed(grown: Path, tmp_path: Path) -> None:
    data = read_longtvqa(grown, "train")
    drawn = draw_samples(data.samples, 2, 1, GroupBy.KIND)
    assert Counter(sample.kind for sample in drawn) == dict.fromkeys(KINDS, 2)
    assert draw_samples(data.samples, 2, 1, GroupBy.KIND) == drawn
    assert draw_samples(data.samples, 2, 2, GroupBy.KIND) != drawn
    assert len(draw_samples(data.samples, 5, 0, GroupBy.VIDEO)) == 10
    assert len(draw_samples(data.samples, 999, 0)) == 24
    write_subset(data, drawn, tmp_path / "part")
    part = read_longtvqa(tmp_path / "part", "train")
    assert [sample.question for sample in part.samples] == [sample.question for sample in drawn]
    assert part.timeline(drawn[0].video) == data.timeline(drawn[0].video)
    with pytest.raises(UsageError, match="already"):
        write_subset(data, drawn, tmp_path / "part")


def test_a_command_that_is_stopped_says_so_and_goes_on_later(tmp_path: Path) -> None:
    command: list[str | Path] = [LVA, "data", "synth", tmp_path / "made", "--minutes", "5", "--episodes", "40"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob("made/*/*")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == "lva: stopped\n"
    assert process.returncode == 130
    assert not list(tmp_path.glob("made/LongTVQA*"))


def test_parts_of_two_splits_share_a_folder_and_keep_their_films(grown: Path, tmp_path: Path) -> None:
    splits = {split: read_longtvqa(grown, split) for split in ("train", "val")}
    for data in splits.values():
        write_subset(data, data.samples[:2], tmp_path / "part")
    for split, whole in splits.items():
        part, video = read_longtvqa(tmp_path / "part", split), whole.samples[0].video
        assert part.timeline(video) == whole.timeline(video)
        assert part.open_video(video).video.duration_s == whole.open_video(video).video.duration_s
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "part", other, symlinks=True)
    (other / "LongTVQA_plus_val.json").unlink()
    texts = json.loads((other / "clip_subtitles.json").read_text())
    (other / "clip_subtitles.json").write_text(json.dumps({clip: [[0.0, 1.0, "Else."]] for clip in texts}))
    with pytest.raises(UsageError, match="of another set"):
        write_subset(splits["val"], splits["val"].samples, other)
    with pytest.raises(UsageError, match="no usable question"):
        write_subset(splits["val"], [], tmp_path / "none")
    assert not (tmp_path / "none").exists()


# --- first clips ---------------------------------------------------------------------------------


class ShakyGrounding:
    """Fails at every other question, else names the first clip."""

    def __init__(self, asked: int = 0) -> None:
        self.asked = asked

    async def locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:  # noqa: ARG002
        self.asked += 1
        if self.asked % 2:
            raise ModelError("HTTP 503")
        return GroundingResult(request.timeline.clips[0].label)


def test_first_clips_are_found_once_and_failures_are_owed(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(n) for n in range(6)]))
    agent = ShakyGrounding()
    team = Team("shaky", ModelMaster(ScriptedModel([])), agent, OfflineVision())
    path = tmp_path / "cache.json"
    shares: list[float] = []
    assert len(ground_dataset(data, team, FirstClips(path), 1, lambda _, fraction: shares.append(fraction))) == 3
    assert len(ground_dataset(data, team, FirstClips(path), 1)) == 2
    assert agent.asked == 6 + 3
    assert shares[-1] == 1.0
    assert FirstClips(path).get(data.samples[1].question) == CLIPS[0]
    assert sum(sample.question in FirstClips(path) for sample in data.samples) == 4


def test_a_question_that_changed_under_its_id_is_asked_anew(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    before = read_longtvqa(write_release(tmp_path / "d", [question(1)]))
    ground_dataset(before, load_team(), FirstClips(path))
    after = read_longtvqa(write_release(tmp_path / "e", [question(1, q="Where is Mira ?")]))
    assert before.samples[0].question in FirstClips(path)
    assert after.samples[0].question not in FirstClips(path)


class Watched:
    """A data set that remembers which videos were opened."""

    def __init__(self, data: Dataset) -> None:
        self.name, self.folder, self.samples, self.problems = data.name, data.folder, data.samples, data.problems
        self.opened: list[str] = []
        self._data = data

    def clips(self, _video: str) -> None:
        return

    def open_video(self, video: str) -> Video:
        self.opened.append(video)
        return self._data.open_video(video)


def test_an_episode_is_opened_once_for_all_its_questions(grown: Path, tmp_path: Path) -> None:
    data = Watched(read_longtvqa(grown, "train"))
    videos = sorted({sample.video for sample in data.samples})
    cache = FirstClips(tmp_path / "cache.json")
    assert ground_dataset(data, load_team(), cache) == []
    assert sorted(data.opened) == videos
    data.opened.clear()
    export_dataset(data, cache, tmp_path, ExportConfig())
    assert sorted(data.opened) == videos


def test_a_clip_that_is_no_more_is_refused(grounded: tuple[LongTVQA, FirstClips], tmp_path: Path) -> None:
    data, _ = grounded
    cache = FirstClips(tmp_path / "cache.json")
    for sample in data.samples:
        cache.put(sample.question, "s09e09_seg01_clip_00")
    with pytest.raises(DataError, match="24 of 24 questions have no clip yet; run lva data ground again"):
        export_dataset(data, cache, tmp_path / "out", ExportConfig())
    told = r"cache\.json: the video of question s01e0[12]-0 has no clip s09e09_seg01_clip_00; delete"
    with pytest.raises(DataError, match=told):
        export_dataset(Watched(data), cache, tmp_path / "out", ExportConfig(val_fraction=0.5))
    assert not (tmp_path / "out").exists()


def test_a_clip_that_is_no_more_is_asked_for_again(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(1), question(2)]))
    cache = FirstClips(tmp_path / "cache.json")
    cache.put(data.samples[0].question, "s01e01_seg09_clip_00")
    cache.put(data.samples[1].question, None)
    agent = ShakyGrounding(asked=1)
    assert ground_dataset(data, Team("shaky", ModelMaster(ScriptedModel([])), agent, OfflineVision()), cache) == []
    assert [cache.get(sample.question) for sample in data.samples] == [CLIPS[0], None]


def test_a_label_that_is_no_clip_is_a_failure_and_owed(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d"))
    agent = ModelGrounding(ScriptedModel(["<clip>c99</clip>"] * 2))
    team = Team("astray", ModelMaster(ScriptedModel([])), agent, OfflineVision())
    cache = FirstClips(tmp_path / "cache.json")
    (told,) = ground_dataset(data, team, cache)
    assert "named 'c99', which is not a clip" in told
    assert data.samples[0].question not in FirstClips(tmp_path / "cache.json")


def test_questions_without_a_clip_can_be_left_out(grounded: tuple[LongTVQA, FirstClips], tmp_path: Path) -> None:
    data, whole = grounded
    cache = FirstClips(tmp_path / "cache.json")
    for sample in data.samples[1:]:
        cache.put(sample.question, whole.get(sample.question))
    with pytest.raises(DataError, match=r"1 of 24 questions have no clip yet; .* --skip-missing"):
        export_dataset(data, cache, tmp_path / "out", ExportConfig())
    counts = export_dataset(data, cache, tmp_path / "out", ExportConfig(skip_missing=True))
    assert (counts["train"] + counts["val"], counts["left out, without a clip"]) == (23, 1)
    with pytest.raises(DataError, match="24 of 24 questions have no clip"):
        export_dataset(data, FirstClips(tmp_path / "none.json"), tmp_path / "other", ExportConfig(skip_missing=True))


@pytest.mark.parametrize("text", ["", "[]", '{"format": 9}', '{"format": 1, "clips": 7}'])
def test_a_file_that_is_no_cache_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "cache.json").write_text(text)
    with pytest.raises(DataError, match=r"cache\.json: not a file of first clips"):
        FirstClips(tmp_path / "cache.json")


# --- rows ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grounded(grown: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[LongTVQA, FirstClips]:
    data = read_longtvqa(grown, "train")
    cache = FirstClips(tmp_path_factory.mktemp("cache") / "cache.json")
    assert ground_dataset(data, load_team(), cache) == []
    return data, cache


NONE_LEFT_OUT = {"left out, without an answer": 0, "left out, without a clip": 0}


def test_rows_hold_the_very_prompt_the_loop_would_show(grounded: tuple[LongTVQA, FirstClips], tmp_path: Path) -> None:
    data, cache = grounded
    how = ExportConfig(look_tag="search", seed=3, val_fraction=0.5)
    assert export_dataset(data, cache, tmp_path, how) == {"train": 12, "val": 12} | NONE_LEFT_OUT
    rows = [row for split in ("train", "val") for row in pq.read_table(tmp_path / f"{split}.parquet").to_pylist()]
    by_id = {sample.question.id: sample for sample in data.samples}
    for row in rows:
        sample = by_id[row["extra_info"]["qid"]]
        rollout = Rollout(shuffle_options(sample, 3).question, data.timeline(sample.video))
        rollout.receive(GroundingResult(cache.get(sample.question)))
        assert row["prompt"] == master_messages(rollout.trace, look_tag="search")
        right = int(row["reward_model"]["ground_truth"][1:])
        assert row["extra_info"]["options"][right] == sample.question.options[sample.gold.option_index or 0]
        assert row["agent_name"] == "longvideoagent"


def test_no_episode_stands_in_both_splits(grounded: tuple[LongTVQA, FirstClips]) -> None:
    data, _ = grounded
    for seed in range(5):
        split = split_by_video(data.samples, 0.1, seed)
        assert split["val"]
        assert not {sample.video for sample in split["train"]} & {sample.video for sample in split["val"]}
    with pytest.raises(UsageError, match="val-fraction"):
        split_by_video(data.samples, 1.5, 0)


def test_options_are_shuffled_alike_for_a_seed(grounded: tuple[LongTVQA, FirstClips]) -> None:
    data, _ = grounded
    mixed = [shuffle_options(sample, 1) for sample in data.samples]
    assert mixed == [shuffle_options(sample, 1) for sample in data.samples]
    assert {sample.gold.option_index for sample in mixed} == {0, 1, 2, 3, 4}
    assert mixed != [shuffle_options(sample, 2) for sample in data.samples]


def test_rows_without_first_clips_are_refused(grounded: tuple[LongTVQA, FirstClips], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="24 of 24 questions have no clip yet"):
        export_dataset(grounded[0], FirstClips(tmp_path / "none.json"), tmp_path / "out", ExportConfig())


def test_an_empty_split_has_the_columns_of_the_other(grounded: tuple[LongTVQA, FirstClips], tmp_path: Path) -> None:
    data, cache = grounded
    one = replace(data, samples=[sample for sample in data.samples if sample.video == data.videos[0]])
    assert export_dataset(one, cache, tmp_path, ExportConfig())["val"] == 0
    train, val = (pq.read_table(tmp_path / f"{split}.parquet") for split in ("train", "val"))
    assert val.schema == train.schema
    assert (train.num_rows, val.num_rows) == (12, 0)


# --- the commands --------------------------------------------------------------------------------


def run(*arguments: str | Path) -> Completed:
    return lva("data", *arguments)


def test_the_commands_go_from_files_to_rows(grown: Path, tmp_path: Path) -> None:
    for arguments, told in (
        (("check", grown), "questions"),
        (("ground", grown, "--out", tmp_path / "g.json"), "grounded   24"),
        (("export", grown, "--cache", tmp_path / "g.json", "--out", tmp_path / "rl"), "train"),
        (("sample", grown, "--out", tmp_path / "part", "--count", "1", "--group-by", "kind"), "questions  4"),
    ):
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
        assert told in done.stdout
    assert (tmp_path / "rl" / "train.parquet").exists()


def test_a_check_that_finds_something_ends_with_status_2(tmp_path: Path) -> None:
    done = run("check", write_release(tmp_path / "d", [question(1), question(2, answer="a9")]))
    assert done.returncode == 2
    assert "LongTVQA_plus_val.json:3: record 2: answer:" in done.stderr
    assert re.search(r"answers out of range +1\n", done.stdout)


def test_other_sets_are_grounded_and_exported_too(tmp_path: Path, short_video: Path) -> None:
    data, clips, rows = tmp_path / "data", tmp_path / "c.json", tmp_path / "rl"
    (data / "videos").mkdir(parents=True)
    (data / "subtitles").mkdir()
    options = {f"option {index}": text for index, text in enumerate(("red", "green", "blue", "grey", "pink"))}
    asked = [{"q_uid": video, "question": "What is blue?", **options} for video in ("lost", "talk")]
    (data / "questions.json").write_text(json.dumps(asked))
    (data / "subset_answers.json").write_text(json.dumps({"lost": 2, "talk": 2}))
    shutil.copy(short_video, data / "videos" / "talk.mp4")
    for name in ("lost", "talk"):
        (data / "subtitles" / f"{name}.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nIt is blue.\n")
    done = run("ground", data, "--split", "subset", "--out", clips)
    assert (done.returncode, done.stderr.count("\n")) == (1, 2)
    assert "1 failed: " in done.stderr
    assert "no video 'lost'" in done.stderr
    assert re.search(r"grounded +1\n", done.stdout)
    some = run("export", data, "--split", "subset", "--cache", clips, "--out", rows, "--skip-missing")
    assert (some.returncode, some.stdout.split()[-1]) == (0, "1")
    shutil.copy(short_video, data / "videos" / "lost.mp4")
    assert run("ground", data, "--split", "subset", "--out", clips).returncode == 0
    assert run("export", data, "--split", "subset", "--cache", clips, "--out", rows).returncode == 0
    told = [pq.read_table(rows / f"{split}.parquet").to_pylist() for split in ("train", "val")]
    assert sorted(row["extra_info"]["qid"] for each in told for row in each) == ["lost", "talk"]


@pytest.mark.parametrize(
    "line",
    [
        "check nowhere",
        "download nothing --out x",
        "download frames --out x",
        "download longtvqa --repository x --out y",
        "sample nowhere --out x --group-by colour",
        "synth x --episodes 0",
        "build --questions x_val.json --subtitles y --out z",
    ],
)
def test_impossible_commands_are_refused_in_one_line(line: str, tmp_path: Path) -> None:
    done = subprocess.run([LVA, "data", *line.split()], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


def test_a_cache_is_of_one_grounder(tmp_path: Path) -> None:
    data = write_release(tmp_path / "d")
    assert run("ground", data, "--split", "val", "--out", tmp_path / "c.json").returncode == 0
    other = run(
        "ground", data, "--split", "val", "--out", tmp_path / "c.json", "--grounding", "openai:m@http://127.0.0.1:9"
    )
    assert other.returncode == 2
    assert "filled by offline" in other.stderr


def test_records_that_are_left_out_are_told_by_every_command(tmp_path: Path) -> None:
    data = write_release(tmp_path / "d", [question(1), question(2, q="")])
    told = run("ground", data, "--split", "val", "--out", tmp_path / "c.json").stderr
    told += run("sample", data, "--out", tmp_path / "s").stderr
    assert told.count("1 problem in the data set") == 2


def test_a_set_without_a_question_is_refused(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("video,question,answer,qid,type,a0,a1,a2,a3,a4\n")
    done = run("check", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "val.csv: has no question of this split" in done.stderr
    done = run("ground", tmp_path, "--split", "val", "--out", tmp_path / "c.json")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no usable question" in done.stderr


def test_a_folder_of_another_made_set_is_refused(grown: Path) -> None:
    with pytest.raises(UsageError, match="holds another data set"):
        generate_dataset(grown, SyntheticConfig(3, 5, 5))


def test_a_made_set_has_the_kinds_and_numbers_that_are_asked_for(tmp_path: Path) -> None:
    counts = generate_dataset(
        tmp_path, SyntheticConfig(2, 5, 4, kinds=("pixels",), questions_per_kind=5, val_fraction=0.5)
    )
    assert counts == {"episodes": 2, "train questions": 5, "val questions": 5}
    data = read_longtvqa(tmp_path, "val")
    assert {sample.kind for sample in data.samples} == {"pixels"}
    assert len({sample.gold.clip for sample in data.samples}) == 5
    for wrong in ({"kinds": ("sounds",)}, {"questions_per_kind": 6}, {"val_fraction": 1.0}):
        with pytest.raises(UsageError):
            SyntheticConfig(2, 5, **wrong)
