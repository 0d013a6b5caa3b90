"""Published data sets, downloaded from a server that implements the hub's protocol."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longvideoagent.datasets.longtvqa.read import read_longtvqa
from tests.fakes.hub_server import Hub, serve
from tests.fakes.release import DURATIONS, TEXTS, question
from tests.plugins.cli import Completed, lva, lva_process

FILES = {
    "LongTVQA_plus_val.json": json.dumps([question(n, q=f"Who ? {'x' * 2000}") for n in range(400)]).encode(),
    "LongTVQA_plus_subtitle_clip_level.json": json.dumps(TEXTS).encode(),
    "clip_durations.json": json.dumps(DURATIONS).encode(),
}

REPOSITORY = "longvideoagent/LongTVQA_plus"
TIMEOUT_S = 5


def download(url: str, out: Path, *arguments: str) -> Completed:
    """The command in this process. The hub's client reads its environment when it is imported, so the constants that it
    keeps are set instead."""
    from huggingface_hub import constants

    client_constants = {
        "ENDPOINT": url,
        "HUGGINGFACE_CO_URL_TEMPLATE": f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": True,
        "HF_HUB_DOWNLOAD_TIMEOUT": TIMEOUT_S,
        "HF_HUB_ETAG_TIMEOUT": TIMEOUT_S,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in client_constants.items():
            patch.setattr(constants, name, value)
        return lva("data", "download", *arguments, "--out", out)


def test_download(tmp_path: Path) -> None:
    """In a process of its own, where the client reads its environment."""
    with serve(Hub(REPOSITORY, FILES)) as url:
        hub_env = {
            "HF_ENDPOINT": url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "",
        }
        result = lva_process("data", "download", "longtvqa-plus", "--out", tmp_path / "out", env=hub_env)
    assert result.returncode == 0, result.stderr
    assert len(read_longtvqa(tmp_path / "out").samples) == 400


def test_download_resumes(tmp_path: Path) -> None:
    hub = Hub(REPOSITORY, FILES, interrupts="LongTVQA_plus_val.json")
    with serve(hub) as url:
        for _ in range(2):
            result = download(url, tmp_path / "out", "longtvqa-plus")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "LongTVQA_plus_val.json").read_bytes() == FILES["LongTVQA_plus_val.json"]
    assert sum(name == "clip_durations.json" for name, _ in hub.requests) == 1


@pytest.mark.parametrize("name", ["clip_durations.json", "large.bin"])
def test_download_wrong_bytes(name: str, tmp_path: Path) -> None:
    hub = Hub(REPOSITORY, {**FILES, "large.bin": b"0123456789" * 1000})
    hub.corrupt_name, hub.corrupt_data = name, hub.files[name][:-1] + b"?"
    with serve(hub) as url:
        result = download(url, tmp_path / "out", "longtvqa-plus")
        assert result.returncode == 2
        assert f"{name}: other bytes than the hub holds" in result.stderr
        hub.corrupt_name = ""
        result = download(url, tmp_path / "out", "longtvqa-plus")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / name).read_bytes() == hub.files[name]


def test_download_other_repository(tmp_path: Path) -> None:
    with serve(Hub("somebody/frames", {"s01e01/00001.jpg": b"jpeg"})) as url:
        result = download(url, tmp_path / "out", "frames", "--repository", "somebody/frames")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "s01e01" / "00001.jpg").read_bytes() == b"jpeg"


@pytest.mark.parametrize(("url", "message"), [(None, "not on the hub"), ("http://127.0.0.1:9", "cannot be downloaded")])
def test_download_failure_one_line(url: str | None, message: str, tmp_path: Path) -> None:
    with serve(Hub("somebody/else", {})) as other:
        result = download(url or other, tmp_path / "out", "longtvqa")
    assert result.returncode == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("lva: ")]
    assert f"longvideoagent/LongTVQA: {message}" in line
    assert "Traceback" not in result.stderr
