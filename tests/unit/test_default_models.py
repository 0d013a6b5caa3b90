"""The models of commands and calls that choose none, and what has precedence over them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longvideoagent import TeamConfig, UsageError, ask, load_team
from longvideoagent.agents.default_models import DefaultModels, choose_team, user_config_path
from longvideoagent.server.server import load_teams
from tests.plugins.cli import lva, refusal


@pytest.fixture(autouse=True)
def _own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def models(team_config: TeamConfig) -> list[str]:
    return [agent.model for agent in team_config.agents.values()]


def test_default_models_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert models(choose_team(None, DefaultModels())) == ["offline"] * 3
    assert lva("config", "set", "model", "ollama:qwen3").returncode == 0
    assert lva("config", "set", "vision", "ollama:llava").returncode == 0
    assert models(choose_team(None, DefaultModels())) == ["ollama:qwen3", "ollama:qwen3", "ollama:llava"]
    monkeypatch.setenv("LVA_MODEL", "xai:grok-4")
    assert models(choose_team(None, DefaultModels())) == ["xai:grok-4"] * 3
    assert models(choose_team(None, DefaultModels(vision="offline"))) == ["xai:grok-4", "xai:grok-4", "offline"]
    chosen = DefaultModels(model="openai:m", master="openai:n")
    assert models(choose_team(None, chosen)) == ["openai:n", "openai:m", "openai:m"]
    assert models(choose_team("offline", DefaultModels())) == ["offline"] * 3
    team = tmp_path / "team.toml"
    team.write_text('[master]\nmodel = "gemini:m"\n')
    assert models(choose_team(str(team), DefaultModels(vision="openai:v"))) == ["gemini:m", "offline", "openai:v"]


def test_config_commands() -> None:
    assert lva("config", "show").stdout == "model = offline, since nothing else is chosen\n"
    lva("config", "set", "model", "ollama:qwen3:4b")
    shown = lva("config", "show", env={"COLUMNS": "200"}).stdout.splitlines()
    assert shown == ["model = ollama:qwen3:4b", f"from {user_config_path()}"]
    done = lva("config", "set", "master", "openai:m", env={"LVA_MODEL": "xai:m"})
    assert "LVA_MODEL is set in the environment and has precedence" in done.stderr
    lva("config", "unset", "model")
    assert user_config_path().read_text() == 'master = "openai:m"\n'


def test_config_invalid() -> None:
    assert "no such model; give offline, openai:NAME" in refusal("config", "set", "model", "gpt-5")
    assert "there is no 'key' to set; give model, master" in refusal("config", "set", "key", "openai:m")
    user_config_path().parent.mkdir(parents=True)
    user_config_path().write_text('modell = "openai:m"\n')
    assert "config.toml: modell: unknown field; did you mean model?" in refusal("config", "show")
    user_config_path().write_text('model = "gpt-5"\n')
    assert "config.toml: model: gpt-5: no such model" in refusal("ask", "talk.mp4", "Who?")


def test_model_variable_invalid(short_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LVA_MODEL", "gpt-5")
    assert "LVA_MODEL: gpt-5: no such model" in refusal("ask", short_video, "Who?")
    assert lva("ask", short_video, "Who?", "--team", "offline").returncode == 0


def test_key_stays_with_its_provider() -> None:
    team_config = TeamConfig.model_validate({"master": {"model": "xai:m", "api_key_env": "MY_XAI_KEY"}})
    assert team_config.with_models(model="xai:n").master.api_key_env == "MY_XAI_KEY"
    assert team_config.with_models(model="gemini:n").master.api_key_env is None


def test_teams_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(load_teams([], is_cached=False)) == ["offline"]
    assert list(load_teams([], model="ollama:llava", is_cached=False)) == ["ollama:llava", "offline"]
    monkeypatch.setenv("LVA_MODEL", "ollama:qwen3")
    assert list(load_teams([], is_cached=False)) == ["ollama:qwen3", "offline"]
    assert list(load_teams(["offline"], is_cached=False)) == ["offline"]
    assert load_teams([], is_cached=False)["ollama:qwen3"].offline_agents == set()


def test_ask_with_models(subtitled_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(["<answer>hello</answer>"]))
    assert ask(subtitled_video, "Who?", master=f"scripted:{script}").answer == "hello"
    monkeypatch.setenv("LVA_MODEL", f"scripted:{script}")
    assert ask(subtitled_video, "Who?", grounding="offline").answer == "hello"
    with pytest.raises(UsageError, match="a loaded team has its models already"):
        ask(subtitled_video, "Who?", team=load_team("offline"), model="openai:m")
