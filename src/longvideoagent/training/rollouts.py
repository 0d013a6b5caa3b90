"""Rollouts of the master that is being trained, many at the same time, driven by ``run.finish`` like any other.

The tool calls of a batch run concurrently; the master's replies are sampled together as soon as every rollout that is
still running waits for one. So a seed gives the same rollouts, however fast the tools were.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from longvideoagent.agents.base import Team
from longvideoagent.agents.fixed_first_clip import FixedFirstClip
from longvideoagent.core.actions import ACTIONS, spec_of
from longvideoagent.core.context import Style
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.rollout import GroundingRequest, Rollout
from longvideoagent.core.scoring import score
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import GroundingResult, Question, Reply
from longvideoagent.errors import UsageError
from longvideoagent.media.video import Video
from longvideoagent.run import finish
from longvideoagent.training.tokens import PromptFormat, TokenLimits, TokenRecord, TokenSequence


class SampledTokens(NamedTuple):
    """A sampled reply."""

    ids: list[int]
    logprobs: list[float]
    """Log-probabilities at sampling time."""


SampleBatchFn = Callable[[Sequence[list[int]], Sequence[int]], Sequence[SampledTokens]]
"""``(contexts, max_tokens)`` -> a reply to each context, up to its first action or the end of its turn."""
SampleFn = Callable[[list[int], int], Awaitable[SampledTokens]]
"""The same for one context."""


@dataclass(frozen=True, slots=True)
class RolloutTask:
    """A question to roll out, with the clip that grounding found in advance. Holds no gold answer."""

    question: Question
    video: Video
    first_clip: str | None
    settings: RolloutSettings = field(default_factory=RolloutSettings)


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """A task with its gold option, which no agent sees."""

    task: RolloutTask
    gold_option: int
    video_id: str = ""
    kind: str = ""
    """The kind of question, for metrics by kind."""


@dataclass(frozen=True, slots=True)
class RolloutResult:
    """A finished rollout."""

    trace: Trace
    sequences: Sequence[TokenSequence]
    """Empty if the master was never called: an agent failed before, or the prompt did not fit the limits."""

    @property
    def is_failed(self) -> bool:
        """Whether an outage ended the rollout."""
        return self.trace.outcome is Outcome.FAILED

    @property
    def is_prompt_too_long(self) -> bool:
        """Whether the prompt did not fit, so that the rounds were spent without the master."""
        return not self.sequences and not self.is_failed

    @property
    def is_usable(self) -> bool:
        """Whether the rollout says anything about the master."""
        return not (self.is_failed or self.is_prompt_too_long)

    def is_correct(self, gold_option: int) -> bool:
        """Whether the answer names the gold option."""
        return score(self.trace, gold_option).correct

    def single_sequence(self, eos_token_id: int) -> TokenSequence:
        """The rollout as one sequence, for trainers that take one per rollout. If the master was never called: an
        empty reply to a prompt of ``eos_token_id``. Raises UsageError for several sequences."""
        if len(self.sequences) > 1:
            raise UsageError(
                f"style: its contexts are not a single sequence with this chat template; use style {Style.CONTINUATION}"
            )
        return self.sequences[0] if self.sequences else TokenSequence([eos_token_id], "")


@dataclass(frozen=True, slots=True)
class MasterFormat:
    """How the master reads and writes: its tokenizer, prompt format and token limits."""

    tokenizer: Any
    prompt_format: PromptFormat = field(default_factory=PromptFormat)
    limits: TokenLimits = field(default_factory=TokenLimits)

    def new_record(self) -> TokenRecord:
        """An empty token record for one rollout."""
        return TokenRecord(self.tokenizer, self.prompt_format, self.limits)


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """The master (``agents.base.Master``) of a training rollout: records the tokens it reads and samples."""

    record: TokenRecord
    sample: SampleFn

    async def reply(self, trace: Trace) -> Reply:
        """The next reply; empty if nothing more fits, so that the remaining rounds pass without an answer."""
        context = self.record.context(trace)
        if context is None:
            return Reply("")
        sampled = await self.sample(context, self.record.max_new_tokens)
        return self.record.add_reply(sampled.ids, sampled.logprobs)


class _PendingReply(NamedTuple):
    """A rollout that waits for its master's reply."""

    context: list[int]
    max_tokens: int
    reply: asyncio.Future[SampledTokens]


class _LockstepSampler:
    """Samples the replies of all rollouts in one batch, once each that is still running waits for one."""

    def __init__(self, sample_batch: SampleBatchFn, num_running: int) -> None:
        self._sample_batch = sample_batch
        self._num_running = num_running
        self._pending: dict[int, _PendingReply] = {}
        """By the rollout's index."""

    async def sample(self, index: int, context: list[int], max_tokens: int) -> SampledTokens:
        reply: asyncio.Future[SampledTokens] = asyncio.get_running_loop().create_future()
        self._pending[index] = _PendingReply(context, max_tokens, reply)
        self._sample_if_all_wait()
        return await reply

    def leave(self) -> None:
        """A rollout has ended."""
        self._num_running -= 1
        self._sample_if_all_wait()

    def _sample_if_all_wait(self) -> None:
        if not self._pending or len(self._pending) < self._num_running:
            return
        if any(pending.reply.done() for pending in self._pending.values()):
            return  # the batch is being cancelled
        batch = [self._pending[index] for index in sorted(self._pending)]  # not in the order of arrival
        self._pending = {}
        replies = self._sample_batch([pending.context for pending in batch], [pending.max_tokens for pending in batch])
        for pending, reply in zip(batch, replies, strict=True):
            pending.reply.set_result(reply)


async def run_rollout(task: RolloutTask, team: Team, sample: SampleFn, master_format: MasterFormat) -> RolloutResult:
    """Run one rollout with the team's grounding and vision, and a master that ``sample`` continues. An outage of an
    agent ends it as failed."""
    record = master_format.new_record()
    grounding = FixedFirstClip(task.first_clip, team.grounding)
    training_team = replace(team, master=TokenPolicy(record, sample), grounding=grounding)
    trace = await finish(task.question, task.video, training_team, task.settings)
    return RolloutResult(trace, record.sequences)


async def run_rollouts(
    tasks: Sequence[RolloutTask], team: Team, sample_batch: SampleBatchFn, master_format: MasterFormat
) -> list[RolloutResult]:
    """Run a rollout of every task at the same time; see ``run_rollout``. An outage ends its own rollout only."""
    lockstep = _LockstepSampler(sample_batch, len(tasks))

    async def run_one(index: int, task: RolloutTask) -> RolloutResult:
        try:
            return await run_rollout(task, team, partial(lockstep.sample, index), master_format)
        finally:
            lockstep.leave()

    return await asyncio.gather(*(run_one(index, task) for index, task in enumerate(tasks)))


def prompt_fits(task: RolloutTask, master_format: MasterFormat) -> bool:
    """Whether the first prompt of a task, with as few subtitle lines as possible, is within the limits. Raises
    ModelError for a tokenizer that does not reproduce text."""
    rollout = Rollout(task.question, task.video.timeline, task.settings)
    if isinstance(rollout.request, GroundingRequest):
        rollout.receive(GroundingResult(task.first_clip))
    return master_format.new_record().context(rollout.trace) is not None


# --- metrics -------------------------------------------------------------------------------------


def action_counts(trace: Trace) -> dict[str, int]:
    """The use of each agent (looks, relocations), and the rounds in which the master was called; a round without room
    for a reply does not count."""
    used = Counter(spec_of(round_.action) for round_ in trace.rounds)
    num_calls = sum(round_.reply.usage.calls for round_ in trace.rounds)
    return {"rounds": num_calls, **{spec.count_name: used[spec] for spec in ACTIONS if spec.agent is not None}}


def mean_rows(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each column; empty without rows."""
    return {name: sum(row[name] for row in rows) / len(rows) for name in (rows[0] if rows else ())}
