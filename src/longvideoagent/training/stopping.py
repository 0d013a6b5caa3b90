"""Where a reply ends while it is being sampled, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from longvideoagent.core.protocol import has_action, reasoning_prefix

OPENED_TAIL = 16
"""Tokens at the end of a context in which a template can have opened a thought."""


class ReplyEnd:
    """Knows the end of the reply to a context: an end of turn (or another token that is no text), or the first action
    outside its reasoning. ``tokenizer`` is one of transformers'."""

    def __init__(self, tokenizer: Any, context: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids)
        self._opened = reasoning_prefix(tokenizer.decode(context[-OPENED_TAIL:]))

    def is_at(self, ids: Sequence[int]) -> bool:
        """Whether the reply ends with the last of the tokens sampled so far, and with none before it."""
        if ids[-1] in self._special:
            return True
        if ">" not in self._tokenizer.decode([ids[-1]]):
            return False
        return has_action(self._opened + self._tokenizer.decode(ids, skip_special_tokens=True))


class SampledReply:
    """A reply to a context while it is sampled, in whatever pieces it comes: up to its end, or to ``most`` tokens."""

    def __init__(self, tokenizer: Any, context: Sequence[int], most: int) -> None:
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.is_done = False
        self._tokenizer = tokenizer
        self._most = most
        self._end = ReplyEnd(tokenizer, context)

    @property
    def room(self) -> int:
        """Tokens that may still come."""
        return self._most - len(self.ids)

    def take(self, ids: Sequence[int], logprobs: Sequence[float]) -> None:
        """Add the tokens that were sampled next, as far as the reply goes. ``logprobs`` are none or theirs."""
        for place, number in enumerate(ids):
            self.ids.append(number)
            self.logprobs += logprobs[place : place + 1]
            if len(self.ids) == self._most or self._end.is_at(self.ids):
                self.is_done = True
                return

    def take_piece(self, ids: Sequence[int], logprobs: Sequence[float], stops: Sequence[str]) -> None:
        """The same with all that an engine gave when it was asked; it is asked on only where it stopped at one of the
        texts that it was told to stop at, inside a thought."""
        self.take(ids, logprobs)
        self.is_done = self.is_done or not ids or not self._is_stopped_at(stops)

    def _is_stopped_at(self, stops: Sequence[str]) -> bool:
        """Whether the last token ends one of the texts."""
        now, before = (self._tokenizer.decode(each) for each in (self.ids, self.ids[:-1]))
        return any(now.count(text) > before.count(text) for text in stops)
