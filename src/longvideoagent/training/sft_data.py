"""What a good team did, as token sequences to learn from."""

from __future__ import annotations

from dataclasses import replace

from longvideoagent.core.context import assistant_text
from longvideoagent.core.protocol import normalize_look_tag, reasoning_prefix
from longvideoagent.core.scoring import score
from longvideoagent.core.trace import Trace
from longvideoagent.errors import DataError
from longvideoagent.training.config import SftConfig
from longvideoagent.training.reward import reward
from longvideoagent.training.rollouts import MasterFormat
from longvideoagent.training.tokens import TokenRecord, TokenSequence
from longvideoagent.views.run_folder import read_trajectories


def read_good(config: SftConfig) -> list[Trace]:
    """The finished trajectories of the runs that end right, where only those are asked for, and earn enough. Raises
    DataError where a folder holds no run, or none of them is good enough."""
    good = []
    for run in config.runs:
        good += [
            each.trace
            for each in read_trajectories(run)
            if each.gold_option is not None and _is_good(each.trace, each.gold_option, config)
        ]
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
            without_reasoning, rounds=without_reasoning.rounds[:number], must_answer=must_answer, stop_reason=None
        )
        if record.context(before) is None:
            return []
        opened = reasoning_prefix(record.sequences[-1].text)
        ids = tongue.tokenizer(assistant_text(said).removeprefix(opened), add_special_tokens=False)
        if len(ids["input_ids"]) >= record.room:
            return []
        record.add([*ids["input_ids"], end], [0.0] * (len(ids["input_ids"]) + 1))
    return record.sequences
