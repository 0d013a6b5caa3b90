"""What a good team did, as token sequences to learn from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from longvideoagent.core.context import assistant_text
from longvideoagent.core.protocol import normalize_look_tag, reasoning_prefix
from longvideoagent.core.scoring import score
from longvideoagent.core.trace import Trace
from longvideoagent.errors import DataError
from longvideoagent.training.config import SftConfig
from longvideoagent.training.reward import reward
from longvideoagent.training.rollouts import MasterFormat
from longvideoagent.training.tokens import TokenRecord, TokenSequence
from longvideoagent.views.trace_dict import read_lines, read_trace

QUESTIONS, TRACES = "questions.jsonl", "traces.jsonl"
"""Of a folder of ``lva eval`` (docs/evaluation.md)."""


def read_good(config: SftConfig) -> list[Trace]:
    """The finished trajectories of the runs that end right, where only those are asked for, and earn enough. Raises
    DataError where a folder holds no run, or none of them is good enough."""
    good = []
    for run in config.runs:
        right, last = _read(run)
        for name, trace in last.items():
            gold = right.get(name)
            if gold is not None and _is_good(trace, gold, config):
                good.append(trace)
    if not good:
        told_runs = ", ".join(map(str, config.runs))
        least = config.least_reward
        wanted = [" ends right"] * config.only_right + [f" earns {least}"] * (least is not None)
        mend = "give better runs" if least is None else "lower least_reward or give better runs"
        raise DataError(f"{told_runs}: no trajectory{' and'.join(wanted) or ' has ended'}; {mend}")
    return good


def _is_good(trace: Trace, gold: int, config: SftConfig) -> bool:
    worth = reward(trace, gold, config.weights)
    if worth is None or (config.only_right and not score(trace, gold).correct):
        return False
    return config.least_reward is None or worth.total >= config.least_reward


def _read(run: Path) -> tuple[dict[str | None, int | None], dict[str | None, Trace]]:
    """The right options and the last traces by question."""
    mend = "give a folder of lva eval"
    try:
        right = {told["question"]["id"]: told["gold"]["option_index"] for told in read_lines(run / QUESTIONS, mend)}
    except (LookupError, TypeError) as error:
        raise DataError(f"{run / QUESTIONS}: no questions with gold ({error}); {mend}") from error
    last: dict[str | None, Trace] = {}
    for number, told in enumerate(read_lines(run / TRACES, mend), 1):
        try:
            trace = read_trace(told)
        except ValueError as error:
            raise DataError(
                f"{run / TRACES}:{number}: no trace ({error}); was it written by another version?"
            ) from error
        last[trace.question.id] = trace
    return right, last


def sequences_of(trace: Trace, tongue: MasterFormat) -> list[TokenSequence]:
    """The tokens that a master with this tongue would have read and sampled, had it said what the trace's did. Each
    reply ends its turn where the context goes on so. Empty where they do not fit the limits."""
    record = TokenRecord(tongue.tokenizer, tongue.wording, tongue.limits)
    end = tongue.tokenizer.eos_token_id
    rounds = [replace(said, text=normalize_look_tag(said.text, tongue.wording.look_tag)) for said in trace.rounds]
    without_reasoning = replace(trace, rounds=tuple(rounds))
    for number, said in enumerate(rounds):
        must_answer = trace.must_answer and number + 1 == len(rounds)
        before = replace(
            without_reasoning, rounds=without_reasoning.rounds[:number], must_answer=must_answer, outcome=None
        )
        if record.context(before) is None:
            return []
        opened = reasoning_prefix(record.sequences[-1].text)
        ids = tongue.tokenizer(assistant_text(said).removeprefix(opened), add_special_tokens=False)
        if len(ids["input_ids"]) >= record.room:
            return []
        record.add([*ids["input_ids"], end], [0.0] * (len(ids["input_ids"]) + 1))
    return record.sequences
