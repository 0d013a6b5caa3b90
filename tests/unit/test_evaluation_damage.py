"""Damaged run folders: repaired, or refused in one line, and never trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from longvideoagent.errors import DataError, UsageError
from longvideoagent.evaluation.compare import compare
from longvideoagent.evaluation.replay import find_trace
from longvideoagent.evaluation.report import write_report
from longvideoagent.evaluation.store import truncate_incomplete_line
from tests.plugins.runs import Json, eval_config, ids, run


def test_incomplete_line_is_asked_again(release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    path = tmp_path / "run" / "traces.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 300])
    assert run(eval_config(release), tmp_path / "run")["num_finished"] == 12
    assert len(set(ids(tmp_path / "run"))) == len(ids(tmp_path / "run")) == 12


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (b"", b""),
        (b"half", b""),
        (b"one\nhalf", b"one\n"),
        (b"one\n", b"one\n"),
        (b"one\n" + b"x" * 3_000_000, b"one\n"),
        (b"x" * 3_000_000, b""),
        (b"x" * 2_000_000 + b"\n" + b"y" * (1 << 20), b"x" * 2_000_000 + b"\n"),
    ],
    ids=lambda data: f"{len(data)} bytes",
)
def test_truncate_incomplete_line(text: bytes, left: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(text)
    truncate_incomplete_line(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == left


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_questions": ...}, "num_questions cannot be read"),
        ({"num_questions": "5"}, "num_questions cannot be read"),
        ({"versions": 1}, r"versions\.longvideoagent, versions\.python cannot be read"),
        ({"settings": {}}, r"settings\.agents, settings\.max_rounds, settings\.window cannot be read"),
        ({"team": []}, r"team\.style, team\.master\.model, team\.grounding\.model cannot be read"),
    ],
)
def test_config_damaged(changed: Json, message: str, release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text()) | changed
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not ...}))
    for read in (
        lambda: compare(tmp_path / "run", tmp_path / "run"),
        lambda: write_report(tmp_path / "run"),
        lambda: run(eval_config(release), tmp_path / "run"),
    ):
        with pytest.raises(DataError, match=rf"config\.json: {message}; restore the file"):
            read()


def test_config_missing(release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    (tmp_path / "run" / "config.json").unlink()
    with pytest.raises(UsageError, match=r"config\.json is missing"):
        run(eval_config(release), tmp_path / "run")


def change_gold(text: str) -> str:
    return text.replace('"option_index": 1', '"option_index": 2')


def remove_second_line(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:1] + text.splitlines(keepends=True)[2:])


def cut_in_half(text: str) -> str:
    return text[: len(text) // 2]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change_gold, "its gold answers have changed"),
        (remove_second_line, "its questions have changed"),
        (cut_in_half, "its questions have changed"),
    ],
)
def test_questions_changed_in_a_run(damage: Callable[[str], str], message: str, release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    run(eval_config(release), tmp_path / "other")
    path = tmp_path / "run" / "questions.jsonl"
    path.write_text(damage(path.read_text()))
    for read in (
        lambda: compare(tmp_path / "other", tmp_path / "run"),
        lambda: compare(tmp_path / "run", tmp_path / "other"),
        lambda: write_report(tmp_path / "run"),
        lambda: run(eval_config(release), tmp_path / "run"),
        lambda: find_trace(tmp_path / "run", "1"),
    ):
        with pytest.raises(DataError, match=rf"questions\.jsonl: {message}"):
            read()


def test_questions_not_utf8(release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    path = tmp_path / "run" / "questions.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Otto", b"\xff", 1))
    with pytest.raises(DataError, match=r"questions\.jsonl:1: not JSON .*; restore the file, or start a new run"):
        write_report(tmp_path / "run")


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ("{broken", ":3: not JSON"),
        ("\udcff", ":3: not JSON .*; delete that line and run the command again"),
        ('{"x": 1}', ":3: not a trace"),
        ("another question's", ":3: question 'other-"),
    ],
)
def test_trace_line_damaged(damaged: str, message: str, release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    path = tmp_path / "run" / "traces.jsonl"
    written = path.read_text().splitlines(keepends=True)
    other = written[2].replace('"id":"', '"id":"other-')
    written[2] = other if damaged.startswith("another") else f"{damaged}\n"
    path.write_text("".join(written), errors="surrogateescape")
    with pytest.raises(DataError, match=message):
        run(eval_config(release), tmp_path / "run")
    with pytest.raises(DataError, match=message):
        write_report(tmp_path / "run")
