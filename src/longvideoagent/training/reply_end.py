"""Where a reply ends while it is being sampled, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from longvideoagent.protocol import holds_action, opened_thought

OPENED_TAIL = 16
"""Tokens at the end of a context in which a template can have opened a thought."""


class ReplyEnd:
    """Knows the end of the reply to a context: an end of turn (or another token that is no text), or the first action
    outside its reasoning. ``tokenizer`` is one of transformers'."""

    def __init__(self, tokenizer: Any, context: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids)
        self._opened = opened_thought(tokenizer.decode(context[-OPENED_TAIL:]))

    def is_at(self, ids: Sequence[int]) -> bool:
        """Whether the reply ends with the last of the tokens sampled so far, and with none before it."""
        if ids[-1] in self._special:
            return True
        if ">" not in self._tokenizer.decode([ids[-1]]):
            return False
        return holds_action(self._opened + self._tokenizer.decode(ids, skip_special_tokens=True))
