"""The search for inputs that break the package finds what it searches for."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from longvideoagent.errors import DataError
from tests.fuzz import worker
from tests.fuzz.damage import damaged_bytes, damaged_json
from tests.fuzz.targets import TARGETS


def test_fault_of_an_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(rng: random.Random, folder: Path) -> None:
        (folder / "a").write_text(str(1 // (rng.random() > 2)))

    def refuse(_: random.Random, folder: Path) -> None:
        raise DataError(f"{folder}: damaged; copy it again")

    def ramble(_: random.Random, folder: Path) -> None:
        raise DataError(f"{folder}: damaged\nin two lines")

    assert "ZeroDivisionError" in worker.fault_of(crash, 1)
    assert worker.fault_of(refuse, 1) == ""
    assert "not one line" in worker.fault_of(ramble, 1)
    monkeypatch.setattr(worker, "MAX_SECONDS", 0.0)
    assert "of the processor" in worker.fault_of(lambda *_: None, 1)


def test_inputs_follow_from_the_seed() -> None:
    value = {"a": [1, {"b": "c"}], "d": None}
    for seed in range(200):
        assert damaged_bytes(b"0123456789", random.Random(seed)) == damaged_bytes(b"0123456789", random.Random(seed))
        assert repr(damaged_json(value, random.Random(seed))) == repr(damaged_json(value, random.Random(seed)))


def test_all_targets_run_in_the_worker() -> None:
    process = worker.Worker()
    try:
        assert {name: process.run(name, 2) for name in TARGETS} == dict.fromkeys(TARGETS, "")
    finally:
        process.close()
