"""The master trained by TRL on rollouts of the real loop, with a tiny model and the offline agents."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import load_team
from longvideoagent.core.outcome import Outcome
from longvideoagent.errors import ModelError, UsageError
from longvideoagent.training.reward import Weights
from longvideoagent.training.rollouts import MasterFormat, RolloutResult, TrainingSample, play
from longvideoagent.training.tokens import Limits, PromptFormat
from tests.plugins.trl import END, LOOK, MOVE, PROMPT, TASK, say, scripted, tongue, trainer_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),  # TRL of its own dependencies
    pytest.mark.torch,
    pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it"),
]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tiny(random_model: Path) -> Any:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(random_model), AutoTokenizer.from_pretrained(random_model)


class DeadVision:
    """Vision whose server is down."""

    async def look(self, request: Any, video: Any) -> Any:  # noqa: ARG002
        raise ModelError("no server")


def test_rollouts_run_side_by_side_through_the_loop_of_ask(tiny: Any) -> None:
    _, tokenizer = tiny
    sample = scripted(tokenizer, [MOVE, END], [END], [LOOK, MOVE, END])
    played = asyncio.run(play([TASK] * 3, load_team(), sample, tongue(tokenizer)))
    assert sample.calls == [3, 2, 1]
    assert [str(each.trace.outcome) for each in played] == ["answered"] * 3
    assert played[0].trace.visited == ("c0", "c1")
    assert [len(each.sequences) for each in played] == [1, 1, 1]


def test_an_outage_ends_its_own_rollout_alone(tiny: Any) -> None:
    _, tokenizer = tiny
    whole = load_team()
    team = Team("shaky", whole.master, whole.grounding, DeadVision())
    played = asyncio.run(play([TASK] * 2, team, scripted(tokenizer, [LOOK], [MOVE, END]), tongue(tokenizer)))
    assert [each.trace.outcome for each in played] == [Outcome.FAILED, Outcome.ANSWERED]


def test_a_batch_that_is_stopped_ends_there(tiny: Any) -> None:
    """As by Ctrl-C, while some wait for the master and one for vision: nothing is sampled for nobody."""
    _, tokenizer = tiny
    whole, sample = load_team(), scripted(tokenizer, [LOOK], [MOVE, END], [MOVE, END])

    class Slow:
        async def look(self, request: Any, video: Any) -> Any:  # noqa: ARG002
            await asyncio.sleep(100)

    async def stop() -> None:
        team = Team("slow", whole.master, whole.grounding, Slow())
        playing = asyncio.create_task(play([TASK] * 3, team, sample, tongue(tokenizer)))
        while not sample.calls:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        playing.cancel()
        await playing

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stop())
    assert sample.calls == [3]


# --- the trainer ---------------------------------------------------------------------------------


def test_a_step_trains_the_model_on_what_it_sampled_itself(random_model: Path, tmp_path: Path) -> None:
    trainer, rollouts = trainer_of(random_model, tmp_path)
    trainer.train()
    assert trainer.state.global_step == 2
    assert len(rollouts.finished) == 4
    for played, _ in rollouts.finished:
        (sequence,) = played.sequences
        sampled = [logprob for logprob, mask in zip(sequence.logprobs, sequence.mask, strict=True) if mask]
        assert all(logprob < 0 for logprob in sampled)
        assert played.trace.outcome is Outcome.SPENT  # random weights speak no protocol


def test_the_loss_has_a_gradient_on_what_was_sampled_and_none_on_what_was_told(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, rollouts = trainer_of(random_model, tmp_path, beta=0.0)
    say(rollouts, monkeypatch, [MOVE, END], [MOVE, "<answer>a0</answer>"], [MOVE, END], [MOVE, END])
    hidden: list[Any] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        if output.requires_grad:
            output.retain_grad()
            hidden.append(output)

    trainer.model.model.norm.register_forward_hook(keep)  # each place of it goes into one prediction and no other
    trainer.args.max_steps = 1
    trainer.train()
    longest = max(len(each.sequences[0].ids) for each, _ in rollouts.finished)
    grad = hidden[0].grad[:, -longest - 1 : -1].abs().sum(-1)
    for row, (played, _) in zip(grad, rollouts.finished, strict=True):
        mask = played.sequences[0].mask
        for position, is_sampled in enumerate(mask):
            assert (row[position] > 0) == bool(is_sampled), position


def test_an_adapters_gradients_are_those_of_the_plain_formula(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against low-rank weights added by hand and the policy gradient written out (DeepSeekMath, section 4.1): on the
    policy that sampled, the gradient of a rollout is that of its log-probabilities times its advantage."""
    import torch
    from peft import LoraConfig
    from torch.func import functional_call
    from transformers import AutoModelForCausalLM

    trainer, rollouts = trainer_of(
        random_model, tmp_path, beta=0.0, max_steps=1, max_grad_norm=0.0,
        adapter=LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj", "v_proj", "up_proj"], task_type="CAUSAL_LM"),
    )  # fmt: skip
    say(rollouts, monkeypatch, [MOVE, END], ["<answer>a0</answer>"], [MOVE, END], [END])
    with torch.no_grad():
        for name, each in trainer.model.named_parameters():
            if "lora_B" in name:
                each.copy_(torch.randn(each.shape, generator=torch.manual_seed(len(name))) * 0.1)
    found: dict[str, Any] = {}

    def keep(*_: Any) -> None:
        found.update({name: each.grad.clone() for name, each in trainer.model.named_parameters() if each.requires_grad})

    start = {name: each.detach().clone() for name, each in trainer.model.named_parameters() if each.requires_grad}
    monkeypatch.setattr(trainer, "create_optimizer", lambda *_, make=trainer.create_optimizer: _hooked(make(), keep))
    trainer.train()

    own = {name: each.clone().requires_grad_() for name, each in start.items()}
    base = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    weights = dict(base.named_parameters())
    for name, low in own.items():
        if "lora_A" in name:
            plain = name.removeprefix("base_model.model.").replace(".lora_A.default", "")
            weights[plain] = weights[plain] + 6 / 2 * own[name.replace("lora_A", "lora_B")] @ low
    worth = torch.tensor([each.total for _, each in rollouts.finished if each is not None])
    advantages = (worth - worth.mean()) / (worth.std() + 1e-4)
    loss = torch.zeros(())
    for (played, _), advantage in zip(rollouts.finished, advantages, strict=True):
        (sequence,) = played.sequences
        ids = torch.tensor([sequence.prompt_ids + sequence.ids])
        logits = functional_call(base, weights, (ids,)).logits[0, len(sequence.prompt_ids) - 1 : -1]
        said = torch.log_softmax(logits, -1).gather(1, ids[0, len(sequence.prompt_ids) :, None])[:, 0]
        mask = torch.tensor(sequence.mask)
        loss = loss - advantage * (said * mask).sum() / mask.sum() / len(worth)
    loss.backward()
    assert any(each.grad.abs().max() > 1e-4 for each in own.values())
    for name, each in own.items():
        assert torch.allclose(found[name], each.grad, atol=1e-6, rtol=1e-3), name


def _hooked(optimizer: Any, keep: Any) -> Any:
    optimizer.register_step_pre_hook(keep)
    return optimizer


def test_equal_rewards_teach_nothing_and_leave_the_group_out_under_dapo(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for algorithm in ("grpo", "dapo"):
        trainer, rollouts = trainer_of(random_model, tmp_path, algorithm, beta=0.0, max_steps=1)
        say(rollouts, monkeypatch, *[[END]] * 4)
        before = {name: each.clone() for name, each in trainer.model.named_parameters()}
        trainer.train()
        assert {total.total for _, total in rollouts.finished} == {2.0}
        assert all((each == before[name]).all() for name, each in trainer.model.named_parameters())


def test_groups_of_equal_reward_have_no_part_in_the_loss_beside_others_under_dapo(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether an outage is among them or not."""
    whole, wrong = load_team(), "<answer>a0</answer>"
    team = Team("shaky", whole.master, whole.grounding, DeadVision())
    trainer, rollouts = trainer_of(
        random_model, tmp_path, "dapo", team, per_device_train_batch_size=6, num_generations=2, max_steps=1
    )
    say(rollouts, monkeypatch, [END], [END], [END], [wrong], [LOOK], [END])
    rows = kept_rows(trainer, rollouts, monkeypatch)
    trainer.train()
    assert rows[0]["rollout_reward"] == [2.0, 2.0, 2.0, 1.0, None, 2.0]
    assert [any(mask) for mask in rows[0]["env_mask"]] == [False, False, True, True, False, False]


def kept_rows(trainer: Any, rollouts: Any, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the trainer is going to be given, a batch each."""
    rows: list[dict[str, Any]] = []

    def keep(*told: Any) -> dict[str, Any]:
        rows.append(rollouts(*told))
        return rows[-1]

    monkeypatch.setattr(trainer, "rollout_func", keep)
    return rows


@pytest.mark.parametrize(
    ("algorithm", "told"),
    [
        ("grpo", {"loss_type": "grpo", "epsilon": 0.2, "epsilon_high": 0.2, "beta": 0.001, "num_generations": 8}),
        ("dapo", {"loss_type": "dapo", "epsilon": 0.2, "epsilon_high": 0.28, "beta": 0.0, "num_generations": 4}),
    ],
)
def test_the_trainer_has_the_public_codes_settings(
    algorithm: str, told: dict[str, Any], random_model: Path, tmp_path: Path
) -> None:
    """Those of SYSTEM.md's section on training."""
    from longvideoagent.training.config import TrainConfig
    from longvideoagent.training.rl import arguments
    from longvideoagent.training.trl import make_trainer

    config = TrainConfig.model_validate({"model": "m", "data": "d", "rows": "r", "out": str(tmp_path)})
    plain, rollouts = trainer_of(random_model, tmp_path, algorithm)
    trainer = make_trainer(plain.model, rollouts, algorithm, arguments(config, algorithm))
    args = trainer.args
    given = {name: getattr(args, name) for name in told if name != "epsilon_high"}
    assert {**given, "epsilon_high": trainer.epsilon_high} == told
    assert (args.learning_rate, args.warmup_steps, args.max_steps) == (5e-6, 0.1, 401)
    assert args.generation_batch_size == 16 * told["num_generations"]
    assert args.lr_scheduler_type == "constant_with_warmup"
    assert args.use_bias_correction_kl is False  # plain low-variance KL
    assert (args.temperature, args.max_completion_length) == (1.0, 1500)
    assert rollouts.drops_equal_groups == (algorithm == "dapo")
    assert rollouts.overlong_share == (0.2 if algorithm == "dapo" else 0)


def test_a_vllm_has_room_for_prompt_and_response_and_no_more(tmp_path: Path) -> None:
    from longvideoagent.training.config import TrainConfig
    from longvideoagent.training.rl import arguments

    plain = {"model": "m", "data": "d", "rows": "r", "out": str(tmp_path), "vllm_memory": 0.3}
    told = arguments(TrainConfig.model_validate(plain), "grpo")
    assert (told["vllm_max_model_length"], told["vllm_gpu_memory_utilization"]) == (13_500, 0.3)


def test_an_outage_is_no_lesson(random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_team()
    team = Team("shaky", whole.master, whole.grounding, DeadVision())
    trainer, rollouts = trainer_of(random_model, tmp_path, team=team, max_steps=1)
    say(rollouts, monkeypatch, [LOOK], [MOVE, END], ["<answer>a0</answer>"], [LOOK])
    rows = kept_rows(trainer, rollouts, monkeypatch)
    trainer.train()
    assert rows[0]["rollout_reward"] == [None, 2.0, 1.0, None]
    assert [sum(mask) > 0 for mask in rows[0]["env_mask"]] == [False, True, True, False]


def test_what_does_not_fit_is_no_wrong_answer(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from longvideoagent.training.evaluation import summarize
    from longvideoagent.training.rollouts import counts
    from longvideoagent.training.trl import MasterRollouts

    _, tokenizer = tiny
    on_throttled = MasterFormat(
        tokenizer, PromptFormat(prompt=PROMPT), Limits(prompt=20, response=600, reply=48, least_reply=8)
    )
    lost = asyncio.run(play([TASK], load_team(), scripted(tokenizer), on_throttled))[0]
    assert (lost.did_not_fit, str(lost.trace.outcome), counts(lost.trace)["rounds"]) == (True, "spent", 0)
    short = MasterFormat(
        tokenizer, PromptFormat(prompt=PROMPT), Limits(prompt=600, response=80, reply=48, least_reply=8)
    )
    cut = asyncio.run(play([TASK], load_team(), scripted(tokenizer, [MOVE]), short))[0]
    assert (len(cut.trace.rounds), counts(cut.trace)["rounds"]) == (3, 1)  # the others passed for want of room
    right = asyncio.run(play([TASK], load_team(), scripted(tokenizer, [END]), short))[0]
    assert not cut.did_not_fit

    rollouts = MasterRollouts([TrainingSample(TASK, 1)], load_team(), short)
    monkeypatch.setattr(rollouts, "play", lambda *_: [lost, cut, right])
    trainer = SimpleNamespace(args=SimpleNamespace(temperature=1.0), model=SimpleNamespace(training=True))
    rows = rollouts([[{"lesson": 0}]] * 3, trainer)
    assert rows["rollout_reward"][0] is None
    assert None not in rows["rollout_reward"][1:]
    assert (rollouts.told["did_not_fit"], rollouts.told["failed"]) == (1, 0)
    assert (rollouts.told["accuracy"], rollouts.told["rounds"]) == (0.5, 1.0)

    lesson = TrainingSample(TASK, 1, kind="what")
    told = summarize([(lesson, lost), (lesson, right)])
    assert (told["n"], told["accuracy"], told["failed"], told["did_not_fit"]) == (1, 1.0, 0, 1)
    assert summarize([(lesson, lost)]) == {"n": 0, "failed": 0, "did_not_fit": 1, "by_kind": {}}


def test_what_is_told_of_a_batch_weighs_each_rollout_alike(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of them the outages left to each process."""
    from longvideoagent.training.reward import reward
    from longvideoagent.training.trl import tell

    _, tokenizer = tiny
    whole = load_team()
    team = Team("shaky", whole.master, whole.grounding, DeadVision())
    says = [[END], [LOOK], [LOOK], *[["<answer>a0</answer>"]] * 3]
    played = asyncio.run(play([TASK] * 6, team, scripted(tokenizer, *says), tongue(tokenizer)))
    finished = [(each, reward(each.trace, 1, Weights())) for each in played]
    right = [each.trace.option_index == 1 for each in played]
    shares: list[list[Any]] = []

    def keep(rows: list[Any]) -> list[Any]:
        shares.append(rows)
        return rows

    monkeypatch.setattr("accelerate.utils.gather_object", keep)
    for start in (0, 3):
        tell(finished[start : start + 3], right[start : start + 3])
    monkeypatch.setattr("accelerate.utils.gather_object", lambda _rows: [row for share in shares for row in share])
    told = tell(finished[:3], right[:3])
    assert (told["accuracy"], told["reward_right"], told["failed"]) == (0.25, 0.25, 2)
    shares[:] = [[{"failed": 1}]]
    assert tell(finished[:3], right[:3]) == {"failed": 1, "did_not_fit": 0}


def test_a_style_that_is_no_single_sequence_is_refused(tiny: Any) -> None:
    from longvideoagent.core.context import Style
    from longvideoagent.training.trl import MasterRollouts

    _, tokenizer = tiny
    own = MasterFormat(tokenizer, PromptFormat(Style.ACCUMULATED, PROMPT))
    played: list[RolloutResult] = asyncio.run(play([TASK], load_team(), scripted(tokenizer, [MOVE, END]), own))
    with pytest.raises(UsageError, match="contexts are no single sequence"):
        MasterRollouts([], load_team(), own)._row(played[0], is_counted=True)


@pytest.mark.parametrize("published", [{}, {"repetition_penalty": 1.5, "suppress_tokens": [5], "top_k": 3}])
def test_log_probabilities_are_those_of_the_model(random_model: Path, published: dict[str, Any]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from longvideoagent.training.sampling import ModelSampler

    model = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    model.generation_config.update(**published)
    contexts = [tokenizer(text)["input_ids"] for text in ("What is torn?", "Who is late today, and why?")]
    torch.manual_seed(3)
    replies = ModelSampler(model, tokenizer, temperature=0.7)(contexts, [9, 14])
    torch.manual_seed(3)
    assert ModelSampler(model, tokenizer, temperature=0.7)(contexts, [9, 14]) == replies
    assert all(0 < len(ids) <= most for (ids, _), most in zip(replies, [9, 14], strict=True))
    for context, (ids, logprobs) in zip(contexts, replies, strict=True):
        scores = model(input_ids=torch.tensor([context + ids])).logits[0, len(context) - 1 : -1]
        expected = torch.log_softmax(scores / 0.7, -1).gather(1, torch.tensor(ids).unsqueeze(1)).squeeze(1)
        assert logprobs == pytest.approx(expected.tolist(), abs=1e-4)
    told = model.generation_config.to_dict()
    assert {name: told[name] for name in published} == published  # it is published with these again


def test_scores_that_are_no_numbers_are_told_apart(random_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from longvideoagent.training.sampling import ModelSampler

    model = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="no numbers"):
        ModelSampler(model, tokenizer)([tokenizer("What is torn?")["input_ids"]], [4])


@pytest.mark.parametrize("algorithm", ["grpo", "dapo"])
def test_two_processes_learn_what_one_does(algorithm: str, random_model: Path, tmp_path: Path) -> None:
    """Over gloo, with a group that lies in both of them."""
    import torch
    from safetensors.torch import load_file

    learnt = []
    for ranks in (1, 2):
        out = tmp_path / f"{ranks}"
        out.mkdir()
        learn_with(ranks, "tests.training.two_ranks", str(random_model), str(out), algorithm)
        learnt.append(load_file(out / "weights.safetensors"))
    start = load_file(random_model / "model.safetensors")
    assert any(not torch.equal(each, start[name]) for name, each in learnt[0].items() if name in start)
    for name, each in learnt[0].items():
        assert torch.allclose(each, learnt[1][name], atol=2e-6), name


def learn_with(ranks: int, *module: str) -> None:
    """Run a module in processes that know of each other as torchrun's do."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(ranks)}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = []
    for rank in range(ranks):
        own = {"RANK": f"{rank}", "LOCAL_RANK": f"{rank}", **place} if ranks > 1 else {}
        command = [sys.executable, "-m", *module]
        running.append(
            subprocess.Popen(command, cwd=ROOT, env={**environment, **own}, stderr=subprocess.PIPE, text=True)
        )
    try:
        for each in running:
            _, said = each.communicate(timeout=200)
            assert each.returncode == 0, said[-3000:]
    finally:
        for each in running:
            each.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class Engine:
    """Speaks like ``vllm.LLM``: says what stands in ``says``, a text a call and row, and stops where it is told to."""

    tokenizer: Any
    says: list[list[str]]
    obeys: bool = True
    asked: list[Any] = field(default_factory=list)

    def generate(self, prompts: list[dict[str, Any]], bounds: list[Any], use_tqdm: bool = True) -> list[Any]:
        assert not use_tqdm
        self.asked.append((prompts, bounds))
        given = []
        for row, (said, bound) in enumerate(zip(self.says.pop(0), bounds, strict=True)):
            ends = [said.find(text) + len(text) for text in bound.stop if self.obeys and text in said]
            ids = self.tokenizer(said[: min(ends, default=None)])["input_ids"][: bound.max_tokens]
            logprobs = [{number: SimpleNamespace(logprob=-0.5 - row)} for number in ids]
            given.append(SimpleNamespace(outputs=[SimpleNamespace(token_ids=ids, logprobs=logprobs)]))
        return given


def test_a_vllm_beside_the_trainer_is_asked_on_where_it_stopped_inside_a_thought(tiny: Any, fake_vllm: Any) -> None:
    from longvideoagent.training.sampling import EngineSampler

    _, tokenizer = tiny
    reasoning = ["<think>not <answer>a0</answer>", "</think><answer>a1</answer> and more"]
    engine = Engine(tokenizer, [["<search>a rope</search> and more", reasoning[0], "no action"], [reasoning[1]]])
    contexts = [tokenizer(text)["input_ids"] for text in ("one", "two", "three")]
    replies = EngineSampler(engine, tokenizer, temperature=0.7)(contexts, [90, 90, 9])
    told = [tokenizer.decode(ids) for ids, _ in replies]
    assert told == ["<search>a rope</search>", "<think>not <answer>a0</answer></think><answer>a1</answer>", "no action"]
    assert all(len(ids) == len(logprobs) for ids, logprobs in replies)
    (first, bounds), (second, rest) = engine.asked
    assert [each["prompt_token_ids"] for each in first] == contexts
    assert {(each.temperature, each.top_p, each.top_k, each.min_p, each.logprobs) for each in bounds} == {
        (0.7, 1.0, -1, 0.0, 0)
    }
    assert second == [{"prompt_token_ids": contexts[1] + tokenizer(reasoning[0])["input_ids"]}]
    assert rest[0].max_tokens == 90 - len(tokenizer(reasoning[0])["input_ids"])
    assert isinstance(rest[0], fake_vllm.SamplingParams)


def test_a_reply_of_vllm_ends_at_its_first_action_wherever_vllm_stopped(tiny: Any, fake_vllm: Any) -> None:  # noqa: ARG001
    from longvideoagent.training.sampling import EngineSampler

    _, tokenizer = tiny
    engine = Engine(tokenizer, [[f"so {LOOK}\n{MOVE}", "no action, and"]], obeys=False)
    contexts = [tokenizer(text)["input_ids"] for text in ("one", "two")]
    replies = EngineSampler(engine, tokenizer)(contexts, [200, 200])
    assert [tokenizer.decode(ids) for ids, _ in replies] == [f"so {LOOK}", "no action, and"]
    assert all(len(ids) == len(logprobs) for ids, logprobs in replies)


def test_a_long_response_loses_of_its_reward_under_dapo(tiny: Any) -> None:
    from longvideoagent.training.trl import MasterRollouts

    _, tokenizer = tiny
    said = "x" * 80 + END
    length = len(tokenizer(said)["input_ids"])
    for limit, loss in ((2 * length, 0.0), (round(length / 0.9), 0.5), (length, 1.0)):
        own = MasterFormat(tokenizer, PromptFormat(prompt=PROMPT), Limits(600, limit, 600, 8))
        played = asyncio.run(play([TASK], load_team(), scripted(tokenizer, [said]), own))
        rollouts = MasterRollouts([], load_team(), own, overlong_share=0.2)
        assert rollouts._overlong(played[0]) == pytest.approx(loss, abs=0.02)
