"""The demonstration of training, at a size that shows that all of it runs and no gain."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.torch,
    pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it"),
]


def test_a_tiny_master_is_made_taught_reinforced_and_measured(tmp_path: Path) -> None:
    script = str(ROOT / "examples" / "train_demo.py")
    command = [sys.executable, script, "--size", "small", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "first clip wrong" in (tmp_path / "results.txt").read_text()
    with Image.open(tmp_path / "results.png") as drawn:
        assert drawn.size[0] > 800
    for split in ("train", "val"):
        asked = json.loads((tmp_path / "made" / f"LongTVQA_plus_{split}.json").read_text())
        assert {"dialogue", "before_after"} == {each["kind"] for each in asked}
        assert len(asked) == 2 * 2 * 5  # two episodes, two questions a minute
    run = tmp_path / "grpo-1"
    held_out = [json.loads(line) for line in (run / "held_out.jsonl").read_text().splitlines()]
    assert [each["step"] for each in held_out] == [0, 3]
    assert all(0 <= each["accuracy"] <= 1 and each["n"] == 10 and not each["failed"] for each in held_out)
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(each["rounds"] >= 1 and each["failed"] == 0 for each in metrics)
    page = (run / "report.html").read_text()
    assert page.count("<article>") == 3
    assert "data:image/png;base64," in page
    assert len((tmp_path / "before" / "traces.jsonl").read_text().splitlines()) == 20
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, "Traceback" in again.stderr) == (0, False), again.stderr[-3000:]
