"""Native tool calls in OpenAI's chat completions, as the tags that the rest of the package reads and writes.

A call ``visual_query(reason="why", query="the sign")`` is the reply
``<think>why</think><visual_query>the sign</visual_query>``, and that reply is sent back as the call. A trace is
therefore the same whether its master calls tools or writes tags.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from longvideoagent.core.actions import Tool, action_argument, spec_of
from longvideoagent.core.protocol import escape_tags, has_action, parse
from longvideoagent.core.reasoning import TEMPLATE_TAG
from longvideoagent.core.text import replace_surrogates
from longvideoagent.core.types import Message

REASON = "reason"
"""The argument of every tool that holds the thought: few models write one next to a call."""
_JSON = json.JSONDecoder(strict=False)
_REASON_FORM = "Why, in one or two sentences"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as the server sends it, or as much of it as has come."""

    name: str
    arguments: str
    """A JSON object, unless the model made a mistake."""


@lru_cache(maxsize=64)
def tool_fields(tools: tuple[Tool, ...]) -> Mapping[str, Any]:
    """The fields of a request that offer tools, one of which is to be called."""
    return {"tools": [_function(tool) for tool in tools], "tool_choice": "required"}


def _function(tool: Tool) -> dict[str, Any]:
    # Neither "strict" nor "additionalProperties", which some servers refuse: the arguments are checked here anyway.
    arguments = {REASON: _REASON_FORM, tool.argument: tool.argument_description}
    properties = {name: {"type": "string", "description": text} for name, text in arguments.items()}
    parameters = {"type": "object", "properties": properties, "required": list(arguments)}
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }


def chat_with_calls(messages: Sequence[Message], tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    """Messages in which the actions of the assistant are calls, and what follows one is the tool's result."""
    chat: list[dict[str, Any]] = []
    call_id = ""
    for index, message in enumerate(messages):
        content = message["content"]
        call = call_of(str(content), tools) if message["role"] == "assistant" else None
        if call is not None:
            call_id = f"call{index:05d}"  # nine letters and digits: Mistral takes no other form
            calls = [{"id": call_id, "type": "function", "function": call}]
            chat.append({"role": "assistant", "content": None, "tool_calls": calls})
        elif call_id:
            chat.append({"role": "tool", "tool_call_id": call_id, "content": content})
            call_id = ""
        else:
            chat.append({"role": message["role"], "content": content})
    return chat


@lru_cache(maxsize=1024)
def call_of(reply: str, tools: tuple[Tool, ...]) -> Mapping[str, str] | None:
    """The call that a reply in tags stands for; None for a reply without an action that is offered as a tool. Cached:
    each request repeats the replies before it."""
    parsed = parse(reply)
    spec = spec_of(parsed.action)
    tool = next((tool for tool in tools if tool.name in spec.tags), None)
    if tool is None:
        return None
    values = {REASON: parsed.thought, tool.argument: action_argument(parsed.action)}
    return {"name": tool.name, "arguments": to_json(values).decode()}


def reply_with_tags(text: str, call: ToolCall, tools: Sequence[Tool], *, is_partial: bool = False) -> str:
    """The reply in tags that a text and a call stand for.

    Args:
        text: What the model wrote besides the call.
        call: The call. One of a tool that was not offered, or without its argument, is repeated as it is: no action.
        tools: The tools that were offered.
        is_partial: Whether more of the call follows, so that its tag stays open.

    Returns:
        The reply. Tags inside the arguments are escaped, so that they do not count.
    """
    words = re.findall(r"\w+", call.name)  # "functions.answer", "answer<|channel|>commentary"
    tool = next((tool for tool in tools if tool.name in words), None)
    arguments = _arguments(call.arguments, is_partial=is_partial)
    written = escape_tags(text if has_action(text) else parse(text).thought) if text.strip() else ""
    thoughts = [part.strip() for part in (written, escape_tags(arguments.pop(REASON, ""))) if part.strip()]
    thought = f"<{TEMPLATE_TAG}>" + "\n".join(thoughts) + f"</{TEMPLATE_TAG}>" if thoughts else ""
    argument = None if tool is None else _argument(arguments, tool)
    if tool is not None and argument is not None:
        end = "" if is_partial else f"</{tool.name}>"
        return f"{thought}<{tool.name}>{escape_tags(argument.strip())}{end}"
    return thought if is_partial else thought + escape_tags(f"{call.name}({call.arguments})")


def _argument(arguments: Mapping[str, str], tool: Tool) -> str | None:
    """The argument of a call, also under the tool's name, or under any name if it is the only one. None if it is
    missing."""
    for name in (tool.argument, tool.name):
        if name in arguments:
            return arguments[name]
    if len(arguments) == 1:
        return next(iter(arguments.values()))
    return "" if tool.is_argument_optional and not arguments else None


def _arguments(text: str, *, is_partial: bool) -> dict[str, str]:
    """The arguments of a call that are texts or numbers; empty if they are not JSON, or not whole but should be."""
    try:
        value = from_json(text or "{}", allow_partial="trailing-strings") if is_partial else _read_json(text)
    except (ValueError, RecursionError):
        return {}
    items = value.items() if isinstance(value, dict) else ()
    return {name: replace_surrogates(str(each)) for name, each in items if isinstance(each, str | int | float)}


def _read_json(text: str) -> Any:
    """The value that a text begins with: models leave raw line breaks in it, marks after it, or encode it twice."""
    value, _ = _JSON.raw_decode(text.strip() or "{}")
    return _JSON.raw_decode(value.strip())[0] if isinstance(value, str) else value
