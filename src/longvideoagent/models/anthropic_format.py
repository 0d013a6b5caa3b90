"""Requests in Anthropic's messages API (https://platform.claude.com/docs/en/api/messages), and what models refuse of
them.

The newest models refuse what older ones take, such as a temperature; a request says more than one model accepts, and
``MessagesAdapter`` leaves out what the server has refused.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from longvideoagent.core.actions import Tool
from longvideoagent.core.types import Jpeg, Message
from longvideoagent.models.base import SAMPLING_FIELDS, CallSettings
from longvideoagent.models.openai_errors import ServerError
from longvideoagent.models.openai_request import Adaptation, RequestAdapter
from longvideoagent.models.openai_tools import chat_with_calls, tool_fields
from longvideoagent.models.prompt_caching import CACHE_MARK, as_blocks, with_cache_marks, without_cache_marks

SAMPLING_OFF = {"top_p": 1, "top_k": -1, "repetition_penalty": 1}
"""Values that turn a sampling option off; they are not sent."""
THINKING = {"type": "adaptive", "display": "summarized"}
"""The newest models return empty thoughts unless a summary is asked for."""


def messages_body(name: str, messages: Sequence[Message], settings: CallSettings, *, thinks: bool) -> dict[str, Any]:
    """The body of a request. If the last message is the assistant's, the reply continues it.

    Args:
        name: The model.
        messages: The chat.
        settings: How it replies. A schema is sent without its lists of values: see ``_without_enums``.
        thinks: Whether to ask for thoughts, and for a summary of them.
    """
    chat = chat_with_calls(messages, settings.tools) if settings.tools else messages
    body: dict[str, Any] = {
        "model": name,
        "max_tokens": settings.max_tokens,
        "messages": _merge([_wire(message) for message in with_cache_marks([_plain(message) for message in chat])]),
        "temperature": settings.temperature,
        **{option: value for option, value in settings.sampling.items() if value != SAMPLING_OFF[option]},
    }
    if settings.stop_at_action:
        body["stop_sequences"] = list(settings.stop_texts)
    if settings.tools:
        body |= _tool_fields(settings.tools)
    if thinks:
        body["thinking"] = THINKING
    if settings.json_schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": _without_enums(settings.json_schema)}}
    extra = dict(settings.extra_body)
    if isinstance(extra.get("output_config"), dict):  # such as the effort
        extra["output_config"] = {**body.get("output_config", {}), **extra["output_config"]}
    return body | extra


@lru_cache(maxsize=64)
def _tool_fields(tools: tuple[Tool, ...]) -> Mapping[str, Any]:
    """The fields that offer tools, one of which is to be called. The last tool ends what every request repeats."""
    functions = [tool["function"] for tool in tool_fields(tools)["tools"]]
    definitions = [
        {"name": each["name"], "description": each["description"], "input_schema": each["parameters"]}
        for each in functions
    ]
    definitions[-1] |= CACHE_MARK
    return {"tools": definitions, "tool_choice": {"type": "any", "disable_parallel_tool_use": True}}


def _without_enums(schema: Any) -> Any:
    """A schema without its lists of values. Grounding lists the labels that it has not visited yet; a schema that
    changes costs the cached prompt and a new grammar each time, and the labels of a reply are checked anyway."""
    if isinstance(schema, dict):
        return {name: _without_enums(value) for name, value in schema.items() if name != "enum"}
    return [_without_enums(each) for each in schema] if isinstance(schema, list) else schema


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message whose images are blocks."""
    content = message["content"]
    if not isinstance(content, tuple):
        return dict(message)
    blocks = [[_image(part)] if isinstance(part, Jpeg) else as_blocks(part) for part in content]
    return {**message, "content": [block for part in blocks for block in part]}


def _image(image: Jpeg) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": _base64(image)}}


@lru_cache(maxsize=64)
def _base64(image: Jpeg) -> str:
    """Cached while the image is in use."""
    return b64encode(image.jpeg).decode("ascii")


def _wire(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message of the user or the assistant, from one in OpenAI's roles."""
    if message["role"] == "tool":
        blocks = as_blocks(message["content"])
        marks = CACHE_MARK if any(CACHE_MARK.keys() & block.keys() for block in blocks) else {}
        result = {"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": without_cache_marks(blocks)}
        return {"role": "user", "content": [{**result, **marks}]}
    calls = [
        {"type": "tool_use", "id": call["id"], "name": function["name"], "input": from_json(function["arguments"])}
        for call in message.get("tool_calls", ())
        for function in (call["function"],)
    ]
    return {"role": message["role"], "content": as_blocks(message["content"] or "") + calls}


def _merge(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages by user and assistant in turn, without empty ones. A text at the end that the reply continues must
    not end in a space."""
    merged: list[dict[str, Any]] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1] = {**message, "content": merged[-1]["content"] + message["content"]}
        elif message["content"]:
            merged.append(message)
    if merged and merged[-1]["role"] == "assistant" and (last := merged[-1]["content"][-1])["type"] == "text":
        merged[-1]["content"][-1] = {**last, "text": last["text"].rstrip()}
    return merged


@dataclass
class MessagesAdapter(RequestAdapter):
    """What a server with Anthropic's messages has refused, and the requests that it accepts."""

    requires_call: bool = True
    """Whether a call of a tool can be required. Models that always think decide themselves whether they call one."""
    caches_prompts: bool = True
    """Whether the marks of ``prompt_caching`` are accepted."""

    @property
    def summary(self) -> tuple[str, ...]:
        """What is refused, and what is done about it; one line each."""
        lines = [] if self.requires_call else ["it does not let a call of a tool be required; the model decides"]
        lines += [] if self.caches_prompts else ["it refuses cache_control, so it caches no prompts on request"]
        return (*super().summary, *lines)

    def adapt(self, body: Mapping[str, Any], *, streams: bool) -> dict[str, Any]:
        """The body of a request without what the server refuses. No model takes sampling options while it thinks."""
        adapted = super().adapt(body, streams=streams)
        adapted.pop("stream_options", None)
        if adapted.get("thinking", {}).get("type") in ("adaptive", "enabled"):
            adapted = {name: value for name, value in adapted.items() if name not in ("temperature", *SAMPLING_FIELDS)}
        if "tool_choice" in adapted and not self.requires_call:
            adapted["tool_choice"] = {**adapted["tool_choice"], "type": "auto"}
        if not self.caches_prompts:
            adapted = without_cache_marks(adapted)
        return adapted

    def learn(self, error: ServerError, sent: Mapping[str, Any]) -> Adaptation | None:
        """Take note of what the server refuses of the request ``sent``. None if nothing in it can be changed."""
        is_invalid = error.status in (400, 422)
        if is_invalid and "tool_choice" in error.message and sent.get("tool_choice", {}).get("type") == "any":
            self.requires_call = False
            return Adaptation("does not let a call of a tool be required; the model decides from now on", logging.INFO)
        if is_invalid and "cache_control" in error.message and self.caches_prompts:
            self.caches_prompts = False
            return Adaptation("refuses cache_control; prompts are sent without marks from now on", logging.WARNING)
        return super().learn(error, sent)
