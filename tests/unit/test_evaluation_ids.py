"""Runs over the questions that a file of ids names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longvideoagent.errors import DataError, UsageError
from longvideoagent.evaluation.report import write_report
from tests.plugins.runs import eval_config, ids, run


def test_ids_select_questions(release: Path, tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_text("7\n2\n5\n")
    summary = run(eval_config(release, ids_file=file), tmp_path / "run")
    assert (summary["num_questions"], sorted(ids(tmp_path / "run"))) == (3, ["2", "5", "7"])
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["ids_file"] == str(file)
    assert f"questions of {file}" in write_report(tmp_path / "run").read_text()
    file.write_text("# the same questions in another order\n2\n5\n7\n", encoding="utf-8-sig")  # as Notepad writes it
    assert run(eval_config(release, ids_file=file), tmp_path / "run")["num_questions"] == 3
    assert len(ids(tmp_path / "run")) == 3


def test_ids_changed_on_resume(release: Path, tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_text("7\n2\n")
    run(eval_config(release, ids_file=file, limit=1), tmp_path / "run")
    run(eval_config(release, ids_file=file), tmp_path / "run")
    assert len(ids(tmp_path / "run")) == 2
    file.write_text("7\n2\n9\n")
    with pytest.raises(UsageError, match=r"other settings \(ids_sha256: "):
        run(eval_config(release, ids_file=file), tmp_path / "run")
    with pytest.raises(UsageError, match="other settings"):
        run(eval_config(release), tmp_path / "run")


def test_ids_unknown(release: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("2\n777\n")
    with pytest.raises(DataError, match="no usable question of split 'val' has the id 777; check the file"):
        run(eval_config(release, ids_file=tmp_path / "ids.txt"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
