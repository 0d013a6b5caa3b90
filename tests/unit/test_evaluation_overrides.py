"""What agents are told: nothing that is not to be told, and what the protocol says."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from longvideoagent.agents.config import AgentConfig, TeamConfig, load_team_config
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import offline_team
from longvideoagent.core.actions import Look
from longvideoagent.core.rollout import Rollout, VisionRequest
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.core.types import Jpeg, Message, Reply, VisionResult
from longvideoagent.datasets.open_videos import order_by_video
from longvideoagent.errors import ContextOverflowError, DataError, ModelError, UsageError
from longvideoagent.evaluation.config import make_eval_config, read_asked
from longvideoagent.evaluation.evaluate import forecast_run, judge_run
from longvideoagent.evaluation.overrides import EvalOverrides, GoldBoxVision
from longvideoagent.evaluation.runner import RunLimits
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.models.scripted import ScriptedModel
from tests.fakes.faulty_server import say, serving
from tests.fakes.release import CLIPS, some_questions, write_frames, write_release
from tests.plugins.cli import lva
from tests.plugins.runs import Json, asked, lines, models_at, play, run


@pytest.mark.parametrize(
    ("master", "switches"),
    [
        ("", {"agents": "grounding"}),
        ("", {"agents": "grounding+vision"}),
        ("master", {"agents": "none"}),
        ("master", {"agents": "grounding+vision"}),
        ("master", {"agents": "grounding+vision", "first_clip": "random"}),
        ("baseline", {"baseline": "subtitles"}),
        ("baseline", {"baseline": "subtitles+frames"}),
    ],
    ids=str,
)
def test_scrambled_gold_gives_the_very_same_traces(master: str, switches: Json, release: Path, tmp_path: Path) -> None:
    write_frames(release / "frames")
    other = {"s01e01": CLIPS[0], "s01e02": CLIPS[3]}
    scrambled = [
        {**record, "answer": "a4", "ts": [30.0, 31.0], "occur_clip": other[record["episode_name"]], "bbox": {}}
        for record in some_questions(12)
    ]
    with serving(play) as (url, server):
        protocol = asked(release, models_at(url, master) if master else None, **switches)
        run(protocol, tmp_path / "plain", bounds=RunLimits(concurrency=1))
        write_release(release, scrambled)
        run(protocol, tmp_path / "scrambled", bounds=RunLimits(concurrency=1))
    half = len(server.got) // 2
    assert server.got[:half] == server.got[half:]
    assert bool(half) == bool(master)
    told, again = (
        re.sub(r'"seconds":[\d.e-]+', "", (tmp_path / name / "traces.jsonl").read_text())
        for name in ("plain", "scrambled")
    )
    assert told == again
    assert '"outcome":"failed"' not in told
    right, by_scrambled_gold = (
        [each.is_correct for each in judge_run(tmp_path / name)] for name in ("plain", "scrambled")
    )
    assert right != by_scrambled_gold


def first_clips(path: Path) -> list[str]:
    return [line["first_grounding"]["clips"][0]["label"] for line in lines(path)]


def test_the_first_clip_comes_from_where_the_protocol_says(release: Path, tmp_path: Path) -> None:
    run(asked(release, first_clip="gold"), tmp_path / "gold", bounds=RunLimits(concurrency=1))
    _, samples = read_asked(asked(release))
    assert first_clips(tmp_path / "gold") == [sample.gold.clip for sample in order_by_video(samples)]
    assert asked(release, first_clip="gold").tells_gold == ("the first clip is the gold clip",)
    run(asked(release, first_clip="random"), tmp_path / "random", bounds=RunLimits(concurrency=1))
    assert len(set(first_clips(tmp_path / "random"))) == 4
    assert lva("data", "ground", release, "--split", "val", "--out", tmp_path / "c.json").returncode == 0
    run(asked(release, first_clip=f"cache={tmp_path / 'c.json'}"), tmp_path / "cache", bounds=RunLimits(concurrency=1))
    run(asked(release), tmp_path / "ground", bounds=RunLimits(concurrency=1))
    assert first_clips(tmp_path / "cache") == first_clips(tmp_path / "ground")


def test_a_first_clip_that_is_no_more_is_a_failure_and_no_answer(release: Path, tmp_path: Path) -> None:
    _, samples = read_asked(asked(release))
    cache = FirstClips(tmp_path / "c.json")
    for sample in samples:
        cache.put(sample.question, "s09e09_seg01_clip_00")
    cache.write()
    run(asked(release, first_clip=f"cache={tmp_path / 'c.json'}"), tmp_path / "run")
    told = lines(tmp_path / "run")
    assert {line["outcome"] for line in told} == {"failed"}
    assert "has no clip s09e09_seg01_clip_00; delete the file" in told[0]["cause"]


@pytest.mark.parametrize(
    ("switch", "told"),
    [
        ({"first_clip": "best"}, "give ground, random, gold or cache=FILE"),
        ({"first_clip": "cache=nowhere.json"}, "no such file"),
        ({"agents": "all"}, "--agents all"),
        ({"baseline": "frames"}, "--baseline frames"),
        ({"baseline": "subtitles+frames"}, "needs a master that sees"),
        ({"limit": 0}, "--limit 0: give 1 or more"),
        ({"limit": -1}, "--limit -1: give 1 or more"),
        ({"box": True}, "box: no such switch; there are agents, baseline, first_clip, boxes, limit"),
        ({"boxes": True}, "--boxes --agents grounding: nobody looks"),
        ({"agents": "none", "first_clip": "gold"}, "--first-clip gold --agents none: nobody asks for clips"),
        ({"baseline": "subtitles", "agents": "none"}, "--baseline subtitles --agents: a baseline is one reply"),
        ({"baseline": "subtitles", "first_clip": "gold"}, "leave out --first-clip"),
        ({"baseline": "subtitles", "boxes": True}, "leave out --boxes"),
    ],
)
def test_impossible_switches_are_refused(switch: Json, told: str, release: Path, tmp_path: Path) -> None:
    with pytest.raises((UsageError, DataError), match=re.escape(told)):
        run(asked(release, **switch), tmp_path / "run")


@pytest.mark.parametrize(
    ("bounds", "switch", "told"),
    [
        (RolloutSettings(max_rounds=3), {"baseline": "subtitles"}, "leave out --max-rounds"),
        (RolloutSettings(window=2), {"baseline": "subtitles"}, "leave out --window"),
        (RolloutSettings(parallel_looks=2), {"baseline": "subtitles"}, "leave out --parallel-looks"),
        (RolloutSettings(window=2), {"agents": "none"}, "--window 2 --agents none: the whole video is one clip"),
        (
            RolloutSettings(parallel_looks=2),
            {"agents": "grounding"},
            "--parallel-looks --agents grounding: nobody looks",
        ),
    ],
)
def test_bounds_that_mean_nothing_are_refused(bounds: RolloutSettings, switch: Json, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        make_eval_config(Path("data"), "val", TeamConfig(), bounds, switch)


class Eyes:
    """Vision that tells what it was asked."""

    async def look(self, request: VisionRequest, video: object) -> VisionResult:  # noqa: ARG002
        return VisionResult(request.action.query)


def test_gold_boxes_are_told_only_where_the_protocol_says_so(release: Path) -> None:
    protocol = asked(release, agents="grounding+vision", boxes=True)
    data, samples = read_asked(protocol)
    sample, episode = samples[1], data.open_video(samples[1].video)
    team = EvalOverrides.of(protocol, data, samples).team_for(sample, episode, offline_team())
    assert isinstance(team.vision, GoldBoxVision)
    clip = episode.timeline.find(sample.gold.clip or "")
    assert clip is not None
    eyes = GoldBoxVision(team.vision.boxes, Eyes())
    seen = asyncio.run(eyes.look(VisionRequest(Look("what?"), (clip,)), episode.video))
    assert "Otto at 2, 1, 3, 4" in seen.text
    other = next(each for each in episode.timeline.clips if each.label != clip.label)
    assert (
        asyncio.run(
            GoldBoxVision(team.vision.boxes, Eyes()).look(VisionRequest(Look("what?"), (other,)), episode.video)
        ).text
        == "what?"
    )
    plain = EvalOverrides.of(asked(release), data, samples).team_for(sample, episode, offline_team())
    assert not isinstance(plain.vision, GoldBoxVision)


def test_the_subtitle_baseline_is_one_prompt_with_the_whole_episode(release: Path, tmp_path: Path) -> None:
    with serving(say("<answer>a1</answer>")) as (url, _):
        protocol = asked(release, TeamConfig(master=AgentConfig(model=f"openai:m@{url}")), baseline="subtitles")
        summary = run(protocol, tmp_path / "run")
    assert summary["per_question"]["rounds"]["mean"] == 1.0
    assert summary["roles"]["grounding"]["calls"] == 0
    assert {len(line["first_grounding"]["clips"][0]["subtitles"]) for line in lines(tmp_path / "run")} == {1, 5}


def shown_frames(release: Path, *replies: str | ModelError) -> tuple[Reply, list[list[Message]]]:
    """What a baseline with frames answers, and what its model was sent."""
    write_frames(release / "frames")
    protocol = asked(release, models_at("http://127.0.0.1:9/v1", "baseline"), baseline="subtitles+frames")
    data, samples = read_asked(protocol)
    model = ScriptedModel(replies)
    episode = data.open_video("s01e01")
    team = replace(offline_team(), master=ModelMaster(model))
    team = EvalOverrides.of(protocol, data, samples).team_for(samples[0], episode, team)
    trace = Rollout(samples[0].question, episode.timeline, protocol.settings).trace
    return asyncio.run(team.master.reply(trace)), model.requests


def test_the_frame_baseline_shows_middle_frames_with_the_subtitles(release: Path) -> None:
    reply, heard = shown_frames(release, "<answer>a1</answer>")
    content = heard[0][0]["content"]
    assert isinstance(content, tuple)
    assert [type(part) for part in content] == [Jpeg, Jpeg, Jpeg, str]
    assert reply.usage.images == 3


def test_the_frame_baseline_is_shortened_where_it_does_not_fit(release: Path) -> None:
    reply, heard = shown_frames(release, ContextOverflowError("too long"), "<answer>a1</answer>")
    whole, short = (messages[0]["content"] for messages in heard)
    assert whole[:3] == short[:3]
    assert len(str(short[3])) < len(str(whole[3]))
    assert reply.warnings == ("only 50% of each clip's subtitles fitted the master model's context",)


def test_the_frame_baseline_is_refused_without_frames(release: Path, tmp_path: Path) -> None:
    protocol = asked(release, models_at("http://127.0.0.1:9/v1", "baseline"), baseline="subtitles+frames")
    with pytest.raises(UsageError, match="has no frames of what is asked about; put them in its folder frames"):
        run(protocol, tmp_path / "run")


def test_an_episode_without_frames_is_not_asked_as_if_it_were_text(release: Path, tmp_path: Path) -> None:
    write_frames(release / "frames")
    shutil.rmtree(release / "frames" / CLIPS[3])
    with serving(play) as (url, _):
        run(asked(release, models_at(url, "baseline"), baseline="subtitles+frames"), tmp_path / "run")
    failed = [line for line in lines(tmp_path / "run") if line["outcome"] == "failed"]
    assert sorted(line["question"]["id"] for line in failed) == ["11", "3", "7"]
    assert "has no frame to show" in failed[0]["cause"]


def test_a_run_without_frames_says_that_vision_sees_nothing(release: Path, tmp_path: Path) -> None:
    told: list[str] = []
    run(asked(release, agents="grounding+vision", limit=1), tmp_path / "bare", warn=told.append)
    assert [line.partition(": ")[2] for line in told] == [
        "has no frames of what is asked about, so vision sees nothing; put them in its folder frames, "
        "or give --agents grounding"
    ]
    run(asked(release, limit=1), tmp_path / "grounding", warn=told.append)
    write_frames(release / "frames")
    run(asked(release, agents="grounding+vision", limit=1), tmp_path / "seen", warn=told.append)
    assert len(told) == 1


def test_a_run_tells_of_how_many_clips_it_has_no_frames(release: Path, tmp_path: Path) -> None:
    told: list[str] = []
    write_frames(release / "frames")
    shutil.rmtree(release / "frames" / CLIPS[3])
    run(asked(release, agents="grounding+vision"), tmp_path / "vision", warn=told.append)
    with serving(play) as (url, _):
        shown = asked(release, models_at(url, "baseline"), baseline="subtitles+frames")
        run(shown, tmp_path / "baseline", warn=told.append)
    assert [line.partition(": ")[2] for line in told] == [
        "has no frames of 1 of 4 clips, so vision sees nothing there; put them in its folder frames, "
        "or give --agents grounding",
        "has no frames of 1 of 4 clips, which are not shown; put them in its folder frames",
    ]


def test_questions_that_a_cache_lacks_are_told_with_how_to_find_their_clips(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    FirstClips(path, "offline").write()
    told = f"{path}: 12 of these questions have no clip; lva data ground {release} --split val --out {path} finds them"
    with pytest.raises(DataError, match=re.escape(told)):
        run(asked(release, first_clip=f"cache={path}"), tmp_path / "run")
    assert lva("data", "ground", release, "--split", "val", "--out", path).returncode == 0
    assert run(asked(release, first_clip=f"cache={path}"), tmp_path / "run")["finished"] == 12


def test_nothing_is_retried_where_there_is_no_run(release: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--retry failed: .* holds no run"):
        run(asked(release), tmp_path / "run", retry_failed=True)
    assert not (tmp_path / "run").exists()


def test_a_whole_run_is_forecast(release: Path) -> None:
    one = forecast_run(asked(release, load_team_config("qwen3-4b"), limit=1))
    all_ = forecast_run(asked(release, load_team_config("qwen3-4b")))
    assert all_[-1].max_usage.calls == 12 * one[-1].max_usage.calls
    assert all_[-1].max_usage.prompt_tokens > 11 * one[-1].max_usage.prompt_tokens / 2
