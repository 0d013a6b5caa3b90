"""Run folders that are damaged: told in one line, or mended, and never believed."""

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
from tests.plugins.runs import Json, asked, ids, run


def test_half_a_line_is_cut_off_and_asked_again(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    path = tmp_path / "run" / "traces.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 300])
    assert run(asked(release), tmp_path / "run")["finished"] == 12
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
    ids=lambda told: f"{len(told)} bytes",
)
def test_only_half_lines_are_cut(text: bytes, left: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(text)
    truncate_incomplete_line(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == left


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"questions": ...}, "questions cannot be read"),
        ({"questions": "5"}, "questions cannot be read"),
        ({"versions": 1}, r"versions\.longvideoagent, versions\.python cannot be read"),
        ({"settings": {}}, r"settings\.agents, settings\.max_rounds, settings\.window cannot be read"),
        ({"team": []}, r"team\.style, team\.master\.model, team\.grounding\.model cannot be read"),
    ],
)
def test_settings_that_were_spoilt_are_named(changed: Json, told: str, release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text()) | changed
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not ...}))
    for read in (
        lambda: compare(tmp_path / "run", tmp_path / "run"),
        lambda: write_report(tmp_path / "run"),
        lambda: run(asked(release), tmp_path / "run"),
    ):
        with pytest.raises(DataError, match=rf"config\.json: {told}; restore the file"):
            read()


def test_traces_without_their_settings_are_refused(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    (tmp_path / "run" / "config.json").unlink()
    with pytest.raises(UsageError, match=r"config\.json is missing"):
        run(asked(release), tmp_path / "run")


def other_gold(text: str) -> str:
    return text.replace('"option_index": 1', '"option_index": 2')


def without_the_second_line(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:1] + text.splitlines(keepends=True)[2:])


def broken_off(text: str) -> str:
    return text[: len(text) // 2]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (other_gold, "its gold answers have changed"),
        (without_the_second_line, "its questions have changed"),
        (broken_off, "its questions have changed"),
    ],
)
def test_questions_that_were_changed_in_a_run_are_not_believed(
    spoil: Callable[[str], str], told: str, release: Path, tmp_path: Path
) -> None:
    run(asked(release), tmp_path / "run")
    run(asked(release), tmp_path / "other")
    path = tmp_path / "run" / "questions.jsonl"
    path.write_text(spoil(path.read_text()))
    for read in (
        lambda: compare(tmp_path / "other", tmp_path / "run"),
        lambda: compare(tmp_path / "run", tmp_path / "other"),
        lambda: write_report(tmp_path / "run"),
        lambda: run(asked(release), tmp_path / "run"),
        lambda: find_trace(tmp_path / "run", "1"),
    ):
        with pytest.raises(DataError, match=rf"questions\.jsonl: {told}"):
            read()


def test_bytes_that_are_no_text_are_named(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    path = tmp_path / "run" / "questions.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Otto", b"\xff", 1))
    with pytest.raises(DataError, match=r"questions\.jsonl:1: not JSON .*; restore the file, or start a new run"):
        write_report(tmp_path / "run")


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        ("{broken", ":3: not JSON"),
        ("\udcff", ":3: not JSON .*; delete that line and run the command again"),
        ('{"x": 1}', ":3: not a trace"),
        ("another question's", ":3: question 'other-"),
    ],
)
def test_a_line_that_was_spoilt_is_named(damaged: str, told: str, release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    path = tmp_path / "run" / "traces.jsonl"
    written = path.read_text().splitlines(keepends=True)
    other = written[2].replace('"id":"', '"id":"other-')
    written[2] = other if damaged.startswith("another") else f"{damaged}\n"
    path.write_text("".join(written), errors="surrogateescape")
    with pytest.raises(DataError, match=told):
        run(asked(release), tmp_path / "run")
    with pytest.raises(DataError, match=told):
        write_report(tmp_path / "run")
