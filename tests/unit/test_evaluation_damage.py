"""Damaged run folders: repaired, or refused in one line, and never trusted."""

from __future__ import annotations

import json
import operator
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.errors import DataError, UsageError
from longvideoagent.evaluation.compare import compare
from longvideoagent.evaluation.evaluate import score_run
from longvideoagent.evaluation.replay import find_trace, open_recorded_video
from longvideoagent.evaluation.report import write_report
from longvideoagent.evaluation.store import truncate_incomplete_line
from longvideoagent.training.run_dir import is_training_run
from longvideoagent.views.run_folder import flatten, read_scored_traces
from tests.fakes.release import some_questions, write_frames, write_release
from tests.plugins.damage import damage_file
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
        ({"num_questions": -5}, "num_questions cannot be read"),
        ({"num_questions": 10**30}, "num_questions cannot be read"),
        ({"num_questions": "5"}, "num_questions cannot be read"),
        ({"versions": 1}, r"versions\.longvideoagent, versions\.python cannot be read"),
        ({"settings": {}}, r"settings\.agents, settings\.max_rounds, settings\.window cannot be read"),
        ({"subtitles_file": "\ud800"}, "subtitles_file cannot be read"),
        ({"data": "a\0b"}, "data cannot be read"),
        ({"ids_file": "x" * 5000}, "ids_file cannot be read"),
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
        ("an option too far", r":3: not a trace \(option_index\)"),
        ("another question's", ":3: question 'other-"),
    ],
)
def test_trace_line_damaged(damaged: str, message: str, release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    path = tmp_path / "run" / "traces.jsonl"
    written = path.read_text().splitlines(keepends=True)
    other = written[2].replace('"id":"', '"id":"other-')
    record = json.loads(written[2])
    far = json.dumps(record | {"option_index": len(record["options"])}) + "\n"
    written[2] = {"another": other, "an": far}.get(damaged.split(" ")[0], f"{damaged}\n")
    path.write_text("".join(written), errors="surrogateescape")
    with pytest.raises(DataError, match=message):
        run(eval_config(release), tmp_path / "run")
    with pytest.raises(DataError, match=message):
        write_report(tmp_path / "run")


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with grounding and looks, next to its data."""
    folder = tmp_path_factory.mktemp("finished")
    release = write_release(folder / "data", some_questions(4))
    write_frames(release / "frames", 2)
    run(eval_config(release, agents="grounding+vision"), folder / "run")
    return folder / "run"


READERS: list[Callable[[Path], object]] = [
    score_run,
    write_report,
    read_scored_traces,
    is_training_run,
    lambda run: compare(run.with_name("other"), run),
    lambda run: find_trace(run, "1"),
    lambda run: open_recorded_video(run, "1"),
]


@given(data=st.data())
def test_any_damage_is_one_line(finished_run: Path, data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name) / "run"
        shutil.copytree(finished_run, folder)
        shutil.copytree(finished_run, folder.with_name("other"))
        file = data.draw(st.sampled_from(["config.json", "questions.jsonl", "traces.jsonl", "summary.json"]))
        if data.draw(st.integers(0, 9)):
            damage_file(folder / file, data)
        else:
            (folder / file).unlink()
        for read in READERS:
            message = ""
            try:
                read(folder)
            except (DataError, UsageError) as error:
                message = str(error)
            assert "\n" not in message
        assert write_report(folder.with_name("other")).exists()


@pytest.mark.parametrize("value", [..., {"x": 1}], ids=["missing", "object"])
def test_each_setting_lost_or_of_another_type(value: object, finished_run: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = path.read_text()
    for name in sorted(flatten(json.loads(config))):
        damaged = json.loads(config)
        *parents, last = name.split(".")
        group = reduce(operator.getitem, parents, damaged)
        group.pop(last)
        if value is not ...:
            group[last] = value
        path.write_text(json.dumps(damaged))
        with suppress(DataError):
            write_report(tmp_path / "run")


@pytest.mark.parametrize("text", ["[" * 5000, "[]", "5", '"x"', "null", '{"version": 1e999}', '{"version": [5]}', "{}"])
def test_config_of_another_type(text: str, release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(text)
    with pytest.raises(DataError, match=r"config\.json: (not JSON|version )"):
        write_report(tmp_path / "run")


@pytest.mark.parametrize(
    "changed", [{"protocol": 5}, {"protocol": {"name": 5}}, {"subtitles_file": 7}, {"wording_warnings": 3}]
)
def test_config_optional_field_damaged(changed: Json, release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(DataError, match=rf"config\.json: {next(iter(changed))}.* cannot be read"):
        write_report(tmp_path / "run")


def test_config_protocol_of_another_version(release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"protocol": {"name": "public-later"}}))
    assert "protocol public-later" in write_report(tmp_path / "run").read_text()
