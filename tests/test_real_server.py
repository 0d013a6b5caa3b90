"""The whole loop through a real inference server: ``transformers serve`` with a model made on the spot.

The model's weights are random, so what it says means nothing. What is tested is that its words come
and go over HTTP, that nonsense is never taken for an answer, and that what it cost is counted.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from longvideoagent import Roster, Settings, ask
from longvideoagent.agents.roster import Role
from longvideoagent.trace import Outcome
from longvideoagent.types import Invalid, Notice

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="needs PyTorch: make test-all installs it"),
]

UP_WITHIN_S = 120


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serves the tiny model; gives its spec."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "home" / "hub").mkdir(parents=True)
    subprocess.run([sys.executable, Path(__file__).with_name("tiny_model.py"), folder / "model"], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "transformers"), "serve", str(folder / "model"), "--device", "cpu"]
    environment = {**os.environ, "HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([*command, "--port", str(port)], env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", server)
        yield f"openai:{folder / 'model'}@http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError("the inference server did not come up")


def test_nonsense_from_a_real_model_is_never_an_answer(model: str, short_video: Path) -> None:
    role = Role(model=model, max_tokens=12)
    roster = Roster(master=role, grounding=role)
    trace = ask(short_video, "What colour?", ["red", "grey"], team=roster, settings=Settings(max_rounds=2))
    assert trace.outcome is Outcome.SPENT
    assert (trace.answer, trace.option_index) == ("", None)
    assert isinstance(trace.first, Notice)
    assert [type(each.action) for each in trace.rounds] == [Invalid, Invalid]
    assert all(each.reply.text for each in trace.rounds)
    assert trace.usage.completion_tokens == 4 * 12
    assert trace.usage.prompt_tokens > 1000


def test_the_same_words_come_back_from_a_real_model(model: str, short_video: Path) -> None:
    roster = Roster(master=Role(model=model, max_tokens=12, temperature=0.0))
    traces = [ask(short_video, "What?", team=roster, settings=Settings(max_rounds=1)) for _ in range(2)]
    assert traces[0].rounds[0].reply.text == traces[1].rounds[0].reply.text
