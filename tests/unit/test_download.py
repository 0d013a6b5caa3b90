"""The published data sets, fetched from a server that speaks the hub's protocol."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from longvideoagent.datasets.longtvqa.read import read_longtvqa
from tests.fakes.hub_server import Hub, serving
from tests.fakes.release import DURATIONS, TEXTS, question
from tests.plugins.cli import LVA

FILES = {
    "LongTVQA_plus_val.json": json.dumps([question(n, q=f"Who ? {'x' * 2000}") for n in range(400)]).encode(),
    "LongTVQA_plus_subtitle_clip_level.json": json.dumps(TEXTS).encode(),
    "clip_durations.json": json.dumps(DURATIONS).encode(),
}
NAME = "longvideoagent/LongTVQA_plus"


def fetch(url: str, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    home = {"HF_ENDPOINT": url, "HF_HOME": str(out.parent / "home"), "HF_HUB_DISABLE_XET": "1"}
    environment = {**os.environ, **home, "HF_HUB_DOWNLOAD_TIMEOUT": "5", "HF_HUB_ETAG_TIMEOUT": "5"}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [str(LVA), "data", "download", *arguments, "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)


def test_a_data_set_is_fetched_and_is_read(tmp_path: Path) -> None:
    with serving(Hub(NAME, FILES)) as url:
        done = fetch(url, tmp_path / "out", "longtvqa-plus")
    assert done.returncode == 0, done.stderr
    assert len(read_longtvqa(tmp_path / "out").samples) == 400


def test_a_fetch_that_broke_off_goes_on_and_nothing_whole_is_fetched_twice(tmp_path: Path) -> None:
    hub = Hub(NAME, FILES, breaks_off_in="LongTVQA_plus_val.json")
    with serving(hub) as url:
        for _ in range(2):
            done = fetch(url, tmp_path / "out", "longtvqa-plus")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "LongTVQA_plus_val.json").read_bytes() == FILES["LongTVQA_plus_val.json"]
    assert sum(name == "clip_durations.json" for name, _ in hub.asked) == 1


@pytest.mark.parametrize("name", ["clip_durations.json", "large.bin"])
def test_other_bytes_than_the_hub_holds_are_found_out_and_fetched_again(name: str, tmp_path: Path) -> None:
    hub = Hub(NAME, {**FILES, "large.bin": b"0123456789" * 1000})
    hub.spoils, hub.invalid_fields = name, hub.files[name][:-1] + b"?"
    with serving(hub) as url:
        done = fetch(url, tmp_path / "out", "longtvqa-plus")
        assert done.returncode == 2
        assert f"{name}: other bytes than the hub holds" in done.stderr
        hub.spoils = ""
        done = fetch(url, tmp_path / "out", "longtvqa-plus")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / name).read_bytes() == hub.files[name]


def test_another_repository_can_be_named(tmp_path: Path) -> None:
    with serving(Hub("somebody/frames", {"s01e01/00001.jpg": b"jpeg"})) as url:
        done = fetch(url, tmp_path / "out", "frames", "--repository", "somebody/frames")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "s01e01" / "00001.jpg").read_bytes() == b"jpeg"


@pytest.mark.parametrize(("url", "told"), [(None, "not on the hub"), ("http://127.0.0.1:9", "cannot be downloaded")])
def test_what_cannot_be_fetched_is_told_in_one_line(url: str | None, told: str, tmp_path: Path) -> None:
    with serving(Hub("somebody/else", {})) as other:
        done = fetch(url or other, tmp_path / "out", "longtvqa")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("lva: ")]
    assert f"longvideoagent/LongTVQA: {told}" in line
    assert "Traceback" not in done.stderr
