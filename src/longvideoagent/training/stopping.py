"""Where a sampled reply ends: at its first action, at the end of its turn, or at its token limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from longvideoagent.core.protocol import has_action, reasoning_prefix

TAIL_TOKENS = 16
"""Tokens at the end of a context in which a chat template can have opened a reasoning tag."""


class ReplyEndDetector:
    """Detects the end of the reply to a context: an end of turn (or another special token), or the first action that
    counts (``anywhere`` as in ``core.protocol.parse``). ``tokenizer`` is one of transformers."""

    def __init__(self, tokenizer: Any, context: Sequence[int], *, anywhere: bool = False) -> None:
        self._tokenizer = tokenizer
        self._anywhere = anywhere
        self._special_ids = frozenset(tokenizer.all_special_ids)
        self._reasoning_prefix = reasoning_prefix(tokenizer.decode(context[-TAIL_TOKENS:]))

    def is_end(self, ids: Sequence[int]) -> bool:
        """Whether the reply ends with the last of the tokens sampled so far."""
        if ids[-1] in self._special_ids:
            return True
        if ">" not in self._tokenizer.decode([ids[-1]]):  # every action ends with one; parsing each prefix is slow
            return False
        reply = self._reasoning_prefix + self._tokenizer.decode(ids, skip_special_tokens=True)
        return has_action(reply, anywhere=self._anywhere)


class ReplyBuffer:
    """A reply while it is sampled, in pieces of any length: up to its end, or to ``max_tokens``."""

    def __init__(self, tokenizer: Any, context: Sequence[int], max_tokens: int, *, anywhere: bool = False) -> None:
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.is_done = False
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._detector = ReplyEndDetector(tokenizer, context, anywhere=anywhere)

    @property
    def tokens_left(self) -> int:
        """Tokens that may still be sampled."""
        return self._max_tokens - len(self.ids)

    def add(self, ids: Sequence[int], logprobs: Sequence[float]) -> None:
        """Append sampled tokens up to the reply's end. ``logprobs`` is empty or as long as ``ids``."""
        for index, token in enumerate(ids):
            self.ids.append(token)
            self.logprobs += logprobs[index : index + 1]
            if len(self.ids) == self._max_tokens or self._detector.is_end(self.ids):
                self.is_done = True
                return

    def add_engine_output(self, ids: Sequence[int], logprobs: Sequence[float], stop_texts: Sequence[str]) -> None:
        """Append all that one call of an engine returned. The reply is done unless the engine stopped at one of its
        stop texts inside a thought; then it has to be called again."""
        self.add(ids, logprobs)
        self.is_done = self.is_done or not ids or not self._ends_with_any(stop_texts)

    def _ends_with_any(self, stop_texts: Sequence[str]) -> bool:
        """Whether the last token completed one of the texts."""
        now, before = (self._tokenizer.decode(ids) for ids in (self.ids, self.ids[:-1]))
        return any(now.count(text) > before.count(text) for text in stop_texts)
