"""Training rollouts: side by side, through the loop of ask and eval."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from longvideoagent.agents.build import load_team
from longvideoagent.core.context import Style
from longvideoagent.core.outcome import Outcome
from longvideoagent.errors import UsageError
from longvideoagent.training.rollouts import MasterFormat, TrainingSample, action_counts, run_rollouts
from longvideoagent.training.tokens import PromptFormat
from tests.plugins.trl import (
    CORRECT,
    LAYOUT,
    LOOK,
    RELOCATE,
    TASK,
    DeadVision,
    ScriptedSampler,
    master_format,
    needs_trl,
    team_with,
)

pytestmark = needs_trl


def test_rollouts_are_sampled_in_lockstep(tokenizer: Any) -> None:
    sampler = ScriptedSampler(tokenizer, [RELOCATE, CORRECT], [CORRECT], [LOOK, RELOCATE, CORRECT])
    results = asyncio.run(run_rollouts([TASK] * 3, load_team(), sampler, master_format(tokenizer)))
    assert sampler.batch_sizes == [3, 2, 1]
    assert [str(result.trace.outcome) for result in results] == ["answered"] * 3
    assert results[0].trace.visited_labels == ("c0", "c1")
    assert [len(result.sequences) for result in results] == [1, 1, 1]


def test_rollouts_outage_ends_only_its_own(tokenizer: Any) -> None:
    sampler = ScriptedSampler(tokenizer, [LOOK], [RELOCATE, CORRECT])
    team = team_with(DeadVision())
    results = asyncio.run(run_rollouts([TASK] * 2, team, sampler, master_format(tokenizer)))
    assert [result.trace.outcome for result in results] == [Outcome.FAILED, Outcome.ANSWERED]


def test_rollouts_cancelled(tokenizer: Any) -> None:
    """As by Ctrl-C, while some wait for the master and one for vision: nothing more is sampled."""
    sampler = ScriptedSampler(tokenizer, [LOOK], [RELOCATE, CORRECT], [RELOCATE, CORRECT])

    class SlowVision:
        async def look(self, request: Any, video: Any) -> Any:  # noqa: ARG002
            await asyncio.sleep(100)

    async def cancel() -> None:
        rollouts = run_rollouts([TASK] * 3, team_with(SlowVision()), sampler, master_format(tokenizer))
        task = asyncio.create_task(rollouts)
        while not sampler.batch_sizes:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
    assert sampler.batch_sizes == [3]


def test_rollouts_several_sequences_refused(tokenizer: Any) -> None:
    accumulated = MasterFormat(tokenizer, PromptFormat(Style.ACCUMULATED, LAYOUT))
    sampler = ScriptedSampler(tokenizer, [RELOCATE, CORRECT])
    (result,) = asyncio.run(run_rollouts([TASK], load_team(), sampler, accumulated))
    with pytest.raises(UsageError, match="contexts are not a single sequence"):
        result.single_sequence(tokenizer.eos_token_id)


def test_rollouts_prompt_too_long_is_not_wrong(tokenizer: Any) -> None:
    from longvideoagent.training.callbacks import EvaluatedRollout, eval_metrics

    def run_one(*replies: str, **changes: int) -> Any:
        sampler, own = ScriptedSampler(tokenizer, replies), master_format(tokenizer, **changes)
        return asyncio.run(run_rollouts([TASK], load_team(), sampler, own))[0]

    too_long = run_one(prompt=20)
    assert (too_long.is_prompt_too_long, str(too_long.trace.outcome)) == (True, "spent")
    assert action_counts(too_long.trace)["rounds"] == 0
    cut_short = run_one(RELOCATE, response=80)
    assert len(cut_short.trace.rounds) == 3
    assert action_counts(cut_short.trace)["rounds"] == 1  # the others passed without room for a reply
    correct = run_one(CORRECT, response=80)
    assert not cut_short.is_prompt_too_long

    sample = TrainingSample(TASK, 1, kind="what")
    metrics = eval_metrics([EvaluatedRollout(sample, too_long), EvaluatedRollout(sample, correct)])
    assert (metrics["questions"], metrics["accuracy"]) == (1, 1.0)
    assert (metrics["failed"], metrics["prompt_too_long"]) == (0, 1)
    metrics = eval_metrics([EvaluatedRollout(sample, too_long)])
    assert metrics == {"questions": 0, "failed": 0, "prompt_too_long": 1, "by_kind": {}}
