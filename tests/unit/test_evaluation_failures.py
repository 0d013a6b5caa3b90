"""Runs with failing servers, videos and disks, and runs that are stopped."""

from __future__ import annotations

import json
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.errors import UsageError
from longvideoagent.evaluation.evaluate import RunOptions, run_evaluation
from longvideoagent.evaluation.runner import RunLimits
from tests.fakes.faulty_server import say, serving, status
from tests.fakes.release import question, some_questions, write_release, write_slow_release
from tests.plugins.cli import lva
from tests.plugins.runs import eval_config, ids, lines, run, start, wait_for_lines


def test_outage_is_not_an_answer_and_can_be_retried(release: Path, tmp_path: Path) -> None:
    replies: list[Any] = [status(400, "broken")] * 5 + [say("<answer>a1</answer>")]
    with serving(*replies) as (url, _):
        config = eval_config(release, TeamConfig(master=AgentConfig(model=f"openai:m@{url}")))
        first = run(config, tmp_path / "run", limits=RunLimits(concurrency=1))
        assert first["outcomes"] == {"answered": 7, "abstained": 0, "spent": 0, "failed": 5}
        assert sum(first["failures"].values()) == 5
        assert run(config, tmp_path / "run")["outcomes"]["failed"] == 5
        again = run(config, tmp_path / "run", retry_failed=True)
    assert again["outcomes"]["answered"] == again["num_finished"] == 12
    assert len(lines(tmp_path / "run")) == 17


def test_retry_with_another_limit(release: Path, tmp_path: Path) -> None:
    run(eval_config(release, limit=5), tmp_path / "run")
    before = (tmp_path / "run" / "config.json").read_bytes()
    for limit in (None, 8, 3):
        with pytest.raises(UsageError, match=r"--retry-failed: .* is a run of 5 questions; give --limit 5"):
            run(eval_config(release, limit=limit), tmp_path / "run", retry_failed=True)
    assert (tmp_path / "run" / "config.json").read_bytes() == before
    assert run(eval_config(release, limit=5), tmp_path / "run", retry_failed=True)["num_finished"] == 5
    run(eval_config(release), tmp_path / "whole")
    assert run(eval_config(release, limit=12), tmp_path / "whole", retry_failed=True)["num_finished"] == 12


def test_stopped_run_prints_finished_count(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(30))
    with serving(status(401, "no")) as (url, _):
        options = ["--master", f"openai:m@{url}", "--agents", "grounding", "--concurrency", "1"]
        done = lva("eval", release, "--run", tmp_path / "run", *options)
    assert done.returncode == 1
    assert "correct of 25 out of 30 questions" in done.stdout


def test_server_unavailable_for_a_while(release: Path, tmp_path: Path) -> None:
    replies: list[Any] = [status(503, "restarting")] * 10 + [say("<answer>a1</answer>")]
    with serving(*replies) as (url, _):
        config = eval_config(release, TeamConfig(master=AgentConfig(model=f"openai:m@{url}")))
        assert run(config, tmp_path / "run", limits=RunLimits(concurrency=4))["outcomes"]["answered"] == 12


SERVER = """
import sys
from aiohttp import web
choice = {"index": 0, "message": {"role": "assistant", "content": "<answer>a1</answer>"}, "finish_reason": "stop"}
async def answer(request):
    return web.json_response({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})
app = web.Application()
app.router.add_post("/v1/chat/completions", answer)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


@pytest.mark.slow
def test_server_unavailable_for_a_minute(tmp_path: Path) -> None:
    release, path = write_release(tmp_path / "data", some_questions(400)), tmp_path / "run"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVER, str(port)]
    model = f"openai:m@http://127.0.0.1:{port}/v1"
    with subprocess.Popen(command) as server:
        run = start(release, path, "--master", model, "--no-cache", "--concurrency", "2")
        wait_for_lines(path, 5)
        server.kill()
    time.sleep(60)
    with subprocess.Popen(command) as server:
        assert run.wait(timeout=1200) == 0, run.stderr and run.stderr.read()
        server.kill()
    assert run.stderr is not None
    run.stderr.close()
    assert {line["outcome"] for line in lines(path)} == {"answered"}
    assert len(ids(path)) == 400


def test_run_stops_after_consecutive_failures(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(60))
    with serving(status(401, "no")) as (url, _):
        config = eval_config(release, TeamConfig(master=AgentConfig(model=f"openai:m@{url}")))
        result = run_evaluation(config, tmp_path / "run", RunOptions(RunLimits(concurrency=1)), lambda *_: None)
    assert "25 questions in a row failed" in result.stop_cause
    assert result.summary["num_finished"] == 25


def test_run_stops_at_max_run_usd(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(20))
    with serving(say("<answer>a1</answer>")) as (url, _):
        model = f"openai:m@{url}"
        team_config = TeamConfig.model_validate(
            {"master": {"model": model}, "prices": {"m": {"prompt_usd_per_mtok": 0, "completion_usd_per_mtok": 1e6}}}
        )
        limits = RunLimits(concurrency=1, max_run_usd=10.0)  # a reply has three tokens, a dollar each
        result = run_evaluation(
            eval_config(release, team_config), tmp_path / "run", RunOptions(limits), lambda *_: None
        )
    assert (result.summary["num_finished"], result.stop_cause) == (4, "12.00 dollars are spent")


def test_malformed_questions_are_reported(tmp_path: Path) -> None:
    records = some_questions(30)
    records[7] = question(7, a3="")
    release = write_release(tmp_path / "data", records)
    done = lva("eval", release, "--run", tmp_path / "run", "--agents", "grounding")
    assert done.returncode == 0
    assert f"the data set has 1 problem; lva data check {release} lists every problem" in done.stderr
    assert len(ids(tmp_path / "run")) == 29


def test_unreadable_video_fails_only_its_questions(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(8))
    (release / "videos").mkdir()
    (release / "videos" / "s01e02.mp4").write_text("not a video")
    outcomes = run(eval_config(release), tmp_path / "run")["outcomes"]
    assert (outcomes["failed"], outcomes["answered"]) == (2, 6)
    causes = [line["cause"] for line in lines(tmp_path / "run") if line["outcome"] == "failed"]
    assert all("s01e02.mp4" in cause for cause in causes)


def test_disk_full(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(40))
    path = tmp_path / "run"
    full = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))  # noqa: E731
    with start(release, path, preexec_fn=full) as process:
        assert process.stderr is not None
        output = process.stderr.read()
    assert process.returncode == 2
    assert output.count("\n") == 1
    assert output.startswith("lva: error:")
    done = ids(path)  # every line is complete
    assert 0 < len(done) < 40
    assert run(eval_config(release), path)["num_finished"] == 40
    assert len(ids(path)) == len(set(ids(path))) == 40


def test_ctrl_c_keeps_finished_questions(tmp_path: Path) -> None:
    release, path = write_slow_release(tmp_path, 3000), tmp_path / "run"
    with start(release, path) as process:
        wait_for_lines(path, 5)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 130
        assert process.stderr is not None
        assert "the same command resumes" in process.stderr.read()
    done = ids(path)
    assert 5 <= len(done) < 3000
    assert len(set(done)) == len(done)


@pytest.mark.slow
def test_run_killed_repeatedly_holds_each_question_once(tmp_path: Path) -> None:
    release, path = write_slow_release(tmp_path, 400), tmp_path / "run"
    dice = random.Random(5)
    for _ in range(20):
        before = (path / "traces.jsonl").read_bytes().count(b"\n") if path.exists() else 0
        with start(release, path) as process:
            wait_for_lines(path, before + 1)
            time.sleep(dice.random() * 0.1)
            process.kill()
        if (path / "traces.jsonl").read_bytes().count(b"\n") > 350:
            break
    with start(release, path) as process:
        assert process.wait() == 0
    assert sorted(ids(path), key=int) == [str(number) for number in range(400)]
    assert json.loads((path / "summary.json").read_text())["num_finished"] == 400
