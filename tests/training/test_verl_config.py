"""verl finds the plugin, and accepts the commands of the documentation."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from longvideoagent.training.config import RLConfig, read_config
from tests.plugins.training import ROOT
from tests.plugins.verl import compose, needs_verl

pytestmark = needs_verl

DOCUMENT = (ROOT / "docs" / "training.md").read_text()
COMMANDS = "".join(re.findall(r"```bash\n(.*?)```", DOCUMENT, re.DOTALL)).replace("\\\n", " ")


def test_verl_finds_plugin() -> None:
    code = (
        "import verl\n"
        "from verl.experimental.agent_loop.agent_loop import _agent_loop_registry as loops\n"
        "from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY as advantages\n"
        "print(loops['longvideoagent']['_target_'], 'longvideoagent_grpo' in advantages)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["longvideoagent.training.verl.MasterLoop", "True"], done.stderr


def test_verl_validation_without_outages() -> None:
    from verl.trainer.ppo.metric_utils import process_validation_metrics

    counts = {("set", "question"): 2}
    metrics = process_validation_metrics(
        ["set"] * 2, ["question"] * 2, {"acc": [1.0, None]}, expected_acc_counts=counts
    )
    assert metrics["set"]["acc"]["mean@2"] == 0.5
    assert metrics["set"]["acc_success_only"]["mean@1"] == 1.0


def test_verl_documented_commands(random_model: Path) -> None:
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    commands = re.findall(r"python -m verl\.trainer\.main_ppo (.*)", COMMANDS)
    assert len(commands) == 3
    command = [sys.executable, "-m", "verl.trainer.main_ppo", *shlex.split(commands[0].replace("$PWD", str(ROOT)))]
    done = subprocess.run([*command, "--cfg", "job"], capture_output=True, text=True, check=False)
    assert "adv_estimator: longvideoagent_grpo" in done.stdout, done.stderr
    summaries = []
    for line in commands:
        arguments = shlex.split(line)
        options = dict(zip(arguments[::2], arguments[1::2], strict=False))
        assert options["--config-dir"].endswith("configs/verl")
        overrides = [argument for argument in arguments[4:] if "model.path" not in argument]
        model = (f"actor_rollout_ref.model.path={random_model}", "actor_rollout_ref.model.lora_rank=0")  # vLLM's ranks
        config = compose(options["--config-name"], *overrides, *model)
        validate_config(config, need_reference_policy(config), need_critic(config))
        actor, rollout, data = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout, config.data
        is_dapo = options["--config-name"] == "dapo"
        nodes, gpus = config.trainer.nnodes, config.trainer.n_gpus_per_node
        summaries.append((nodes, gpus, rollout.n, (actor.clip_ratio_low, actor.clip_ratio_high), actor.use_kl_loss))
        assert (actor.optim.lr, actor.kl_loss_coef, actor.kl_loss_type) == (5e-6, 0.001, "low_var_kl")
        assert (actor.loss_agg_mode, config.algorithm.adv_estimator) == ("token-mean", "longvideoagent_grpo")
        batch = (data.train_batch_size, actor.ppo_mini_batch_size, config.trainer.total_training_steps)
        limits = (data.max_prompt_length, data.max_response_length, rollout.max_model_len)
        update = (actor.optim.weight_decay, actor.clip_ratio_c, config.trainer.save_freq)
        assert batch == ((4, 2, 3001) if is_dapo else (16, 8, 401))
        assert limits == ((8100, 8100, 16200) if is_dapo else (12800, 1500, 14300))
        assert update == ((0.1, 10.0, 50) if is_dapo else (0.01, 3.0, 25))
        assert config.algorithm.filter_groups.enable is is_dapo
        own = read_config(ROOT / "configs" / "verl" / Path(overrides[0].partition("=")[2]).name, RLConfig).limits
        assert (own.max_prompt_tokens, own.max_response_tokens) == limits[:2]
    assert summaries == [
        (1, 8, 8, (0.2, 0.2), True),
        (2, 8, 8, (0.2, 0.2), True),
        (1, 8, 4, (0.2, 0.28), False),
    ]
