"""The documents' commands are run, and what they refer to is there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from longvideoagent.agents.roster import Role, Roster
from longvideoagent.datasets.synthetic import make_episode

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything the README's commands name."""
    folder = tmp_path_factory.mktemp("readme")
    made = make_episode(folder, 1, 1, 1)
    made.video.rename(folder / "talk.mp4")
    made.subtitles.rename(folder / "other.srt")
    (folder / "frames").mkdir()
    for number in range(1, 4):
        Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(folder / "frames" / f"{number:05}.jpg")
    return folder


COMMANDS = [line for block in blocks(ROOT / "README.md", "bash") for line in block.splitlines()]


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("lva ")])
def test_the_readmes_commands_work(command: str, workplace: Path) -> None:
    arguments = shlex.split(command)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(arguments, cwd=workplace, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("make ")])
def test_the_readmes_make_targets_exist(command: str) -> None:
    assert re.search(rf"^{command.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_command_of_the_readme_is_covered() -> None:
    assert {line.split()[0] for line in COMMANDS} == {"lva", "make", "pip"}


def test_the_readmes_python_works(workplace: Path) -> None:
    (code,) = blocks(ROOT / "README.md", "python")
    done = subprocess.run([sys.executable, "-c", code], cwd=workplace, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "answered" in done.stdout


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_names_in_the_documents_exist(path: Path) -> None:
    text = path.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (path.parent / target).exists(), target
    for name in re.findall(r"`(tests/[\w/]+\.py)`", text):
        assert (ROOT / name).exists(), name


def test_the_output_document_names_every_key(workplace: Path) -> None:
    from longvideoagent import ask
    from longvideoagent.report.json import to_json

    told = to_json(ask(workplace / "talk.mp4", "What does the sign say?"))
    text = (ROOT / "docs" / "output.md").read_text()
    for key in (*told, *told["evidence"][0], *told["rounds"][0], *told["usage"]):
        assert f"`{key}`" in text, key


def test_the_team_file_of_the_documents_is_a_team() -> None:
    (text,) = blocks(ROOT / "docs" / "models.md", "toml")
    roster = Roster.model_validate(tomllib.loads(text))
    assert roster.vision.most_frames == 15
    shown = set(re.findall(r"^(\w+) =", text, re.MULTILINE))
    assert shown <= set(Roster.model_fields) | set(Role.model_fields)
