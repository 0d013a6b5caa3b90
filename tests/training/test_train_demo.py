"""The demonstration of training, at a size that shows that everything runs, without a gain."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.plugins.training import ROOT
from tests.plugins.trl import needs_trl

pytestmark = [pytest.mark.slow, *needs_trl]


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_train_demo_small(tmp_path: Path) -> None:
    script = str(ROOT / "examples" / "train_demo.py")
    command = [sys.executable, script, "--size", "small", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "first clip wrong" in (tmp_path / "results.txt").read_text()
    with Image.open(tmp_path / "results.png") as plot:
        assert plot.size[0] > 800
    for split in ("train", "val"):
        questions = json.loads((tmp_path / "data" / f"LongTVQA_plus_{split}.json").read_text())
        assert {"dialogue", "before_after"} == {question["kind"] for question in questions}
        assert len(questions) == 2 * 2 * 5  # two episodes, two questions per minute
    run = tmp_path / "grpo-1"
    evaluations = read_jsonl(run / "eval.jsonl")
    assert [line["step"] for line in evaluations] == [0, 3]
    assert all(0 <= line["accuracy"] <= 1 for line in evaluations)
    assert all(line["questions"] == 10 and not line["failed"] for line in evaluations)
    assert all(line["rounds"] >= 1 and line["failed"] == 0 for line in read_jsonl(run / "metrics.jsonl"))
    page = (run / "report.html").read_text()
    assert page.count("<article>") == 3
    assert "data:image/png;base64," in page
    assert len((tmp_path / "before" / "traces.jsonl").read_text().splitlines()) == 20
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, "Traceback" in again.stderr) == (0, False), again.stderr[-3000:]
