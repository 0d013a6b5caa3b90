"""A rollout as tokens: what the master read and what it sampled.

The driver asks ``TokenRecord.context`` for the ids to continue, samples, and passes the result to ``add_reply``, whose
``Reply`` goes to the rollout. Sampled tokens are never tokenized again: where the next context continues the previous
one, only its new text is tokenized, with mask 0. Where style or chat template rewrite earlier text (style accumulated
drops replies, templates of thinking models drop earlier thoughts), a new sequence begins. So each sequence is what the
model really read, and what a server would be sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar, assert_never

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from longvideoagent.agents.prompts import master_messages
from longvideoagent.core.actions import PUBLIC_CODE_LOOK_TAG
from longvideoagent.core.context import Style
from longvideoagent.core.layout import PromptLayout
from longvideoagent.core.protocol import reasoning_prefix
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import (
    Clip,
    ClipObservation,
    Observation,
    Reply,
    Subtitle,
    SystemNotice,
    TimelineResult,
    Usage,
    VisionResult,
)
from longvideoagent.errors import ModelError
from longvideoagent.models.base import Count
from longvideoagent.models.chat_template import render_prompt

ObservationT = TypeVar("ObservationT", bound=Observation | None)

FIRST_GROUNDING = -1
"""The key of the first grounding among observations, which are otherwise keyed by their round (0, 1, …)."""
_PROBE = "\n\n<information>\nA red  sign. \n</information>\n"
"""Text that a tokenizer must reproduce: double spaces, spaces at a line's end, newlines around tags."""


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """How the master's context is written and its replies are read; see ``core.context.messages``."""

    style: Style = Style.CONTINUATION
    layout: PromptLayout | None = None
    """The wording; None: the default layout."""
    look_tag: str = PUBLIC_CODE_LOOK_TAG
    actions_anywhere: bool = False
    """See ``core.types.Reply``."""


class TokenLimits(BaseModel):
    """Limits of one rollout, in tokens. Defaults are those of the public code."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    max_prompt_tokens: Count = 12_000
    max_response_tokens: Count = 1_500
    """Replies and observations after the prompt, together."""
    max_reply_tokens: Count = 1_024
    min_reply_tokens: Count = 64
    """An observation is truncated so that at least this many remain for the reply to it."""

    @field_validator("min_reply_tokens")
    @classmethod
    def _check_room(cls, min_reply: int, info: ValidationInfo) -> int:
        for name in ("max_response_tokens", "max_reply_tokens"):
            if min_reply > info.data.get(name, min_reply):
                raise PydanticCustomError("no_room", f"{min_reply} is more than limits.{name} {info.data[name]}")
        return min_reply


@dataclass(slots=True)
class TokenSequence:
    """A prompt and its continuation; ``mask`` and ``logprobs`` are as long as ``ids``."""

    prompt_ids: list[int]
    text: str
    """Prompt and continuation, decoded."""
    ids: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    """Was the token sampled (1), or is it context that was inserted, such as an observation (0)?"""
    logprobs: list[float] = field(default_factory=list)
    """Log-probabilities at sampling time; 0 where the mask is 0."""

    def add_sampled(self, ids: Sequence[int], text: str, logprobs: Sequence[float]) -> None:
        """Append sampled tokens."""
        self._append(ids, text, 1, logprobs)

    def add_context(self, ids: Sequence[int], text: str) -> None:
        """Append tokens that were not sampled."""
        self._append(ids, text, 0, [0.0] * len(ids))

    def _append(self, ids: Sequence[int], text: str, mask: int, logprobs: Sequence[float]) -> None:
        self.ids += ids
        self.text += text
        self.mask += [mask] * len(ids)
        self.logprobs += logprobs

    def drop_last(self, count: int, text: str) -> None:
        """Remove the last ``count`` tokens; ``text`` is the decoded rest."""
        length = len(self.ids) - count
        del self.ids[length:], self.mask[length:], self.logprobs[length:]
        self.text = text


class _Continuation(NamedTuple):
    """How a context continues the current sequence."""

    num_surplus: int
    """Tokens at the end of the latest reply that the context does not repeat: an end of turn, or text after the
    action's last ``>`` that came in the same token."""
    prefix: str
    """The sequence's text without these tokens, which the context starts with."""


class _NewText(NamedTuple):
    """The part of a context that is not in the current sequence."""

    ids: list[int]
    text: str


class TokenRecord:
    """The token sequences of one rollout. ``tokenizer`` is a byte-level one of transformers. Raises ModelError for a
    tokenizer that does not reproduce text exactly."""

    def __init__(
        self, tokenizer: Any, prompt_format: PromptFormat | None = None, limits: TokenLimits | None = None
    ) -> None:
        self.sequences: list[TokenSequence] = []
        self._tokenizer = tokenizer
        self._format = prompt_format or PromptFormat()
        self._limits = limits or TokenLimits()
        self._num_lines: dict[int, int] = {}
        """Lines kept of each truncated observation, by its round."""
        self._reply_ids: list[int] = []
        """Tokens of the latest reply, as long as no context follows it."""
        self._reply_round = 0
        """The round of the latest reply."""
        self._reasoning_prefix = ""
        """The reasoning tag that the chat template wrote before the latest reply."""
        self._special_ids = set(tokenizer.all_special_ids)
        if self._decode(self._encode(_PROBE)) != _PROBE:
            raise ModelError(f"{tokenizer.name_or_path}: its tokens do not reproduce text; use a byte-level tokenizer")

    @property
    def max_new_tokens(self) -> int:
        """The longest reply that fits now."""
        return min(self._limits.max_reply_tokens, self._limits.max_response_tokens - len(self.sequences[-1].ids))

    def context(self, trace: Trace) -> list[int] | None:
        """The ids that the master continues, or None if nothing more fits, so that the rollout must end. A new
        observation that does not fit is truncated at a line, with a mark. Raises ModelError for a tokenizer without a
        chat template."""
        wanted, limits = self._render(trace), self._limits
        continuation = self._continue_sequence(wanted, trace)
        if continuation is None:
            new = self._fit(trace, wanted, "", limits.max_prompt_tokens)
            if new is None:
                return None
            self.sequences.append(TokenSequence(new.ids, new.text))
        else:
            num_kept = len(self.sequences[-1].ids) - continuation.num_surplus
            max_tokens = limits.max_response_tokens - limits.min_reply_tokens - num_kept
            new = self._fit(trace, wanted, continuation.prefix, max_tokens)
            if new is None:
                return None
            self.sequences[-1].drop_last(continuation.num_surplus, continuation.prefix)
            self.sequences[-1].add_context(new.ids, new.text)
        sequence, self._reply_ids, self._reply_round = self.sequences[-1], [], len(trace.rounds)
        self._reasoning_prefix = reasoning_prefix(sequence.text)
        return sequence.prompt_ids + sequence.ids

    def add_reply(self, ids: Sequence[int], logprobs: Sequence[float]) -> Reply:
        """Append a sampled reply, up to and including its first special token (an end of turn). Returns the master's
        reply. Raises ValueError for lengths that differ."""
        if len(ids) != len(logprobs):
            raise ValueError(f"{len(ids)} tokens and {len(logprobs)} log-probabilities")
        length = next((index for index, token in enumerate(ids, 1) if token in self._special_ids), len(ids))
        ids, logprobs = ids[:length], logprobs[:length]
        sequence = self.sequences[-1]
        usage = Usage(1, len(sequence.prompt_ids) + len(sequence.ids), len(ids))
        self._reply_ids = list(ids)
        sequence.add_sampled(ids, self._decode(ids), logprobs)
        text = self._reasoning_prefix + self._tokenizer.decode(ids, skip_special_tokens=True)
        ended_turn = bool(ids) and ids[-1] in self._special_ids
        return Reply(text, usage=usage, is_truncated=not ended_turn, actions_anywhere=self._format.actions_anywhere)

    def _render(self, trace: Trace) -> str:
        """The whole context as text, with truncated observations."""
        prompt_format = self._format
        chat = master_messages(self._truncate(trace), prompt_format.style, prompt_format.layout, prompt_format.look_tag)
        template = "$prompt" if prompt_format.style is Style.RAW else None
        return render_prompt(self._tokenizer, chat, template)

    def _continue_sequence(self, wanted: str, trace: Trace) -> _Continuation | None:
        """How the context ``wanted`` continues the current sequence, or None if a new sequence has to begin."""
        if not self.sequences:
            return None
        reply = self._reply_ids
        before = self.sequences[-1].text.removesuffix(self._decode(reply))
        num_kept = len(reply)
        while num_kept and not wanted.startswith(before + self._decode(reply[:num_kept])):
            num_kept -= 1
        # The surplus may only hold what follows the action: the first token left out must reach beyond it.
        action_length = len(trace.rounds[self._reply_round].context_text) - len(self._reasoning_prefix)
        drops_action = num_kept < len(reply) and len(self._decode(reply[: num_kept + 1])) <= action_length
        if drops_action or not wanted.startswith(before):
            return None
        return _Continuation(len(reply) - num_kept, before + self._decode(reply[:num_kept]))

    def _fit(self, trace: Trace, wanted: str, prefix: str, max_tokens: int) -> _NewText | None:
        """The text of ``wanted`` after ``prefix``, with as many lines of the latest observation as fit into
        ``max_tokens``; None if it does not fit even without any."""
        new = self._tokenize_rest(wanted, prefix)
        if len(new.ids) <= max_tokens:
            return new
        key = len(trace.rounds) - 1
        observation = trace.first_grounding if key == FIRST_GROUNDING else trace.rounds[key].observation
        best: _NewText | None = None
        best_lines, low, high = 0, 0, len(observation_lines(observation))
        while low < high:  # the largest number of lines that fits
            self._num_lines[key] = (low + high) // 2
            new = self._tokenize_rest(self._render(trace), prefix)
            if len(new.ids) <= max_tokens:
                best, best_lines, low = new, self._num_lines[key], self._num_lines[key] + 1
            else:
                high = self._num_lines[key]
        if best is not None:
            self._num_lines[key] = best_lines
        return best

    def _tokenize_rest(self, wanted: str, prefix: str) -> _NewText:
        rest = wanted.removeprefix(prefix)
        return _NewText(self._encode(rest), rest)

    def _truncate(self, trace: Trace) -> Trace:
        """The trace with its observations as the model reads them."""
        for key, count in self._num_lines.items():
            if key == FIRST_GROUNDING:
                trace = replace(trace, first_grounding=truncate_observation(trace.first_grounding, count))
            else:
                round_ = trace.rounds[key]
                round_ = replace(round_, observation=truncate_observation(round_.observation, count))
                trace = replace(trace, rounds=(*trace.rounds[:key], round_, *trace.rounds[key + 1 :]))
        return trace

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text


# --- truncated observations ------------------------------------------------------------------------


def observation_lines(observation: Observation | None) -> Sequence[str]:
    """The lines that truncation can remove: subtitles of a clip, or lines of a text."""
    match observation:
        case ClipObservation():
            return [line.text for clip in observation.window for line in clip.subtitles]
        case VisionResult() | TimelineResult() | SystemNotice():
            return observation.text.splitlines()
        case None:
            return []
        case _:
            assert_never(observation)


def truncate_observation(observation: ObservationT, count: int) -> ObservationT:
    """The observation with its first ``count`` lines, followed by a mark if any are left out."""
    num_left_out = len(observation_lines(observation)) - count
    if num_left_out <= 0:
        return observation
    mark = f"[{num_left_out} more lines left out]"
    match observation:
        case ClipObservation():
            return replace(observation, window=tuple(_truncate_clips(observation.window, count, mark)))
        case VisionResult() | TimelineResult() | SystemNotice():
            return replace(observation, text="\n".join([*observation.text.splitlines()[:count], mark]))
        case None:
            return observation
        case _:
            assert_never(observation)


def _truncate_clips(clips: Sequence[Clip], count: int, mark: str) -> list[Clip]:
    """The clips with ``count`` subtitles in all; the mark takes the place of the first subtitle left out."""
    truncated: list[Clip] = []
    num_left, is_marked = count, False
    for clip in clips:
        kept, rest = clip.subtitles[:num_left], clip.subtitles[num_left:]
        num_left -= len(kept)
        if rest and not is_marked:
            kept, is_marked = (*kept, Subtitle(rest[0].start_s, rest[0].end_s, mark)), True
        truncated.append(replace(clip, subtitles=kept, raw_text="") if rest else clip)
    return truncated
