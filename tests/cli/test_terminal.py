"""Control characters of names, subtitles, replies and errors never reach the terminal, and JSON stays valid."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.agents.prompts import default_layout, parse_layout
from longvideoagent.agents.prompts.layout_toml import layout_to_toml
from longvideoagent.cli import terminal
from longvideoagent.cli.terminal import printable
from tests.fakes.faulty_server import say, serving, status
from tests.fakes.release import some_questions, write_release
from tests.plugins.cli import lva

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\x85\u202etxt.exe\u2028\x7f\r\x08[/red][bold]x[link=http://h]:smile:"
"""A title, a cleared screen, a colour as one byte, a line, text backwards, deleted characters, and markup of rich."""
STYLE = re.compile(r"\x1b\[[\d;?]*[mhlKA]")
"""What the console itself writes: colours, and the line of a running reply."""


def check_output(*texts: str, terminal: bool = False) -> None:
    for text in texts:
        plain = STYLE.sub("", text) if terminal else text
        bad = {char for char in plain if not char.isprintable() and char not in "\n\u200c\u200d"}
        assert not bad, (bad, plain)


@pytest.fixture
def hostile_video(tmp_path: Path, short_video: Path) -> Path:
    """A video and subtitles with such names and texts."""
    name = HOSTILE.replace("/", "_")
    shutil.copy(short_video, tmp_path / f"{name}.mp4")
    text = HOSTILE.replace("\r", "").replace("\x85", "").replace("\u2028", "")
    (tmp_path / f"{name}.srt").write_text(f"1\n00:00:01,000 --> 00:00:03,000\nOtto has a lantern {text}\n")
    return tmp_path / f"{name}.mp4"


@pytest.mark.parametrize("colour", ["", "1"])
def test_ask_hostile_video_and_model(colour: str, hostile_video: Path) -> None:
    replies = [say(f"<think>{HOSTILE}</think><answer>{HOSTILE} lantern</answer>")]
    with serving(*replies) as (url, _):
        done = lva(
            "ask", hostile_video, f"What has Otto? {HOSTILE}", "-o", "A lantern", "-o", f"B {HOSTILE}",
            "--master", f"openai:m@{url}", "--no-cache", env={"FORCE_COLOR": colour} if colour else {},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    check_output(done.stdout, done.stderr, terminal=bool(colour))
    assert "[/red][bold]x[link=http://h]:smile:" in done.stdout.replace("\n", "")


def test_ask_json_is_valid_and_equal(hostile_video: Path) -> None:
    odd = f"{HOSTILE}\U000e0041é\u200c"
    with serving(say(f"<answer>{odd} lantern</answer>")) as (url, _):
        done = lva("ask", hostile_video, "What?", "--master", f"openai:m@{url}", "--no-cache", "--json")
    check_output(done.stdout, done.stderr)
    record = json.loads(done.stdout)
    assert record["answer"] == f"{odd} lantern".strip()
    assert "é" in done.stdout


def test_server_error(hostile_video: Path) -> None:
    with serving(status(400, HOSTILE)) as (url, _):
        model = ["-m", f"openai:m@{url}"]
        done = lva("ask", hostile_video, "What?", *model)
        doctor = lva("doctor", *model)
        doctor_json = lva("doctor", *model, "--json")
    for each in (done, doctor, doctor_json):
        assert each.returncode == 1
        check_output(each.stdout, each.stderr)
    assert json.loads(doctor_json.stdout)["master"]["error"]


def test_evaluation_of_hostile_data(tmp_path: Path) -> None:
    records = [record | {"kind": HOSTILE, "qid": f"{index}{HOSTILE}"} for index, record in enumerate(some_questions(4))]
    records.append({"qid": HOSTILE, "q": ""})
    data = write_release(tmp_path / HOSTILE.replace("/", "_"), records)
    (data / "videos").mkdir()
    (data / "videos" / "s01e02.mp4").write_bytes(b"no video")
    with serving(say(HOSTILE)) as (url, _):
        for name, more in (("one", []), ("two", ["--master", f"openai:m@{url}", "--no-cache"])):
            done = lva("eval", data, "--run", tmp_path / name, "--agents", "grounding", *more)
            check_output(done.stdout, done.stderr)
            assert "of 4 questions" in done.stdout, done.stderr
    for command in (
        ["compare", tmp_path / "one", tmp_path / "two"],
        ["report", tmp_path / "one"],
        ["replay", tmp_path / "one", f"0{HOSTILE}"],
        ["replay", tmp_path / "one", HOSTILE],
        ["ablate", "rounds", data, "--value", "1", "--run", tmp_path / "grid"],
        ["eval", data, "--dry-run", "--run", tmp_path / "dry"],
        ["data", "check", data],
        ["data", "ground", data, "--split", "val", "--out", tmp_path / f"{HOSTILE.replace('/', '_')}.json"],
        ["eval", tmp_path / HOSTILE.replace("/", "")],
        ["eval", data, "--split", HOSTILE],
        ["config", "set", "model", HOSTILE],
        ["doctor", "-m", f"openai:{HOSTILE}@http://127.0.0.1:9/v1", "--dry-run"],
    ):
        done = lva(*command)
        assert done.stdout or done.stderr
        check_output(done.stdout, done.stderr)


def test_layout_show(tmp_path: Path) -> None:
    hostile = HOSTILE.replace("$", "")
    layout = parse_layout({"last_round": f'a\n{hostile}\t"\\', "no_boxes": f"{hostile}\U000e0041 é"})
    (tmp_path / "layout.toml").write_text(layout_to_toml(layout))
    done = lva("layout", "show", tmp_path / "layout.toml")
    check_output(done.stdout)
    (tmp_path / "shown.toml").write_text(done.stdout)
    assert lva("layout", "show", tmp_path / "shown.toml").stdout == done.stdout
    assert "é" in done.stdout
    assert lva("layout", "show").stdout == layout_to_toml(default_layout())


@given(st.text())
def test_printable(text: str) -> None:
    shown = printable(text)
    check_output(shown)
    assert "\n" not in shown
    assert len(shown) == len(text)


def test_commands_print_in_one_way() -> None:
    folder = Path(terminal.__file__).parent
    prints = re.compile(r"\b(?:print\(|typer\.echo\(|sys\.std(?:out|err)\.write\(|Console\()")
    found = {
        f"{path.name}: {line.strip()}"
        for path in folder.glob("*.py")
        for line in path.read_text().splitlines()
        if path.name != "terminal.py" and re.search(prints, line) and "console.print(" not in line
    }
    assert {each for each in found if "stdout_console().print(" not in each and "self._console.print(" not in each} == {
        "console.py: sys.stderr.write(f\"lva: {' '.join(printable(text).split())}\\n\")",
        "layout.py: typer.echo(layout_to_toml(default_layout() if file is None else read_layout(file)), nl=False)",
        "main.py: typer.echo(f\"lva {installed_version('longvideoagent')}\")",
    }
