"""A rollout as the tokens that its master saw and sampled.

The driver asks ``context`` for the ids to continue, samples, and hands what came to ``add``; the reply that ``add``
returns goes to the rollout. What was sampled is never tokenised again: where the next context goes on from what stands
there, only what is new is tokenised, with mask 0. Where the style or the chat template rewrites what was seen (style
accumulated forgets replies, templates of thinking models drop earlier thoughts), another sequence begins, so that each
sequence is what the model really saw, and what a server would be sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from longvideoagent.agents.prompts import master_messages
from longvideoagent.core.context import Style
from longvideoagent.core.protocol import LOOK_TAGS, reasoning_prefix
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Reply, Usage
from longvideoagent.errors import ModelError
from longvideoagent.models.chat_template import render_prompt
from longvideoagent.training.truncate import cut_lines, lines_of

_PROBE = "\n\n<information>\nA red  sign. \n</information>\n"
FIRST = -1
"""The place of what the first grounding brought, before that of round 0."""


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """How the master's context is written; see ``context.messages``."""

    style: Style = Style.CONTINUATION
    prompt: str | None = None
    look_tag: str = LOOK_TAGS[1]


@dataclass(frozen=True, slots=True)
class Limits:
    """In tokens; the usual ones are the public code's (SYSTEM: training)."""

    prompt: int = 12_000
    response: int = 1_500
    """Replies and observations after the prompt, together."""
    reply: int = 1_024
    least_reply: int = 64
    """An observation leaves at least so much for the reply to it."""


@dataclass(slots=True)
class TokenSequence:
    """One stretch that the model read and continued; ``mask`` and ``logprobs`` are those of ``ids``."""

    prompt_ids: list[int]
    text: str
    """Prompt and all that follows it, decoded."""
    ids: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    """1 where a token was sampled, 0 where it was told."""
    logprobs: list[float] = field(default_factory=list)
    """Of the sampled tokens, as they were sampled; 0 elsewhere."""

    def extend(self, ids: Sequence[int], text: str, logprobs: Sequence[float] | None = None) -> None:
        """Tokens that were sampled, with their log-probabilities; told ones without."""
        self.ids += ids
        self.text += text
        self.mask += [int(logprobs is not None)] * len(ids)
        self.logprobs += logprobs if logprobs is not None else [0.0] * len(ids)

    def take_back(self, count: int, text: str) -> None:
        """Forget the last tokens; ``text`` is what is left without them."""
        kept = len(self.ids) - count
        del self.ids[kept:], self.mask[kept:], self.logprobs[kept:]
        self.text = text


class TokenRecord:
    """The token sequences of one rollout. ``tokenizer`` is one of transformers', with byte-level tokens. Raises
    ModelError for one that does not give a text back as it was."""

    def __init__(self, tokenizer: Any, wording: PromptFormat | None = None, limits: Limits | None = None) -> None:
        self.sequences: list[TokenSequence] = []
        self._tokenizer = tokenizer
        self._wording = wording or PromptFormat()
        self._limits = limits or Limits()
        self._kept: dict[int, int] = {}
        """How many lines are kept of an observation that was cut, by its round."""
        self._latest: list[int] = []
        """The tokens of the latest reply, while nothing has been told after it."""
        self._place = 0
        """The round that the latest reply began."""
        self._opened = ""
        self._special = set(tokenizer.all_special_ids)
        if self._decode(self._encode(_PROBE)) != _PROBE:
            raise ModelError(f"{tokenizer.name_or_path}: its tokens do not give a text back; take a byte-level one")

    @property
    def room(self) -> int:
        """Tokens that the next reply may have."""
        return min(self._limits.reply, self._limits.response - len(self.sequences[-1].ids))

    def context(self, trace: Trace) -> list[int] | None:
        """The ids that the master is to continue. What is new and does not fit is cut on a line, with a mark. None
        where nothing more fits: the rollout is to be ended. Raises ModelError for a tokenizer without a chat template.
        """
        wanted, limits = self._text(trace), self._limits
        rest = self._rest(wanted, trace)
        if rest is None:
            before, room = "", limits.prompt
        else:
            surplus, before = rest
            room = limits.response - limits.least_reply - len(self.sequences[-1].ids) + surplus
        told = self._fit(trace, wanted, before, room)
        if told is None:
            return None
        if rest is None:
            self.sequences.append(TokenSequence(*told))
        else:
            self.sequences[-1].take_back(surplus, before)
            self.sequences[-1].extend(*told)
        sequence, self._latest, self._place = self.sequences[-1], [], len(trace.rounds)
        self._opened = reasoning_prefix(sequence.text)
        return sequence.prompt_ids + sequence.ids

    def add(self, ids: Sequence[int], logprobs: Sequence[float]) -> Reply:
        """Take what was sampled, up to its end-of-turn token or any other that is no text. Returns it as the master's
        reply. Raises ValueError where the lengths differ."""
        if len(ids) != len(logprobs):
            raise ValueError(f"{len(ids)} tokens and {len(logprobs)} log-probabilities")
        end = next((place for place, number in enumerate(ids, 1) if number in self._special), len(ids))
        ids, logprobs = ids[:end], logprobs[:end]
        sequence = self.sequences[-1]
        usage = Usage(1, len(sequence.prompt_ids) + len(sequence.ids), len(ids))
        self._latest = list(ids)
        sequence.extend(self._latest, self._decode(ids), list(logprobs))
        return Reply(self._opened + self._tokenizer.decode(ids, skip_special_tokens=True), usage=usage)

    def _text(self, trace: Trace) -> str:
        wording = self._wording
        told = master_messages(self._cut(trace), wording.style, wording.prompt, wording.look_tag)
        return render_prompt(self._tokenizer, told)

    def _rest(self, wanted: str, trace: Trace) -> tuple[int, str] | None:
        """Where ``wanted`` goes on from the latest sequence: how many tokens it does not repeat of the latest reply's
        end, which is an end of turn or what came with the last mark of the action, and the text without them. None
        where another sequence has to begin."""
        if not self.sequences:
            return None
        latest = self._latest
        before = self.sequences[-1].text.removesuffix(self._decode(latest))
        kept = len(latest)
        while kept and not wanted.startswith(before + self._decode(latest[:kept])):
            kept -= 1
        own = len(trace.rounds[self._place].text) - len(self._opened)
        if not wanted.startswith(before) or (kept < len(latest) and len(self._decode(latest[: kept + 1])) <= own):
            return None
        return len(latest) - kept, before + self._decode(latest[:kept])

    def _fit(self, trace: Trace, wanted: str, before: str, room: int) -> tuple[list[int], str] | None:
        """What the ``wanted`` context has after ``before``, as tokens and text, with as many lines of its latest
        observation as fit; None where it does not fit without any."""
        told = wanted.removeprefix(before)
        ids = self._encode(told)
        if len(ids) <= room:
            return ids, told
        place = len(trace.rounds) - 1
        observation = trace.rounds[place].observation if place != FIRST else trace.first_grounding
        least, most = 0, len(lines_of(observation))
        fitting = None
        while least < most:
            self._kept[place] = (least + most) // 2
            told = self._text(trace).removeprefix(before)
            ids = self._encode(told)
            if len(ids) <= room:
                fitting, least = (self._kept[place], ids, told), self._kept[place] + 1
            else:
                most = self._kept[place]
        if fitting is None:
            return None
        self._kept[place] = fitting[0]
        return fitting[1:]

    def _cut(self, trace: Trace) -> Trace:
        """The trace with its observations as the model is told them."""
        for place, count in self._kept.items():
            if place == FIRST:
                trace = replace(trace, first_grounding=cut_lines(trace.first_grounding, count))
            else:
                said = replace(trace.rounds[place], observation=cut_lines(trace.rounds[place].observation, count))
                trace = replace(trace, rounds=(*trace.rounds[:place], said, *trace.rounds[place + 1 :]))
        return trace

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text
