"""Replies of models, cached by the content of their requests.

The key of a reply is a digest of everything that decides it: model, messages with their images, settings. Failures
and empty replies are never stored, because only a model's own replies are.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from longvideoagent.core.protocol import ACTION_ENDS
from longvideoagent.core.types import Jpeg, Message, Reply
from longvideoagent.index.store import KeyValueCache
from longvideoagent.log import logger
from longvideoagent.models.base import DEFAULT_CALL_SETTINGS, SAMPLING_FIELDS, CallSettings, Model, TextCallback
from longvideoagent.models.logprobs import ScoredReply, TokenLogprobs, with_logprobs

KEY_VERSION = 2
"""Part of every key of a reply; raise it when a stored reply would be read differently."""


@dataclass(frozen=True)
class CachedModel:
    """A model whose replies are looked up in a cache before it is called. ``identity`` names the model and its server
    in the key. A cache that cannot be used costs calls and nothing else. Its file is read and written in threads."""

    model: Model
    cache: KeyValueCache
    identity: str

    async def complete(
        self,
        messages: Sequence[Message],
        settings: CallSettings = DEFAULT_CALL_SETTINGS,
        on_text: TextCallback | None = None,
    ) -> Reply:
        """The stored reply, else the model's own, which is then stored."""
        key, reply = await asyncio.to_thread(self._look_up, messages, settings)
        if reply is not None:
            if on_text is not None:
                on_text(reply.reasoning + reply.text)
            return reply
        reply = await self.model.complete(messages, settings, on_text)
        fields: dict[str, Any] = {
            "text": reply.text,
            "reasoning": reply.reasoning,
            "is_truncated": reply.is_truncated,
        }
        if reply.warnings:
            fields["warnings"] = reply.warnings
        if isinstance(reply, ScoredReply):
            fields["logprobs"] = reply.logprobs
        self.cache.try_put(key, json.dumps(fields, ensure_ascii=True))  # not awaited: the reply is paid for
        return reply

    def _look_up(self, messages: Sequence[Message], settings: CallSettings) -> tuple[bytes, Reply | None]:
        """The key of a request, which takes long for images, and the stored reply or None."""
        key = reply_key(self.identity, messages, settings)
        stored = self.cache.try_get(key)
        return key, None if stored is None else _parse_reply(stored)

    async def close(self) -> None:
        """Close the model and the cache's file."""
        await self.model.close()
        await asyncio.to_thread(self.cache.close)


def _parse_reply(stored: str) -> Reply | None:
    """A stored reply, at no cost; None if the row is damaged and must be replaced."""
    try:
        fields = json.loads(stored)
        is_truncated = fields.get("is_truncated") is True  # rows of older versions lack it
        warnings = tuple(str(warning) for warning in fields.get("warnings", ()))
        reply = Reply(str(fields["text"]), str(fields["reasoning"]), warnings=warnings, is_truncated=is_truncated)
        return with_logprobs(reply, _parse_logprobs(fields.get("logprobs", ())))
    except (ValueError, TypeError, KeyError):
        logger.info("a damaged reply in the cache is replaced")
        return None


def _parse_logprobs(rows: Any) -> tuple[TokenLogprobs, ...]:
    """Stored log-probabilities. Raises ValueError or TypeError for a damaged row."""
    return tuple(
        TokenLogprobs(str(token), tuple((str(each), float(logprob)) for each, logprob in likeliest))
        for token, likeliest in rows
    )


def reply_key(identity: str, messages: Sequence[Message], settings: CallSettings) -> bytes:
    """A digest of everything that decides a reply. Images count by their bytes."""
    settings_fields = asdict(settings)
    del settings_fields["actions_anywhere"]  # how a reply is read; no server gets it
    settings_fields["schema"] = settings_fields.pop("json_schema")  # its earlier name: stored keys hold it
    for name in ("tools", "top_logprobs"):
        if not settings_fields[name]:
            del settings_fields[name]
    if not settings.stop_at_action or settings.stop_texts == ACTION_ENDS:
        del settings_fields["stop_texts"]  # not sent, or those that were sent before there was a choice
    for name in SAMPLING_FIELDS:  # keys that were stored before these fields existed stay valid
        if settings_fields[name] is None:
            del settings_fields[name]
    fields: dict[str, Any] = {
        "format": KEY_VERSION,
        "model": identity,
        "messages": [[message["role"], _digestible(message["content"])] for message in messages],
        "settings": settings_fields,
    }
    return hashlib.sha256(
        json.dumps(fields, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
    ).digest()


def _digestible(content: str | tuple[str | Jpeg, ...]) -> Any:
    if isinstance(content, str):
        return content
    return [{"jpeg": hashlib.sha256(part.jpeg).hexdigest()} if isinstance(part, Jpeg) else part for part in content]
