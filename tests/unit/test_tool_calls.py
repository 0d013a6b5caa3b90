"""Native tool calls: a master that calls tools leaves the same trace as one that writes tags."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent import RolloutSettings, TeamConfig, Trace, ask, load_team
from longvideoagent.agents.config import AgentConfig
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.tool_master import NO_CALL, NO_TOOLS, ToolMaster
from longvideoagent.core.actions import Answer, Invalid, Look, Relocate, offered_tools, spec_of
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.protocol import parse
from longvideoagent.core.trace import Agents
from longvideoagent.core.types import Message, Reply
from longvideoagent.errors import ModelError, ToolsRefusedError, UsageError
from longvideoagent.models.base import CallSettings, TextCallback
from longvideoagent.models.openai import OpenAIModel
from longvideoagent.models.openai_tools import ToolCall, chat_with_calls, reply_with_tags
from tests.fakes.faulty_server import Fault, as_json, call_tool, completion, events, say, serving, status
from tests.plugins.traces import without_usage

TOOLS = offered_tools(frozenset({"grounding", "vision"}), "aX")
HELLO = [Message(role="user", content="hello")]
OPTIONS = ["red", "grey"]


def complete(url: str, tools: Any = TOOLS, on_text: TextCallback | None = None) -> Reply:
    async def call() -> Reply:
        model = OpenAIModel("m", url)
        try:
            return await model.complete(HELLO, CallSettings(tools=tools), on_text)
        finally:
            await model.close()

    return asyncio.run(call())


class Run(NamedTuple):
    """A rollout, and what its master's server was sent."""

    trace: Trace
    requests: list[dict[str, Any]]


def run(grey_talk: Path, *answers: Fault, agents: Agents = Agents.GROUNDING_VISION, max_rounds: int = 5) -> Run:
    """A rollout whose master calls tools, on a server that gives these answers; the other agents are offline."""
    with serving(*answers) as (url, server):
        config = TeamConfig(master=AgentConfig(model=f"openai:m@{url}", dialect="tools"))
        settings = RolloutSettings(agents=agents, max_rounds=max_rounds)
        return Run(ask(grey_talk, "What colour?", OPTIONS, team=config, settings=settings), server.requests)


# --- parity --------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [False, True])
def test_tool_calls_and_tags_give_equal_traces(grey_talk: Path, streams: bool) -> None:
    calls = [
        call_tool("visual_query", '{"reason": "I must see it", "query": "the wall"}'),
        call_tool("request_grounding", '{"reason": "not here", "request": ""}'),
        call_tool("visual_query", '{"reason": "so", "query": "the wall"}'),
        call_tool("answer", '{"reason": "grey at 1:15", "text": "a1"}'),
    ]
    tags = [
        say("<think>I must see it</think><visual_query>the wall</visual_query>"),
        say("<think>not here</think><request_grounding></request_grounding>"),
        say("<think>so</think><visual_query>the wall</visual_query>"),
        say("<think>grey at 1:15</think><answer>a1</answer>"),
    ]
    traces = []
    for dialect, answers in (("tools", calls), ("tags", tags)):
        with serving(*answers) as (url, _):
            config = TeamConfig.model_validate({"master": {"model": f"openai:m@{url}", "dialect": dialect}})
            team = load_team(config, on_text=(lambda _: None) if streams else None)
            traces.append(ask(grey_talk, "What colour?", OPTIONS, team=team))
    assert traces[0].answer == "grey"
    assert [type(each.action) for each in traces[0].rounds] == [Look, Relocate, Look, Answer]
    assert traces[0].evidence
    assert without_usage(traces[0]) == without_usage(traces[1])


def test_conversation_is_sent_as_calls(grey_talk: Path) -> None:
    look = call_tool("visual_query", '{"reason": "why", "query": "the wall"}')
    first, second, third = run(grey_talk, look, say("I do not know"), call_tool("answer", '{"text": "a1"}')).requests
    assert [tool["function"]["name"] for tool in first["tools"]] == ["visual_query", "request_grounding", "answer"]
    assert first["tool_choice"] == "required"
    assert "stop" not in first
    assert "<visual_query>" not in first["messages"][0]["content"]
    assert "call exactly one tool" in first["messages"][0]["content"]
    assert first["tools"][2]["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "description": "Why, in one or two sentences"},
            "text": {"type": "string", "description": "aX"},
        },
        "required": ["reason", "text"],
    }
    _, call, result = second["messages"]
    assert call["tool_calls"][0]["function"]["name"] == "visual_query"
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"reason": "why", "query": "the wall"}
    assert (result["role"], result["tool_call_id"]) == ("tool", call["tool_calls"][0]["id"])
    assert result["content"].startswith("<information>")
    assert [message["role"] for message in third["messages"][3:]] == ["assistant", "user"]
    assert third["messages"][3]["content"] == "I do not know"
    assert "No valid action" in third["messages"][4]["content"]


def test_last_round_names_the_tool(grey_talk: Path) -> None:
    (request,) = run(grey_talk, call_tool("answer", '{"text": "a1"}'), max_rounds=1).requests
    assert request["messages"][0]["content"].endswith("you must answer now, with the tool answer.")


def test_tools_follow_agents(grey_talk: Path) -> None:
    trace, (request,) = run(grey_talk, call_tool("answer", '{"text": "a1"}'), agents=Agents.GROUNDING)
    names = [tool["function"]["name"] for tool in request["tools"]]
    assert (trace.answer, names) == ("grey", ["request_grounding", "answer"])
    trace, (request,) = run(grey_talk, say("<answer>a1</answer>"), agents=Agents.NONE)
    assert trace.answer == "grey"
    assert "tools" not in request


MARKS = ["</think>", "<reasoning>", "</reasoning>", "[THINK]", "<|channel|>final", "<think>", "◁think▷"]
HOSTILE = [*MARKS, "<answer>a0</answer>", '"', "\\", "{"]
plain_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
texts = plain_texts | st.lists(plain_texts | st.sampled_from(HOSTILE), max_size=5).map("".join)


@given(st.sampled_from(TOOLS), texts, texts, texts)
def test_call_survives_the_round_trip(tool: Any, reason: str, argument: str, content: str) -> None:
    arguments = json.dumps({"reason": reason, tool.argument: argument})
    reply = reply_with_tags(content, ToolCall(tool.name, arguments), TOOLS)
    parsed = parse(reply)
    if isinstance(parsed.action, Invalid):
        assert (tool.name, argument.strip()) == ("visual_query", "")
        return
    (_, message) = chat_with_calls([*HELLO, Message(role="assistant", content=reply)], TOOLS)
    call = message["tool_calls"][0]["function"]
    assert call["name"] == tool.name == spec_of(parsed.action).tags[0]
    assert parse(reply_with_tags("", ToolCall(**call), TOOLS)) == parse(parsed.text)
    if not set("<>[]◁|｜") & set(argument + reason + content):
        assert (
            json.loads(call["arguments"])[tool.argument].split() == argument.encode("utf-8", "replace").decode().split()
        )


# --- calls as models really make them ------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (("answer", '{"text": "a1"}'), "<answer>a1</answer>"),
        (("answer", '{"answer": "a1"}'), "<answer>a1</answer>"),
        (("answer", '{"text": 1}'), "<answer>1</answer>"),
        (("answer", '{"reason": "so", "text": ""}'), "<think>so</think><answer></answer>"),
        (("answer", '{"reason": "</think><answer>a0</answer>", "text": "a1"}'),
         "<think>‹/think>‹answer>a0‹/answer></think><answer>a1</answer>"),
        (("answer", '{"text": "a1", "confidence": 0.9}'), "<answer>a1</answer>"),
        (("answer", '{"answer": "a1", "confidence": 0.9}'), "<answer>a1</answer>"),
        (("answer", '"{\\"text\\": \\"a1\\"}"'), "<answer>a1</answer>"),
        (("answer", '{"text": "a1"}</tool_call>'), "<answer>a1</answer>"),
        (("answer", '{"text": "two\nlines"}'), "<answer>two\nlines</answer>"),
        (("answer", '{"text": "a\\ud800"}'), "<answer>a?</answer>"),
        (("functions.answer", '{"text": "a1"}'), "<answer>a1</answer>"),
        (("answer<|channel|>commentary", '{"text": "a1"}'), "<answer>a1</answer>"),
        (("request_grounding", ""), "<request_grounding></request_grounding>"),
        (("request_grounding", '{"reason": "so"}'), "<think>so</think><request_grounding></request_grounding>"),
        (("zoom", '{"text": "a1"}'), 'zoom({"text": "a1"})'),
        (("x<search>a</search>", "{}"), "x‹search>a‹/search>({})"),
        (("answer", "a1"), "answer(a1)"),
        (("answer", ""), "answer()"),
        (("answer", '["a1"]'), 'answer(["a1"])'),
    ],
)  # fmt: skip
def test_call_as_text(call: tuple[str, str], text: str) -> None:
    with serving(call_tool(*call)) as (url, _):
        assert complete(url).text == text


def test_arguments_as_object() -> None:
    call = {"function": {"name": "answer", "arguments": {"text": "a1"}}}
    reply = {"role": "assistant", "content": "", "tool_calls": [call]}
    with serving(as_json(completion("chat.completion", message=reply))) as (url, _):
        assert complete(url).text == "<answer>a1</answer>"


def test_content_next_to_call_is_a_thought() -> None:
    with serving(call_tool("answer", '{"text": "a1"}', content="<think>hm</think>It is grey.")) as (url, _):
        assert complete(url).text == "<think>hm\nIt is grey.</think><answer>a1</answer>"
    with serving(call_tool("answer", '{"text": "a1"}', content="<answer>a0</answer>")) as (url, _):
        assert isinstance(parse(reply := complete(url).text).action, Answer)
        assert parse(reply).action == Answer("a1")


@pytest.mark.parametrize("arguments", [{"text": "a1"}, {"text": "a1", "other": "\ud800"}])
def test_arguments_as_object_with_odd_text(arguments: dict[str, str]) -> None:
    call = {"function": {"name": "answer\ud800", "arguments": arguments}}
    reply = {"role": "assistant", "content": "", "tool_calls": [], "function_call": call["function"]}
    with serving(as_json(completion("chat.completion", message=reply))) as (url, _):
        assert complete(url).text == "<answer>a1</answer>"


def pieces(*calls: dict[str, Any]) -> Fault:
    """A stream with these pieces of calls."""
    chunks = [completion("chunk", delta={"tool_calls": [call]}, finish_reason=None) for call in calls]
    return events(*chunks, completion("chunk", delta={}, finish_reason="tool_calls"))


def piece(arguments: str, name: str | None = None, **fields: Any) -> dict[str, Any]:
    return {**fields, "function": {"arguments": arguments} | ({"name": name} if name else {})}


@pytest.mark.parametrize(
    "stream",
    [
        [piece('{"text":', "answer"), piece('"a1"}')],
        [piece('{"text":', index=0), piece('"a1"}', "answer", index=0)],
        [piece('{"text":', "answer", index=0, id="c"), piece('"a1"}', "answer", index=0, id="c")],
        [piece('{"text":', "answer", index=0, id="c"), piece('"a1"}', index=0, id="d")],
        [piece('{"text":"a1"}', "answer", index=0, id="c"), piece("", "answer", index=0)],
        [piece('{"text":', "answer", id="c"), piece('"a1"}', id="c")],
    ],
)
def test_call_in_pieces(stream: list[dict[str, Any]]) -> None:
    with serving(pieces(*stream)) as (url, _):
        reply = complete(url, on_text=lambda _: None)
    assert (reply.text, reply.warnings) == ("<answer>a1</answer>", ())


@pytest.mark.parametrize(
    "stream",
    [
        [piece('{"text":', "answer"), piece('"a1"}'), piece('{"text":', "answer"), piece('"a0"}')],
        [piece("", "request_grounding"), piece('{"text":"a0"}', "answer")],
        [piece('{"text":"a1"}', "answer", index=0, id="c"), piece('{"text":"a0"}', "answer", index=0, id="d")],
    ],
)
def test_two_calls_in_pieces(stream: list[dict[str, Any]]) -> None:
    with serving(pieces(*stream)) as (url, _):
        reply = complete(url, on_text=lambda _: None)
    assert isinstance(parse(reply.text).action, Answer | Relocate)
    assert reply.warnings == ("'m' calls 2 tools at once; only the first counts",)


def test_several_calls_first_counts() -> None:
    calls = [
        {"id": str(n), "function": {"name": "answer", "arguments": json.dumps({"text": f"a{n}"})}} for n in range(2)
    ]
    reply = {"role": "assistant", "content": None, "tool_calls": calls}
    whole = as_json(completion("chat.completion", message=reply))
    chunks = [completion("chunk", delta={"tool_calls": [call]}, finish_reason=None) for call in calls]
    for answer in (whole, events(*chunks, completion("chunk", delta={}, finish_reason="tool_calls"))):
        with serving(answer) as (url, _):
            result = complete(url, on_text=lambda _: None)
        assert result.text == "<answer>a0</answer>"
        assert result.warnings == ("'m' calls 2 tools at once; only the first counts",)


def test_call_grows() -> None:
    updates: list[str] = []
    with serving(call_tool("answer", '{"reason": "It is grey", "text": "grey wall"}')) as (url, _):
        reply = complete(url, on_text=updates.append)
    assert reply.text == updates[-1] + "</answer>" == "<think>It is grey</think><answer>grey wall</answer>"
    assert "<think>It is</think>" in [update.replace(" </think>", "</think>") for update in updates]
    assert len(set(updates)) > 5


def test_call_cut_by_its_limit(grey_talk: Path) -> None:
    cut = call_tool("answer", '{"reason": "so", "text": "a', {"finish_reason": "length"})
    trace = run(grey_talk, cut, call_tool("answer", '{"text": "a1"}')).trace
    assert [type(each.action) for each in trace.rounds] == [Invalid, Answer]
    assert any("was cut at" in warning for warning in trace.warnings)


def test_tags_of_a_master_with_tools(grey_talk: Path) -> None:
    assert run(grey_talk, say("<think>so</think><answer>a1</answer>")).trace.answer == "grey"


# --- servers that take no tools ------------------------------------------------------------------

REFUSALS = [
    (400, "registry.ollama.ai/library/gemma3:4b does not support tools"),
    (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
    (404, 'No endpoints found that support tool use. Try disabling "visual_query".'),
    (500, "tools param requires --jinja flag"),
    (400, "`tool calling` is not supported with this model"),
    (400, "Function calling is not supported by this model"),
    (400, "Unrecognized request argument supplied: tools"),
    (422, "tools: Extra inputs are not permitted"),
    (400, "This model doesn't support tools"),
    (400, "Tool calling is disabled"),
    (400, "Additional properties are not allowed ('tools' was unexpected)"),
    (400, "Function call is missing a thought_signature in functionCall parts"),
]
OTHER_ERRORS = [
    (400, "Parallel tool calls are not supported", {}),
    (400, "Streaming is not supported with tools", {}),
    (400, "Tool choice is required, but model did not call a tool", {}),
    (400, "Unsupported parameter: 'temperature' is not supported when using tools.", {"param": "temperature"}),
    (402, "Function calling is not available on the free plan", {}),
    (500, "The function is not available, try again later", {}),
    (503, "Tool calling is not available at the moment", {}),
]


@pytest.mark.parametrize(("code", "message"), REFUSALS)
def test_tools_refused(grey_talk: Path, code: int, message: str) -> None:
    answers = [status(code, message), say("<visual_query>the wall</visual_query>"), say("<answer>a1</answer>")]
    trace = run(grey_talk, *answers).trace
    assert trace.outcome is Outcome.FAILED
    assert message in trace.cause
    assert trace.cause.endswith('set dialect = "tags" of the master')


def test_text_in_place_of_a_call_is_reported(grey_talk: Path) -> None:
    trace, _ = run(grey_talk, say("It is grey, I think."), call_tool("answer", '{"text": "grey"}'))
    assert isinstance(trace.rounds[0].action, Invalid)
    assert (trace.answer, trace.warnings.count(NO_CALL)) == ("grey", 1)


@pytest.mark.parametrize("code", ["", "tool_use_failed"])
def test_model_that_does_not_call_when_it_must(code: str, grey_talk: Path) -> None:
    error = {"message": "Tool choice is required, but model did not call a tool", "code": code}
    trace, requests = run(grey_talk, as_json({"error": error}, 400), call_tool("answer", '{"text": "grey"}'))
    assert trace.answer == "grey"
    assert ["tool_choice" in request for request in requests] == [True, False]


def test_tools_refused_where_nobody_asked_for_them(grey_talk: Path) -> None:
    refusal = status(400, "this model does not support tools")
    with serving(refusal, say("<visual_query>it</visual_query>"), say("<answer>a1</answer>")) as (url, server):
        team = load_team(TeamConfig(master=AgentConfig(model=f"openai:m@{url}")))
        assert isinstance(team.master, ModelMaster)
        trace = ask(grey_talk, "What colour?", OPTIONS, team=replace(team, master=ToolMaster(team.master)))
    assert trace.answer == "grey"
    assert trace.warnings[-1] == NO_TOOLS
    assert ["tools" in request for request in server.requests] == [True, False, False]
    assert "<visual_query>" in server.requests[1]["messages"][0]["content"]


@pytest.mark.parametrize(("code", "message", "fields"), OTHER_ERRORS)
def test_errors_that_are_not_about_tools(code: int, message: str, fields: dict[str, str]) -> None:
    answer = as_json({"error": {"message": message, **fields}}, code)
    with serving(answer, call_tool("answer", '{"text": "a1"}')) as (url, _):
        try:
            assert complete(url).text == "<answer>a1</answer>"
        except ModelError as error:
            assert not isinstance(error, ToolsRefusedError)  # noqa: PT017


def test_refusal_hides_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    refusal = status(400, "key sk-secret: this model does not support tools")
    with serving(refusal) as (url, _), pytest.raises(ToolsRefusedError) as error:
        complete(url)
    assert "sk-secret" not in str(error.value)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (400, "tool_choice does not support being set to required in thinking mode"),
        (400, "deepseek-reasoner does not support this tool_choice"),
        (404, "No endpoints found that support the provided 'tool_choice' value."),
    ],
)
def test_tool_choice_refused(code: int, message: str) -> None:
    refusal = status(code, message)
    with serving(refusal, call_tool("answer", '{"text": "a1"}')) as (url, server):
        assert complete(url).text == "<answer>a1</answer>"
    assert ["tool_choice" in request for request in server.requests] == [True, False]
    assert "tools" in server.requests[1]


# --- which masters act by tools ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("master", "fields", "calls_tools"),
    [
        ("openai:gpt-5-mini", {}, True),
        ("anthropic:claude-haiku-4-5", {}, True),
        ("gemini:gemini-2.5-flash", {}, False),
        ("openai:m@http://127.0.0.1:8000/v1", {}, False),
        ("ollama:qwen3", {}, False),
        ("openai:gpt-5-mini", {"style": "accumulated"}, False),
        ("openai:gpt-5-mini", {"actions": "anywhere"}, False),
        ("openai:gpt-5-mini", {"layout": {"prompt_end": "!"}}, False),
        ("openai:gpt-5-mini", {"layout": {"grounding_prompt": "$question"}}, True),
        ("offline", {}, False),
    ],
)
def test_default_dialect(master: str, fields: dict[str, Any], calls_tools: bool) -> None:
    config = TeamConfig.model_validate({"master": {"model": master}, **fields})
    assert config.calls_tools is calls_tools
    assert TeamConfig.model_validate({"master": {"model": master, "dialect": "tags"}}).calls_tools is False


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"style": "continuation"}, 'needs style "turns"'),
        ({"master": {"model": "transformers:x"}}, "on a server"),
        ({"layout": {"prompt": "$question"}}, "a prompt of its own but no tool_prompt"),
        ({"vision": {"dialect": "tags"}}, r"\[vision\] has a dialect, which only the master has"),
    ],
)
def test_dialect_that_cannot_work(fields: dict[str, Any], problem: str) -> None:
    master = {"model": "openai:m@http://127.0.0.1:1/v1", "dialect": "tools", **fields.pop("master", {})}
    with pytest.raises(UsageError, match=problem):
        load_team(TeamConfig.model_validate({"master": master, **fields}))


@pytest.mark.parametrize(
    ("grounding", "structured_output", "sends_schema"),
    [
        ("openai:gpt-5-mini", None, True),
        ("openai:gpt-5-mini", False, False),
        ("ollama:qwen3", None, False),
        ("ollama:qwen3", True, True),
        ("offline", None, False),
    ],
)
def test_default_structured_output(grounding: str, structured_output: bool | None, sends_schema: bool) -> None:
    agent = AgentConfig(model=grounding, structured_output=structured_output)
    assert TeamConfig(grounding=agent).sends_schema is sends_schema
