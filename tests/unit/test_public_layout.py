"""The wording of the public code, imported from a checkout, and the streams that it gives byte for byte."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from longvideoagent.agents.grounding import ModelGrounding
from longvideoagent.agents.prompts import default_layout, master_messages, parse_layout, read_layout
from longvideoagent.agents.prompts.layout_toml import layout_to_toml
from longvideoagent.agents.prompts.public_code import import_layout
from longvideoagent.cli.main import app
from longvideoagent.core.context import Style, render_boxes
from longvideoagent.core.layout import LAYOUT_FIELDS, PromptLayout
from longvideoagent.core.rollout import GroundingRequest, Rollout
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Clip, GroundingResult, Question, Reply, Subtitle, Timeline, VisionResult
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.models.chat_template import fill_template
from longvideoagent.models.scripted import ScriptedModel
from tests.fakes.public_checkout import CONVERTER, FILES, write_checkout
from tests.plugins.cli import refusal

RAW = ("Mira : Where 's the lamp ? <eos> Otto : Gone . <eos>", "UNKNAME : ( Bell ) <eos>")
TIMELINE = Timeline(
    tuple(
        Clip(f"s01e01_seg01_clip_0{index}", 60.0 * index, 60.0 * index + 60, (Subtitle(1, 2, "line"),), raw_text=text)
        for index, text in enumerate(RAW)
    )
)
QUESTION = Question("Where is the lamp ?", ("here", "there", "gone", "torn", "lit"), "1")
FIRST, SECOND = (clip.label for clip in TIMELINE.clips)
LOOK = "<reasoning>hm</reasoning>\n<search>the lamp</search>"
RELOCATE = "<think>elsewhere <request_grounding></request_grounding>"
INVALID = "I wonder."

PROMPT_OPTIONS = "a0: here\na1: there\na2: gone\na3: torn\na4: lit\n"
TRAINED_PROMPT = (
    "Work through the puzzle.\nWrap your thinking in <reasoning> tags, {then} act: <search>what</search>,\n"
    "<request_grounding> or <answer>ax</answer>. It costs $5.\n\n"
    f"puzzle: Where is the lamp ?\n{PROMPT_OPTIONS}<information>subtitles: {RAW[0]}</information>\n"
)
EVALUATED_PROMPT = (
    "Work through the puzzle.\nThink inside <reasoning>, then act: <search>what</search>, <request_grounding> or "
    "<answer>ax</answer>.\nWrite the letter and number, like <answer>a1</answer>.\n\n"
    f"puzzle: Where is the lamp ?\n{PROMPT_OPTIONS}<information>subtitles: <{FIRST}>{RAW[0]}</{FIRST}></information>\n"
)
NOT_A_MOVE = "\nThat was no move of mine. I try another.\n"
QWEN3 = "<|im_start|>user\n$prompt<|im_end|>\n<|im_start|>assistant\n<think>\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return write_checkout(tmp_path / "LongVideoAgent")


def scripted(boxes: str = "", max_rounds: int = 4) -> Trace:
    """A look, a relocation, an invalid reply; the last round is next."""
    rollout = Rollout(QUESTION, TIMELINE, RolloutSettings(max_rounds))
    rollout.receive(GroundingResult(FIRST))
    rollout.receive(Reply(LOOK, actions_anywhere=True))
    rollout.receive(VisionResult("a dark hall", boxes=boxes))
    rollout.receive(Reply(RELOCATE, actions_anywhere=True))
    rollout.receive(GroundingResult(SECOND))
    rollout.receive(Reply(INVALID, actions_anywhere=True))
    return rollout.trace


def test_public_training_stream(checkout: Path) -> None:
    layout = import_layout(checkout, "public-training")
    text = fill_template(QWEN3, master_messages(scripted(), Style.CONTINUATION, layout, "search"))
    assert text == (
        f"<|im_start|>user\n{TRAINED_PROMPT}<|im_end|>\n<|im_start|>assistant\n<think>\n"
        f"{LOOK}\n<information>Rectangles:\n{{}}\nIn the picture:\na dark hall</information>\n"
        f"{RELOCATE}\n<New_clip>{SECOND} + {RAW[1]}</New_clip>\n"
        f"{INVALID}{NOT_A_MOVE}"
    )


def test_public_training_stream_with_boxes(checkout: Path) -> None:
    layout = import_layout(checkout, "public-training")
    turn = str(master_messages(scripted('{"14": [[1, 2, 3, 4, "lamp"]]}'), Style.CONTINUATION, layout)[-1]["content"])
    assert '<information>Rectangles:\n{"14": [[1, 2, 3, 4, "lamp"]]}\nIn the picture:' in turn


def test_public_local_stream(checkout: Path) -> None:
    layout = import_layout(checkout, "public-local")
    text = fill_template("$prompt", master_messages(scripted(), Style.RAW, layout, "search"))
    assert text == (
        f"{EVALUATED_PROMPT}"
        f"\n<information>Rectangles:Nothing is marked in '{FIRST}'.\nIn the picture:\na dark hall</information>\n"
        f"\n<New_clip>{SECOND} + <{SECOND}>{RAW[1]}</{SECOND}></New_clip>\n"
        f"{NOT_A_MOVE}"
        "\nNo turn is left. Give <answer>...</answer> now.\n"
    )


def test_public_local_stream_without_last_round(checkout: Path) -> None:
    layout = import_layout(checkout, "public-local")
    (message,) = master_messages(scripted(max_rounds=5), Style.RAW, layout, "search")
    assert str(message["content"]).endswith(NOT_A_MOVE)


def test_public_api_stream(checkout: Path) -> None:
    layout = import_layout(checkout, "public-api", "longtvqa")
    (message,) = master_messages(scripted(), Style.ACCUMULATED, layout, "search")
    prompt = EVALUATED_PROMPT.replace("Write the letter and number, like <answer>a1</answer>.", "Write it briefly.")
    assert message["content"] == (
        f"{prompt}\n<information>\nIn the picture:\na dark hall</information>\n"
        f"\n<New_clip>{SECOND} + <{SECOND}>{RAW[1]}</{SECOND}></New_clip>\n"
        f"{NOT_A_MOVE}"
        "\nThe last turn. Give <answer>...</answer> now.\n"
    )


def test_public_layout_agents(checkout: Path) -> None:
    local, trained = import_layout(checkout), import_layout(checkout, "public-training")
    assert local.box_frame == "Still ${frame}:"
    assert local.box == "  * ${label}: (${left}, ${top}, ${width}, ${height})"
    assert local.vision_prompt == "${num_frames} stills. Rectangles: ${boxes}.\n${query}"
    assert local.regrounding_prompt.endswith("${current} was wrong; name another <clip>clip_label</clip>.\n")
    assert "current" not in local.grounding_prompt
    assert "Lines: ${raw_subtitles}\n" in local.grounding_prompt
    assert trained.vision_prompt == "${num_frames} stills of one clip.\nSay what matters for: ${query}"
    assert import_layout(checkout, "public-local", "longtvqa").vision_prompt == "${num_frames} stills.\n${query}"


@pytest.mark.parametrize("name", ["longtvqa-plus", "LongTVQA_plus"])
def test_public_layout_set_named_as_data_set(name: str, checkout: Path) -> None:
    assert import_layout(checkout, "public-local", name) == import_layout(checkout, "public-local", "longtvqa_plus")


@pytest.mark.parametrize("protocol", ["public-local", "public-api", "public-training"])
def test_public_layout_grounding_reads_subtitles(protocol: str, checkout: Path) -> None:
    model = ScriptedModel([f"<clip>{SECOND}</clip>"])
    request = Rollout(QUESTION, TIMELINE).request
    assert isinstance(request, GroundingRequest)
    grounding = ModelGrounding(model, layout=import_layout(checkout, protocol))
    result = asyncio.run(grounding.locate(request, ClipFoldersReader(None, TIMELINE)))
    assert result.label == SECOND
    block = "\n".join(f"<{clip.label}>{clip.raw_text}</{clip.label}>" for clip in TIMELINE.clips)
    assert f"Lines: {block}\n" in str(model.requests[0][0]["content"])


def test_layout_import_command(checkout: Path, tmp_path: Path) -> None:
    out = tmp_path / "layout.toml"
    result = CliRunner().invoke(app, ["layout", "import", str(checkout), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert read_layout(out) == import_layout(checkout)
    shown = CliRunner().invoke(app, ["layout", "show", str(out)])
    assert shown.output == layout_to_toml(read_layout(out))


@pytest.mark.parametrize(
    ("file", "before", "after", "missing"),
    [
        ("src/dataset/convert_tvqa_json_to_grpo_parquet.py", "PROMPT_TEMPLATE", "OTHER", "constant PROMPT_TEMPLATE"),
        ("src/dataset/convert_tvqa_json_to_grpo_parquet.py", "{a4}", "{mood}", "what 'mood' stands for"),
        ("src/dataset/convert_tvqa_json_to_grpo_parquet.py", "{a4}", "{a4!r}", "what 'a4!r' stands for"),
        ("src/dataset/convert_tvqa_json_to_grpo_parquet.py", "{a4}", "{a4:>9}", "what 'a4:>9' stands for"),
        ("src/dataset/convert_tvqa_json_to_grpo_parquet.py", "{a4}", "{", "PROMPT_TEMPLATE for str.format"),
        ("src/dataset/convert_tvqa_json_to_grpo_parquet.py", '= """', '= 3 or """', "PROMPT_TEMPLATE that is a text"),
        ("videoagent/verl_ext/agent_loop.py", "<New_clip>", "<Clip>", "the new clip"),
        ("videoagent/verl_ext/agent_loop.py", "{vision_response.strip()}", "{mood()}", "the result of a look"),
        ("videoagent/verl_ext/agent_loop.py", "{vision_response.strip()}", "{vision_response!r}", "vision_response!r"),
        (
            "videoagent/verl_ext/agent_loop.py",
            '("\\nThat',
            '(f"{mood}\\nThat',
            "the notice after an invalid reply: what",
        ),
        ("videoagent/verl_ext/agent_loop.py", "def _query_grounding", "def _other", "the grounding prompt"),
    ],
)
def test_layout_import_missing_texts(file: str, before: str, after: str, missing: str, checkout: Path) -> None:
    (checkout / file).write_text(FILES[file].replace(before, after))
    with pytest.raises(DataError, match="does not have") as caught:
        import_layout(checkout, "public-training")
    assert missing in str(caught.value)
    assert str(caught.value).startswith(str(checkout / file))
    assert str(caught.value).endswith("; give an unchanged checkout of the public repository")
    assert "\n" not in str(caught.value)


def test_layout_import_braces_around_field(checkout: Path) -> None:
    (checkout / "src/dataset/convert_tvqa_json_to_grpo_parquet.py").write_text(CONVERTER.replace("{a4}", "{{{a4}}}"))
    assert "a4: {${a4}}\n" in import_layout(checkout, "public-training").prompt


def evaluator(checkout: Path, before: str, after: str, set_name: str = "longtvqa_plus") -> PromptLayout:
    """The layout of the evaluator for local models with some of its code replaced."""
    path = checkout / "src/evaluation/lvagent/evaluate_local_unified.py"
    text = FILES[str(path.relative_to(checkout))]
    assert before in text
    path.write_text(text.replace(before, after))
    return import_layout(checkout, "public-local", set_name)


def test_layout_import_lone_surrogate(checkout: Path) -> None:
    with pytest.raises(DataError, match="vision_result: holds half a character"):
        evaluator(checkout, "<information>Rectangles", "<information>\\ud800")


def test_layout_import_last_round(checkout: Path) -> None:
    assert evaluator(checkout, "No turn is left. ", "It costs $5. ").last_round.startswith("\nIt costs $5. ")
    layout = evaluator(checkout, "conversation_history = prompt", 'conversation_history = "A start. "')
    assert layout.last_round.startswith("\nNo turn is left. ")
    with pytest.raises(DataError, match=r"the notice of the last round as a plain text \(it inserts question\)"):
        evaluator(checkout, '"\\nNo turn is left. "', 'f"{question}"')
    with pytest.raises(DataError, match="the notice of the last round: what 'turn' stands for"):
        evaluator(checkout, '"\\nNo turn is left. "', 'f"{turn}"')


SET_TEST = 'if config.dataset == "tvqa_plus":\n        return (\n            "Write the letter'


@pytest.mark.parametrize(
    ("condition", "is_plus"),
    [
        ('"tvqa_plus" == config.dataset', True),
        ('config.dataset != "tvqa_plus"', False),
        ('config and config.dataset in ("tvqa_plus", "other")', True),
        ('config.dataset != "tvqa_plus" and config.dataset != "x"', False),
        ('config.dataset == "tvqa_plus" or config.dataset == "tvqa"', None),
    ],
)
def test_layout_import_condition_on_set(condition: str, is_plus: bool | None, checkout: Path) -> None:
    changed = SET_TEST.replace('config.dataset == "tvqa_plus"', condition)
    for set_name, holds in (("longtvqa_plus", is_plus is not False), ("longtvqa", is_plus is not True)):
        prompt = evaluator(checkout, SET_TEST, changed, set_name).prompt
        assert ("Write the letter" in prompt, "Write it briefly." in prompt) == (holds, not holds)


def test_layout_import_branch_without_return(checkout: Path) -> None:
    undecided = 'if config.debug:\n        return "a"\n    elif config.dataset'
    assert "Write the letter" in evaluator(checkout, SET_TEST, SET_TEST.replace("if config.dataset", undecided)).prompt
    falls_through = SET_TEST.replace("return (", "print(")
    assert "Write it briefly." in evaluator(checkout, SET_TEST, falls_through).prompt
    with pytest.raises(DataError, match="what _initial_answer_format_hint returns for tvqa;"):
        evaluator(checkout, 'return "Write it briefly."', "pass", "longtvqa")


def test_layout_import_names_everything_missing(checkout: Path) -> None:
    path = checkout / "src/evaluation/lvagent/evaluate_local_unified.py"
    path.write_text("def execute_action():\n    return None\n")
    with pytest.raises(DataError) as caught:
        import_layout(checkout)
    for text in ("the prompt", "the new clip", "the result of a look", "the notice of the last round"):
        assert text in str(caught.value)


def test_layout_import_bad_input(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        import_layout(tmp_path / "none")
    with pytest.raises(UsageError, match="public-local"):
        import_layout(checkout, "public")
    with pytest.raises(UsageError, match="give longtvqa or longtvqa-plus"):
        import_layout(checkout, "public-local", "tvqa")
    with pytest.raises(DataError, match="evaluate_local_unified"):
        import_layout(tmp_path)
    (checkout / "src/dataset/convert_tvqa_json_to_grpo_parquet.py").write_text("def (")
    with pytest.raises(DataError, match="cannot be read as Python"):
        import_layout(checkout, "public-training")


def test_layout_import_runs_nothing(checkout: Path, tmp_path: Path) -> None:
    path = checkout / "src/dataset/convert_tvqa_json_to_grpo_parquet.py"
    path.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{CONVERTER}")
    import_layout(checkout, "public-training")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("out", [".", "", "folder"])
def test_layout_import_to_folder(out: str, checkout: Path) -> None:
    (checkout / "folder").mkdir()
    assert "Is a directory" in refusal("layout", "import", checkout, "--out", out, cwd=checkout)


@pytest.mark.parametrize(
    ("option", "text", "problem"),
    [
        ("--prompt-file", " \n", "file: is empty"),
        ("--prompt-file", "$qestion", "file: prompt: $qestion is not a field of it"),
        ("--layout", "prompt = 3", "file: prompt: not a text"),
        ("--layout", '"\\u001b[31m" = 3', "file: [31m: unknown field"),
    ],
)
def test_wording_file_refused_before_anything(option: str, text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    assert problem in refusal("ask", "video.mp4", "What?", option, "file", "--dry-run", cwd=tmp_path)


@given(st.dictionaries(st.sampled_from(["last_round", "before_reply", "after_observation"]), st.text()))
def test_layout_toml_round_trip(texts: dict[str, str]) -> None:
    layout = parse_layout({name: text.replace("\ud800", "") for name, text in texts.items()})
    import tomllib

    assert parse_layout(tomllib.loads(layout_to_toml(layout))) == layout


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('prompt = "$quest"', r"prompt: \$quest is not a field"),
        ('prompt = "costs 5 $"', "write \\$\\$"),
        ('promt = "x"', r"promt: unknown field; did you mean prompt\? lva layout show prints all fields"),
        ('zzz = "x"', "zzz: unknown field; lva layout show"),
        ('vision_prompt = " "', "vision_prompt: is empty; write"),
        ('option = "$index"', r"option: leaves out \$option"),
        ('vision_result = "boxes: $boxes"', r"vision_result: leaves out \$seen"),
        ('last_round = "It costs $5, $question"', r"last_round: is not a template, so \$question would be sent"),
        ('option_join = "$option"', r"option_join: is not a template, so \$option would be sent"),
        ("prompt = 3", "prompt: not a text"),
        ("prompt = ", "not TOML"),
        pytest.param(f"prompt = {'1' * 5000}", "not TOML", id="digits"),
        pytest.param(f"prompt = {'[' * 5000}", "not TOML", id="nesting"),
    ],
)
def test_layout_file_invalid(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "layout.toml").write_text(text)
    with pytest.raises(DataError, match=problem) as caught:
        read_layout(tmp_path / "layout.toml")
    assert str(caught.value).startswith(str(tmp_path / "layout.toml"))


def test_layout_texts_escape_data_only() -> None:
    layout = parse_layout({"boxes": "<clip>$boxes</clip> $$5", "no_boxes": "<clip>none of $label</clip>"})
    assert render_boxes("a <clip>", layout, "c01") == "<clip>a ‹clip></clip> $5"
    assert render_boxes("", layout, "c01") == "<clip>none of c01</clip>"
    layout = parse_layout({"prompt": "$first_clip", "prompt_without_agents": "", "no_first_clip": "none for $$5"})
    (message,) = master_messages(Rollout(QUESTION, TIMELINE).trace, layout=layout)
    assert str(message["content"]).startswith("none for $5")


def test_layout_with_too_few_options(checkout: Path) -> None:
    question = Question("Which one?", tuple("abcdef"), "q6")
    trace = Rollout(question, TIMELINE).trace
    with pytest.raises(DataError, match=r"no place for \$a5 of the 6 options of question 'q6'; use \$options"):
        master_messages(trace, layout=import_layout(checkout))
    request = Rollout(question, TIMELINE).request
    assert isinstance(request, GroundingRequest)
    grounding = ModelGrounding(ScriptedModel([]), layout=import_layout(checkout))
    with pytest.raises(DataError, match="no place"):
        asyncio.run(grounding.locate(request, ClipFoldersReader(None, TIMELINE)))
    for prompt in ("$a0 $options", "$a0 $a1 $a2 $a3 $a4 $a5", "$question"):
        layout = parse_layout({"prompt": prompt, "prompt_without_agents": ""})
        assert master_messages(trace, layout=layout)


def test_layout_kept_byte_for_byte() -> None:
    layout = parse_layout({"prompt": "  $question \n\n", "prompt_end": "\t\n", "prompt_without_agents": ""})
    (message,) = master_messages(Rollout(QUESTION, TIMELINE).trace, layout=layout)
    assert message["content"] == "  Where is the lamp ? \n\n\t\n"
    assert set(LAYOUT_FIELDS) == set(default_layout().__slots__)


def test_layout_import_refuses_existing_file(checkout: Path, tmp_path: Path) -> None:
    out = tmp_path / "layout.toml"
    out.write_text('last_round = "Now!"\n')
    problem = refusal("layout", "import", checkout, "--out", out)
    assert problem.endswith(f"{out}: exists already; choose another --out")
    assert out.read_text() == 'last_round = "Now!"\n'
