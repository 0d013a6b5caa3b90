"""The master's rollouts under verl, up to the engine that samples: what it asks for, what it gives, what it refuses."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.core.protocol import ACTION_ENDS
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, UsageError
from longvideoagent.training.config import TrainConfig, read_config
from longvideoagent.training.reward import reward
from longvideoagent.training.rollouts import MasterFormat, Sampled, play
from longvideoagent.training.rows import read_training_samples
from tests.plugins.training import write_config
from tests.plugins.verl import ROOT, compose, rows_of

pytestmark = [
    pytest.mark.filterwarnings("default"),  # verl and Ray warn of their own dependencies
    pytest.mark.verl,
    pytest.mark.skipif(not importlib.util.find_spec("verl"), reason="needs verl: make test-verl installs it"),
]

LOOK, MOVE = "<search>a lantern</search>", "<request_grounding>red lantern</request_grounding>"
RIGHT, WRONG = "<answer>A lantern</answer>", "<answer>A kite</answer>"
TURN = "<|im_end|>"
TALK = "<think><answer>x</answer></think>"
LIMITS = {"prompt": 6000, "response": 900}


@pytest.fixture
def told(rows: Path, random_model: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Makes what verl is told of rollouts of the rows with the tiny model."""

    def make(**changed: Any) -> list[str]:
        path = write_config(rows, tmp_path / "run", random_model, **{"max_rounds": 3, "reward": "public", **changed})
        lengths = [f"data.max_{each}_length={most}" for each, most in LIMITS.items()]
        files = [f"data.{split}_files={rows / 'rows' / 'train.parquet'}" for split in ("train", "val")]
        model = f"actor_rollout_ref.model.path={random_model}"
        return [f"longvideoagent.config={path}", model, *files, *lengths]

    return make


@pytest.fixture
def configured(told: Callable[..., list[str]]) -> Callable[..., Any]:
    """Makes a configuration of verl."""

    def make(*overrides: str, name: str = "grpo", **changed: Any) -> Any:
        return compose(name, *told(**changed), *overrides)

    return make


@pytest.fixture(scope="module")
def tokenizer(random_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(random_model)


def roll(config: Any, tokenizer: Any, row: dict[str, Any], *replies: str) -> tuple[Any, Any]:
    """One rollout whose master says these: what verl is given, and the engine that said them."""
    from verl.experimental.agent_loop.agent_loop import DictConfigWrap
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from longvideoagent.training.verl import MasterLoop
    from tests.fakes.verl_engine import Client

    async def run() -> tuple[Any, Any]:
        client = Client(config, tokenizer, [replies])
        loop = MasterLoop(
            DictConfigWrap(config), client, tokenizer, None, RLHFDataset, DictConfigWrap(config.data), "qwen3"
        )
        told = await loop.run({"temperature": 1.0, "logprobs": True}, **row)
        return told, next(iter(client.engines.values()), None)

    return asyncio.run(run())


def text(tokenizer: Any, output: Any, mask: int) -> str:
    """What was sampled, or what was told."""
    chosen = zip(output.response_ids, output.response_mask, strict=True)
    decoded: str = tokenizer.decode([number for number, each in chosen if each == mask])
    return decoded


def test_verl_finds_the_plugin_by_itself() -> None:
    code = (
        "import verl\n"
        "from verl.experimental.agent_loop.agent_loop import _agent_loop_registry as loops\n"
        "from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY as advantages\n"
        "print(loops['longvideoagent']['_target_'], 'longvideoagent_grpo' in advantages)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["longvideoagent.training.verl.MasterLoop", "True"], done.stderr


def test_a_rollout_is_the_loops_own(configured: Callable[..., Any], tokenizer: Any) -> None:
    config = configured()
    output, engine = roll(config, tokenizer, rows_of(config, tokenizer)[0], MOVE + " and", "so " + RIGHT + " more")
    assert text(tokenizer, output, 1) == f"{MOVE}so {RIGHT}"
    told = text(tokenizer, output, 0)
    assert "The bakery is closed." in told
    assert told.endswith(TURN)
    assert (output.response_ids[-1], output.response_mask[-1]) == (tokenizer.eos_token_id, 0)
    first = engine.asked[0]
    assert first["sampling_params"]["stop"] == list(ACTION_ENDS)
    assert first["sampling_params"]["max_tokens"] == 64
    assert first["prompt_ids"] == output.prompt_ids
    again = engine.asked[1]["prompt_ids"]
    assert again == (output.prompt_ids + output.response_ids)[: len(again)]
    both = zip(output.response_ids, output.response_mask, strict=True)
    assert output.response_logprobs == [-0.125 * (1 + number % 8) * mask for number, mask in both]
    assert output.reward_score == pytest.approx(1.4)
    assert output.extra_fields["reward_extra_info"] == {
        "acc": 1.0, "rounds": 2, "looks": 0, "relocations": 1, "failed": 0, "did_not_fit": 0, "outcome": "answered",
    }  # fmt: skip
    assert (output.extra_fields["min_global_steps"], output.extra_fields["max_global_steps"]) == (7, 7)
    assert output.num_turns == 4


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_mark_inside_a_thought_ends_nothing(configured: Callable[..., Any], tokenizer: Any, engine: str) -> None:
    config = configured(f"actor_rollout_ref.rollout.name={engine}")
    output, made = roll(config, tokenizer, rows_of(config, tokenizer)[0], TALK + RIGHT + "<answer>")
    assert text(tokenizer, output, 1) == TALK + RIGHT
    assert len(made.asked) == (2 if engine == "vllm" else 1)
    assert ("stop" in made.asked[0]["sampling_params"]) == (engine == "vllm")
    if engine == "vllm":
        first = len(tokenizer("<think><answer>x</answer>")["input_ids"])
        assert made.asked[1]["prompt_ids"] == output.prompt_ids + output.response_ids[:first]
        assert made.asked[1]["sampling_params"]["max_tokens"] == 64 - first


def test_a_turn_that_was_ended_is_ended_once(configured: Callable[..., Any], tokenizer: Any) -> None:
    config = configured("actor_rollout_ref.rollout.name=sglang", max_rounds=1)
    row = rows_of(config, tokenizer)[0]
    talked, _ = roll(config, tokenizer, row, "I do not know." + TURN)
    assert text(tokenizer, talked, 1) == "I do not know." + TURN
    assert text(tokenizer, talked, 0) == ""
    cut, _ = roll(config, tokenizer, row, "I " * 64)  # cut off within its turn, which has no end then
    assert text(tokenizer, cut, 1) == "I " * 32
    assert text(tokenizer, cut, 0) == ""
    looked, _ = roll(config, tokenizer, row, LOOK + TURN)  # the last round: nothing comes after it
    assert text(tokenizer, looked, 1) == LOOK
    assert text(tokenizer, looked, 0) == TURN
    assert looked.extra_fields["reward_extra_info"]["outcome"] == "spent"


def test_verl_and_trl_are_given_the_same(configured: Callable[..., Any], tokenizer: Any) -> None:
    from longvideoagent.training.trl import MasterRollouts
    from longvideoagent.training.verl import open_worker_context
    from tests.fakes.verl_engine import logprobs_of

    scripts = [[RIGHT], [MOVE, WRONG], [TALK + MOVE, LOOK, "so " + RIGHT], ["Hm." + TURN, MOVE, "x" * 64], [LOOK] * 3]
    config = configured()
    school = open_worker_context(config.longvideoagent.config)
    own = read_config(Path(config.longvideoagent.config), TrainConfig)
    lesson = read_training_samples(own.rows, open_dataset(own.data, own.split), own.settings)[0]
    tongue = MasterFormat(tokenizer, own.wording, own.token_limits)
    left = [list(script) for script in scripts]

    def sample(contexts: Sequence[list[int]], most: Sequence[int]) -> list[Sampled]:  # noqa: ARG001
        said = [tokenizer(each.pop(0))["input_ids"][:64] for each in left if each]
        return [(ids, logprobs_of(ids)) for ids in said]

    played = asyncio.run(play([lesson.task] * len(scripts), school.team, sample, tongue))
    trl = MasterRollouts([lesson], school.team, tongue, own.weights)
    for script, each in zip(scripts, played, strict=True):
        row = trl._row(each, is_counted=True)
        output, _ = roll(config, tokenizer, rows_of(config, tokenizer)[0], *script)
        count = len(row["completion_ids"])
        assert output.prompt_ids == row["prompt_ids"]
        assert output.response_ids[:count] == row["completion_ids"]
        assert output.response_mask[:count] == row["env_mask"]
        assert output.response_logprobs[:count] == row["logprobs"]
        assert output.response_ids[count:] in ([], [tokenizer.eos_token_id])  # TRL needs no end of turn
        assert not any(output.response_mask[count:])
        earned = reward(each.trace, lesson.gold_option, own.weights)
        assert earned is not None
        assert output.reward_score == earned.total


@pytest.fixture
def shaky(tmp_path: Path) -> str:
    """A team whose grounding is down."""
    (tmp_path / "none.json").write_text("[]")
    (tmp_path / "team.toml").write_text(f'[grounding]\nmodel = "scripted:{tmp_path / "none.json"}"\n')
    return str(tmp_path / "team.toml")


def test_an_outage_is_no_lesson_and_is_counted(
    configured: Callable[..., Any], tokenizer: Any, shaky: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = configured(team=shaky)
    row = rows_of(config, tokenizer)[0]
    with caplog.at_level(logging.WARNING, "longvideoagent"):
        output, _ = roll(config, tokenizer, row, MOVE)
    assert tokenizer.decode(output.response_ids) == MOVE + TURN
    assert not any(output.response_mask)
    assert output.reward_score == 0.0
    told = output.extra_fields["reward_extra_info"]
    assert (told["acc"], told["failed"], told["outcome"]) == (None, 1, "failed")
    assert "no lesson (grounding: the script ends" in caplog.text


def test_verl_validates_with_outages_and_without() -> None:
    from verl.trainer.ppo.metric_utils import process_validation_metrics

    asked = {("set", "question"): 2}
    told = process_validation_metrics(["set"] * 2, ["question"] * 2, {"acc": [1.0, None]}, expected_acc_counts=asked)
    assert told["set"]["acc"]["mean@2"] == 0.5
    assert told["set"]["acc_success_only"]["mean@1"] == 1.0


def test_rollouts_become_one_batch_of_verl(configured: Callable[..., Any], tokenizer: Any, shaky: str) -> None:
    import numpy as np
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
    from verl.protocol import DataProto
    from verl.trainer.ppo.ray_trainer import compute_advantage
    from verl.utils.dataset.rl_dataset import collate_fn

    from tests.fakes.verl_engine import Client

    config = configured(team=shaky)
    batch = DataProto.from_single_dict(collate_fn(rows_of(config, tokenizer)))
    batch.meta_info = {"global_steps": 3}

    async def run() -> Any:
        client = Client(config, tokenizer, [[RIGHT], [MOVE], [WRONG], ["Hm." + TURN] * 3])
        return await AgentLoopWorker(config, client).generate_sequences(batch)

    made = asyncio.run(run())
    most = LIMITS["response"]
    assert made.batch["responses"].shape == (4, most)
    assert made.batch["prompts"].shape == (4, LIMITS["prompt"])
    sampled = [len(tokenizer(said)["input_ids"]) for said in (RIGHT, "", WRONG)]
    assert made.batch["response_mask"].sum(-1).tolist()[:3] == sampled
    assert made.batch["rm_scores"].sum(-1).tolist() == pytest.approx([1.2, 0.0, 0.2, 0.2])
    assert ((made.batch["rollout_log_probs"] < 0) == made.batch["response_mask"].bool())[0].all()
    assert made.non_tensor_batch["failed"].tolist() == [0, 1, 0, 0]
    assert made.non_tensor_batch["rounds"].tolist() == [1, 1, 1, 3]
    made.batch["token_level_rewards"] = made.batch["rm_scores"]
    made.non_tensor_batch["uid"] = np.array(["one group"] * 4, dtype=object)
    advantages = compute_advantage(made, config.algorithm.adv_estimator, config=config.algorithm).batch["advantages"]
    given = [row[mask.bool()].tolist() for row, mask in zip(advantages, made.batch["response_mask"], strict=True)]
    assert given[1] == []
    earned = [1.2, 0.2, 0.2]
    expected = [(told - np.mean(earned)) / np.std(earned, ddof=1) for told in earned]
    assert [given[0][0], given[2][0], given[3][0]] == pytest.approx(expected, rel=1e-4)
    assert not advantages[~made.batch["response_mask"].bool()].any()


def test_verls_trainer_finds_the_rollouts_in_its_queue(told: Callable[..., list[str]], shaky: str) -> None:
    scripts = [[RIGHT], [MOVE], [WRONG]]
    command = [sys.executable, "-m", "tests.fakes.verl_queue", json.dumps(scripts), *told(team=shaky)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    stored = json.loads(done.stdout.splitlines()[-1])
    assert [each["reward"] for each in stored] == pytest.approx([1.2, 0.0, 0.2])
    assert [each["sampled"] for each in stored] == [len(RIGHT), 0, len(WRONG)]  # a byte each
    assert [each["failed"] for each in stored] == [0, 1, 0]
    assert [each["versions"] for each in stored] == [[7, 7]] * 3


def test_long_responses_cost_what_verls_own_reward_manager_takes(
    configured: Callable[..., Any], tokenizer: Any
) -> None:
    import numpy as np
    import torch
    from verl.experimental.reward_loop.reward_manager.dapo import DAPORewardManager
    from verl.protocol import DataProto

    length = ["reward.reward_kwargs.max_resp_len=60", "reward.reward_kwargs.overlong_buffer_cfg.len=40"]
    config = configured(*length, name="dapo")
    for said in (RIGHT, "so, I think " + RIGHT):
        output, _ = roll(config, tokenizer, rows_of(config, tokenizer)[0], said)
        assert output.response_mask[-1] == 0
        ids = torch.tensor([output.response_ids[:-1]])  # the end of turn is not the master's
        tensors = {"responses": ids, "attention_mask": torch.ones_like(ids)}
        others = {"data_source": np.array(["x"]), "reward_model": np.array([{"ground_truth": "a1"}])}
        data = DataProto.from_dict(tensors, others)
        worth = 1.4 if said != RIGHT else 1.2

        async def run(data: Any = data, worth: float = worth) -> Any:
            return await DAPORewardManager(config, tokenizer, lambda **_: worth).run_single(data)

        expected = asyncio.run(run())["reward_score"]
        assert output.reward_score == pytest.approx(float(expected))
        assert output.reward_score < worth


def test_the_penalty_is_that_of_trl_for_the_same_response(configured: Callable[..., Any], tokenizer: Any) -> None:
    from longvideoagent.training.config import OVERLONG_SHARE
    from longvideoagent.training.reward import overlong

    config = configured("data.max_response_length=64", name="dapo")
    assert config.reward.reward_kwargs.max_resp_len == 64
    path = Path(config.longvideoagent.config)
    path.write_text(path.read_text().replace("response = 900", "response = 64"))
    said = "so, as I do think: it must be " + RIGHT
    output, _ = roll(config, tokenizer, rows_of(config, tokenizer)[0], said)
    lost = overlong(len(tokenizer(said)["input_ids"]), 64, OVERLONG_SHARE * 64)
    assert lost > 0
    assert output.reward_score == pytest.approx(1.4 - lost)


def test_a_prompt_that_does_not_fit_is_no_lesson_and_is_counted(
    configured: Callable[..., Any], tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    config = configured()
    row = rows_of(config, tokenizer)[0]
    path = Path(config.longvideoagent.config)
    path.write_text(path.read_text().replace("prompt = 6000", "prompt = 20"))
    with caplog.at_level(logging.WARNING, "longvideoagent"):
        output, _ = roll(config, tokenizer, row)
    assert not any(output.response_mask)
    told = output.extra_fields["reward_extra_info"]
    assert (told["acc"], told["rounds"], told["failed"], told["did_not_fit"]) == (None, 0, 0, 1)
    assert "no lesson (the prompt does not fit limits.prompt)" in caplog.text


def test_what_cannot_be_is_refused_in_one_line(
    configured: Callable[..., Any], tokenizer: Any, random_model: Path
) -> None:
    from transformers import AutoTokenizer

    config = configured()
    row = rows_of(config, tokenizer)[0]
    bare = AutoTokenizer.from_pretrained(random_model)
    bare.chat_template = None
    short = configured("data.max_response_length=100")
    unset = configured("longvideoagent.config=null")
    forgetful = configured(style="accumulated")
    faults: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
        (forgetful, tokenizer, row, UsageError, "no single sequence"),
        (short, tokenizer, row, UsageError, "limits.response 900 is more than verl's 100"),
        (unset, tokenizer, row, UsageError, "longvideoagent.config is not set"),
        (config, bare, row, DataError, "no chat template"),
        (config, tokenizer, row | {"extra_info": {"qid": "1"}}, DataError, "has no column extra_info.video"),
    ]
    for told, speaks, given, kind, why in faults:
        with pytest.raises(kind, match=why) as raised:
            roll(told, speaks, given, MOVE, RIGHT)
        assert "\n" not in str(raised.value)


DOCUMENT = (ROOT / "docs" / "training.md").read_text()
COMMANDS = "".join(re.findall(r"```bash\n(.*?)```", DOCUMENT, re.DOTALL)).replace("\\\n", " ")


def test_the_documents_commands_are_verls(random_model: Path) -> None:
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    found = re.findall(r"python -m verl\.trainer\.main_ppo (.*)", COMMANDS)
    assert len(found) == 3
    command = [sys.executable, "-m", "verl.trainer.main_ppo", *shlex.split(found[0].replace("$PWD", str(ROOT)))]
    done = subprocess.run([*command, "--cfg", "job"], capture_output=True, text=True, check=False)
    assert "adv_estimator: longvideoagent_grpo" in done.stdout, done.stderr
    told = []
    for line in found:
        arguments = shlex.split(line)
        given = dict(zip(arguments[::2], arguments[1::2], strict=False))
        assert given["--config-dir"].endswith("configs/verl")
        overrides = [each for each in arguments[4:] if "model.path" not in each]
        model = (f"actor_rollout_ref.model.path={random_model}", "actor_rollout_ref.model.lora_rank=0")  # vLLM's ranks
        config = compose(given["--config-name"], *overrides, *model)
        validate_config(config, need_reference_policy(config), need_critic(config))
        actor = config.actor_rollout_ref.actor
        clips = (actor.clip_ratio_low, actor.clip_ratio_high)
        group = config.actor_rollout_ref.rollout.n
        told.append((config.trainer.nnodes, config.trainer.n_gpus_per_node, group, clips, actor.use_kl_loss))
        assert (actor.optim.lr, actor.kl_loss_coef, actor.kl_loss_type) == (5e-6, 0.001, "low_var_kl")
        assert (config.data.max_prompt_length, config.data.max_response_length) == (12_000, 1_500)
        assert (config.data.train_batch_size, config.algorithm.adv_estimator) == (16, "longvideoagent_grpo")
        assert config.algorithm.filter_groups.enable is not actor.use_kl_loss
    assert told == [
        (1, 8, 8, (0.2, 0.2), True),
        (2, 8, 8, (0.2, 0.2), True),
        (1, 8, 4, (0.2, 0.28), False),
    ]


def test_the_configuration_of_rollouts_can_be_read() -> None:
    config = read_config(ROOT / "configs" / "verl" / "rollout.toml", TrainConfig)
    assert json.loads(config.model_dump_json())["limits"] == {
        "prompt": 12000, "response": 1500, "reply": 1024, "least_reply": 64,
    }  # fmt: skip
