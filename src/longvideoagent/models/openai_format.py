"""The JSON of OpenAI's chat and text completions: requests as it is defined, replies as servers write them."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from longvideoagent.core.protocol import ACTION_ENDS
from longvideoagent.core.text import replace_surrogates
from longvideoagent.core.types import Jpeg, Message
from longvideoagent.models.base import CallSettings, TextCallback
from longvideoagent.models.chat_template import fill_template

MAX_STOP_SEQUENCES = 4
"""OpenAI's API refuses a request with more."""
MAX_REPLY_CHARS = 1_000_000
"""A server that sends more ignores max_tokens."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A server's reply, whole or streamed, to a chat or a text completion."""

    text: str
    reasoning: str = ""
    is_stopped: bool = False
    """Whether it may have ended at a stop text of the request."""
    is_cut: bool = False
    """Whether max_tokens ended it."""
    is_complete: bool = True
    """False for a stream that ended without a finish reason."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Those of ``completion_tokens`` that were thoughts, if the server counts them."""

    @property
    def is_empty(self) -> bool:
        """Whether there is neither text nor reasoning."""
        return not self.text.strip() and not self.reasoning.strip()

    @property
    def num_chars(self) -> int:
        """Characters of text and reasoning."""
        return len(self.text) + len(self.reasoning)

    @property
    def is_endless(self) -> bool:
        """Whether the server ignores max_tokens."""
        return self.num_chars > MAX_REPLY_CHARS


def chat_body(name: str, messages: Sequence[Message], settings: CallSettings) -> dict[str, Any]:
    """The body of a chat completion. If the last message is the assistant's, vLLM's fields ask for its
    continuation."""
    extra = dict(settings.extra_body)
    if messages[-1]["role"] == "assistant":
        extra |= {"continue_final_message": True, "add_generation_prompt": False}
    body: dict[str, Any] = {
        "model": name,
        "messages": [_wire(message) for message in messages],
        **_common(settings),
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
    if settings.stop_at_action and len(ACTION_ENDS) <= MAX_STOP_SEQUENCES:  # else the parser cuts the reply
        common["stop"] = list(ACTION_ENDS)
    return common


def read_completion(answer: object) -> Completion:
    """A completion that came in one piece. Servers leave out different fields, so no field is required; a field that
    cannot be read is empty."""
    choice = _first_choice(answer)
    text, reasoning = _message_texts(_object(choice, "message") or choice)
    return _completion(text, reasoning, choice, _object(answer, "usage"))


async def read_stream(chunks: AsyncIterable[object], on_text: TextCallback) -> Completion:
    """A completion that comes in pieces; ``on_text`` gets the reply so far after each."""
    text, reasoning = "", ""
    last_choice: Mapping[str, Any] = {}
    usage: Mapping[str, Any] = {}
    async for chunk in chunks:
        choice = _first_choice(chunk)
        new_text, new_reasoning = _message_texts(_object(choice, "delta") or choice)
        text, reasoning = text + new_text, reasoning + new_reasoning
        if new_text or new_reasoning:
            on_text(reasoning + text)
        if choice.get("finish_reason"):
            last_choice = choice
        usage = _object(chunk, "usage") or usage
        if len(text) + len(reasoning) > MAX_REPLY_CHARS:
            break
    completion = _completion(text, reasoning, last_choice, usage)
    is_complete = bool(last_choice or usage or completion.is_endless)
    return replace(completion, is_complete=is_complete)


def _object(parent: object, name: str) -> Mapping[str, Any]:
    """The JSON object of that name inside another; empty if there is none."""
    child = parent.get(name) if isinstance(parent, dict) else None
    return child if isinstance(child, dict) else {}


def _first_choice(answer: object) -> Mapping[str, Any]:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


class _MessageTexts(NamedTuple):
    text: str
    reasoning: str


def _message_texts(message: Mapping[str, Any]) -> _MessageTexts:
    """Text and reasoning of a message, of a piece of one, or of a text completion."""
    text = message.get("content") or message.get("text")
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    return _MessageTexts(_valid_text(text), _valid_text(reasoning))


def _valid_text(value: object) -> str:
    return replace_surrogates(value) if isinstance(value, str) else ""


def _completion(text: str, reasoning: str, choice: Mapping[str, Any], usage: Mapping[str, Any]) -> Completion:
    finish = choice.get("finish_reason")
    is_end_of_turn = choice.get("stop_reason", "") is None  # vLLM names the text it stopped at, or null
    details = _object(usage, "completion_tokens_details")
    return Completion(
        text,
        reasoning,
        finish == "stop" and not is_end_of_turn,
        finish == "length",
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        reasoning_tokens=_count(details, "reasoning_tokens"),
    )


def _count(counts: Mapping[str, Any], name: str) -> int:
    """A count of tokens; 0 if the server does not give it."""
    value = counts.get(name)
    return value if isinstance(value, int) else 0


def _wire(message: Message) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    parts: list[dict[str, Any]] = []
    for part in content:
        if isinstance(part, Jpeg):
            parts.append({"type": "image_url", "image_url": {"url": _data_url(part)}})
        else:
            parts.append({"type": "text", "text": part})
    return {"role": message["role"], "content": parts}


def without_images(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The body of a chat completion with its texts alone; None if it holds no image."""
    messages = body.get("messages", [])
    if not any(isinstance(message["content"], list) for message in messages):
        return None
    texts = [
        message["content"]
        if isinstance(message["content"], str)
        else [part for part in message["content"] if part["type"] == "text"]
        for message in messages
    ]
    text_messages = [{"role": message["role"], "content": text} for message, text in zip(messages, texts, strict=True)]
    return {**body, "messages": text_messages}


def num_text_bytes(body: Mapping[str, Any]) -> int:
    """Bytes of a chat's texts: an upper bound of their tokens for any tokenizer."""
    contents = [message["content"] for message in body["messages"]]
    texts = [text if isinstance(text, str) else "".join(part.get("text", "") for part in text) for text in contents]
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


@lru_cache(maxsize=64)
def _data_url(image: Jpeg) -> str:
    """Cached while the image is in use."""
    return image.data_url
