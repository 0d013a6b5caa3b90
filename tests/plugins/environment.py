"""The environment of every test: no network, its own cache, one core, hypothesis profiles, shared footage."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import certifi
import hypothesis
import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"

# One thread for PyTorch, here and in the processes that tests start: those of two workers wait for each other, busily,
# so that a training run takes six times as long. Read when the library is loaded, hence set before any import of it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same 100 examples every time in CI, fewer and others on each run elsewhere; no time limit for one example, since
# machines are shared. --hypothesis-profile chooses another.
hypothesis.settings.register_profile("here", deadline=None, max_examples=25)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give each test run an empty cache, and no models of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.delenv("LVA_MODEL", raising=False)
        yield


@pytest.fixture(autouse=True, scope="module")
def _own_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give each file of tests its own indexes: a video of the same content in another file is not known yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LVA_INDEX_DIR", str(tmp_path_factory.mktemp("index") / "indexes"))
        yield


@pytest.fixture
def index_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own for its indexes, used from now on; there is none yet."""
    monkeypatch.setenv("LVA_INDEX_DIR", str(tmp_path / "indexes"))
    return tmp_path / "indexes"


@pytest.fixture(autouse=True, scope="session")
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one certificate authority instead of all: reading them takes 50 ms, twice for each client of a server."""
    end = "-----END CERTIFICATE-----\n"
    path = tmp_path_factory.mktemp("certificates") / "one.pem"
    path.write_text(Path(certifi.where()).read_text().partition(end)[0] + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(path))
        yield


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_arrives() -> None:
    """Let processes that tests start be interrupted: a shell starts its background jobs with Ctrl-C ignored, and every
    process below them inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _one_core() -> Iterator[None]:
    """Read text in frames with one thread: those of two workers would wait for each other, busily."""
    from longvideoagent.media import ocr

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ocr, "MAX_THREADS", 1)
        yield


@pytest.fixture(autouse=True)
def _isolation_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read media files in this process, also after a test of a command that turned isolation on."""
    monkeypatch.setenv("LVA_ISOLATE", "0")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "unix"
        assert host in ("127.0.0.1", "::1", "localhost", "unix"), f"a test tried to reach {host}"
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", local_only)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("shared") and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason="needs the shared footage next to the checkout"))
