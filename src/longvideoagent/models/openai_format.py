"""Messages as OpenAI's chat and text completions write them, and replies as servers write them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from longvideoagent.core.protocol import ACTION_ENDS
from longvideoagent.core.types import Jpeg, Message
from longvideoagent.errors import ModelError
from longvideoagent.models.base import CallSettings, TextCallback
from longvideoagent.models.chat_template import join_continuation

LONGEST_REPLY = 1_000_000
"""Characters; a server that sends more ignores max_tokens."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server said, in any of its forms."""

    text: str
    reasoning: str = ""
    is_stopped: bool = False
    """Whether it may have been stopped at a text that was asked for."""
    is_cut: bool = False
    """Whether max_tokens ended it."""
    is_complete: bool = True
    """False for a stream that ended without saying why."""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def length(self) -> int:
        """Characters in all."""
        return len(self.text) + len(self.reasoning)

    @property
    def is_endless(self) -> bool:
        """Whether the server ignores max_tokens."""
        return self.length > LONGEST_REPLY


def chat_body(name: str, messages: Sequence[Message], settings: CallSettings) -> dict[str, Any]:
    """The body of a chat completion. A last message of the assistant's is to be continued, in vLLM's
    words for it."""
    extra = dict(settings.extra_body)
    if messages[-1]["role"] == "assistant":
        extra |= {"continue_final_message": True, "add_generation_prompt": False}
    body: dict[str, Any] = {
        "model": name,
        "messages": [_wire(message) for message in messages],
        **_common(settings),
        **extra,
    }
    if settings.schema is not None:
        schema = {"name": "reply", "strict": True, "schema": dict(settings.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def completion_body(name: str, template: str, messages: Sequence[Message], settings: CallSettings) -> dict[str, Any]:
    """The body of a text completion: the user's text inside the template, then what the assistant has
    said. Raises ModelError for messages that are no one user's and one assistant's text."""
    texts = [content for message in messages if isinstance(content := message["content"], str)]
    if len(texts) < len(messages) or [message["role"] for message in messages] not in (["user"], ["user", "assistant"]):
        raise ModelError("completion_template takes one text of the user's; set style to continuation or accumulated")
    asked, continued = texts[0], "".join(texts[1:])
    head, _, tail = template.partition("$prompt")
    prompt = join_continuation(f"{head}{asked}{tail}", continued)
    return {"model": name, "prompt": prompt, **_common(settings), **settings.extra_body}


def _common(settings: CallSettings) -> dict[str, Any]:
    common: dict[str, Any] = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
    if settings.stop_at_action:
        common["stop"] = list(ACTION_ENDS)
    return common


def read_whole(answer: object) -> Completion:
    """A completion that came in one piece. Servers differ in what they leave out, so nothing is taken
    for granted; what cannot be read is empty."""
    choice = _first_choice(answer)
    text, reasoning = _words(_part(choice, "message") or choice)
    return _said(text, reasoning, choice, _part(answer, "usage"))


async def read_stream(chunks: AsyncIterable[object], on_text: TextCallback) -> Completion:
    """A completion that comes in pieces; ``on_text`` is told all of it after each."""
    text, reasoning = "", ""
    ended: Mapping[str, Any] = {}
    used: Mapping[str, Any] = {}
    async for chunk in chunks:
        choice = _first_choice(chunk)
        more_text, more_reasoning = _words(_part(choice, "delta") or choice)
        text, reasoning = text + more_text, reasoning + more_reasoning
        if more_text or more_reasoning:
            on_text(reasoning + text)
        if choice.get("finish_reason"):
            ended = choice
        used = _part(chunk, "usage") or used
        if len(text) + len(reasoning) > LONGEST_REPLY:
            break
    said = _said(text, reasoning, ended, used)
    return said if ended or used or said.is_endless else replace(said, is_complete=False)


def _part(told: object, name: str) -> Mapping[str, Any]:
    """The object of that name inside another; empty where there is none."""
    part = told.get(name) if isinstance(told, dict) else None
    return part if isinstance(part, dict) else {}


def _first_choice(answer: object) -> Mapping[str, Any]:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _words(message: Mapping[str, Any]) -> tuple[str, str]:
    """Text and reasoning of a message, of a piece of one, or of a text completion."""
    text = message.get("content") or message.get("text")
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    return _readable(text), _readable(reasoning)


def _readable(told: object) -> str:
    """JSON can hold halves of characters, which nothing can print or send on."""
    return told.encode("utf-8", "replace").decode() if isinstance(told, str) else ""


def _said(text: str, reasoning: str, choice: Mapping[str, Any], used: Mapping[str, Any]) -> Completion:
    finish = choice.get("finish_reason")
    is_end_of_turn = choice.get("stop_reason", "untold") is None  # vLLM tells the text it stopped at
    prompt_tokens, completion_tokens = (used.get(name) for name in ("prompt_tokens", "completion_tokens"))
    return Completion(
        text,
        reasoning,
        finish == "stop" and not is_end_of_turn,
        finish == "length",
        prompt_tokens=prompt_tokens if isinstance(prompt_tokens, int) else 0,
        completion_tokens=completion_tokens if isinstance(completion_tokens, int) else 0,
    )


def _wire(message: Message) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    parts: list[dict[str, Any]] = []
    for part in content:
        if isinstance(part, Jpeg):
            parts.append({"type": "image_url", "image_url": {"url": data_url(part)}})
        else:
            parts.append({"type": "text", "text": part})
    return {"role": message["role"], "content": parts}


def without_pictures(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The body of a chat completion with its texts alone; None where it holds no picture."""
    messages = body.get("messages", [])
    if not any(isinstance(message["content"], list) for message in messages):
        return None
    texts = [
        message["content"]
        if isinstance(message["content"], str)
        else [part for part in message["content"] if part["type"] == "text"]
        for message in messages
    ]
    kept = [{"role": message["role"], "content": text} for message, text in zip(messages, texts, strict=True)]
    return {**body, "messages": kept}


def text_bytes(body: Mapping[str, Any]) -> int:
    """Bytes of a chat's texts: no tokenizer makes more tokens of them."""
    contents = [message["content"] for message in body["messages"]]
    texts = [text if isinstance(text, str) else "".join(part.get("text", "") for part in text) for text in contents]
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


@lru_cache(maxsize=64)
def data_url(picture: Jpeg) -> str:
    """The picture as a data URL, built once for as long as it is in use."""
    return "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode("ascii")
