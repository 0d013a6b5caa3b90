"""Replies in Anthropic's messages API, whole or streamed."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from longvideoagent.core.text import replace_surrogates
from longvideoagent.models.openai_errors import MAX_DETAIL_CHARS, read_error
from longvideoagent.models.openai_reply import (
    CUT_REASONS,
    FILTER_WORDS,
    MAX_REPLY_CHARS,
    Completion,
    GrowthCallback,
    read_completion,
)
from longvideoagent.models.openai_tools import ToolCall

PAUSE = "pause_turn"
"""The stop reason of a turn that tools of the server have interrupted; this package offers none of them."""


def read_message(answer: object) -> Completion:
    """A reply that came in one piece; a field that cannot be read is empty."""
    if not isinstance(answer, dict):
        return read_completion(answer)  # a web page, or nothing that any API sends
    if answer.get("type") == "error" or "content" not in answer:
        return Completion("", has_choices=False, error=read_error(answer))
    parts = _MessageParts()
    parts.add_message(answer)
    for index, block in enumerate(_list(answer, "content")):
        parts.start_block(index, block)
    return parts.completion()


async def read_message_stream(events: AsyncIterable[object], on_growth: GrowthCallback) -> Completion:
    """A reply that comes as events; ``on_growth`` gets the completion so far after each piece. Events of other kinds,
    such as pings, are passed over, as the API reference asks."""
    parts = _MessageParts()
    async for event in events:
        if isinstance(event, dict) and parts.add_event(event):
            on_growth(parts.completion())
        if parts.num_chars > MAX_REPLY_CHARS:
            break
    return parts.completion()


@dataclass
class _Block:
    """A block of a reply, or what has come of it."""

    kind: str
    text: str = ""
    name: str = ""

    @property
    def call(self) -> ToolCall:
        return ToolCall(self.name, self.text)


@dataclass
class _MessageParts:
    """What has come of a reply."""

    blocks: dict[int, _Block] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    stop_reason: str = ""
    stop_text: str = ""
    refusal: str = ""
    num_chars: int = 0

    def add_message(self, message: Mapping[str, Any]) -> None:
        """The fields of a message besides its content, whole or changed by an event."""
        self.stop_reason = str(message.get("stop_reason") or self.stop_reason)
        self.stop_text = str(message.get("stop_sequence") or self.stop_text)
        details = _object(message, "stop_details")
        self.refusal = str(details.get("explanation") or details.get("category") or self.refusal)
        self.add_usage(_object(message, "usage"))

    def add_usage(self, usage: Mapping[str, Any]) -> None:
        """Counts of tokens, each of which replaces an earlier one."""
        self.usage |= {name: value for name, value in usage.items() if value is not None}

    def add_event(self, event: Mapping[str, Any]) -> bool:
        """Whether the event adds to the text, the thoughts or a call."""
        index = event.get("index")
        match event.get("type"):
            case "message_start":
                self.add_message(_object(event, "message"))
            case "message_delta":
                self.add_message(_object(event, "delta"))
                self.add_usage(_object(event, "usage"))
            case "content_block_start" if isinstance(index, int):
                return self.start_block(index, event.get("content_block"))
            case "content_block_delta" if isinstance(index, int) and index in self.blocks:
                delta = _object(event, "delta")
                piece = next((delta[name] for name in ("text", "thinking", "partial_json") if name in delta), "")
                return self._grow(self.blocks[index], str(piece))
        return False

    def start_block(self, index: int, value: object) -> bool:
        """Add a block that begins, or is whole; whether it holds something."""
        block = value if isinstance(value, dict) else {}
        kind = str(block.get("type"))
        self.blocks[index] = _Block(kind, name=replace_surrogates(str(block.get("name") or "")))
        arguments = block.get("input")
        text = (to_json(arguments).decode() if arguments else "") if kind == "tool_use" else block.get(kind)
        return self._grow(self.blocks[index], str(text or "")) or kind == "tool_use"

    def _grow(self, block: _Block, piece: str) -> bool:
        block.text += replace_surrogates(piece)
        self.num_chars += len(piece)
        return bool(piece)

    def completion(self) -> Completion:
        """What has come, as a completion. It is complete once it has a stop reason."""
        read, written = (self._count(f"cache_{name}_input_tokens") for name in ("read", "creation"))
        thinking = _object(self.usage, "output_tokens_details").get("thinking_tokens")
        return Completion(
            self._text("text"),
            self._text("thinking"),
            self.stop_reason == "stop_sequence",
            self.stop_reason in CUT_REASONS,
            is_complete=self.stop_reason not in ("", PAUSE) or self.num_chars > MAX_REPLY_CHARS,
            prompt_tokens=self._count("input_tokens") + read + written,
            completion_tokens=self._count("output_tokens"),
            reasoning_tokens=thinking if isinstance(thinking, int) else 0,
            cache_read_tokens=read,
            cache_write_tokens=written,
            is_filtered=self.stop_reason in FILTER_WORDS,
            refusal=" ".join(self.refusal.split())[:MAX_DETAIL_CHARS],
            stop_text=self.stop_text,
            calls=tuple(block.call for block in self.blocks.values() if block.kind == "tool_use"),
        )

    def _text(self, kind: str) -> str:
        return "".join(block.text for block in self.blocks.values() if block.kind == kind)

    def _count(self, name: str) -> int:
        value = self.usage.get(name)
        return value if isinstance(value, int) else 0


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    child = parent.get(name)
    return child if isinstance(child, dict) else {}


def _list(parent: Mapping[str, Any], name: str) -> list[Any]:
    child = parent.get(name)
    return child if isinstance(child, list) else []
