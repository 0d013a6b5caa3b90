"""Runs over small releases, for tests to start, stop and damage."""

from __future__ import annotations

import json
import random
import re
import subprocess
import time
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from longvideoagent.agents.config import TeamConfig
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.evaluation.config import EvalConfig, make_eval_config
from longvideoagent.evaluation.evaluate import RunOptions, run_evaluation
from tests.fakes.faulty_server import say
from tests.plugins.cli import LVA

Json = dict[str, Any]


def eval_config(folder: Path, team: TeamConfig | None = None, **overrides: Any) -> EvalConfig:
    """A configuration with grounding only, unless an override says otherwise."""
    agents = {} if "baseline" in overrides else {"agents": "grounding"}
    return make_eval_config(folder, "val", team or TeamConfig(), RolloutSettings(), agents | overrides)


def run(config: EvalConfig, path: Path, **options: Any) -> Json:
    return run_evaluation(config, path, RunOptions(**options), lambda *_: None).summary


def lines(path: Path) -> list[Json]:
    return [json.loads(line) for line in (path / "traces.jsonl").read_text().splitlines()]


def ids(path: Path) -> list[str]:
    return [line["id"] for line in lines(path)]


def start(release: Path, path: Path, *more: str, **options: Any) -> subprocess.Popen[str]:
    command = [str(LVA), "eval", str(release), "--run", str(path), "--agents", "grounding", *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)


def wait_for_lines(path: Path, count: int) -> None:
    end_s = time.monotonic() + 60
    while not (path / "traces.jsonl").exists() or (path / "traces.jsonl").read_bytes().count(b"\n") < count:
        assert time.monotonic() < end_s
        time.sleep(0.01)


async def reply_as_any_model(request: web.Request) -> web.StreamResponse:
    """Replies as master, grounding or vision; each reply depends on every character of the request."""
    body = json.loads(await request.read())
    text = json.dumps(body["messages"])
    dice = random.Random(text)
    labels = re.findall(r"\[(s01e\w+)\]", text)
    turns = ["<visual_query>What is it?</visual_query>", "<request_grounding></request_grounding>"]
    replies = {
        "master": [*turns, f"<answer>a{dice.randrange(5)}</answer>"][min(2, text.count('"assistant"'))],
        "baseline": f"<answer>a{dice.randrange(5)}</answer>",
        "grounding": f"<clip>{dice.choice(labels or [''])}</clip>",
        "vision": f"0.5 s: {dice.random()}",
    }
    return cast(web.StreamResponse, await say(replies[body["model"]])(request))


def models_at(url: str, master: str) -> TeamConfig:
    roles = {"master": master, "grounding": "grounding", "vision": "vision"}
    return TeamConfig.model_validate({role: {"model": f"openai:{name}@{url}"} for role, name in roles.items()})
