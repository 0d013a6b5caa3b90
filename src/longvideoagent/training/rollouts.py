"""Rollouts whose master is being trained: driven by ``run.steps`` like any other, many side by side.

Everybody's tool calls run at the same time; the master's replies are sampled together once all rollouts that still
run wait for one. So a batch is the same however fast the tools were, and a seed gives the same rollouts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from longvideoagent.agents.base import Grounding, Team
from longvideoagent.core.actions import Look, Relocate
from longvideoagent.core.context import Style
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.rollout import GroundingRequest, Rollout
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import GroundingResult, Question, Reply
from longvideoagent.errors import UsageError
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.video import Video
from longvideoagent.run import steps
from longvideoagent.training.tokens import Limits, PromptFormat, TokenRecord, TokenSequence

Sampled = tuple[list[int], list[float]]
"""Tokens and their log-probabilities as they were sampled."""
Sample = Callable[[Sequence[list[int]], Sequence[int]], Sequence[Sampled]]
"""Continues each of the contexts by at most so many tokens, to the end of its first action or of its turn."""
Ask = Callable[[list[int], int], Awaitable[Sampled]]
"""The same for one context."""


@dataclass(frozen=True, slots=True)
class RolloutTask:
    """A question that is played, with the clip that grounding found beforehand."""

    question: Question
    episode: Video
    first_clip: str | None
    settings: RolloutSettings = field(default_factory=RolloutSettings)


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """A task with its right option, which nobody who plays it is told."""

    task: RolloutTask
    gold_option: int
    video: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class RolloutResult:
    """A rollout that has ended."""

    trace: Trace
    sequences: Sequence[TokenSequence]
    """Empty where the master was never asked: an agent was down before, or the prompt did not fit the limits."""

    @property
    def did_not_fit(self) -> bool:
        """Whether the prompt was longer than it may be, so that the rounds passed without the master."""
        return not self.sequences and self.trace.outcome is not Outcome.FAILED

    def only_sequence(self, end: int) -> TokenSequence:
        """The one sequence that it is, for engines that train on one for each rollout; where the master was never
        asked, nothing said to a prompt of ``end``. Raises UsageError for several."""
        if len(self.sequences) > 1:
            told = "the style's contexts are no single sequence with this chat template"
            raise UsageError(f"{told}; take style {Style.CONTINUATION}")
        return self.sequences[0] if self.sequences else TokenSequence([end], "")


@dataclass(frozen=True, slots=True)
class MasterFormat:
    """How the master reads and writes: its tokenizer, its wording, its limits."""

    tokenizer: Any
    wording: PromptFormat = field(default_factory=PromptFormat)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """A master (see ``agents.team.Master``) that records the tokens it reads and samples."""

    record: TokenRecord
    ask: Ask

    async def reply(self, trace: Trace) -> Reply:
        """The next utterance; empty where no further token fits, so that the rounds are spent without an answer."""
        context = self.record.context(trace)
        if context is None:
            return Reply("")
        ids, logprobs = await self.ask(context, self.record.room)
        return self.record.add(ids, logprobs)


@dataclass(frozen=True, slots=True)
class FixedFirstClip:
    """Grounding whose first clip is known already; what the master asks for later is asked of ``grounding``."""

    label: str | None
    grounding: Grounding

    async def locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:
        """See ``agents.team.Grounding``."""
        return await self.grounding.locate(request, video) if request.trace.rounds else GroundingResult(self.label)


class _Lockstep:
    """Samples for all rollouts at once, when each that still runs waits."""

    def __init__(self, sample: Sample, running: int) -> None:
        self._sample = sample
        self._running = running
        self._waiting: dict[int, tuple[list[int], int, asyncio.Future[Sampled]]] = {}

    async def ask(self, number: int, context: list[int], most: int) -> Sampled:
        answer: asyncio.Future[Sampled] = asyncio.get_running_loop().create_future()
        self._waiting[number] = context, most, answer
        self._step()
        return await answer

    def leave(self) -> None:
        self._running -= 1
        self._step()

    def _step(self) -> None:
        if not self._waiting or len(self._waiting) < self._running:
            return
        if any(answer.done() for _, _, answer in self._waiting.values()):
            return  # all are being stopped
        asked = [self._waiting[number] for number in sorted(self._waiting)]
        self._waiting = {}
        replies = self._sample([context for context, _, _ in asked], [most for _, most, _ in asked])
        for (_, _, answer), sampled in zip(asked, replies, strict=True):
            answer.set_result(sampled)


async def play_one(task: RolloutTask, team: Team, ask: Ask, tongue: MasterFormat) -> RolloutResult:
    """Play a task with the team's grounding and vision, and the master whose replies ``ask`` samples. An agent that is
    down ends it as failed."""
    record = TokenRecord(tongue.tokenizer, tongue.wording, tongue.limits)
    grounding = FixedFirstClip(task.first_clip, team.grounding)
    own = replace(team, master=TokenPolicy(record, ask), grounding=grounding)
    traces = [trace async for trace in steps(task.question, task.episode, own, task.settings)]
    return RolloutResult(traces[-1], record.sequences)


async def play(tasks: Sequence[RolloutTask], team: Team, sample: Sample, tongue: MasterFormat) -> list[RolloutResult]:
    """Play every task with the team's grounding and vision, and the master that ``sample`` continues. An agent that is
    down ends its own rollout alone, as failed."""
    lockstep = _Lockstep(sample, len(tasks))

    async def one(number: int, task: RolloutTask) -> RolloutResult:
        try:
            return await play_one(task, team, lambda context, most: lockstep.ask(number, context, most), tongue)
        finally:
            lockstep.leave()

    return await asyncio.gather(*(one(number, task) for number, task in enumerate(tasks)))


def prompt_fits(task: RolloutTask, tongue: MasterFormat) -> bool:
    """Whether the first prompt of a task, with as few lines as it can have, is within the limits. Raises ModelError
    for a tokenizer that does not give a text back."""
    rollout = Rollout(task.question, task.episode.timeline, task.settings)
    if isinstance(rollout.request, GroundingRequest):
        rollout.receive(GroundingResult(task.first_clip))
    return TokenRecord(tongue.tokenizer, tongue.wording, tongue.limits).context(rollout.trace) is not None


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each number that the rows have; of no rows, none."""
    return {name: sum(row[name] for row in rows) / len(rows) for name in (rows[0] if rows else ())}


def counts(trace: Trace) -> dict[str, int]:
    """Its looks, relocations, and rounds that the master was asked in: not those that passed for want of room."""
    actions = [type(said.action) for said in trace.rounds]
    asked = sum(said.reply.usage.calls for said in trace.rounds)
    return {"rounds": asked, "looks": actions.count(Look), "relocations": actions.count(Relocate)}
