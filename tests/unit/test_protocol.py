from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.agents.prompts import default_layout
from longvideoagent.core.actions import Action, Answer, Invalid, Look, Relocate
from longvideoagent.core.context import render_observation
from longvideoagent.core.protocol import ACTION_TAGS, OBSERVATION_TAGS, REASONING_TAGS, escape_tags, has_action, parse
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


fragments = st.sampled_from(
    [f"<{tag}>" for tag in ACTION_TAGS + REASONING_TAGS + OBSERVATION_TAGS]
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
    if not any(f"</{tag}>" in reply.lower()[len(parsed.text) :] for tag in REASONING_TAGS):
        assert again == parsed


def test_parse_is_linear_in_length() -> None:
    # Half a million characters of unclosed tags: anything quadratic would not come back.
    assert isinstance(parse("<answer>" * 60_000).action, Invalid)
    assert isinstance(parse("<think></think>" * 30_000).action, Invalid)
    assert isinstance(parse("<" + " " * 500_000).action, Invalid)
    assert escape_tags("<" + " " * 500_000)


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


def test_escape_tags_keeps_other_text() -> None:
    assert escape_tags("1 < 2 and <b>bold</b>") == "1 < 2 and <b>bold</b>"


def test_format_timestamp() -> None:
    assert [format_timestamp(0), format_timestamp(61.9), format_timestamp(3723)] == ["0:00", "1:01", "1:02:03"]
