"""Rollouts by the worker of verl's trainer, read back from the queue that the trainer reads. A script, since it needs a
Ray of its own on this machine: ``verl_queue.py SCRIPTS [OVERRIDE]…``, where SCRIPTS is a JSON list of each rollout's
replies. Prints a JSON list with an object per rollout, in the order of their names."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import ray
import transfer_queue
from transformers import AutoTokenizer
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopWorkerTQ
from verl.utils import tensordict_utils
from verl.utils.dataset.rl_dataset import collate_fn

from tests.fakes.verl_engine import FakeClient
from tests.plugins.verl import compose, read_rows

STEP = 3


async def generate(config: Any, scripts: Sequence[Sequence[str]]) -> None:
    """Rollouts of one question, one per script."""
    tokenizer = AutoTokenizer.from_pretrained(config.actor_rollout_ref.model.path)
    columns = collate_fn(read_rows(config, tokenizer)[:1])
    columns["uid"] = np.array(["question"], dtype=object)
    batch = tensordict_utils.get_tensordict(columns)
    tensordict_utils.assign_non_tensor_data(batch, "global_steps", STEP)
    worker = AgentLoopWorkerTQ.__ray_metadata__.modified_class(config, FakeClient(config, tokenizer, scripts))
    await worker.generate_sequences(batch)
    await asyncio.gather(*worker.background_tasks)


def read_queue() -> list[dict[str, Any]]:
    """What the trainer reads of each rollout."""
    tags = transfer_queue.kv_list()["train"]
    names = sorted(name for name in tags if "_" in name)
    data = transfer_queue.kv_batch_get(keys=names, partition_id="train")
    columns = zip(names, data["rm_scores"], data["response_mask"], data["extra_fields"], strict=True)
    return [
        {
            "reward": score.sum().item(),
            "num_sampled": int(mask.sum()),
            "failed": getattr(fields, "data", fields)["reward_extra_info"]["failed"],
            "versions": [tags[name]["min_global_steps"], tags[name]["max_global_steps"]],
        }
        for name, score, mask, fields in columns
    ]


def main(scripts: Sequence[Sequence[str]], overrides: Sequence[str]) -> None:
    size = f"actor_rollout_ref.rollout.n={len(scripts)}"
    units = "transfer_queue.backend.SimpleStorage.num_data_storage_units=1"
    config = compose("grpo", size, units, "transfer_queue.enable=true", *overrides)
    with tempfile.TemporaryDirectory() as folder:
        ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
        transfer_queue.init(config.transfer_queue)
        asyncio.run(generate(config, scripts))
        print(json.dumps(read_queue()))
        transfer_queue.close()
        ray.shutdown()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
