"""The master's rollouts under verl, up to the engine that samples."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.core.protocol import ACTION_ENDS
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, UsageError
from longvideoagent.training.config import RLConfig, read_config
from longvideoagent.training.reward import reward
from longvideoagent.training.rollouts import MasterFormat, SampledTokens, run_rollouts
from longvideoagent.training.rows import read_training_samples
from tests.fakes.public_rows import write_public_rows
from tests.plugins.training import ROOT, write_rl_config
from tests.plugins.verl import compose, needs_verl, read_rows

pytestmark = needs_verl

LOOK, RELOCATE = "<search>a lantern</search>", "<request_grounding>red lantern</request_grounding>"
CORRECT, WRONG = "<answer>A lantern</answer>", "<answer>A kite</answer>"
END_OF_TURN = "<|im_end|>"
THOUGHT = "<think><answer>x</answer></think>"
LENGTHS = {"prompt": 6000, "response": 900}
MakeConfig = Callable[..., Any]


@pytest.fixture
def make_overrides(exported: Path, random_model: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Makes verl's command-line overrides for rollouts of the rows with the tiny model."""

    def make(**changes: Any) -> list[str]:
        fields = {"max_rounds": 3, "reward": "public", **changes}
        path = write_rl_config(exported, tmp_path / "run", random_model, **fields)
        lengths = [f"data.max_{name}_length={length}" for name, length in LENGTHS.items()]
        files = [f"data.{split}_files={exported / 'rows' / 'train.parquet'}" for split in ("train", "val")]
        model = f"actor_rollout_ref.model.path={random_model}"
        return [f"longvideoagent.config={path}", model, *files, *lengths]

    return make


@pytest.fixture
def make_config(make_overrides: Callable[..., list[str]]) -> MakeConfig:
    """Makes a configuration of verl."""

    def make(*overrides: str, name: str = "grpo", **changes: Any) -> Any:
        return compose(name, *make_overrides(**changes), *overrides)

    return make


@pytest.fixture
def outage_team(tmp_path: Path) -> str:
    """A team whose grounding agent fails."""
    (tmp_path / "none.json").write_text("[]")
    (tmp_path / "team.toml").write_text(f'[grounding]\nmodel = "scripted:{tmp_path / "none.json"}"\n')
    return str(tmp_path / "team.toml")


def roll_out(config: Any, tokenizer: Any, row: dict[str, Any], *replies: str) -> tuple[Any, Any]:
    """One rollout with these replies: verl's output, and the engine."""
    from verl.experimental.agent_loop.agent_loop import DictConfigWrap
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from longvideoagent.training.verl import MasterLoop
    from tests.fakes.verl_engine import FakeClient

    async def run() -> tuple[Any, Any]:
        client = FakeClient(config, tokenizer, [replies])
        loop = MasterLoop(
            DictConfigWrap(config), client, tokenizer, None, RLHFDataset, DictConfigWrap(config.data), "qwen3"
        )
        output = await loop.run({"temperature": 1.0, "logprobs": True}, **row)
        return output, next(iter(client.engines.values()), None)

    return asyncio.run(run())


def decode(tokenizer: Any, output: Any, mask: int) -> str:
    """The sampled text (mask 1), or the rest (mask 0)."""
    tokens = zip(output.response_ids, output.response_mask, strict=True)
    text: str = tokenizer.decode([token for token, own in tokens if own == mask])
    return text


# --- one rollout ---------------------------------------------------------------------------------


def test_verl_rollout(make_config: MakeConfig, tokenizer: Any) -> None:
    config = make_config()
    row = read_rows(config, tokenizer)[0]
    output, engine = roll_out(config, tokenizer, row, RELOCATE + " and", "so " + CORRECT + " more")
    assert decode(tokenizer, output, 1) == f"{RELOCATE}so {CORRECT}"
    context = decode(tokenizer, output, 0)
    assert "<New_clip>\nClip: s01e01_seg01_clip_0" in context
    assert context.endswith(END_OF_TURN)
    assert (output.response_ids[-1], output.response_mask[-1]) == (tokenizer.eos_token_id, 0)
    first = engine.requests[0]
    assert first["sampling_params"]["stop"] == list(ACTION_ENDS)
    assert first["sampling_params"]["max_tokens"] == 64
    assert first["prompt_ids"] == output.prompt_ids
    second = engine.requests[1]["prompt_ids"]
    assert second == (output.prompt_ids + output.response_ids)[: len(second)]
    tokens = zip(output.response_ids, output.response_mask, strict=True)
    assert output.response_logprobs == [-0.125 * (1 + token % 8) * mask for token, mask in tokens]
    assert output.reward_score == pytest.approx(1.4)
    assert output.extra_fields["reward_extra_info"] == {
        "acc": 1.0, "rounds": 2, "looks": 0, "relocations": 1, "failed": 0, "prompt_too_long": 0,
        "outcome": "answered",
    }  # fmt: skip
    assert (output.extra_fields["min_global_steps"], output.extra_fields["max_global_steps"]) == (7, 7)
    assert output.num_turns == 4


def test_verl_rollout_of_public_row(make_config: MakeConfig, tokenizer: Any, tmp_path: Path) -> None:
    """Its first clip, its five options with an empty fifth, and its gold label."""
    rows = write_public_rows(tmp_path / "public.parquet")
    config = make_config(f"data.train_files={rows}")
    for reply, total in (("so <answer>a2</answer>", 1.4), ("so <answer>a4</answer>", 0.4)):
        output, engine = roll_out(config, tokenizer, read_rows(config, tokenizer)[0], reply)
        assert output.reward_score == pytest.approx(total)
        prompt = tokenizer.decode(engine.requests[0]["prompt_ids"])
        assert "a0: A saw\na1: A kite\na2: A lantern\na3: A rope\na4:" in prompt
        assert "The bakery is closed." in prompt


@pytest.mark.parametrize("engine_name", ["vllm", "sglang"])
def test_verl_tag_inside_thought(make_config: MakeConfig, tokenizer: Any, engine_name: str) -> None:
    config = make_config(f"actor_rollout_ref.rollout.name={engine_name}")
    row = read_rows(config, tokenizer)[0]
    output, engine = roll_out(config, tokenizer, row, THOUGHT + CORRECT + "<answer>")
    assert decode(tokenizer, output, 1) == THOUGHT + CORRECT
    assert len(engine.requests) == (2 if engine_name == "vllm" else 1)
    assert ("stop" in engine.requests[0]["sampling_params"]) == (engine_name == "vllm")
    if engine_name == "vllm":
        length = len(tokenizer("<think><answer>x</answer>")["input_ids"])
        assert engine.requests[1]["prompt_ids"] == output.prompt_ids + output.response_ids[:length]
        assert engine.requests[1]["sampling_params"]["max_tokens"] == 64 - length


def test_verl_turn_closed_once(make_config: MakeConfig, tokenizer: Any) -> None:
    config = make_config("actor_rollout_ref.rollout.name=sglang", max_rounds=1)
    row = read_rows(config, tokenizer)[0]
    talk, _ = roll_out(config, tokenizer, row, "I do not know." + END_OF_TURN)
    assert decode(tokenizer, talk, 1) == "I do not know." + END_OF_TURN
    assert decode(tokenizer, talk, 0) == ""
    cut_off, _ = roll_out(config, tokenizer, row, "I " * 64)  # inside its turn, which is not closed then
    assert decode(tokenizer, cut_off, 1) == "I " * 32
    assert decode(tokenizer, cut_off, 0) == ""
    look, _ = roll_out(config, tokenizer, row, LOOK + END_OF_TURN)  # in the last round: no observation follows
    assert decode(tokenizer, look, 1) == LOOK
    assert decode(tokenizer, look, 0) == END_OF_TURN
    assert look.extra_fields["reward_extra_info"]["outcome"] == "spent"


def test_verl_equals_trl(make_config: MakeConfig, tokenizer: Any) -> None:
    from longvideoagent.training.trl import MasterRollouts
    from longvideoagent.training.verl import open_worker_context
    from tests.fakes.verl_engine import logprobs_of

    scripts = [
        [CORRECT],
        [RELOCATE, WRONG],
        [THOUGHT + RELOCATE, LOOK, "so " + CORRECT],
        ["Hm." + END_OF_TURN, RELOCATE, "x" * 64],
        [LOOK] * 3,
    ]
    config = make_config()
    team = open_worker_context(config.longvideoagent.config).team
    own = read_config(Path(config.longvideoagent.config), RLConfig)
    sample = read_training_samples(own.rows, open_dataset(own.data, own.split), own.settings)[0]
    master_format = MasterFormat(tokenizer, own.prompt_format, own.limits)
    left = [list(script) for script in scripts]

    def sample_batch(contexts: Sequence[list[int]], max_tokens: Sequence[int]) -> list[SampledTokens]:  # noqa: ARG001
        replies = [tokenizer(script.pop(0))["input_ids"][:64] for script in left if script]
        return [SampledTokens(ids, logprobs_of(ids)) for ids in replies]

    results = asyncio.run(run_rollouts([sample.task] * len(scripts), team, sample_batch, master_format))
    trl = MasterRollouts([sample], team, master_format, own.weights)
    for script, result in zip(scripts, results, strict=True):
        row = trl._trl_row(result, is_learned=True)
        output, _ = roll_out(config, tokenizer, read_rows(config, tokenizer)[0], *script)
        length = len(row["completion_ids"])
        assert output.prompt_ids == row["prompt_ids"]
        assert output.response_ids[:length] == row["completion_ids"]
        assert output.response_mask[:length] == row["env_mask"]
        assert output.response_logprobs[:length] == row["logprobs"]
        assert output.response_ids[length:] in ([], [tokenizer.eos_token_id])  # TRL needs no end of turn
        assert not any(output.response_mask[length:])
        earned = reward(result.trace, sample.gold_option, own.weights)
        assert earned is not None
        assert output.reward_score == earned.total


# --- rollouts without a reward -------------------------------------------------------------------


def test_verl_outage_has_no_reward(
    make_config: MakeConfig, tokenizer: Any, outage_team: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(team=outage_team)
    row = read_rows(config, tokenizer)[0]
    with caplog.at_level(logging.WARNING, "longvideoagent"):
        output, _ = roll_out(config, tokenizer, row, RELOCATE)
    assert tokenizer.decode(output.response_ids) == RELOCATE + END_OF_TURN
    assert not any(output.response_mask)
    assert output.reward_score == 0.0
    info = output.extra_fields["reward_extra_info"]
    assert (info["acc"], info["failed"], info["outcome"]) == (None, 1, "failed")
    assert "rollout has no reward (grounding: the script ends" in caplog.text


def test_verl_prompt_too_long_has_no_reward(
    make_config: MakeConfig, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config()
    row = read_rows(config, tokenizer)[0]
    path = Path(config.longvideoagent.config)
    path.write_text(path.read_text().replace("max_prompt_tokens = 6000", "max_prompt_tokens = 20"))
    with caplog.at_level(logging.WARNING, "longvideoagent"):
        output, _ = roll_out(config, tokenizer, row)
    assert not any(output.response_mask)
    info = output.extra_fields["reward_extra_info"]
    assert (info["acc"], info["rounds"], info["failed"], info["prompt_too_long"]) == (None, 0, 0, 1)
    assert "rollout has no reward (the prompt does not fit limits.max_prompt_tokens)" in caplog.text


def test_verl_refusals_in_one_line(make_config: MakeConfig, tokenizer: Any, random_model: Path) -> None:
    from transformers import AutoTokenizer

    config = make_config()
    row = read_rows(config, tokenizer)[0]
    no_template = AutoTokenizer.from_pretrained(random_model)
    no_template.chat_template = None
    short = make_config("data.max_response_length=100")
    unset = make_config("longvideoagent.config=null")
    accumulated = make_config(style="accumulated")
    cases: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
        (accumulated, tokenizer, row, UsageError, "not a single sequence"),
        (short, tokenizer, row, UsageError, "limits.max_response_tokens 900 is more than verl's 100"),
        (unset, tokenizer, row, UsageError, "longvideoagent.config is not set"),
        (config, no_template, row, DataError, "no chat template"),
        (config, tokenizer, row | {"extra_info": {"qid": "1"}}, DataError, "has no column extra_info.video"),
    ]
    for case_config, case_tokenizer, case_row, error, message in cases:
        with pytest.raises(error, match=message) as raised:
            roll_out(case_config, case_tokenizer, case_row, RELOCATE, CORRECT)
        assert "\n" not in str(raised.value)


# --- a batch, up to verl's trainer ---------------------------------------------------------------


def test_verl_batch(make_config: MakeConfig, tokenizer: Any, outage_team: str) -> None:
    import numpy as np
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
    from verl.protocol import DataProto
    from verl.trainer.ppo.ray_trainer import compute_advantage
    from verl.utils.dataset.rl_dataset import collate_fn

    from tests.fakes.verl_engine import FakeClient

    config = make_config(team=outage_team)
    batch = DataProto.from_single_dict(collate_fn(read_rows(config, tokenizer)))
    batch.meta_info = {"global_steps": 3}

    async def run() -> Any:
        client = FakeClient(config, tokenizer, [[CORRECT], [RELOCATE], [WRONG], ["Hm." + END_OF_TURN] * 3])
        return await AgentLoopWorker(config, client).generate_sequences(batch)

    output = asyncio.run(run())
    assert output.batch["responses"].shape == (4, LENGTHS["response"])
    assert output.batch["prompts"].shape == (4, LENGTHS["prompt"])
    lengths = [len(tokenizer(reply)["input_ids"]) for reply in (CORRECT, "", WRONG)]
    assert output.batch["response_mask"].sum(-1).tolist()[:3] == lengths
    assert output.batch["rm_scores"].sum(-1).tolist() == pytest.approx([1.2, 0.0, 0.2, 0.2])
    assert ((output.batch["rollout_log_probs"] < 0) == output.batch["response_mask"].bool())[0].all()
    assert output.non_tensor_batch["failed"].tolist() == [0, 1, 0, 0]
    assert output.non_tensor_batch["rounds"].tolist() == [1, 1, 1, 3]
    output.batch["token_level_rewards"] = output.batch["rm_scores"]
    output.non_tensor_batch["uid"] = np.array(["one group"] * 4, dtype=object)
    advantages = compute_advantage(output, config.algorithm.adv_estimator, config=config.algorithm).batch["advantages"]
    masked = [row[mask.bool()].tolist() for row, mask in zip(advantages, output.batch["response_mask"], strict=True)]
    assert masked[1] == []
    rewards = [1.2, 0.2, 0.2]
    expected = [(value - np.mean(rewards)) / np.std(rewards, ddof=1) for value in rewards]
    assert [masked[0][0], masked[2][0], masked[3][0]] == pytest.approx(expected, rel=1e-4)
    assert not advantages[~output.batch["response_mask"].bool()].any()


def test_verl_queue(make_overrides: Callable[..., list[str]], outage_team: str) -> None:
    scripts = [[CORRECT], [RELOCATE], [WRONG]]
    command = [sys.executable, "-m", "tests.fakes.verl_queue", json.dumps(scripts), *make_overrides(team=outage_team)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr
    rollouts = json.loads(done.stdout.splitlines()[-1])
    assert [rollout["reward"] for rollout in rollouts] == pytest.approx([1.2, 0.0, 0.2])
    assert [rollout["num_sampled"] for rollout in rollouts] == [len(CORRECT), 0, len(WRONG)]  # a token per byte
    assert [rollout["failed"] for rollout in rollouts] == [0, 1, 0]
    assert [rollout["versions"] for rollout in rollouts] == [[7, 7]] * 3


# --- the overlong penalty ------------------------------------------------------------------------


def test_verl_overlong_penalty_equals_reward_manager(make_config: MakeConfig, tokenizer: Any) -> None:
    import numpy as np
    import torch
    from verl.experimental.reward_loop.reward_manager.dapo import DAPORewardManager
    from verl.protocol import DataProto

    lengths = ["reward.reward_kwargs.max_resp_len=60", "reward.reward_kwargs.overlong_buffer_cfg.len=40"]
    config = make_config(*lengths, name="dapo")
    for reply, score in ((CORRECT, 1.2), ("so, I think " + CORRECT, 1.4)):
        output, _ = roll_out(config, tokenizer, read_rows(config, tokenizer)[0], reply)
        assert output.response_mask[-1] == 0
        ids = torch.tensor([output.response_ids[:-1]])  # the end of turn is not the master's
        tensors = {"responses": ids, "attention_mask": torch.ones_like(ids)}
        others = {"data_source": np.array(["x"]), "reward_model": np.array([{"ground_truth": "a1"}])}
        data = DataProto.from_dict(tensors, others)

        async def run(data: Any = data, score: float = score) -> Any:
            return await DAPORewardManager(config, tokenizer, lambda **_: score).run_single(data)

        expected = asyncio.run(run())["reward_score"]
        assert output.reward_score == pytest.approx(float(expected))
        assert output.reward_score < score


def test_verl_overlong_penalty_equals_trl(make_config: MakeConfig, tokenizer: Any) -> None:
    from longvideoagent.training.config import OVERLONG_FRACTION
    from longvideoagent.training.reward import overlong_penalty

    without_length = "reward.reward_kwargs.overlong_buffer_cfg.len=null"
    config = make_config("data.max_response_length=64", without_length, name="dapo")
    assert config.reward.reward_kwargs.max_resp_len == 64
    path = Path(config.longvideoagent.config)
    path.write_text(path.read_text().replace("max_response_tokens = 900", "max_response_tokens = 64"))
    reply = "so, as I do think: it must be " + CORRECT
    output, _ = roll_out(config, tokenizer, read_rows(config, tokenizer)[0], reply)
    penalty = overlong_penalty(len(tokenizer(reply)["input_ids"]), 64, OVERLONG_FRACTION * 64)
    assert penalty > 0
    assert output.reward_score == pytest.approx(1.4 - penalty)
