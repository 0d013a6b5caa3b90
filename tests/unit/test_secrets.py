"""Keys and passwords are refused in addresses, and never printed or stored."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.agents.config import TeamConfig
from longvideoagent.core.types import Message, Reply
from longvideoagent.errors import ModelError, UsageError
from longvideoagent.models.base import DEFAULT_CALL_SETTINGS, CallSettings, Model, ModelOptions
from longvideoagent.models.secrets import hide_secrets, render_spec
from longvideoagent.models.spec import ModelSpec, load_model
from longvideoagent.views.run_folder import read_config
from tests.fakes.faulty_server import as_json, body, say, serving, status
from tests.plugins.cli import lva
from tests.plugins.runs import eval_config, run

SECRET = "hunter2-correct-horse"
HELLO = [Message(role="user", content="hello")]


async def ask(model: Model, settings: CallSettings = DEFAULT_CALL_SETTINGS) -> Reply:
    try:
        return await model.complete(HELLO, settings)
    finally:
        await model.close()


@pytest.mark.parametrize(
    "address",
    [
        f"http://me:{SECRET}@h:1/v1",
        f"http://{SECRET}@h/v1",
        f"http://:{SECRET}@h/v1",
        f"https://me:{SECRET}%40x@h/v1",
        f"https://me:a/{SECRET}@h/v1",
        f"http://h/v1?key={SECRET}",
        f"http://h/v1?api_key={SECRET}",
        f"http://h/v1?api-version=1&token={SECRET}",
        f"http://h/v1#{SECRET}",
        f"http://h:99999/v1?key={SECRET}",
        f"ftp://me:{SECRET}@h/v1",
        f"me:{SECRET}@h:8000/v1",
    ],
)
@pytest.mark.parametrize("form", ["openai:m@{}", "vllm:{}", "ollama:m@{}", "opnai:m@{}", "openai:{}"])
def test_secret_in_address_refused(form: str, address: str) -> None:
    with pytest.raises(UsageError) as caught:
        ModelSpec.parse(form.format(address))
    if "://" in address or "@{" in form:
        assert SECRET not in str(caught.value)
    if address.startswith("http") and "99999" not in address and form.startswith(("openai:m", "ollama")):
        variable = "OLLAMA_API_KEY" if form.startswith("ollama") else "OPENAI_API_KEY"
        assert f"put the key into the environment variable {variable}" in str(caught.value)


def test_secret_in_environment_url_refused(monkeypatch: pytest.MonkeyPatch, subtitled_video: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    for url in (f"http://me:{SECRET}@127.0.0.1:9/v1", f"http://127.0.0.1:9/v1?key={SECRET}"):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        done = lva("ask", subtitled_video, "Who?", "-m", "openai:m")
        assert done.returncode == 2
        assert "OPENAI_BASE_URL: its URL has a" in done.stderr
        assert SECRET not in done.stderr + done.stdout


@pytest.mark.parametrize("command", ["ask", "eval", "config", "doctor", "toml", "env"])
def test_commands_do_not_print_secrets(
    command: str, tmp_path: Path, release: Path, subtitled_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"openai:m@http://me:{SECRET}@h/v1"
    team = tmp_path / "team.toml"
    team.write_text(f'[master]\nmodel = "{spec}"\n')
    arguments: dict[str, list[str | Path]] = {
        "ask": ["ask", subtitled_video, "Who?", "-m", spec],
        "eval": ["eval", release, "--run", tmp_path / "run", "--master", spec],
        "config": ["config", "set", "model", spec],
        "doctor": ["doctor", "-m", spec],
        "toml": ["ask", subtitled_video, "Who?", "--team", team],
        "env": ["ask", subtitled_video, "Who?"],
    }
    if command == "env":
        monkeypatch.setenv("LVA_MODEL", spec)
    done = lva(*arguments[command])
    assert done.returncode == 2
    assert SECRET not in done.stderr + done.stdout
    assert "user name or password; leave it out" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("offline", "offline"),
        ("openai:qwen3:4b@http://h:1/v1", "openai:qwen3:4b@http://h:1/v1"),
        ("openrouter:openai/gpt-5-mini", "openrouter:openai/gpt-5-mini"),
        ("transformers:/models/a@b#1?c", "transformers:/models/a@b#1?c"),
        ("transformers:hf-internal-testing/tiny-random", "transformers:hf-internal-testing/tiny-random"),
        ("openai:m@http://a:b@h/v1?key=c#d", "openai:m@http://…@h/v1?…"),
        ("openai:m@a:b@h/v1", "openai:m@…@h/v1"),
        ("openai:sk-proj-abcdefghijklmnop", "openai:…"),
        ("gemini:AIzaSyA1234567890abcdefghijklmnopqrst", "gemini:…"),
    ],
)
def test_render_spec(text: str, shown: str) -> None:
    assert render_spec(text) == shown
    assert render_spec(shown) == shown


@given(user=st.text("ab:1%_-."), password=st.text("abAB19:/@%_-.", min_size=8))
def test_render_spec_hides_any_password(user: str, password: str) -> None:
    shown = render_spec(f"openai:m@https://{user}:{password}Q@host/v1")
    assert shown == "openai:m@https://…@host/v1"


ECHOES = [
    status(401, f"Incorrect API key provided: {SECRET}."),
    status(400, "x" * 285 + f" {SECRET} is not valid"),
    status(500, f"upstream: Authorization: Bearer {SECRET}"),
    status(403, f"https://h/v1?key={SECRET.upper()} was refused"),
    as_json({"error": {"message": f"bad key {SECRET}", "code": 401}}),
    body(f"<html><title>{SECRET}</title></html>".encode(), "text/html"),
    body(f'{{"key": "{SECRET}", '.encode()),
]


@pytest.mark.parametrize("fault", ECHOES)
@pytest.mark.parametrize("name", ["m", ""])
def test_key_that_a_server_repeats(name: str, fault: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMACPP_API_KEY", SECRET)
    with serving(fault) as (url, _):  # type: ignore[arg-type]
        model = load_model(ModelSpec("llamacpp", name, url), ModelOptions())
        with pytest.raises(ModelError) as caught:
            asyncio.run(ask(model))
    assert SECRET.casefold() not in str(caught.value).casefold()
    assert SECRET[:12] not in str(caught.value)


def test_key_in_extra_body_that_a_server_repeats() -> None:
    with serving(status(400, f"unknown credential {SECRET}")) as (url, _):
        model = load_model(ModelSpec("openai", "m", url), ModelOptions())
        settings = CallSettings(extra_body={"provider": {"api_key": SECRET}})
        with pytest.raises(ModelError) as caught:
            asyncio.run(ask(model, settings))
    assert "unknown credential …" in str(caught.value)


def test_short_secret_is_not_replaced() -> None:
    assert hide_secrets("no such model: none", ["none", ""]) == "no such model: none"


def test_run_stores_extra_body_as_digest(release: Path, tmp_path: Path) -> None:
    with serving(say("<answer>a1</answer>")) as (url, _):
        fields = {"master": {"model": f"openai:m@{url}", "extra_body": {"metadata": {"token": SECRET}}}}
        config = eval_config(release, TeamConfig.model_validate(fields))
        first = run(config, tmp_path / "run")
        assert run(config, tmp_path / "run") == first
        fields["master"]["extra_body"] = {"top_k": 3}
        with pytest.raises(UsageError, match=r"team\.master\.extra_body\.sha256: .* -> "):
            run(eval_config(release, TeamConfig.model_validate(fields)), tmp_path / "run")
    for path in (tmp_path / "run").iterdir():
        assert SECRET.encode() not in path.read_bytes()


def test_run_of_version_5_is_read_without_secrets(release: Path, tmp_path: Path) -> None:
    with serving(say("<answer>a1</answer>")) as (url, _):
        extra_body = {"metadata": {"token": SECRET}}
        team = TeamConfig.model_validate({"master": {"model": f"openai:m@{url}", "extra_body": extra_body}})
        run(eval_config(release, team), tmp_path / "run")
        path = tmp_path / "run" / "config.json"
        config = json.loads(path.read_text()) | {"version": 5}
        config["team"]["master"]["extra_body"] = extra_body
        path.write_text(json.dumps(config))
        run(eval_config(release, team), tmp_path / "run")
    config["team"]["vision"]["model"] = f"openai:m@http://h/v1?key={SECRET}"
    path.write_text(json.dumps(config))
    assert SECRET not in json.dumps(read_config(tmp_path / "run"))
