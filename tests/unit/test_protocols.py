"""The protocols of the public code: what they change, and that every number says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.agents.prompts import default_layout, parse_layout
from longvideoagent.agents.vision import ModelVision
from longvideoagent.cli.main import app
from longvideoagent.core.actions import Look
from longvideoagent.core.context import Style
from longvideoagent.core.rollout import Rollout, VisionRequest
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Clip, GroundingResult, Jpeg, Question, Reply
from longvideoagent.datasets.gold import Box, Gold, Sample
from longvideoagent.errors import UsageError
from longvideoagent.evaluation.config import load_samples, make_eval_config, merge_boxes
from longvideoagent.evaluation.overrides import write_boxes
from longvideoagent.evaluation.protocols import apply_to_team, describe_protocol, make_protocol
from longvideoagent.evaluation.score import score_sample
from longvideoagent.media.readers.frame_folder import FrameFolderReader
from longvideoagent.models.scripted import ScriptedModel
from tests.fakes.release import question, write_frames, write_release
from tests.plugins.cli import lva, refusal
from tests.plugins.timelines import make_timeline

TEAMS = Path(__file__).resolve().parents[2] / "configs" / "teams"
CLIP = Clip("c02", 60.0, 120.0)
BOXES = (Box(61.0, 1, 2, 3, 4, "lamp"), Box(60.0, 5, 6, 7, 8, "Otto"), Box(61.0, 9, 9, 9, 9, "Mira"))


@pytest.mark.parametrize(
    ("name", "style", "max_rounds", "max_tokens", "frames"),
    [
        ("ours", Style.TURNS, 5, 99, None),
        ("public-local", Style.RAW, 5, 4096, (1, 180, 12)),
        ("public-api", Style.ACCUMULATED, 5, 1024, (1, 180, 12)),
        ("public-training", Style.CONTINUATION, 6, 1500, (1, 180, 15)),
    ],
)
def test_protocol_presets(name: str, style: Style, max_rounds: int, max_tokens: int, frames: object) -> None:
    team = TeamConfig(master=AgentConfig(model="openai:m", max_tokens=99))
    config = make_eval_config(Path("data"), "val", team, RolloutSettings(), {"protocol": name})
    assert config.team_config.style is style
    assert config.team_config.actions == ("after_reasoning" if name == "ours" else "anywhere")
    assert config.settings.max_rounds == max_rounds
    assert config.team_config.master.max_tokens == max_tokens
    assert config.team_config.vision.frame_numbers == frames
    assert config.gold_boxes is (name in ("public-local", "public-api"))


@pytest.mark.parametrize(
    ("options", "max_tokens", "text"),
    [
        ({"protocol": "ours"}, 48, ""),
        ({"protocol": "public-local"}, 48, "protocol public-local max_reply_tokens=48"),
        (
            {"protocol": "public-api", "switches": ["max_reply_tokens=60"]},
            60,
            "protocol public-api max_reply_tokens=60",
        ),
    ],
)
def test_max_reply_tokens_precede_those_of_the_protocol(
    options: Mapping[str, object], max_tokens: int, text: str
) -> None:
    model = AgentConfig(model="openai:m", max_tokens=99)
    team = TeamConfig(master=model, vision=model).with_reply_limit(48)
    overrides = {**options, "max_reply_tokens": 48}
    config = make_eval_config(Path("data"), "val", team, RolloutSettings(), overrides)
    assert config.team_config.call_settings("master").max_tokens == max_tokens
    assert config.team_config.call_settings("vision").max_tokens == 48
    assert describe_protocol(config.protocol.model_dump(mode="json")) == text


def test_max_reply_tokens_with_protocol_in_forecast(release: Path) -> None:
    team = ("--team", "qwen2.5-7b-as-evaluated", "--limit", "1", "--protocol", "public-local", "--dry-run")
    for command in (("eval", release), ("ablate", "rounds", release, "--value", "5")):
        assert "20,480" in lva(*command, *team).stdout
        assert " 240 " in lva(*command, *team, "--max-reply-tokens", "48").stdout


def test_protocol_switches() -> None:
    protocol = make_protocol("public-local", ["merged_boxes=false", "style=turns", "frame_numbers=[1, 90, 9]"])
    assert (protocol.merged_boxes, protocol.style, protocol.frame_numbers) == (False, Style.TURNS, (1, 90, 9))
    assert protocol.scoring == "exact"


@pytest.mark.parametrize(
    ("name", "switches", "problem"),
    [
        ("public", [], "--protocol public: unknown; give ours, public-local"),
        ("ours", ["style"], "--switch style: not NAME=VALUE"),
        ("ours", ["name=x"], "--switch name=x: not NAME=VALUE with one of style"),
        ("ours", ["style=loud"], "--switch style=loud: Input should be 'turns'"),
        ("ours", ["extra_rounds=true"], "--switch extra_rounds=true: Input should be a valid integer; fix"),
        ("ours", ["max_reply_tokens=true"], "--switch max_reply_tokens=true: Input should be a valid integer"),
        ("ours", ["max_reply_tokens=9.0"], "--switch max_reply_tokens=9.0: Input should be a valid integer"),
        (
            "ours",
            ["frame_numbers=[1, 9, true]"],
            "--switch frame_numbers=[1, 9, true]: Input should be a valid integer",
        ),
        ("ours", ["frame_numbers=[9, 1, 1]"], "--switch frame_numbers=[9, 1, 1]: Value error, the first frame, 9, is"),
        (
            "ours",
            ["frame_numbers=1"],
            "--switch frame_numbers=1: Input should be a valid tuple; give FIRST,LAST,STEP as [1",
        ),
        ("ours", ["merged_boxes=1"], "--switch merged_boxes=1: Input should be a valid boolean"),
        ("ours", ["extra_rounds=-1"], "--switch extra_rounds=-1"),
        (
            "ours",
            ["frame_numbers=[1, 180, 0]"],
            "--switch frame_numbers=[1, 180, 0]: Input should be greater than or equal to 1",
        ),
        ("ours", ["style=" + "[" * 100_000], "--switch style=[[["),
    ],
)
def test_protocol_invalid(name: str, switches: list[str], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_protocol(name, switches)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("name", "switches", "text"),
    [
        ("ours", [], ""),
        ("ours", ["scoring=exact"], "protocol ours scoring=exact"),
        ("public-api", [], "protocol public-api"),
        (
            "public-local",
            ["merged_boxes=false", "style=turns", "frame_numbers=[1, 90, 9]", "max_reply_tokens=null"],
            "protocol public-local style=turns max_reply_tokens=null frame_numbers=[1,90,9] merged_boxes=false",
        ),
    ],
)
def test_protocol_described_with_switches(name: str, switches: list[str], text: str) -> None:
    assert describe_protocol(make_protocol(name, switches).model_dump(mode="json")) == text


def test_protocol_recorded_by_an_older_version() -> None:
    assert describe_protocol(None) == ""
    assert describe_protocol({"name": "public-api", "scoring": "option"}) == "protocol public-api scoring=option"


def test_switch_without_protocol_next_to_every_number(release: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ["eval", str(release), "--limit", "1", "--run", str(run), "--agents", "none", "--switch", "scoring=exact"]
    result = CliRunner().invoke(app, [*command, "--max-rounds", "1"])
    assert "· 1 round ·" in result.output
    assert "· 1 round ·" in (run / "report.html").read_text()
    assert "· protocol ours scoring=exact ·" in result.output
    assert "protocol ours scoring=exact ·" in (run / "report.html").read_text()


def test_protocol_question_first() -> None:
    protocol = make_protocol("ours", ["question_first=true"])
    prompt = apply_to_team(protocol, TeamConfig()).read_layout().grounding_prompt
    assert prompt.index("$question") < prompt.index("$raw_subtitles")
    own = TeamConfig(layout=parse_layout({"grounding_prompt": "$subtitles $question"}))
    assert apply_to_team(protocol, own).read_layout().grounding_prompt == "$subtitles $question"


def test_leak_free_refuses_leaks() -> None:
    overrides = {"protocol": "public-api", "leak_free": True}
    with pytest.raises(UsageError, match="of all questions about a clip; give --switch merged_boxes=false"):
        make_eval_config(Path("data"), "val", TeamConfig(), RolloutSettings(), overrides)
    without = {**overrides, "switches": ["merged_boxes=false"]}
    assert not make_eval_config(Path("data"), "val", TeamConfig(), RolloutSettings(), without).gold_inputs


def test_set_without_boxes_gets_no_gold(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "data")
    (folder / "LongTVQA_plus_val.json").rename(folder / "LongTVQA_plus_train.json")
    (folder / "LongTVQA_val.jsonl").write_text(json.dumps([question(bbox=None, q='Is "bbox": {"a" a box ?')]))
    without, some = (
        ("eval", folder, "--protocol", "public-local"),
        ("--data-set", "longtvqa", "--run", tmp_path / "run"),
    )
    done = lva(*without, *some, "--leak-free")
    assert "gold boxes not given" in done.stdout
    assert "AGENTS GET GOLD" not in done.stdout
    assert "--gold-boxes: LongTVQA has no boxes; leave it out" in refusal("eval", folder, "--gold-boxes")
    assert "gold boxes of all questions" in refusal(*without, "--split", "train", "--leak-free")


def test_set_of_videos_has_no_boxes(tmp_path: Path) -> None:
    (tmp_path / "questions.json").write_text("[]")
    overrides = {"protocol": "public-local", "leak_free": True}
    assert not make_eval_config(tmp_path, "all", TeamConfig(), RolloutSettings(), overrides).gold_boxes


def _answered(text: str) -> Trace:
    rollout = Rollout(Question("Who?", ("Mira", "Otto"), "1"), make_timeline(["Mira: Hello"]))
    rollout.receive(GroundingResult("c01"))
    rollout.receive(Reply(f"<answer>{text}</answer>"))
    return rollout.trace


@pytest.mark.parametrize(
    ("answer", "is_option", "is_exact", "is_first_number"),
    [
        ("a1", True, True, True),
        (" A1 ", True, True, True),
        ("a1.", True, False, True),
        ("Otto", True, False, False),
        ("1", True, False, True),
        ("option 1, not 0", True, False, True),
        ("a10", False, False, False),
    ],
)
def test_scoring_of_the_public_code(answer: str, is_option: bool, is_exact: bool, is_first_number: bool) -> None:
    trace = _answered(answer)
    sample = Sample(trace.question, Gold(1), "who", "v")
    assert score_sample(sample, trace).correct is is_option
    assert score_sample(sample, trace, "exact").correct is is_exact
    assert score_sample(sample, trace, "exact").is_invalid is not is_exact
    assert score_sample(sample, trace, "first_number").correct is is_first_number


def test_boxes_as_lines_and_json() -> None:
    lines = write_boxes(BOXES, (CLIP,), default_layout())
    assert lines.splitlines()[0] == "- 60.0 s: Otto at 5, 6, 7, 8"
    frames = parse_layout({"box_frame": "Frame $frame:", "box": " $label ($left, $top, $width, $height)"})
    assert write_boxes(BOXES, (CLIP,), frames, as_floats=True) == (
        "Frame 1:\n Otto (5.0, 6.0, 7.0, 8.0)\nFrame 4:\n lamp (1.0, 2.0, 3.0, 4.0)\n Mira (9.0, 9.0, 9.0, 9.0)"
    )
    as_json = write_boxes(BOXES, (CLIP,), parse_layout({"boxes_as_json": True}))
    assert json.loads(as_json) == {"1": [[5, 6, 7, 8, "Otto"]], "4": [[1, 2, 3, 4, "lamp"], [9, 9, 9, 9, "Mira"]]}
    assert write_boxes(BOXES, (Clip("c01", 0.0, 60.0),), default_layout()) == ""


def test_boxes_of_several_clips_as_json() -> None:
    boxes = (Box(1.0, 1, 1, 1, 1, "lamp"), Box(61.0, 2, 2, 2, 2, "cup"))
    window = (Clip("c01", 0.0, 60.0), CLIP)
    as_json = write_boxes(boxes, window, parse_layout({"boxes_as_json": True}))
    assert json.loads(as_json) == {"4": [[1, 1, 1, 1, "lamp"], [2, 2, 2, 2, "cup"]]}


def test_numbered_frames_end_with_their_clip(tmp_path: Path) -> None:
    for number in range(1, 100):
        Image.new("RGB", (32, 24), (number, 0, 0)).save(tmp_path / f"{number:05}.jpg")
    model = ScriptedModel(["a lamp"])
    vision = ModelVision(model, layout=parse_layout({"frame_label": "$time_s"}), frame_numbers=(1, 180, 12))
    window = (Clip("c01", 0.0, 10.0), Clip("c02", 10.0, 33.0))
    asyncio.run(vision.look(VisionRequest(Look("what?"), window), FrameFolderReader(tmp_path)))
    labels = [part for part in model.requests[0][0]["content"] if not isinstance(part, Jpeg)]
    assert labels[:9] == ["0.0", "4.0", "8.0", "10.0", "14.0", "18.0", "22.0", "26.0", "30.0"]


def test_look_at_numbered_frames(tmp_path: Path) -> None:
    folder = tmp_path / "c02"
    folder.mkdir()
    for number in range(1, 201):
        Image.new("RGB", (32, 24), (number, 0, 0)).save(folder / f"{number:05}.jpg")
    model = ScriptedModel(["a lamp"])
    vision = ModelVision(model, layout=parse_layout({"frame_label": "$time_s"}), frame_numbers=(1, 180, 12))
    window = (Clip("c02", 0.0, 66.0),)
    request = VisionRequest(Look("what?"), window, boxes="- a box")
    asyncio.run(vision.look(request, FrameFolderReader(tmp_path / "c02")))
    parts = model.requests[0][0]["content"]
    assert [part for part in parts if not isinstance(part, Jpeg)][:3] == ["0.0", "4.0", "8.0"]
    assert sum(isinstance(part, Jpeg) for part in parts) == 15
    assert str(parts[-1]).rstrip().endswith("- a box")


def test_merged_boxes_are_those_of_all_questions(release: Path) -> None:
    overrides = {"protocol": "public-local", "limit": 1}
    config = make_eval_config(release, "val", TeamConfig(), RolloutSettings(), overrides)
    data, (sample,) = load_samples(config)
    others = {box for each in data.samples if each.video == sample.video for box in data.boxes(each)}
    assert set(sample.gold.boxes) == others == set(merge_boxes(data)[sample.video])


def test_protocol_next_to_every_number(release: Path, tmp_path: Path) -> None:
    write_frames(release / "frames")
    run = tmp_path / "run"
    command = ["eval", str(release), "--limit", "2", "--run", str(run), "--protocol", "public-api"]
    result = CliRunner().invoke(app, [*command, "--switch", "extra_rounds=1"])
    assert result.exit_code == 0, result.output
    assert "protocol public-api extra_rounds=1" in result.output
    assert "AGENTS GET GOLD: vision gets the gold boxes of all questions about a clip" in result.output
    config = json.loads((run / "config.json").read_text())
    assert config["protocol"]["scoring"] == "exact"
    assert "public-api" in (run / "report.html").read_text()
    again = CliRunner().invoke(app, command)
    assert "protocol.extra_rounds: 1 -> 0" in str(again.exception)


@pytest.mark.parametrize(
    ("team", "options", "is_warned"),
    [
        ("agentic-grok", "--protocol public-api", True),
        ("agentic-grok", "--protocol public-api --max-reply-tokens 4095", True),
        ("agentic-grok", "--protocol public-api --max-reply-tokens 8192", False),
        ("agentic-grok", "", False),
        ("agentic-gpt-4o-mini", "--protocol public-api", False),
    ],
)
def test_warning_reply_limit_of_a_reasoning_master(team: str, options: str, is_warned: bool, release: Path) -> None:
    done = lva("eval", release, "--team", TEAMS / f"{team}.toml", "--dry-run", *options.split())
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "may be cut at" in line]
    assert len(warnings) == is_warned
    assert all(line.endswith("tokens, thoughts included; give --max-reply-tokens 8192") for line in warnings)
