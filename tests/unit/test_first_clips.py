"""First clips located in advance: once per question, failures pending, one grounding model a file."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import load_team
from longvideoagent.agents.grounding import ModelGrounding
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import OfflineVision
from longvideoagent.core.rollout import GroundingRequest
from longvideoagent.core.types import GroundingResult
from longvideoagent.datasets.export import ExportConfig, export_dataset
from longvideoagent.datasets.first_clips import ground_dataset, is_pending, open_first_clips
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.errors import DataError, ModelError, UsageError
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.models.scripted import ScriptedModel
from tests.fakes.public_rows import public_row, write_public_rows
from tests.fakes.release import CLIPS, question, write_release
from tests.plugins.cli import refusal
from tests.plugins.datasets import RecordingDataset
from tests.plugins.runs import eval_config, lines, run


class FlakyGrounding:
    """Fails at every other question, else names the first clip."""

    def __init__(self, num_requests: int = 0) -> None:
        self.num_requests = num_requests

    async def locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:  # noqa: ARG002
        self.num_requests += 1
        if self.num_requests % 2:
            raise ModelError("HTTP 503")
        return GroundingResult(request.timeline.clips[0].label)


def test_ground_failures_pending(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(n) for n in range(6)]))
    agent = FlakyGrounding()
    team = Team("shaky", ModelMaster(ScriptedModel([])), agent, OfflineVision())
    path = tmp_path / "cache.json"
    fractions: list[float] = []
    assert len(ground_dataset(data, team, FirstClips(path), 1, lambda _, fraction: fractions.append(fraction))) == 3
    assert len(ground_dataset(data, team, FirstClips(path), 1)) == 2
    assert agent.num_requests == 6 + 3
    assert fractions[-1] == 1.0
    assert FirstClips(path).get(data.samples[1].question) == CLIPS[0]
    assert sum(sample.question in FirstClips(path) for sample in data.samples) == 4


def test_question_changed_under_its_id(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    before = read_longtvqa(write_release(tmp_path / "d", [question(1)]))
    ground_dataset(before, load_team(), FirstClips(path))
    after = read_longtvqa(write_release(tmp_path / "e", [question(1, q="Where is Mira ?")]))
    assert before.samples[0].question in FirstClips(path)
    assert after.samples[0].question not in FirstClips(path)


def test_ground_opens_each_video_once(synthetic_dataset: Path, tmp_path: Path) -> None:
    data = RecordingDataset(read_longtvqa(synthetic_dataset, "train"))
    videos = sorted({sample.video for sample in data.samples})
    cache = FirstClips(tmp_path / "cache.json")
    assert ground_dataset(data, load_team(), cache) == []
    assert sorted(data.opened) == videos
    data.opened.clear()
    export_dataset(data, cache, tmp_path, ExportConfig())
    assert sorted(data.opened) == videos


def test_ground_again_when_clip_is_gone(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(1), question(2)]))
    cache = FirstClips(tmp_path / "cache.json")
    cache.put(data.samples[0].question, "s01e01_seg09_clip_00")
    cache.put(data.samples[1].question, None)
    agent = FlakyGrounding(num_requests=1)
    assert ground_dataset(data, Team("shaky", ModelMaster(ScriptedModel([])), agent, OfflineVision()), cache) == []
    assert [cache.get(sample.question) for sample in data.samples] == [CLIPS[0], None]


def test_ground_unknown_label_pending(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d"))
    agent = ModelGrounding(ScriptedModel(["<clip>c99</clip>"] * 2))
    team = Team("astray", ModelMaster(ScriptedModel([])), agent, OfflineVision())
    cache = FirstClips(tmp_path / "cache.json")
    (cause,) = ground_dataset(data, team, cache)
    assert "named no clip of the video" in cause
    assert data.samples[0].question not in FirstClips(tmp_path / "cache.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "3",
        pytest.param("[" * 100_000, id="deep"),
        '{"version": 2}',
        '{"version": 0, "clips": {}}',
        '{"format": 1, "clips": 7}',
        '{"version": 2, "clips": {"1": {}}}',
    ],
)
def test_first_clips_file_invalid(text: str, tmp_path: Path) -> None:
    (tmp_path / "cache.json").write_text(text)
    with pytest.raises(DataError, match=r"cache\.json: not a file of first clips"):
        FirstClips(tmp_path / "cache.json")


def test_first_clips_old_version_migrated(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d"))
    file, sample_question = tmp_path / "cache.json", data.samples[0].question
    first_clips = FirstClips(file, "offline")
    first_clips.put(sample_question, CLIPS[0])
    first_clips.write()
    content = json.loads(file.read_text())
    assert content["version"] == 2
    file.write_text(json.dumps({"format": 1, "grounder": "offline", "clips": content["clips"]}))
    migrated = FirstClips(file, "offline")
    assert migrated.get(sample_question) == CLIPS[0]
    with pytest.raises(UsageError, match="filled by offline, not other"):
        FirstClips(file, "other")


def test_first_clips_newer_version_refused(tmp_path: Path) -> None:
    (tmp_path / "cache.json").write_text('{"version": 9, "clips": {}}')
    with pytest.raises(DataError, match="update longvideoagent"):
        FirstClips(tmp_path / "cache.json")


def public_entry(number: int, label: str, status: str = "ok", gold_clip: str = CLIPS[1]) -> dict[str, str]:
    return {
        "question": f" What does Otto hold in  scene {number} ?\n",
        "clip": label,
        "vid_name": gold_clip,
        "status": status,
        "raw_response": f"<clip>{label}</clip>",
    }


def test_public_cache(release: Path, tmp_path: Path) -> None:
    data = read_longtvqa(release)
    entries = [
        public_entry(0, CLIPS[2]),
        public_entry(1, f"<{CLIPS[0]}>\n"),
        public_entry(2, "seg01_clip_01"),
        public_entry(3, "somewhere", gold_clip=CLIPS[3]),
        public_entry(4, "", "empty_clip"),
        public_entry(5, "", "error"),
        public_entry(6, CLIPS[3], gold_clip=CLIPS[3]),  # the same text in another episode
        public_entry(6, CLIPS[1]),
    ]
    path = tmp_path / "cache.json"
    path.write_text(json.dumps({str(number): entry for number, entry in enumerate(entries, 1)}))
    first_clips = open_first_clips(path)
    samples = data.samples[:7]
    pending = [sample.question.id for sample in samples if is_pending(first_clips, sample, data)]
    assert pending == ["5"]
    labels = [
        first_clips.find(sample.question, data.timeline(sample.video))
        for sample in samples
        if sample.question.id != "5"
    ]
    assert labels == [CLIPS[2], CLIPS[0], CLIPS[1], None, None, CLIPS[1]]
    with pytest.raises(UsageError, match="a cache of the public code, which is only read"):
        FirstClips(path, "openai:a")
    warnings: list[str] = []
    run(eval_config(release, first_clip=f"file={path}"), tmp_path / "run", on_warning=warnings.append)
    assert f"{path}: has a clip for 6 of 12 questions; the grounding agent locates the others" in warnings
    groundings = {line["id"]: line["first_grounding"] for line in lines(tmp_path / "run")}
    assert [groundings[str(number)].get("clip") for number in (0, 1, 2, 3, 4, 6)] == labels
    assert groundings["5"]["clip"]
    path.write_text(json.dumps({"1": public_entry(77, CLIPS[0])}))
    with pytest.raises(DataError, match=r"has a clip for 0 of 12 questions; is it of another set or split\?"):
        run(eval_config(release, first_clip=f"file={path}"), tmp_path / "other")
    with pytest.raises(DataError, match=r"12 of 12 questions have no clip yet; is it of another set or split\?"):
        export_dataset(data, open_first_clips(path), tmp_path / "rl", ExportConfig())


def test_public_cache_written_by_hand(release: Path, tmp_path: Path) -> None:
    path, data = tmp_path / "cache.json", read_longtvqa(release)
    text = data.samples[0].question.text
    for entry, label in (
        ({"question": text, "clip": CLIPS[2], "status": "ok"}, CLIPS[2]),
        ({"question": text, "clip": CLIPS[2], "status": "success"}, CLIPS[2]),
        ({"question": text, "clip": CLIPS[2]}, CLIPS[2]),
        ({"question": text, "clip": None, "status": "empty_clip"}, None),
    ):
        path.write_text(json.dumps({"0": entry}), encoding="utf-8-sig")  # as Notepad writes it
        assert open_first_clips(path).find(data.samples[0].question, data.timeline("s01e01")) == label


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"0": {"question": "Who ?", "vid_name": CLIPS[0], "status": "ok"}},
            "entry '0' has no clip; a public cache is",
        ),
        ({"0": {"clip": CLIPS[0], "status": "ok"}}, "entry '0' has no question; a public cache is"),
        ({"0": {"question": ["Who ?"], "clip": CLIPS[0]}}, "entry '0' is not an object with a question as text"),
        ([{"question": "Who ?", "clip": ""}, "Who ?"], "entry '1' is not an object with a question as text"),
        ({"7": {"question": "Who ?", "clip": "", "status": "error"}}, "grounding failed for all of its 1 questions"),
        ({"0": {"question": "Of another set ?", "clip": CLIPS[0], "status": "ok"}}, "is it of another set or split?"),
    ],
)
def test_public_cache_refused_on_one_line(content: object, message: str, release: Path, tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    path.write_text(json.dumps(content))
    export = refusal("data", "export", release, "--split", "val", "--first-clips", path, "--out", tmp_path / "rows")
    eval_ = refusal("eval", release, "--first-clip", f"file={path}", "--run", tmp_path / "run")
    for line in (export, eval_):
        assert f"{path}: " in line
        assert message in line
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_dir() and each != release) == []


def test_first_clips_of_rows(release: Path, tmp_path: Path) -> None:
    data = read_longtvqa(release)
    public = open_first_clips(write_public_rows(tmp_path / "public.parquet", 12))
    assert [public.find(sample.question, data.timeline(sample.video)) for sample in data.samples[:2]] == [CLIPS[0]] * 2
    first_clips = FirstClips(tmp_path / "own.json")
    assert ground_dataset(data, load_team(), first_clips) == []
    export_dataset(data, first_clips, tmp_path / "rl", ExportConfig())
    rows = open_first_clips(tmp_path / "rl" / "train.parquet")
    for sample in data.samples:
        if sample.question in rows:
            assert rows.find(sample.question, data.timeline(sample.video)) == first_clips.get(sample.question)
    pq.write_table(pa.Table.from_pylist([{"extra_info": {"x": 1}}]), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="extra_info: has no question with its clip"):
        open_first_clips(tmp_path / "x.parquet")
    invalid = public_row(0, vid_name="s01")
    pq.write_table(pa.Table.from_pylist([invalid, public_row(1)]), tmp_path / "y.parquet")
    located = open_first_clips(tmp_path / "y.parquet")
    assert [sample.question in located for sample in data.samples[:2]] == [False, True]
    pq.write_table(pa.Table.from_pylist([invalid]), tmp_path / "z.parquet")
    with pytest.raises(DataError, match=r"record 1: extra_info\.vid_name: 's01' is not the name of a clip; convert"):
        open_first_clips(tmp_path / "z.parquet")
