"""Overrides: agents get gold only through them, and each does what the configuration says."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import offline_team
from longvideoagent.agents.prompts import default_layout, parse_layout
from longvideoagent.agents.team_file import load_team_config
from longvideoagent.agents.tool_master import ToolMaster
from longvideoagent.core.actions import Look
from longvideoagent.core.context import render_observation
from longvideoagent.core.rollout import Rollout, VisionRequest
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.core.types import Jpeg, Message, Reply, VisionResult
from longvideoagent.datasets.open_videos import order_by_video
from longvideoagent.errors import ContextOverflowError, DataError, ModelError, UsageError
from longvideoagent.evaluation.config import load_samples, make_eval_config, resolve
from longvideoagent.evaluation.evaluate import forecast_run, score_run
from longvideoagent.evaluation.overrides import EvalOverrides, GoldBoxVision
from longvideoagent.evaluation.runner import RunLimits
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.models.scripted import ScriptedModel
from tests.fakes.faulty_server import say, serving
from tests.fakes.release import CLIPS, some_questions, write_frames, write_release
from tests.plugins.cli import lva
from tests.plugins.runs import Json, eval_config, lines, models_at, reply_as_any_model, run

TEAMS = Path(__file__).resolve().parents[2] / "configs" / "teams"


@pytest.mark.parametrize(
    ("master", "overrides"),
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
def test_gold_scrambled_same_traces(master: str, overrides: Json, release: Path, tmp_path: Path) -> None:
    write_frames(release / "frames")
    other = {"s01e01": CLIPS[0], "s01e02": CLIPS[3]}
    scrambled = [
        {**record, "answer": "a4", "ts": [30.0, 31.0], "occur_clip": other[record["episode_name"]], "bbox": {}}
        for record in some_questions(12)
    ]
    with serving(reply_as_any_model) as (url, server):
        config = eval_config(release, models_at(url, master) if master else None, **overrides)
        run(config, tmp_path / "plain", limits=RunLimits(concurrency=1))
        write_release(release, scrambled)
        run(config, tmp_path / "scrambled", limits=RunLimits(concurrency=1))
    half = len(server.requests) // 2
    assert server.requests[:half] == server.requests[half:]
    assert bool(half) == bool(master)
    first, second = (
        re.sub(r'"seconds":[\d.e-]+', "", (tmp_path / name / "traces.jsonl").read_text())
        for name in ("plain", "scrambled")
    )
    assert first == second
    assert '"outcome":"failed"' not in first
    correct, with_scrambled_gold = (
        [each.correct for each in score_run(tmp_path / name)] for name in ("plain", "scrambled")
    )
    assert correct != with_scrambled_gold


def first_clips(path: Path) -> list[str]:
    return [line["first_grounding"]["clip"] for line in lines(path)]


def test_first_clip_sources(release: Path, tmp_path: Path) -> None:
    run(eval_config(release, first_clip="gold"), tmp_path / "gold", limits=RunLimits(concurrency=1))
    _, samples = load_samples(eval_config(release))
    assert first_clips(tmp_path / "gold") == [sample.gold.clip for sample in order_by_video(samples)]
    assert eval_config(release, first_clip="gold").gold_inputs == ("the first clip is the gold clip",)
    run(eval_config(release, first_clip="random"), tmp_path / "random", limits=RunLimits(concurrency=1))
    assert len(set(first_clips(tmp_path / "random"))) == 4
    assert lva("data", "ground", release, "--split", "val", "--out", tmp_path / "c.json").returncode == 0
    run(
        eval_config(release, first_clip=f"file={tmp_path / 'c.json'}"),
        tmp_path / "cache",
        limits=RunLimits(concurrency=1),
    )
    run(eval_config(release), tmp_path / "ground", limits=RunLimits(concurrency=1))
    assert first_clips(tmp_path / "cache") == first_clips(tmp_path / "ground")


def test_first_clip_outdated_fails_the_question(release: Path, tmp_path: Path) -> None:
    _, samples = load_samples(eval_config(release))
    cache = FirstClips(tmp_path / "c.json")
    for sample in samples:
        cache.put(sample.question, "s09e09_seg01_clip_00")
    cache.write()
    run(eval_config(release, first_clip=f"file={tmp_path / 'c.json'}"), tmp_path / "run")
    traces = lines(tmp_path / "run")
    assert {trace["outcome"] for trace in traces} == {"failed"}
    assert "has no clip s09e09_seg01_clip_00; move the file away" in traces[0]["cause"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"first_clip": "best"}, "give agent, random, gold or file=FILE"),
        ({"first_clip": "file=nowhere.json"}, "no such file"),
        ({"first_clip": "file="}, "give agent, random, gold or file=FILE"),
        ({"first_clip": "gold=x"}, "give agent, random, gold or file=FILE"),
        ({"agents": "all"}, "--agents all"),
        ({"baseline": "frames"}, "--baseline frames"),
        ({"baseline": "subtitles+frames"}, "needs a master that sees; give -m SPEC or --master SPEC"),
        ({"limit": 0}, "--limit 0: give 1 or more"),
        ({"limit": -1}, "--limit -1: give 1 or more"),
        ({"box": True}, "box: not an override; choose from agents, baseline"),
        ({"gold_boxes": True}, "--gold-boxes --agents grounding: no agent looks"),
        ({"agents": "none", "first_clip": "gold"}, "--first-clip gold --agents none: no agent locates clips"),
        ({"baseline": "subtitles", "agents": "none"}, "--baseline subtitles --agents: a baseline is one reply"),
        ({"baseline": "subtitles", "first_clip": "gold"}, "leave out --first-clip"),
        ({"baseline": "subtitles", "gold_boxes": True}, "leave out --gold-boxes"),
    ],
)
def test_override_invalid(override: Json, message: str, release: Path, tmp_path: Path) -> None:
    with pytest.raises((UsageError, DataError), match=re.escape(message)):
        run(eval_config(release, **override), tmp_path / "run")


@pytest.mark.parametrize(
    ("limits", "override", "message"),
    [
        (RolloutSettings(max_rounds=3), {"baseline": "subtitles"}, "leave out --max-rounds"),
        (RolloutSettings(window=2), {"baseline": "subtitles"}, "leave out --window"),
        (RolloutSettings(parallel_looks=2), {"baseline": "subtitles"}, "leave out --parallel-looks"),
        (RolloutSettings(window=2), {"agents": "none"}, "--window 2 --agents none: the whole video is one clip"),
        (
            RolloutSettings(parallel_looks=2),
            {"agents": "grounding"},
            "--parallel-looks --agents grounding: no agent looks",
        ),
    ],
)
def test_limits_without_effect(limits: RolloutSettings, override: Json, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        make_eval_config(Path("data"), "val", TeamConfig(), limits, override)


class EchoVision:
    """Vision that returns its query."""

    async def look(self, request: VisionRequest, video: object) -> VisionResult:  # noqa: ARG002
        return VisionResult(request.action.query)


def test_gold_boxes_only_with_the_override(release: Path) -> None:
    config = eval_config(release, agents="grounding+vision", gold_boxes=True)
    data, samples = load_samples(config)
    sample, episode = samples[1], data.open_video(samples[1].video)
    team = EvalOverrides.from_config(config, data, samples).team_for(sample, episode, offline_team())
    assert isinstance(team.vision, GoldBoxVision)
    clip = episode.timeline.find_clip(sample.gold.clip or "")
    assert clip is not None
    vision = GoldBoxVision(team.vision.boxes, EchoVision(), default_layout())
    result = asyncio.run(vision.look(VisionRequest(Look("what?"), (clip,)), episode.reader))
    assert "Otto at 2, 1, 3, 4" in result.boxes
    assert "Otto at 2, 1, 3, 4" in render_observation(result, default_layout())
    other = next(each for each in episode.timeline.clips if each.label != clip.label)
    assert asyncio.run(vision.look(VisionRequest(Look("what?"), (other,)), episode.reader)).text == "what?"
    plain = EvalOverrides.from_config(eval_config(release), data, samples).team_for(sample, episode, offline_team())
    assert not isinstance(plain.vision, GoldBoxVision)


def test_subtitle_baseline_is_one_prompt(release: Path, tmp_path: Path) -> None:
    with serving(say("<answer>a1</answer>")) as (url, _):
        config = eval_config(release, TeamConfig(master=AgentConfig(model=f"openai:m@{url}")), baseline="subtitles")
        summary = run(config, tmp_path / "run")
    assert summary["per_question"]["rounds"]["mean"] == 1.0
    assert summary["agents"]["grounding"]["calls"] == 0
    assert {len(line["first_grounding"]["window"][0]["subtitles"]) for line in lines(tmp_path / "run")} == {1, 5}


@pytest.mark.parametrize("field", ["prompt", "grounding_prompt"])
def test_layout_with_too_few_options_refused(field: str, release: Path) -> None:
    layout = parse_layout({field: "$question $a0 $a1"})
    team_config = TeamConfig(
        master=AgentConfig(model="openai:m@http://127.0.0.1:9"),
        grounding=AgentConfig(model="openai:m@http://127.0.0.1:9"),
        layout=layout,
    )
    with pytest.raises(DataError, match=r"no place for \$a2 of the 5 options"):
        forecast_run(eval_config(release, team_config, agents="grounding+vision"))


def ask_frame_baseline(release: Path, *replies: str | ModelError) -> tuple[Reply, list[list[Message]]]:
    """The reply of a baseline with frames, and the messages sent to its model."""
    write_frames(release / "frames")
    config = eval_config(release, models_at("http://127.0.0.1:9/v1", "baseline"), baseline="subtitles+frames")
    data, samples = load_samples(config)
    model = ScriptedModel(replies)
    episode = data.open_video("s01e01")
    team = replace(offline_team(), master=ToolMaster(ModelMaster(model)))
    team = EvalOverrides.from_config(config, data, samples).team_for(samples[0], episode, team)
    trace = Rollout(samples[0].question, episode.timeline, config.settings).trace
    return asyncio.run(team.master.reply(trace)), model.requests


def test_frame_baseline_shows_middle_frames(release: Path) -> None:
    reply, requests = ask_frame_baseline(release, "<answer>a1</answer>")
    content = requests[0][0]["content"]
    assert isinstance(content, tuple)
    assert [type(part) for part in content] == [Jpeg, Jpeg, Jpeg, str]
    assert reply.usage.images == 3


def test_frame_baseline_is_shortened_to_fit(release: Path) -> None:
    reply, requests = ask_frame_baseline(release, ContextOverflowError("too long"), "<answer>a1</answer>")
    whole, short = (messages[0]["content"] for messages in requests)
    assert whole[:3] == short[:3]
    assert len(str(short[3])) < len(str(whole[3]))
    assert reply.warnings == ("only 50% of each clip's subtitles fitted the master model's context",)


def test_frame_baseline_without_any_frame(release: Path, tmp_path: Path) -> None:
    config = eval_config(release, models_at("http://127.0.0.1:9/v1", "baseline"), baseline="subtitles+frames")
    with pytest.raises(UsageError, match="has no frames of the videos asked about; put them in its folder frames"):
        run(config, tmp_path / "run")


def test_frame_baseline_video_without_frames_fails(release: Path, tmp_path: Path) -> None:
    write_frames(release / "frames")
    shutil.rmtree(release / "frames" / CLIPS[3])
    with serving(reply_as_any_model) as (url, _):
        run(eval_config(release, models_at(url, "baseline"), baseline="subtitles+frames"), tmp_path / "run")
    failed = [line for line in lines(tmp_path / "run") if line["outcome"] == "failed"]
    assert sorted(line["id"] for line in failed) == ["11", "3", "7"]
    assert "has no frame to show" in failed[0]["cause"]


def test_warning_no_frames(release: Path, tmp_path: Path) -> None:
    warnings: list[str] = []
    run(eval_config(release, agents="grounding+vision", limit=1), tmp_path / "bare", on_warning=warnings.append)
    assert [line.partition(": ")[2] for line in warnings] == [
        "has no frames of the videos asked about, so vision sees nothing; put them in its folder frames, "
        "or give --agents grounding"
    ]
    run(eval_config(release, limit=1), tmp_path / "grounding", on_warning=warnings.append)
    write_frames(release / "frames")
    run(eval_config(release, agents="grounding+vision", limit=1), tmp_path / "seen", on_warning=warnings.append)
    assert len(warnings) == 1


def test_warning_counts_clips_without_frames(release: Path, tmp_path: Path) -> None:
    warnings: list[str] = []
    write_frames(release / "frames")
    shutil.rmtree(release / "frames" / CLIPS[3])
    run(eval_config(release, agents="grounding+vision"), tmp_path / "vision", on_warning=warnings.append)
    with serving(reply_as_any_model) as (url, _):
        config = eval_config(release, models_at(url, "baseline"), baseline="subtitles+frames")
        run(config, tmp_path / "baseline", on_warning=warnings.append)
    assert [line.partition(": ")[2] for line in warnings] == [
        "has no frames of 1 of 4 clips, so vision sees nothing there; put them in its folder frames, "
        "or give --agents grounding",
        "has no frames of 1 of 4 clips, which are not shown; put them in its folder frames",
    ]


def test_first_clip_file_lacks_questions(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    FirstClips(path, "offline").write()
    message = (
        f"{path}: has a clip for 0 of 12 questions; is it of another set or split? "
        f"lva data ground {release} --split val --out {path} locates them"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        run(eval_config(release, first_clip=f"file={path}"), tmp_path / "run")
    ids = tmp_path / "ids.txt"
    ids.write_text("2\n")
    with pytest.raises(DataError, match=re.escape(f"--split val --ids {ids} --out {path} locates them")):
        run(eval_config(release, first_clip=f"file={path}", ids_file=ids), tmp_path / "run")
    assert lva("data", "ground", release, "--split", "val", "--out", path).returncode == 0
    assert run(eval_config(release, first_clip=f"file={path}"), tmp_path / "run")["num_finished"] == 12


def test_retry_without_a_run(release: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--retry-failed: .* does not hold a run"):
        run(eval_config(release), tmp_path / "run", retry_failed=True)
    assert not (tmp_path / "run").exists()


def test_forecast_of_a_run(release: Path) -> None:
    one = forecast_run(eval_config(release, load_team_config("qwen3-4b"), limit=1)).by_agent
    all_ = forecast_run(eval_config(release, load_team_config("qwen3-4b"))).by_agent
    assert all_[-1].max_usage.calls == 12 * one[-1].max_usage.calls
    assert all_[-1].max_usage.prompt_tokens > 11 * one[-1].max_usage.prompt_tokens / 2


def test_forecast_of_the_frame_baseline(release: Path) -> None:
    write_frames(release / "frames")
    team_config = load_team_config(str(TEAMS / "gpt-4o-mini.toml"))
    plain, framed = (
        forecast_run(eval_config(release, team_config, baseline=baseline)).by_agent[-1]
        for baseline in ("subtitles", "subtitles+frames")
    )
    tokens = framed.max_usage.prompt_tokens - plain.max_usage.prompt_tokens
    assert framed.max_usage.images == 12 * 16
    assert tokens == 12 * 16 * 14_167
    assert framed.usd is not None
    assert plain.usd is not None
    assert framed.usd - plain.usd == pytest.approx(tokens * 0.15 / 1e6)


def test_tokens_per_image_is_not_a_setting(release: Path) -> None:
    """It changes forecasts only, so a run resumes with a newer table of prices."""
    price = {"prompt_usd_per_mtok": 1.0, "completion_usd_per_mtok": 1.0}
    settings = []
    for more in ({}, {"tokens_per_image": 9}):
        team = {"master": {"model": "openai:m"}, "prices": {"m": {**price, **more}}}
        config = eval_config(release, TeamConfig.model_validate(team))
        settings.append(resolve(config, *load_samples(config))["team"]["prices"])
    assert settings[0] == settings[1] == {"m": {**price, "date": None, "source": None}}


def test_prices_of_cached_tokens_are_settings_if_given(release: Path) -> None:
    """Runs from before there were such prices resume."""
    price = {"prompt_usd_per_mtok": 1.0, "completion_usd_per_mtok": 1.0, "cache_read_usd_per_mtok": 0.1}
    team = {"master": {"model": "anthropic:m"}, "prices": {"m": price}}
    config = eval_config(release, TeamConfig.model_validate(team))
    assert resolve(config, *load_samples(config))["team"]["prices"] == {"m": {**price, "date": None, "source": None}}
