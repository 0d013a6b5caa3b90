"""The master trained by TRL on rollouts of the real loop, with a tiny model and the offline agents."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from longvideoagent.agents.build import load_team
from longvideoagent.core.outcome import Outcome
from longvideoagent.errors import UsageError
from longvideoagent.training.reward import RewardWeights, reward
from longvideoagent.training.rollouts import RolloutResult, RolloutTask, TrainingSample, run_rollouts
from tests.plugins.training import ROOT
from tests.plugins.trl import (
    CORRECT,
    LOOK,
    RELOCATE,
    TASK,
    WRONG,
    DeadVision,
    ScriptedSampler,
    make_test_trainer,
    master_format,
    needs_trl,
    script_replies,
    team_with,
)

pytestmark = needs_trl


def keep_trl_rows(trainer: Any, rollouts: Any, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A list to which what the trainer gets is appended, batch by batch."""
    batches: list[dict[str, Any]] = []

    def rollout_func(*arguments: Any) -> dict[str, Any]:
        batches.append(rollouts(*arguments))
        return batches[-1]

    monkeypatch.setattr(trainer, "rollout_func", rollout_func)
    return batches


# --- gradients -----------------------------------------------------------------------------------


def test_trl_trains_on_sampled_tokens(random_model: Path, tmp_path: Path) -> None:
    trainer, rollouts = make_test_trainer(random_model, tmp_path)
    trainer.train()
    assert trainer.state.global_step == 2
    assert len(rollouts.scored) == 4
    for scored in rollouts.scored:
        (sequence,) = scored.result.sequences
        sampled = [logprob for logprob, mask in zip(sequence.logprobs, sequence.mask, strict=True) if mask]
        assert all(logprob < 0 for logprob in sampled)
        assert scored.result.trace.outcome is Outcome.SPENT  # random weights do not produce actions


def test_trl_gradient_only_on_sampled_tokens(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, rollouts = make_test_trainer(random_model, tmp_path, beta=0.0, max_steps=1)
    script_replies(rollouts, monkeypatch, [RELOCATE, CORRECT], [RELOCATE, WRONG], *[[RELOCATE, CORRECT]] * 2)
    hidden: list[Any] = []

    def retain_grad(_module: Any, _inputs: Any, output: Any) -> None:
        if output.requires_grad:
            output.retain_grad()
            hidden.append(output)

    trainer.model.model.norm.register_forward_hook(retain_grad)  # each position of it predicts one token
    trainer.train()
    longest = max(len(scored.result.sequences[0].ids) for scored in rollouts.scored)
    grad = hidden[0].grad[:, -longest - 1 : -1].abs().sum(-1)
    for row, scored in zip(grad, rollouts.scored, strict=True):
        for position, is_sampled in enumerate(scored.result.sequences[0].mask):
            assert (row[position] > 0) == bool(is_sampled), position


def test_trl_adapter_gradients_match_formula(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against low-rank weights added by hand and the policy gradient written out (DeepSeekMath, section 4.1): for the
    policy that sampled, the gradient of a rollout is that of its log-probabilities times its advantage."""
    import torch
    from peft import LoraConfig
    from torch.func import functional_call
    from transformers import AutoModelForCausalLM

    trainer, rollouts = make_test_trainer(
        random_model, tmp_path, beta=0.0, max_steps=1, max_grad_norm=0.0,
        adapter=LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj", "v_proj", "up_proj"], task_type="CAUSAL_LM"),
    )  # fmt: skip
    script_replies(rollouts, monkeypatch, [RELOCATE, CORRECT], [WRONG], [RELOCATE, CORRECT], [CORRECT])
    trained = {name: weight for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    with torch.no_grad():
        for name, weight in trained.items():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=torch.manual_seed(len(name))) * 0.1)
    grads: dict[str, Any] = {}

    def keep_grads(*_: Any) -> None:
        grads.update({name: weight.grad.clone() for name, weight in trained.items()})

    start = {name: weight.detach().clone() for name, weight in trained.items()}
    create = trainer.create_optimizer
    monkeypatch.setattr(trainer, "create_optimizer", lambda *_: _with_hook(create(), keep_grads))
    trainer.train()

    own = {name: weight.clone().requires_grad_() for name, weight in start.items()}
    base = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    weights = dict(base.named_parameters())
    for name, low in own.items():
        if "lora_A" in name:
            plain = name.removeprefix("base_model.model.").replace(".lora_A.default", "")
            weights[plain] = weights[plain] + 6 / 2 * own[name.replace("lora_A", "lora_B")] @ low
    rewards = torch.tensor([scored.reward.total for scored in rollouts.scored if scored.reward is not None])
    advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
    loss = torch.zeros(())
    for scored, advantage in zip(rollouts.scored, advantages, strict=True):
        (sequence,) = scored.result.sequences
        ids = torch.tensor([sequence.prompt_ids + sequence.ids])
        logits = functional_call(base, weights, (ids,)).logits[0, len(sequence.prompt_ids) - 1 : -1]
        logprobs = torch.log_softmax(logits, -1).gather(1, ids[0, len(sequence.prompt_ids) :, None])[:, 0]
        mask = torch.tensor(sequence.mask)
        loss = loss - advantage * (logprobs * mask).sum() / mask.sum() / len(rewards)
    loss.backward()
    assert any(weight.grad.abs().max() > 1e-4 for weight in own.values())
    for name, weight in own.items():
        assert torch.allclose(grads[name], weight.grad, atol=1e-6, rtol=1e-3), name


def _with_hook(optimizer: Any, hook: Any) -> Any:
    optimizer.register_step_pre_hook(hook)
    return optimizer


# --- rewards and groups --------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["grpo", "dapo"])
def test_trl_equal_rewards_change_nothing(
    algorithm: str, random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, rollouts = make_test_trainer(random_model, tmp_path, algorithm, beta=0.0, max_steps=1)
    script_replies(rollouts, monkeypatch, *[[CORRECT]] * 4)
    before = {name: weight.clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    assert {scored.reward.total for scored in rollouts.scored} == {2.0}
    assert all((weight == before[name]).all() for name, weight in trainer.model.named_parameters())


def test_trl_dapo_drops_equal_groups(random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With or without an outage among them."""
    sizes = {"per_device_train_batch_size": 6, "num_generations": 2, "max_steps": 1}
    trainer, rollouts = make_test_trainer(random_model, tmp_path, "dapo", team_with(DeadVision()), **sizes)
    script_replies(rollouts, monkeypatch, [CORRECT], [CORRECT], [CORRECT], [WRONG], [LOOK], [CORRECT])
    batches = keep_trl_rows(trainer, rollouts, monkeypatch)
    trainer.train()
    assert batches[0]["rollout_reward"] == [2.0, 2.0, 2.0, 1.0, None, 2.0]
    assert [any(mask) for mask in batches[0]["env_mask"]] == [False, False, True, True, False, False]


def test_trl_dapo_replaces_equal_groups(random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as allowed; a group that is still equal is left out."""
    from longvideoagent.training.trl import sample_prompt

    trainer, rollouts = make_test_trainer(random_model, tmp_path, "dapo", num_generations=2, max_steps=1)
    rollouts.max_generation_batches = 3
    trainer.model.train()
    equal, mixed = ([CORRECT], [CORRECT]), ([WRONG], [CORRECT])
    for scripts, batches, learned in (
        ([*equal, *mixed, *equal, *mixed], 3, [True] * 4),
        ([*equal, *mixed, *equal, *equal], 3, [False, False, True, True]),
        ([*mixed, *mixed], 1, [True] * 4),
    ):
        script_in_turn(rollouts, monkeypatch, scripts)
        rows = rollouts([sample_prompt(0, rollouts.samples[0])] * 4, trainer)
        assert [any(mask) for mask in rows["env_mask"]] == learned
        assert rollouts.metrics["generation_batches"] == batches
        assert len(rollouts.scored) == 4


def script_in_turn(rollouts: Any, monkeypatch: pytest.MonkeyPatch, scripts: Sequence[Sequence[str]]) -> None:
    """Make each rollout, of one batch after the other, sample the next of these scripts."""
    left = list(scripts)
    team, own = rollouts.team, rollouts.master_format

    def run(tasks: Sequence[RolloutTask], *_: Any) -> list[RolloutResult]:
        batch = [left.pop(0) for _ in tasks]
        return asyncio.run(run_rollouts(tasks, team, ScriptedSampler(own.tokenizer, *batch), own))

    monkeypatch.setattr(rollouts, "run", run)


def test_trl_updates_per_batch(tmp_path: Path) -> None:
    from longvideoagent.training.config import RLConfig
    from longvideoagent.training.rl import trl_arguments

    fields = {"model": "m", "data": "d", "rows": "r", "out": str(tmp_path), "questions_per_step": 8}
    arguments = trl_arguments(RLConfig.model_validate({**fields, "updates_per_batch": 2}), "grpo")
    assert (arguments["gradient_accumulation_steps"], arguments["steps_per_generation"]) == (8, 16)
    with pytest.raises(UsageError, match="save_steps: 50 is not a multiple of updates_per_batch 3"):
        trl_arguments(RLConfig.model_validate({**fields, "updates_per_batch": 3}), "grpo")


def test_trl_outage_has_no_reward(random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, rollouts = make_test_trainer(random_model, tmp_path, team=team_with(DeadVision()), max_steps=1)
    script_replies(rollouts, monkeypatch, [LOOK], [RELOCATE, CORRECT], [WRONG], [LOOK])
    batches = keep_trl_rows(trainer, rollouts, monkeypatch)
    trainer.train()
    assert batches[0]["rollout_reward"] == [None, 2.0, 1.0, None]
    assert [sum(mask) > 0 for mask in batches[0]["env_mask"]] == [False, True, True, False]


def test_trl_prompt_too_long_has_no_reward(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from longvideoagent.training.trl import MasterRollouts, sample_prompt

    def run_one(*replies: str, **changes: int) -> RolloutResult:
        sampler, own = ScriptedSampler(tokenizer, replies), master_format(tokenizer, **changes)
        return asyncio.run(run_rollouts([TASK], load_team(), sampler, own))[0]

    results = [run_one(prompt=20), run_one(RELOCATE, response=80), run_one(CORRECT, response=80)]
    sample = TrainingSample(TASK, 1)
    rollouts = MasterRollouts([sample], load_team(), master_format(tokenizer, response=80))
    monkeypatch.setattr(rollouts, "run", lambda *_: results)
    trainer = SimpleNamespace(args=SimpleNamespace(temperature=1.0), model=SimpleNamespace(training=True))
    rows = rollouts([sample_prompt(0, sample)] * 3, trainer)
    assert rows["rollout_reward"][0] is None
    assert None not in rows["rollout_reward"][1:]
    assert (rollouts.metrics["prompt_too_long"], rollouts.metrics["failed"]) == (1, 0)
    assert (rollouts.metrics["accuracy"], rollouts.metrics["rounds"]) == (0.5, 1.0)


def test_trl_metrics_weigh_rollouts_equally(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rollouts outages left to each process."""
    from longvideoagent.training.trl import ScoredRollout, mean_metrics

    sampler = ScriptedSampler(tokenizer, [CORRECT], [LOOK], [LOOK], *[[WRONG]] * 3)
    results = asyncio.run(run_rollouts([TASK] * 6, team_with(DeadVision()), sampler, master_format(tokenizer)))
    sample = TrainingSample(TASK, 1)
    scored = [ScoredRollout(sample, result, reward(result.trace, 1, RewardWeights())) for result in results]
    shares: list[list[Any]] = []

    def keep_share(rows: list[Any]) -> list[Any]:
        shares.append(rows)
        return rows

    monkeypatch.setattr("accelerate.utils.gather_object", keep_share)
    for start in (0, 3):
        mean_metrics(scored[start : start + 3])
    monkeypatch.setattr("accelerate.utils.gather_object", lambda _rows: [row for share in shares for row in share])
    metrics = mean_metrics(scored[:3])
    assert (metrics["accuracy"], metrics["reward_correct"], metrics["failed"]) == (0.25, 0.25, 2)
    shares[:] = [[{"failed": 1}]]
    assert mean_metrics(scored[:3]) == {"failed": 1, "prompt_too_long": 0}


def test_trl_overlong_penalty(tokenizer: Any) -> None:
    from longvideoagent.training.trl import MasterRollouts

    reply = "x" * 80 + CORRECT
    length = len(tokenizer(reply)["input_ids"])
    for limit, penalty in ((2 * length, 0.0), (round(length / 0.9), 0.5), (length, 1.0)):
        own = master_format(tokenizer, response=limit, reply=600)
        (result,) = asyncio.run(run_rollouts([TASK], load_team(), ScriptedSampler(tokenizer, [reply]), own))
        rollouts = MasterRollouts([], load_team(), own, overlong_buffer_tokens=round(0.2 * limit))
        assert rollouts._penalty(result) == pytest.approx(penalty, abs=0.02)
    rollouts = MasterRollouts([], load_team(), own, overlong_buffer_tokens=3 * limit, overlong_penalty=2.0)
    assert rollouts._penalty(result) == 2.0


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("grpo", {"loss_type": "grpo", "epsilon": 0.2, "epsilon_high": 0.2, "beta": 0.001, "num_generations": 8}),
        ("dapo", {"loss_type": "dapo", "epsilon": 0.2, "epsilon_high": 0.28, "beta": 0.0, "num_generations": 4}),
    ],
)
def test_trl_settings_of_public_code(
    algorithm: str, expected: dict[str, Any], random_model: Path, tmp_path: Path
) -> None:
    from longvideoagent.training.config import RLConfig
    from longvideoagent.training.rl import trl_arguments
    from longvideoagent.training.trl import make_trainer

    config = RLConfig.model_validate({"model": "m", "data": "d", "rows": "r", "out": str(tmp_path)})
    small, rollouts = make_test_trainer(random_model, tmp_path, algorithm)
    trainer = make_trainer(small.model, rollouts, algorithm, trl_arguments(config, algorithm))
    args = trainer.args
    values = {name: getattr(args, name) for name in expected if name != "epsilon_high"}
    assert {**values, "epsilon_high": trainer.epsilon_high} == expected
    assert (args.learning_rate, args.warmup_steps, args.max_steps) == (5e-6, 0.1, 401)
    assert args.generation_batch_size == 16 * expected["num_generations"]
    assert args.lr_scheduler_type == "constant_with_warmup"
    assert args.use_bias_correction_kl is False  # plain low-variance KL
    assert (args.temperature, args.max_completion_length) == (1.0, 1500)
    assert rollouts.drops_equal_groups == (algorithm == "dapo")
    limit = rollouts.master_format.limits.max_response_tokens
    assert rollouts.overlong_buffer_tokens == (limit / 5 if algorithm == "dapo" else 0)
    assert args.steps_per_generation == args.gradient_accumulation_steps


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*qwen*.toml")), ids=lambda path: path.stem)
def test_trl_accepts_shipped_configs(path: Path) -> None:
    from trl import GRPOConfig

    from longvideoagent.training.config import ALGORITHMS, COMMON_TRL_FIELDS, RLConfig, read_config
    from longvideoagent.training.rl import trl_arguments
    from longvideoagent.training.trainer_arguments import check_trl_fields

    config, algorithm = read_config(path, RLConfig), "dapo" if path.stem.endswith("dapo") else "grpo"
    check_trl_fields("GRPOConfig", config.trl)
    arguments = {**COMMON_TRL_FIELDS, **ALGORITHMS[algorithm].trl_fields, **trl_arguments(config, algorithm)}
    args = GRPOConfig(**{**arguments, "use_vllm": False})
    assert args.generation_batch_size == config.questions_per_batch * config.group_size(algorithm)
    assert args.gradient_accumulation_steps * config.updates_per_batch == args.steps_per_generation


def test_trl_vllm_arguments(tmp_path: Path) -> None:
    from longvideoagent.training.config import RLConfig
    from longvideoagent.training.rl import trl_arguments

    fields = {"model": "m", "data": "d", "rows": "r", "out": str(tmp_path), "vllm_gpu_memory_utilization": 0.3}
    arguments = trl_arguments(RLConfig.model_validate(fields), "grpo")
    assert (arguments["vllm_max_model_length"], arguments["vllm_gpu_memory_utilization"]) == (13_500, 0.3)


# --- several processes ---------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["grpo", "dapo"])
def test_trl_two_processes_learn_as_one(algorithm: str, random_model: Path, tmp_path: Path) -> None:
    """Over gloo, with a group that lies in both of them."""
    import torch
    from safetensors.torch import load_file

    trained = []
    for num_ranks in (1, 2):
        out = tmp_path / f"{num_ranks}"
        out.mkdir()
        run_ranks(num_ranks, "tests.training.two_ranks", str(random_model), str(out), algorithm)
        trained.append(load_file(out / "weights.safetensors"))
    start = load_file(random_model / "model.safetensors")
    assert any(not torch.equal(weight, start[name]) for name, weight in trained[0].items() if name in start)
    for name, weight in trained[0].items():
        assert torch.allclose(weight, trained[1][name], atol=2e-6), name


def run_ranks(num_ranks: int, *module: str) -> None:
    """Run a module in several processes with torchrun's environment variables."""
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(num_ranks)}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = []
    for rank in range(num_ranks):
        own = {"RANK": f"{rank}", "LOCAL_RANK": f"{rank}", **group} if num_ranks > 1 else {}
        command = [sys.executable, "-m", *module]
        processes.append(
            subprocess.Popen(command, cwd=ROOT, env={**environment, **own}, stderr=subprocess.PIPE, text=True)
        )
    try:
        for process in processes:
            _, stderr = process.communicate(timeout=1200)
            assert process.returncode == 0, stderr[-3000:]
    finally:
        for process in processes:
            process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
