"""The fast lane: with ``--fast``, a test that starts a process or renders an episode is skipped at that moment, so
that no list is kept."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="skip tests that start a process or render an episode")


@pytest.fixture(autouse=True, scope="session")
def _skip_processes_and_episodes(pytestconfig: pytest.Config) -> Iterator[None]:
    def skip(*_: Any, **__: Any) -> NoReturn:
        pytest.skip("starts a process or renders an episode; make test runs it")

    with pytest.MonkeyPatch.context() as patch:
        if pytestconfig.getoption("--fast"):
            patch.setattr(subprocess.Popen, "__init__", skip)
            patch.setattr(subprocess.Popen, "__del__", lambda _: None)  # of an object that was never initialised
            patch.setattr("longvideoagent.datasets.synthetic.episode.render_video", skip)
        yield
