"""Weights of a user's own, described in the configuration directory of a test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from longvideoagent.weights.manifest import Weights, find_weights


class WeightsHome:
    """A configuration directory and a folder of weights that only one test sees."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config" / "longvideoagent"
        self.weights = folder / "weights"
        self.config.mkdir(parents=True)

    def describe(self, files: Mapping[str, bytes], *sources: Mapping[str, str], name: str = "tiny") -> Weights:
        """Write the entry of weights with these files, and read it."""
        entries = [
            f'{{ file = "{file}", bytes = {len(data)}, sha256 = "{hashlib.sha256(data).hexdigest()}" }}'
            for file, data in files.items()
        ]
        places = [
            "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in source.items()) + " }"
            for source in sources
        ]
        text = (
            f'[{name}]\nadds = "a test"\nlicense = "CC0-1.0"\nrevision = "r1"\n'
            f"sources = [{', '.join(places)}]\nfiles = [{', '.join(entries)}]\n"
        )
        (self.config / "weights.toml").write_text(text)
        return find_weights(name)


@pytest.fixture
def weights_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightsHome:
    home = WeightsHome(tmp_path / "home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home.config.parent))
    monkeypatch.setenv("LVA_WEIGHTS_DIR", str(home.weights))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    return home
