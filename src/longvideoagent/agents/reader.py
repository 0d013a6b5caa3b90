"""A master that only reads: it answers multiple choice by the probability that a model gives the letter of each option.

The offline master decides what to look at, as without a model. When it would answer, the model is shown the windows of
lines around the likeliest places and what was seen, and is asked once with the options in their order and once in
reverse. So a small model needs to know no action, and prefers no position. Whatever cannot be read so (an open
question, a model without log-probabilities) is answered by the same model as a master in the usual loop.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from string import ascii_uppercase

from longvideoagent.agents.base import Master
from longvideoagent.agents.evidence import MAX_DESCRIPTIONS, descriptions
from longvideoagent.agents.offline.master import decide, known_lines
from longvideoagent.agents.offline.windows import Window, locate_windows
from longvideoagent.agents.subsample import complete_within_context
from longvideoagent.core.actions import Answer, render_action
from longvideoagent.core.context import history_text
from longvideoagent.core.layout import fill
from longvideoagent.core.protocol import escape_tags, parse
from longvideoagent.core.scoring import match_option
from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Evidence, Message, Reply, TimelineResult, Usage, VisionResult
from longvideoagent.errors import ContinuationRefusedError, LogprobsMissingError, ModelError
from longvideoagent.index.terms import terms
from longvideoagent.models.base import DEFAULT_CALL_SETTINGS, CallSettings, Model, charge, failed_usage, with_charge
from longvideoagent.models.logprobs import LetterLogprobs, ScoredReply, letter_logprobs

READER_PROMPT = """These are parts of a video.

$parts

${history}Question: $question
$options

Which option is right? Reply "$start" and its letter, and nothing else."""
ANSWER_START = "The answer is"
"""How the reply begins, where the server lets a request begin it."""
MAX_REPLY_TOKENS = 8
"""The letter is the first token of a reply that the request began, and one of the next of any other."""
TOP_LOGPROBS = 20
"""Of each token; OpenAI and vLLM list no more."""
IN_LOOP = "the master answers in the usual loop"
NO_LOGPROBS = f"the reader's model gives no log-probabilities; {IN_LOOP}"
NO_LETTER = f"the reader's model gives no letter of an option among its likeliest tokens; {IN_LOOP}"
OPEN_QUESTION = f"the reader only chooses among options; {IN_LOOP}"
TOO_MANY_OPTIONS = f"the reader has letters for {len(ascii_uppercase)} options; {IN_LOOP}"


class _UnreadableError(ModelError):
    """Replies without what a reader needs; the message is the warning."""

    def __init__(self, message: str, calls: int = 0) -> None:
        super().__init__(message)
        self.calls = calls


@dataclass
class ReaderMaster:
    """Chooses an option by the log-probabilities of ``model``."""

    model: Model
    loop_master: Master
    """The same model as a master that replies with actions, for what cannot be read."""
    settings: CallSettings = DEFAULT_CALL_SETTINGS
    """Of the master; a reader takes its ``extra_body``."""
    _has_logprobs: bool = field(default=True, init=False)
    _begins_reply: bool = field(default=True, init=False)
    """Whether the server continues a reply that the request begins."""

    async def reply(self, trace: Trace) -> Reply:
        """Return what the offline master would do, with the model's choice in place of its answer. Raises ModelError
        without a reply."""
        if (obstacle := self._obstacle(trace)) is not None:
            return _with_warning(await self.loop_master.reply(trace), obstacle)
        offline = await asyncio.to_thread(decide, trace)
        action = parse(offline.text).action
        if not isinstance(action, Answer):
            return offline
        try:
            return await self._choose(trace, match_option(action.text, trace.question.options))
        except LogprobsMissingError as error:
            warning, spent = NO_LOGPROBS, failed_usage(error)
        except _UnreadableError as error:
            warning, spent = str(error), failed_usage(error) + Usage(calls=error.calls)
        self._has_logprobs &= warning != NO_LOGPROBS
        reply = await with_charge(self.loop_master.reply(trace), spent)
        return _with_warning(replace(reply, usage=reply.usage + spent), warning)

    def _obstacle(self, trace: Trace) -> str | None:
        """Why the question is not for a reader; None if it is."""
        if not trace.question.options:
            return OPEN_QUESTION
        if len(trace.question.options) > len(ascii_uppercase):
            return TOO_MANY_OPTIONS
        return None if self._has_logprobs else NO_LOGPROBS

    async def _choose(self, trace: Trace, offline_choice: int | None) -> Reply:
        """The answer. Of equally likely options it is that of the offline master, so that no position is preferred."""
        windows = await asyncio.to_thread(lambda: locate_windows(known_lines(trace), trace.question, trace.language))
        readings: list[LetterLogprobs] = []

        async def ask_in_both_orders(fraction: float) -> Reply:
            readings.clear()
            spent, order = Usage(), range(len(trace.question.options))
            warnings: tuple[str, ...] = ()
            for each in dict.fromkeys((tuple(order), tuple(reversed(order)))):
                reply = await with_charge(self._complete(reader_prompt(trace, windows, each, fraction)), spent)
                spent += reply.usage
                readings.append(_read(reply, each, spent))
                warnings += reply.warnings
            return Reply("", usage=spent, warnings=tuple(dict.fromkeys(warnings)))

        reply = await complete_within_context("reader", ask_in_both_orders)
        columns = zip(*map(_probabilities, readings), strict=True)
        probabilities = [math.fsum(column) / len(readings) for column in columns]
        chosen = max(range(len(probabilities)), key=lambda index: (probabilities[index], index == offline_choice))
        thought = _describe(trace, windows, readings, probabilities, chosen)
        text = f"<think>{escape_tags(thought)}</think>\n{render_action(Answer(f'a{chosen}'))}"
        evidence = _evidence(trace, windows, chosen)
        return replace(reply, text=text, confidence=probabilities[chosen], evidence=evidence)

    async def _complete(self, prompt: str) -> Reply:
        """The reply to a prompt, begun for the model if its server allows that. Raises ModelError without one."""
        chat = [Message(role="user", content=prompt)]
        settings = CallSettings(0.0, MAX_REPLY_TOKENS, extra_body=self.settings.extra_body, top_logprobs=TOP_LOGPROBS)
        if self._begins_reply:
            try:
                return await self.model.complete([*chat, Message(role="assistant", content=ANSWER_START)], settings)
            except ContinuationRefusedError:
                self._begins_reply = False
        return await self.model.complete(chat, settings)


def _read(reply: Reply, order: Sequence[int], spent: Usage) -> LetterLogprobs:
    """The log-probabilities of the options in their given order, from a reply that was asked for in ``order``. Raises
    _UnreadableError with what all replies so far have cost."""
    found = None
    if isinstance(reply, ScoredReply):
        found = letter_logprobs(reply.logprobs, ascii_uppercase[: len(order)])
    if found is None:
        problem = NO_LETTER if isinstance(reply, ScoredReply) else NO_LOGPROBS
        raise charge(_UnreadableError(problem, spent.calls), spent)
    places = [order.index(index) for index in range(len(order))]
    return LetterLogprobs(
        tuple(found.values[place] for place in places), tuple(found.is_bound[place] for place in places)
    )


def _probabilities(logprobs: LetterLogprobs) -> list[float]:
    """The probabilities of the options, summing to 1."""
    highest = max(logprobs.values)
    powers = [math.exp(value - highest) for value in logprobs.values]
    return [power / math.fsum(powers) for power in powers]


def _with_warning(reply: Reply, warning: str) -> Reply:
    return replace(reply, warnings=(*reply.warnings, warning))


def reader_prompt(trace: Trace, windows: Sequence[Window], order: Sequence[int], fraction: float = 1.0) -> str:
    """What the model reads.

    Args:
        trace: The question, and what was seen and found.
        windows: The windows of lines.
        order: The options by number, in the order in which they get their letters.
        fraction: The part of the lines of each part to show, 0 to 1.
    """
    parts = [
        _part(f"Lines from {_span(window)}", [_timed_line(line) for line in window.lines], fraction)
        for window in windows
    ]
    for round_ in trace.rounds:
        match round_.observation:
            case VisionResult(text=text, boxes=boxes):
                parts.append(_part("Seen in frames", [*text.splitlines(), *boxes.splitlines()], fraction))
            case TimelineResult(text=text):
                parts.append(_part("Found in all lines", text.splitlines(), fraction))
            case _:
                pass
    options = [
        f"{letter}. {escape_tags(trace.question.options[index])}"
        for letter, index in zip(ascii_uppercase, order, strict=False)
    ]
    return fill(
        READER_PROMPT,
        parts="\n\n".join(parts) or "(no line is known, and nothing was seen)",
        history=history_text(trace),
        question=escape_tags(trace.question.text),
        options="\n".join(options),
        start=ANSWER_START,
    )


def _part(head: str, lines: Sequence[str], fraction: float) -> str:
    """Lines under a head, evenly thinned; at least one of them stays."""
    count = max(1, round(len(lines) * fraction))
    kept = [lines[int((index + 0.5) * len(lines) / count)] for index in range(count)] if lines else []
    return "\n".join([f"{head}:", *map(escape_tags, kept)])


def _timed_line(line: Evidence) -> str:
    return f"{format_timestamp(line.start_s)} {line.text}"


def _span(window: Window) -> str:
    return f"{format_timestamp(window.lines[0].start_s)} to {format_timestamp(window.lines[-1].end_s)}"


def _describe(
    trace: Trace,
    windows: Sequence[Window],
    readings: Sequence[LetterLogprobs],
    probabilities: Sequence[float],
    chosen: int,
) -> str:
    """What was read, and how likely the letters were, for people."""
    spans = ", ".join(map(_span, windows)) or "no line"
    num_looks = sum(isinstance(each.observation, VisionResult) for each in trace.rounds)
    looks = f" and {num_looks} {plural('look', num_looks)}" if num_looks else ""
    names = ("in the given order", "in reverse")
    lists = [f"{name} {_list_logprobs(each)}" for name, each in zip(names, readings, strict=False)]
    shares = ", ".join(f"a{index} {value:.2f}" for index, value in enumerate(probabilities))
    option = trace.question.options[chosen]
    return (
        f"Read: {spans}{looks}. Log-probabilities of the letters: {'; '.join(lists)}. "
        f"Probabilities on average: {shares}. I answer a{chosen} “{option}”."
    )


def _list_logprobs(logprobs: LetterLogprobs) -> str:
    pairs = zip(logprobs.values, logprobs.is_bound, strict=True)
    return ", ".join(f"a{index} {'≤ ' * bound}{value:.2f}" for index, (value, bound) in enumerate(pairs))


def _evidence(trace: Trace, windows: Sequence[Window], chosen: int) -> tuple[Evidence, ...]:
    """The best line of each window, what a query of the timeline found, and the descriptions of frames that share
    a word with the question, the answer or what was looked for."""
    wanted = set(terms(f"{trace.question.text} {trace.question.options[chosen]}", trace.language))
    found = [*(window.best for window in windows), *list(descriptions(trace, wanted))[-MAX_DESCRIPTIONS:]]
    for observation in trace.observations:
        if isinstance(observation, TimelineResult):
            found += observation.evidence
    return tuple(sorted(dict.fromkeys(found), key=lambda each: (each.time_s, each.kind)))
