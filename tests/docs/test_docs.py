"""The commands in the documents work, and what the documents refer to exists."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

import longvideoagent
from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.datasets.synthetic.episode import generate_episode
from longvideoagent.evaluation.metrics import summarize
from longvideoagent.models.backends import BACKENDS
from longvideoagent.models.base import TokenPrice
from tests.fakes.faulty_server import say, serving
from tests.plugins.cli import Completed, lva, lva_process, lva_server

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the README's commands name."""
    folder = tmp_path_factory.mktemp("readme")
    made = generate_episode(folder, 1, 1, 1)
    made.video.rename(folder / "talk.mp4")
    made.subtitles.rename(folder / "other.srt")
    (folder / "frames").mkdir()
    for number in range(1, 4):
        Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(folder / "frames" / f"{number:05}.jpg")
    return folder


COMMANDS = [line for block in blocks(ROOT / "README.md", "bash") for line in block.splitlines()]


@pytest.mark.parametrize("run", [lva, pytest.param(lva_process, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("lva ")])
def test_readme_lva_commands(command: str, run: Callable[..., Completed], workplace: Path) -> None:
    done = run(*shlex.split(command)[1:], cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("make ")])
def test_readme_make_targets(command: str) -> None:
    assert re.search(rf"^{command.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


MODEL_COMMANDS = [line for block in blocks(ROOT / "docs" / "models.md", "bash") for line in block.splitlines()]
BACKEND_COMMANDS = [line for line in MODEL_COMMANDS if line.startswith("lva ask ")]
DOCTOR_COMMANDS = [line for line in MODEL_COMMANDS if line.startswith("lva doctor ")]


SERVER_PREFIXES = [row.prefix for row in BACKENDS if row.is_remote]


@pytest.mark.slow
@pytest.mark.parametrize("line", BACKEND_COMMANDS, ids=lambda line: line.split("#")[-1].strip().split(",")[0])
def test_models_doc_backend_commands(
    line: str, workplace: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path),
        **{row.key_env: "key" for row in BACKENDS if row.key_env},
    }
    if " transformers:" in line or " vllm:" in line:
        if not importlib.util.find_spec("torch"):
            pytest.skip("needs PyTorch: make test-all installs it")
        line = line.replace("Qwen/Qwen3-4B", str(request.getfixturevalue("random_model")))
        environment["PYTHONPATH"] = str(ROOT / "tests" / "fakes")
    with serving(say("so</think><answer>Otto</answer>"), models=[{"id": "first"}]) as (url, server):
        line = re.sub(r"(@|vllm:)https?://[^ ]+", rf"\1{url}", line)
        line = re.sub(rf" ({'|'.join(SERVER_PREFIXES)}):([^ @]*)(?= )", rf" \1:\2@{url}", line).replace(":@", ":")
        if "--team" in line:
            preset = (ROOT / "src/longvideoagent/agents/presets/qwen3-4b-as-trained.toml").read_text()
            (tmp_path / "team.toml").write_text(preset.replace("http://127.0.0.1:8000/v1", url))
            line = line.replace("qwen3-4b", str(tmp_path / "team.toml"))
        environment["OPENAI_BASE_URL"] = url
        command = shlex.split(line, comments=True)
        environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(command, cwd=workplace, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if "--dry-run" in line:
        assert "Nothing was asked" in done.stdout
        assert not server.requests
    elif url in line or "--team" in line:
        assert "= Otto" in done.stdout
        assert len(server.requests) == 1  # the video has one clip, so that grounding needs no call
    else:
        assert "spent" in done.stdout  # a tiny model with random weights answers nothing


@pytest.mark.parametrize("line", DOCTOR_COMMANDS)
def test_models_doc_doctor_commands(line: str, tmp_path: Path) -> None:
    with serving(say("<answer>a0")) as (url, server):
        preset = (ROOT / "src/longvideoagent/agents/presets/qwen3-4b-as-trained.toml").read_text()
        (tmp_path / "team.toml").write_text(preset.replace("http://127.0.0.1:8000/v1", url))
        line = line.replace("--team qwen3-4b", f"--team {tmp_path / 'team.toml'}")
        done = lva(*shlex.split(line, comments=True)[1:], env={"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "key"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("vllm serve ") == ("--preset" in line)
    assert len(server.requests) == (2 if line.startswith("lva doctor --team") and "--json" in line else 0)
    assert ("at most 3 requests" in done.stderr) == ("--team" in line)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("document", "written"),
    [("data.md", "rows/train.parquet"), ("evaluation.md", "runs/synthetic-val-offline-agents/ablation.html")],
)
def test_doc_commands_in_sequence(document: str, written: str, tmp_path: Path) -> None:
    lines = [line for block in blocks(ROOT / "docs" / document, "bash") for line in block.splitlines()]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for line in lines:
        done = subprocess.run(
            shlex.split(line), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / written).exists()


SERVER_COMMANDS = [line for block in blocks(ROOT / "docs" / "web.md", "bash") for line in block.splitlines()]
SCRIPT = blocks(ROOT / "docs" / "web.md", "python")[0]


@pytest.mark.parametrize("line", SERVER_COMMANDS)
def test_web_doc_servers_start(line: str, workplace: Path, tmp_path: Path) -> None:
    shutil.copytree(workplace, tmp_path / "talks")
    (tmp_path / "team.toml").write_text("")
    arguments = shlex.split(line)[1:]
    if "serve" not in line and "--http" not in line:
        done = lva_process(*arguments, cwd=tmp_path, stdin=subprocess.DEVNULL)
        assert (done.returncode, done.stderr) == (0, "")
    elif line == SERVER_COMMANDS[0]:
        done = lva_server(*arguments, "--port", "0", cwd=tmp_path, use=run_web_script)
        assert "event: end" in done.stdout
    else:
        done = lva_server(*arguments, "--port", "0", cwd=tmp_path, use=httpx.get)
    assert done.returncode == 0, done.stderr


def run_web_script(url: str) -> None:
    """Run the document's script against a server."""
    exec(SCRIPT.replace("http://127.0.0.1:7860", url), {})


def test_evaluation_doc_metrics_complete() -> None:
    text = (ROOT / "docs" / "evaluation.md").read_text()
    summary = summarize([], 0)
    names = [
        *summary,
        *summary["outcomes"],
        *summary["grounding"],
        *summary["per_question"],
        *summary["agents"]["master"],
    ]
    for name in (*names, *summary["calibration"]):
        assert f"`{name}`" in text, name


def test_readme_commands_covered() -> None:
    assert {line.split()[0] for line in COMMANDS} == {"lva", "make", "pip"}


def test_readme_python(workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks(ROOT / "README.md", "python")
    monkeypatch.chdir(workplace)
    exec(code, {})
    assert "answered" in capsys.readouterr().out


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_doc_links_exist(path: Path) -> None:
    text = path.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (path.parent / target).exists(), target
    for name in re.findall(r"`(tests/[\w/]+\.py)`", text):
        assert (ROOT / name).exists(), name


def test_output_doc_keys_complete(workplace: Path) -> None:
    record = json.loads(lva("ask", "talk.mp4", "What does the sign say?", "--json", cwd=workplace).stdout)
    text = (ROOT / "docs" / "output.md").read_text()
    grounding = record["first_grounding"]
    for key in (*record, *record["evidence"][0], *record["rounds"][0], *record["usage"], *grounding):
        assert f"`{key}`" in text, key


def test_models_doc_team_file() -> None:
    (local,) = blocks(ROOT / "docs" / "local.md", "toml")
    team = TeamConfig.model_validate(tomllib.loads(local))
    assert (team.master.dialect, team.vision.max_frames) == ("json", 4)
    (text,) = (text for text in blocks(ROOT / "docs" / "models.md", "toml") if "[master]" in text)
    team_config = TeamConfig.model_validate(tomllib.loads(text))
    assert team_config.vision.max_frames == 15
    shown = set(re.findall(r"^(\w+) =", text, re.MULTILINE))
    assert shown <= set(TeamConfig.model_fields) | set(AgentConfig.model_fields) | {
        field.name for field in fields(TokenPrice)
    }


def test_api_doc_complete() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    for name in longvideoagent.__all__:
        module = getattr(longvideoagent, name).__module__
        assert f"::: {module}.{name}\n" in text, name
