"""Requests in OpenAI's chat and text completions, and what the counted tokens of one show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from longvideoagent.core.types import Jpeg, Message
from longvideoagent.models.base import CallSettings
from longvideoagent.models.chat_template import fill_template
from longvideoagent.models.openai_reply import Completion
from longvideoagent.models.openai_tools import chat_with_calls, tool_fields
from longvideoagent.models.prompt_caching import IMAGE_TYPES, with_cache_marks

MAX_CHARS_PER_TOKEN = 6
"""More than any tokenizer reads as one token on average; English text has 4 to 5."""
MIN_CHECKED_CHARS = 8_000
"""Of a prompt whose count of tokens shows whether it was cut; shorter ones fit any context."""


def chat_body(
    name: str, messages: Sequence[Message], settings: CallSettings, *, marks_cache: bool = False
) -> dict[str, Any]:
    """The body of a chat completion. If the last message is the assistant's, vLLM's fields ask for its
    continuation. ``marks_cache`` marks what the server is to keep in its prompt cache."""
    extra = dict(settings.extra_body)
    if messages[-1]["role"] == "assistant":
        extra |= {"continue_final_message": True, "add_generation_prompt": False}
    chat = chat_with_calls(messages, settings.tools) if settings.tools else messages
    wire = [_wire(message) for message in chat]
    body: dict[str, Any] = {
        "model": name,
        "messages": with_cache_marks(wire) if marks_cache else [_without_hints(message) for message in wire],
        **_common(settings),
        **(tool_fields(settings.tools) if settings.tools else {}),
        **({"logprobs": True, "top_logprobs": settings.top_logprobs} if settings.top_logprobs else {}),
        **extra,
    }
    if settings.json_schema is not None:
        schema = {"name": "reply", "strict": True, "schema": dict(settings.json_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def completion_body(name: str, template: str, messages: Sequence[Message], settings: CallSettings) -> dict[str, Any]:
    """The body of a text completion: see ``fill_template``."""
    prompt = fill_template(template, messages)
    return {"model": name, "prompt": prompt, **_common(settings), **settings.extra_body}


def _common(settings: CallSettings) -> dict[str, Any]:
    common: dict[str, Any] = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
    common |= settings.sampling
    if settings.stop_at_action and settings.stop_texts:
        common["stop"] = list(settings.stop_texts)
    return common


def _wire(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if not isinstance(content, tuple):
        return dict(message)
    parts: list[dict[str, Any]] = []
    for part in content:
        if isinstance(part, Jpeg):
            parts.append({"type": "image_url", "image_url": {"url": _data_url(part)}})
        else:
            parts.append({"type": "text", "text": part})
    return {"role": message["role"], "content": parts}


def _without_hints(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "shared_chars"}


def without_images(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The body of a chat completion with its texts alone; None if it holds no image."""
    messages = body.get("messages", [])
    parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
    if not any(part["type"] in IMAGE_TYPES for part in parts):
        return None
    text_messages = [
        {**message, "content": [part for part in message["content"] if part["type"] not in IMAGE_TYPES]}
        if isinstance(message["content"], list)
        else message
        for message in messages
    ]
    return {**body, "messages": text_messages}


def num_text_bytes(body: Mapping[str, Any]) -> int:
    """Bytes of a chat's texts: an upper bound of their tokens for any tokenizer."""
    return sum(len(text.encode("utf-8", "replace")) for text in _prompt_texts(body))


def is_prompt_cut(body: Mapping[str, Any], completion: Completion) -> bool:
    """Whether the server counts so few prompt tokens that it has dropped a part of the prompt, as Ollama does."""
    num_chars = sum(map(len, _prompt_texts(body)))
    num_tokens = completion.prompt_tokens + completion.cached_tokens
    return completion.prompt_tokens > 0 and num_chars > max(MIN_CHECKED_CHARS, MAX_CHARS_PER_TOKEN * num_tokens)


def _prompt_texts(body: Mapping[str, Any]) -> list[str]:
    contents = [message["content"] or "" for message in body.get("messages", [])]
    texts = [text if isinstance(text, str) else "".join(part.get("text", "") for part in text) for text in contents]
    return [*texts, body.get("prompt", "")]


@lru_cache(maxsize=64)
def _data_url(image: Jpeg) -> str:
    """Cached while the image is in use."""
    return image.data_url
