"""Evaluations on a real Ray cluster on this machine."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Question
from longvideoagent.datasets.gold import Gold, Sample
from longvideoagent.errors import DataError
from longvideoagent.evaluation.ray import ShardContext, ask_shard, split_shards
from longvideoagent.evaluation.runner import RunLimits
from tests.fakes.faulty_server import say, serving
from tests.fakes.release import some_questions, write_release, write_slow_release
from tests.plugins.cli import LVA
from tests.plugins.runs import eval_config, ids, lines, start, wait_for_lines

needs_ray = [
    pytest.mark.slow,
    pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="needs Ray: make test-all installs it"),
]


def test_shards_keep_videos_together() -> None:
    samples = [Sample(Question("?", (), str(n)), Gold(None), "", f"v{n % 7}") for n in range(100)]
    shards = list(split_shards(samples, 3))
    assert 1 < len(shards) <= 3
    assert sorted(sample.question.id for shard in shards for sample in shard) == sorted(str(n) for n in range(100))
    videos = [{sample.video for sample in shard} for shard in shards]
    assert sum(map(len, videos)) == 7


def test_worker_data_lack_questions(tmp_path: Path) -> None:
    context = ShardContext(eval_config(write_release(tmp_path / "data", some_questions(4))), RunLimits(), None)
    assert {each.question.id for each in ask_shard(["3", "1"], context) if isinstance(each, Trace)} == {"3", "1"}
    with pytest.raises(DataError, match=r"lacks 2 of the questions, 7, 9 first; copy the same data set to every node"):
        list(ask_shard(["1", "7", "9"], context))


NODE = """
import sys, time, ray
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 10**8})
other = cluster.add_node(num_cpus=1, object_store_memory=10**8)
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "kill":
        cluster.remove_node(other, allow_graceful=False)
        print("killed", flush=True)
"""


@pytest.fixture
def cluster() -> Iterator[subprocess.Popen[str]]:
    """Two nodes; one dies on the command ``kill``."""
    environment = {**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1", "RAY_DEDUP_LOGS": "0"}
    command = [sys.executable, "-c", NODE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        yield process
        process.kill()
        subprocess.run([Path(sys.executable).parent / "ray", "stop", "--force"], capture_output=True, check=False)


TEAM = """
[master]
model = "openai:m@{url}"
[prices.m]
prompt_usd_per_mtok = 0
completion_usd_per_mtok = 1e6  # a reply has three tokens, a dollar each
"""


def traces_without_times(path: Path) -> list[Any]:
    """The lines of the traces in a fixed order, without their times."""
    text = re.sub(r'"seconds":[\d.e-]+', "", (path / "traces.jsonl").read_text())
    return sorted(text.splitlines())


UNPICKLABLE = """
import sys, threading
from pathlib import Path
from longvideoagent.evaluation.ray import ShardContext, ask_on_ray
from longvideoagent.evaluation.runner import RunLimits
from longvideoagent.evaluation.config import load_samples
from longvideoagent.evaluation.store import RunWriter
from tests.plugins.runs import eval_config
config, folder = eval_config(Path(sys.argv[1])), Path(sys.argv[2])
folder.mkdir()
context = ShardContext(config, RunLimits(), threading.Lock())  # cannot be pickled
ask_on_ray("auto", load_samples(config)[1], context, RunWriter(folder), lambda *_: None)
"""


class TestOnACluster:
    pytestmark = needs_ray

    def test_node_dies(self, cluster: subprocess.Popen[str], tmp_path: Path) -> None:
        assert cluster.stdout is not None
        assert cluster.stdin is not None
        address = cluster.stdout.readline().strip()
        release = write_slow_release(tmp_path, 240)
        command = [str(LVA), "eval", str(release), "--agents", "grounding"]
        with subprocess.Popen(
            [*command, "--ray", address, "--run", str(tmp_path / "ray")], stderr=subprocess.PIPE, text=True
        ) as run:
            wait_for_lines(tmp_path / "ray", 20)
            cluster.stdin.write("kill\n")
            cluster.stdin.flush()
            assert "killed" in cluster.stdout.readline()
            done = len(ids(tmp_path / "ray"))
            assert run.wait(timeout=1200) == 0, run.stderr.read() if run.stderr else ""
        assert done < 240
        assert sorted(ids(tmp_path / "ray"), key=int) == [str(number) for number in range(240)]
        subprocess.run([*command, "--run", str(tmp_path / "here")], check=True, capture_output=True)
        assert traces_without_times(tmp_path / "ray") == traces_without_times(tmp_path / "here")
        one, other = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("ray", "here"))
        assert (one["accuracy"], one["grounding"]) == (other["accuracy"], other["grounding"])

    def test_unknown_cluster(self, tmp_path: Path) -> None:
        release = write_slow_release(tmp_path, 4)
        command = [str(LVA), "eval", str(release), "--ray", "127.0.0.1:1", "--run", str(tmp_path / "run")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "no such cluster" in done.stderr

    def test_unexpected_error_is_raised(self, tmp_path: Path) -> None:
        release = write_release(tmp_path / "data", some_questions(4))
        command = [sys.executable, "-c", UNPICKLABLE, str(release), str(tmp_path / "run")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        assert "TypeError: Could not serialize" in done.stderr

    def test_ctrl_c_keeps_finished_questions(self, cluster: subprocess.Popen[str], tmp_path: Path) -> None:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        release, path = write_slow_release(tmp_path, 3000), tmp_path / "run"
        with start(release, path, "--ray", address) as process:
            wait_for_lines(path, 5)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=120) == 130
            assert process.stderr is not None
            assert "the same command resumes" in process.stderr.read()
        assert 5 <= len(ids(path)) < 3000
        assert len(set(ids(path))) == len(ids(path))

    def test_max_run_usd_keeps_paid_questions(self, cluster: subprocess.Popen[str], tmp_path: Path) -> None:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        release = write_slow_release(tmp_path, 300)

        async def slow(request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(0.5)
            return cast(web.StreamResponse, await say("<answer>a1</answer>")(request))

        with serving(slow) as (url, server):
            (tmp_path / "team.toml").write_text(TEAM.format(url=url))
            options = ["--team", str(tmp_path / "team.toml"), "--concurrency", "4", "--max-run-usd", "30"]
            with start(release, tmp_path / "run", "--ray", address, *options, "--no-cache") as run:
                assert run.stderr is not None
                output = run.stderr.read()
            assert run.returncode == 1
        assert "dollars are spent" in output
        assert 10 <= len(ids(tmp_path / "run")) == len(server.requests) < 30
        assert {line["outcome"] for line in lines(tmp_path / "run")} == {"answered"}
