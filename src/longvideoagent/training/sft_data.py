"""The data of supervised fine-tuning: trajectories of a good team as token sequences."""

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
from longvideoagent.training.tokens import TokenSequence
from longvideoagent.views.run_folder import ScoredTrace, read_scored_traces


def select_traces(config: SftConfig) -> list[Trace]:
    """The traces of the runs that have a correct answer, if ``only_correct``, and at least ``min_reward``. Raises
    DataError for a folder without a run, or if no trace remains."""
    traces = [
        scored_trace.trace
        for run in config.runs
        for scored_trace in read_scored_traces(run)
        if _is_selected(scored_trace, config)
    ]
    if not traces:
        runs = ", ".join(map(str, config.runs))
        conditions = ["a correct answer"] if config.only_correct else []
        if config.min_reward is not None:
            conditions.append(f"a reward of {config.min_reward}")
        problem = f"no trajectory with {' and '.join(conditions)}" if conditions else "no finished trajectory"
        fix = "give better runs" if config.min_reward is None else "lower min_reward or give better runs"
        raise DataError(f"{runs}: {problem}; {fix}")
    return traces


def _is_selected(scored_trace: ScoredTrace, config: SftConfig) -> bool:
    trace, gold_option = scored_trace.trace, scored_trace.gold_option
    if gold_option is None:
        return False
    rollout_reward = reward(trace, gold_option, config.weights)
    if rollout_reward is None or (config.only_correct and not score(trace, gold_option).correct):
        return False
    return config.min_reward is None or rollout_reward.total >= config.min_reward


def token_sequences(trace: Trace, master_format: MasterFormat) -> list[TokenSequence]:
    """The tokens that a master with this format would have read and sampled, had it given the trace's replies. Each
    reply ends its turn, if the context continues that way. Empty for a trace that does not fit the limits."""
    record, tokenizer = master_format.new_record(), master_format.tokenizer
    look_tag = master_format.prompt_format.look_tag
    rounds = tuple(
        replace(round_, context_text=normalize_look_tag(round_.context_text, look_tag)) for round_ in trace.rounds
    )
    for index, round_ in enumerate(rounds):
        is_last = index + 1 == len(rounds)
        before = replace(trace, rounds=rounds[:index], must_answer=trace.must_answer and is_last, stop_reason=None)
        if record.context(before) is None:
            return []
        opened = reasoning_prefix(record.sequences[-1].text)  # is in the prompt already
        ids = tokenizer(assistant_text(round_).removeprefix(opened), add_special_tokens=False)["input_ids"]
        if len(ids) >= record.max_new_tokens:
            return []
        record.add_reply([*ids, tokenizer.eos_token_id], [0.0] * (len(ids) + 1))
    return record.sequences
