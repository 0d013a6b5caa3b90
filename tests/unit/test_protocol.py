from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.agents.prompts import default_layout
from longvideoagent.core.actions import Action, Answer, Invalid, Look, Relocate
from longvideoagent.core.context import render_observation
from longvideoagent.core.protocol import (
    ACTION_TAGS,
    OBSERVATION_TAGS,
    escape_tags,
    has_action,
    is_inside_reasoning,
    parse,
    parse_clips,
    without_reasoning,
)
from longvideoagent.core.reasoning import REASONING_TAGS, THOUGHT_TAGS
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Clip, ClipObservation, Subtitle, SystemNotice, VisionResult


@pytest.mark.parametrize(
    ("reply", "action", "thought"),
    [
        ("<answer>a1</answer>", Answer("a1"), ""),
        ("<think>why</think><answer>a1</answer>", Answer("a1"), "why"),
        ("<reasoning>why</reasoning>\n<answer> a1 </answer>", Answer("a1"), "why"),
        ("the template opened it</think>\n<answer>a1</answer>", Answer("a1"), "the template opened it"),
        ("<think>a <answer>a0</answer> b</think><answer>a1</answer>", Answer("a1"), "a <answer>a0</answer> b"),
        ("try <answer>a0</answer> no</think><answer>a1</answer>", Answer("a1"), "try <answer>a0</answer> no"),
        ("<think>use <reasoning> here</think><answer>a1</answer>", Answer("a1"), "use <reasoning> here"),
        ("<visual_query>the sign</visual_query>", Look("the sign"), ""),
        ("<search>the sign</search>", Look("the sign"), ""),
        ("<SEARCH>the sign</ Search >", Look("the sign"), ""),
        ("<request_grounding>later</request_grounding>", Relocate("later"), ""),
        ("<request_grounding></request_grounding>", Relocate(""), ""),
        ("<request_grounding/>", Relocate(""), ""),
        ("<answer></answer>", Answer(""), ""),
        ("<search>x</search><answer>a1</answer>", Look("x"), ""),
        ("<search>x <answer>a1</answer>", Answer("a1"), ""),
        ("<answer>I say <answer>a1</answer>", Answer("a1"), ""),
        ("<answer><search>x</search></answer>", Look("x"), ""),
        ("<think>t</think><answer>a1</answer></reasoning>", Answer("a1"), "t"),
        (
            "write <reasoning>x</reasoning> then <answer>aX</answer></think><answer>a1</answer>",
            Answer("a1"),
            "write <reasoning>x</reasoning> then <answer>aX</answer>",
        ),
        ("<think>one</think><search>x</search><think>two</think><answer>a1</answer>", Look("x"), "one"),
    ],
)
def test_parse_first_action_outside_reasoning(reply: str, action: Action, thought: str) -> None:
    parsed = parse(reply)
    assert parsed.action == action
    assert parsed.thought == thought


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I think it is a1.",
        "<answer>a1",
        "a1</answer>",
        "<think>never closed <answer>a1</answer> and so on",
        "<think>never closed a1</answer>",
        "<think>never closed <search></search>",
        "<answer>half <think>a1</think></answer> ",
        "<search>  </search>",
    ],
)
def test_parse_without_action_is_invalid(reply: str) -> None:
    assert isinstance(parse(reply).action, Invalid)


def test_parse_unclosed_thought_that_ends_with_action() -> None:
    reply = "<think>first <search>a lamp</search>, then <answer>a0</answer>; no: <answer>a1</answer>\n"
    parsed = parse(reply)
    assert parsed.action == Answer("a1")
    assert parsed.text == reply.rstrip()
    assert parsed.thought.endswith("no:")
    assert isinstance(parse(reply, is_truncated=True).action, Invalid)
    assert parse("<think>elsewhere <request_grounding/>").action == Relocate("")
    assert not has_action("<think>maybe <answer>a1</answer>")  # it may go on
    assert has_action("<think>maybe <answer>a1</answer>", anywhere=True)


@pytest.mark.parametrize(
    ("reply", "action", "text"),
    [
        ("<think>x <answer>a1</answer> y", Answer("a1"), "<think>x <answer>a1</answer>"),
        ("<answer>a1</answer> <search>q</search> z", Look("q"), "<answer>a1</answer> <search>q</search>"),
        ("<answer>a1</answer><request_grounding></request_grounding>", Relocate(""), None),
        ("<search>a\n<answer>a1</answer> b</search>", Look("a\n<answer>a1</answer> b"), None),
        ("<visual_query>one</visual_query><search>two</search>", Look("one"), "<visual_query>one</visual_query>"),
        ("<search>cut <answer>a2</answer>", Answer("a2"), None),
    ],
)
def test_parse_anywhere(reply: str, action: Action, text: str | None) -> None:
    parsed = parse(reply, anywhere=True)
    assert parsed.action == action
    assert parsed.text == (reply if text is None else text)


def test_parse_anywhere_without_action() -> None:
    assert parse("<think>none", anywhere=True).action == Invalid("the reply holds no complete action")
    assert parse("none", anywhere=True).action == Invalid("the reply holds no complete action")
    assert parse("none").action == Invalid("the reply holds no complete action outside its reasoning")
    assert isinstance(parse("</search> <search>", anywhere=True).action, Invalid)
    assert isinstance(parse("<search>" * 200_000, anywhere=True).action, Invalid)


def test_parse_drops_text_after_action() -> None:
    assert parse("<think>t</think><answer>a1</answer> and more").text == "<think>t</think><answer>a1</answer>"


def test_parse_puts_separate_reasoning_first() -> None:
    assert parse("<think>second</think><answer>a1</answer>", "first").thought == "first\nsecond"


MARKS = [
    *((f"<{tag}>", f"</{tag}>") for tag in THOUGHT_TAGS),
    ("< Thought >", "</ THOUGHT>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|think|>", "<|/think|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<|channel|>commentary to=functions.answer <|constrain|>json<|message|>", "<|call|>"),
    ("<|start|>assistant<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final"),
    ("analysis", "assistantfinal"),
]


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_parse_thinking_marks(opening: str, closing: str) -> None:
    thought = "Maybe <answer>a0</answer>? No: <search>a lamp</search>"
    parsed = parse(f"{opening}{thought}{closing}<answer>a1</answer>")
    assert parsed.action == Answer("a1")
    assert parsed.thought.endswith(thought)
    assert parsed.text.endswith("<answer>a1</answer>")
    assert without_reasoning(f"{opening}{thought}{closing}A red kite.") == "A red kite."
    assert parse_clips(f"{opening}maybe <clip>c01</clip>{closing}<clip>c02</clip>")[0].label == "c02"
    assert not is_inside_reasoning(f"{opening}{thought}{closing}so")


@pytest.mark.parametrize("opening", [opening for opening, _ in MARKS])
def test_parse_thinking_mark_never_closed(opening: str) -> None:
    reply = f"{opening}Maybe <answer>a0</answer>"
    assert not has_action(reply)
    assert is_inside_reasoning(reply)
    is_ours = opening.strip("<>") in REASONING_TAGS
    assert isinstance(parse(reply).action, Answer if is_ours else Invalid)


@pytest.mark.parametrize("closing", [closing for _, closing in MARKS if closing not in ("<|end|>", "<|call|>")])
def test_parse_thinking_mark_opened_by_the_template(closing: str) -> None:
    assert parse(f"Maybe <answer>a0</answer>{closing}<answer>a1</answer>").action == Answer("a1")


def test_parse_harmony_turns() -> None:
    head, tail = "<|start|>assistant<|channel|>", "<|end|>"
    reply = f"{head}analysis<|message|>one{tail}{head}commentary<|message|>two <answer>a0</answer>{tail}"
    reply += f"{head}final<|message|>So <answer>a1</answer><|return|>"
    parsed = parse(reply)
    assert parsed.action == Answer("a1")
    assert parsed.thought == "one\ntwo <answer>a0</answer>\nSo"
    assert parse("<answer>a1</answer><|end|>").action == Answer("a1")
    assert parse("<|channel|>final<|message|><answer>a1</answer>").action == Answer("a1")
    assert without_reasoning("<|channel|>final<|message|>A red kite.<|return|>") == "A red kite."
    assert parse("analysis of the clip: <answer>a1</answer>").action == Answer("a1")


fragments = st.sampled_from(
    [mark for pair in MARKS for mark in pair]
    + [f"<{tag}>" for tag in ACTION_TAGS + REASONING_TAGS + OBSERVATION_TAGS]
    + [f"</{tag}>" for tag in ACTION_TAGS + REASONING_TAGS]
    + ["<request_grounding/>", "a1", " ", "\n", "<", ">", "text"]
)
replies = st.one_of(st.text(), st.lists(fragments, max_size=30).map("".join))


@given(replies, st.text(max_size=20))
def test_parse_is_total(reply: str, reasoning: str) -> None:
    parsed = parse(reply, reasoning)
    assert reply.startswith(parsed.text)
    assert isinstance(parsed.action, Look | Relocate | Answer | Invalid)


@given(replies)
def test_parse_is_stable_when_cut_at_action(reply: str) -> None:
    parsed = parse(reply)
    again = parse(parsed.text)
    rest = reply.lower()[len(parsed.text) :].replace(" ", "")
    if not any(closing.lower().replace(" ", "") in rest for _, closing in MARKS) and "<|channel" not in rest:
        assert again == parsed


def test_parse_is_linear_in_length() -> None:
    # A hundred thousand characters of unclosed tags: anything quadratic would take minutes.
    assert isinstance(parse("<answer>" * 12_000).action, Invalid)
    assert isinstance(parse("<think></think>" * 6_000).action, Invalid)
    assert isinstance(parse("<" + " " * 100_000).action, Invalid)
    for opening, closing in MARKS:
        assert isinstance(parse(opening * 6_000).action, Invalid)
        assert isinstance(parse((opening + closing) * 6_000).action, Invalid)
    assert isinstance(parse("<|start|>" + " " * 100_000).action, Invalid)
    assert isinstance(parse("<|start|>" * 12_000).action, Invalid)
    assert escape_tags("<" + " " * 100_000)


def test_render_tags_observations() -> None:
    clip = Clip("c02", 60.0, 120.0, (Subtitle(61.0, 62.0, "Mira: Hello"),))
    text = render_observation(ClipObservation(clip, (clip,)), default_layout())
    assert text == "<New_clip>\nClip: c02 (1:00 to 2:00)\nSubtitles:\n[1:01] Mira: Hello\n</New_clip>"
    assert (
        render_observation(VisionResult("a red sign"), default_layout()) == "<information>\na red sign\n</information>"
    )


@given(st.lists(fragments, max_size=10).map("".join))
def test_render_escapes_tags_in_data(text: str) -> None:
    clip = Clip("c01", 0.0, 60.0, (Subtitle(1.0, 2.0, text),))
    for observation in (VisionResult(text), SystemNotice(text), ClipObservation(clip, (clip,))):
        inner = render_observation(observation, default_layout()).split("\n", 1)[1].rsplit("\n", 1)[0]
        assert isinstance(parse(inner).action, Invalid)
        assert "</information>" not in inner
        assert "</New_clip>" not in inner


@pytest.mark.parametrize(("opening", "closing"), MARKS[:-1])
def test_escape_tags_of_thinking(opening: str, closing: str) -> None:
    assert not is_inside_reasoning(escape_tags(f"{opening}so"))
    assert parse(f"<answer>a1</answer>{escape_tags(closing)}").action == Answer("a1")


def test_escape_tags_keeps_other_text() -> None:
    assert escape_tags("1 < 2 and <b>bold</b>") == "1 < 2 and <b>bold</b>"


def test_format_timestamp() -> None:
    assert [format_timestamp(0), format_timestamp(61.9), format_timestamp(3723)] == ["0:00", "1:01", "1:02:03"]
