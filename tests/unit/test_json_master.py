"""A master that writes JSON objects under a schema leaves the same trace as one that writes tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent import RolloutSettings, TeamConfig, Trace, ask, load_team
from longvideoagent.agents.json_master import form_of, tags_of
from longvideoagent.core.actions import Answer, Invalid, Look, Relocate, offered_tools
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.protocol import parse
from longvideoagent.core.trace import Agents
from longvideoagent.errors import UsageError
from tests.fakes.faulty_server import Fault, say, serving
from tests.plugins.traces import without_usage

TOOLS = offered_tools(frozenset({"grounding", "vision"}), "aX")
OPTIONS = ["red", "grey"]


def action(tool: str, argument: str, reason: str = "why") -> Fault:
    return say(json.dumps({"reason": reason, "tool": tool, "argument": argument}))


def run(
    grey_talk: Path, *answers: Fault, dialect: str = "json", streams: bool = False, **settings: Any
) -> tuple[Trace, list[dict[str, Any]]]:
    """A rollout whose master is on a server that gives these answers, and what the server was sent."""
    with serving(*answers) as (url, server):
        config = TeamConfig.model_validate({"master": {"model": f"openai:m@{url}", "dialect": dialect}})
        team = load_team(config, on_text=(lambda _: None) if streams else None)
        return ask(grey_talk, "What colour?", OPTIONS, team=team, settings=RolloutSettings(**settings)), server.requests


@pytest.mark.parametrize("streams", [False, True])
def test_objects_and_tags_give_equal_traces(grey_talk: Path, streams: bool) -> None:
    objects, _ = run(
        grey_talk,
        action("visual_query", "the wall", "I must see it"),
        action("request_grounding", "", "not here"),
        action("visual_query", "the wall", "so"),
        action("answer", "a1", "grey at 1:15"),
        streams=streams,
    )
    tags, _ = run(
        grey_talk,
        say("<think>I must see it</think><visual_query>the wall</visual_query>"),
        say("<think>not here</think><request_grounding></request_grounding>"),
        say("<think>so</think><visual_query>the wall</visual_query>"),
        say("<think>grey at 1:15</think><answer>a1</answer>"),
        dialect="tags",
        streams=streams,
    )
    assert objects.answer == "grey"
    assert [type(each.action) for each in objects.rounds] == [Look, Relocate, Look, Answer]
    assert objects.evidence
    assert without_usage(objects) == without_usage(tags)


def test_requests_have_the_schema_and_objects_in_place_of_tags(grey_talk: Path) -> None:
    _, requests = run(grey_talk, action("visual_query", "the wall"), action("answer", "a1"), max_rounds=2)
    first, last = (request["response_format"]["json_schema"]["schema"]["properties"] for request in requests)
    assert list(first) == ["reason", "tool", "argument"]
    assert first["tool"]["enum"] == ["visual_query", "request_grounding", "answer a0", "answer a1"]
    assert last["tool"]["enum"] == ["answer a0", "answer a1"]
    prompt = requests[0]["messages"][0]["content"]
    assert "<visual_query>" not in prompt
    assert "An answer names its option as the tool: answer a0, answer a1." in prompt
    assert prompt.count("- visual_query: asks the vision agent") == 1
    assistant = [message["content"] for message in requests[1]["messages"] if message["role"] == "assistant"]
    assert [json.loads(content) for content in assistant] == [
        {"reason": "why", "tool": "visual_query", "argument": "the wall"}
    ]


def test_last_round_of_an_open_question_takes_any_answer(grey_talk: Path) -> None:
    with serving(action("answer", "grey")) as (url, server):
        config = TeamConfig.model_validate({"master": {"model": f"openai:m@{url}", "dialect": "json"}})
        trace = ask(grey_talk, "What colour?", team=config, settings=RolloutSettings(max_rounds=1))
    assert trace.answer == "grey"
    schema = server.requests[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["argument"] == {"type": "string"}
    assert schema["properties"]["tool"]["enum"] == ["answer"]


@pytest.mark.parametrize("argument", ["", "because it is grey", "a0"])
def test_option_in_the_name_of_the_tool(argument: str, grey_talk: Path) -> None:
    trace, _ = run(grey_talk, action("answer a1", argument))
    assert (trace.answer, trace.option_index) == ("grey", 1)


def test_server_without_schemas_may_get_tags(grey_talk: Path) -> None:
    trace, _ = run(grey_talk, say("<think>hm</think><answer>a1</answer>"))
    assert (trace.answer, trace.outcome) == ("grey", Outcome.ANSWERED)


def test_master_without_agents_writes_tags(grey_talk: Path) -> None:
    trace, requests = run(grey_talk, say("<think>hm</think><answer>a1</answer>"), agents=Agents.NONE)
    assert trace.answer == "grey"
    assert "response_format" not in requests[0]


@pytest.mark.parametrize(
    "text",
    [
        '{"reason": "why", "tool": "answer"}',
        '{"reason": "why", "tool": "shell", "argument": "rm"}',
        '{"reason": "why", "tool": "visual_query a1", "argument": "x"}',
        '{"reason": "why", "tool": "answer", "argument": 5}',
        '{"tool": "answer", "argument": "a1',
        '["answer"]',
        "[" * 100_000,
    ],
    ids=lambda text: text[:40],
)
def test_other_objects_are_no_action(text: str) -> None:
    written = tags_of(text, TOOLS)
    assert isinstance(parse(text if written is None else written).action, Invalid)


@pytest.mark.parametrize(
    "text",
    [
        '{"reason": "", "tool": "answer", "argument": "a1"}',
        'Sure:\n{"tool": "answer", "argument": "a1"} I hope this helps',
        '```json\n{"reason": "x", "tool": "answer", "argument": "a1"}\n```',
        '<think>{"tool": "visual_query"}</think>\n{"tool": "answer", "argument": "a1"}',
    ],
)
def test_objects_among_other_text(text: str) -> None:
    written = tags_of(text, TOOLS)
    assert written is not None
    assert parse(written).action == Answer("a1")


def test_tags_inside_an_object_do_not_count() -> None:
    text = json.dumps({"reason": "</think><answer>a0</answer>", "tool": "answer", "argument": "a1</answer>"})
    written = tags_of(text, TOOLS)
    assert written is not None
    action_read = parse(written).action
    assert isinstance(action_read, Answer)
    assert action_read.text.startswith("a1")


@given(st.text(), st.text(), st.sampled_from([tool.name for tool in TOOLS]), st.integers(0, 200))
def test_a_growing_object_is_shown_as_growing_tags(reason: str, argument: str, tool: str, length: int) -> None:
    whole = json.dumps({"reason": reason, "tool": tool, "argument": argument})
    shown = tags_of(whole[:length], TOOLS, is_partial=True)
    assert shown is None or not shown.endswith(f"</{tool}>")
    written = tags_of(whole, TOOLS)
    assert written is not None
    assert written.endswith(f"</{tool}>")


@given(st.text('{}[]":,<>/ \\abcantolresw01', max_size=80), st.booleans())
def test_any_text_is_read(text: str, is_partial: bool) -> None:
    tags_of(text, TOOLS, is_partial=is_partial)


def test_form_names_every_tool() -> None:
    tools = offered_tools(frozenset({"grounding", "vision"}), "aX", has_timeline_tools=True)
    form = form_of(tools, ["answer"])
    assert "names its option" not in form
    assert all(f"- {tool.name}: " in form for tool in tools)
    assert form.splitlines()[1].startswith('{"reason": "')


def test_style_of_its_own_is_refused() -> None:
    config = TeamConfig.model_validate({"style": "raw", "master": {"model": "openai:m@http://x", "dialect": "json"}})
    with pytest.raises(UsageError, match='dialect = "json" needs style "turns"'):
        load_team(config)


CUT = {"finish_reason": "length"}


def test_object_cut_in_its_argument_is_an_action(grey_talk: Path) -> None:
    look = '{"reason": "why", "tool": "visual_query", "argument": "the wall and the wall and the'
    answer = '{"reason": "so", "tool": "answer a1", "argument": "grey, since'
    trace, _ = run(grey_talk, say(look, CUT), say(answer, CUT))
    assert [each.action for each in trace.rounds] == [Look("the wall and the wall and the"), Answer("a1")]
    assert (trace.outcome, trace.answer) == (Outcome.ANSWERED, "grey")
    assert any("was cut at 1,024 tokens" in each for each in trace.warnings)


@pytest.mark.parametrize(
    "text",
    [
        '{"reason": "why and why and',
        '{"reason": "why", "tool": "answer a',
        '{"reason": "why", "tool": "answer a1"',
        '{"reason": "why", "tool": "answer", "argument": "the gre',
        '{"argument": "a0", "tool": "answer a1", "reason": "why',
    ],
)
def test_object_cut_before_its_choice_is_complete_is_invalid(text: str) -> None:
    assert tags_of(text, TOOLS, is_cut=True) is None


def test_object_that_is_not_closed_is_invalid_if_nothing_cut_it() -> None:
    assert tags_of('{"reason": "why", "tool": "visual_query", "argument": "the wall', TOOLS) is None
