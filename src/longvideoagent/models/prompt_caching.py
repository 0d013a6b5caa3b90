"""Marks for servers that cache a prompt only up to marked blocks: Anthropic's messages, also through OpenRouter.

A later request reads the cached prompt from the longest marked prefix that it repeats byte for byte. Writing an entry
costs more than the tokens themselves, so only what is likely to be repeated is marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CACHE_MARK = {"cache_control": {"type": "ephemeral"}}
"""Kept for five minutes from the last request that read it."""
IMAGE_TYPES = ("image", "image_url")
"""Types of image blocks in Anthropic's messages and in OpenAI's chat."""


def with_cache_marks(chat: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The chat with at most two marks, its marked contents as lists of blocks.

    The first message is marked at the end of what other prompts share (``Message.shared_chars``), else behind its last
    image, else at its end; and the newest message at its end, which the next request of a growing conversation repeats.
    A prompt with a shared part does not grow.
    """
    marked = [{name: value for name, value in message.items() if name != "shared_chars"} for message in chat]
    shared_chars = chat[0].get("shared_chars", 0)
    marked[0]["content"] = _mark_first(as_blocks(marked[0]["content"]), shared_chars)
    newest = max(index for index, message in enumerate(chat) if message["role"] != "assistant" or index == 0)
    if newest > 0 and not shared_chars:
        marked[newest]["content"] = _mark(as_blocks(marked[newest]["content"]), -1)
    return marked


def without_cache_marks(value: Any) -> Any:
    """The same request without marks."""
    if isinstance(value, dict):
        return {name: without_cache_marks(each) for name, each in value.items() if name not in CACHE_MARK}
    return [without_cache_marks(each) for each in value] if isinstance(value, list) else value


def as_blocks(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A content as a list of blocks. Servers refuse blank texts, so a blank one has no block."""
    if not isinstance(content, str):
        return content
    return [{"type": "text", "text": content}] if content.strip() else []


def _mark_first(blocks: list[dict[str, Any]], shared_chars: int) -> list[dict[str, Any]]:
    images = [index for index, block in enumerate(blocks) if block["type"] in IMAGE_TYPES]
    if shared_chars and len(blocks) == 1 and not images:
        text = blocks[0]["text"]
        shared, rest = as_blocks(text[:shared_chars]), as_blocks(text[shared_chars:])
        return [*_mark(shared, -1), *rest] if shared else rest
    return _mark(blocks, images[-1] if images else -1)


def _mark(blocks: list[dict[str, Any]], index: int) -> list[dict[str, Any]]:
    """The blocks with a mark on one of them."""
    if not blocks:
        return blocks
    copies = list(blocks)
    copies[index] = {**blocks[index], **CACHE_MARK}
    return copies
