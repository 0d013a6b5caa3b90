from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from longvideoagent import TeamConfig
from longvideoagent.agents.config import AgentConfig
from longvideoagent.errors import UsageError
from longvideoagent.models.backends import BACKENDS, find_backend, spec_forms
from longvideoagent.models.base import ModelOptions
from longvideoagent.models.reachability import missing_local_servers
from longvideoagent.models.spec import ModelSpec, load_model, missing_key_env
from tests.fakes.faulty_server import say, serving
from tests.plugins.cli import lva, lva_process, refusal

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "examples" / "backend_package"


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("offline", ModelSpec("offline")),
        ("openai:gpt-5-mini", ModelSpec("openai", "gpt-5-mini")),
        ("openai:qwen3:4b@http://h:1/v1", ModelSpec("openai", "qwen3:4b", "http://h:1/v1")),
        ("transformers:/models/a@b", ModelSpec("transformers", "/models/a@b")),
        ("scripted:C:/script.json", ModelSpec("scripted", "C:/script.json")),
        ("gemini:gemini-2.5-flash", ModelSpec("gemini", "gemini-2.5-flash")),
        ("openrouter:openai/gpt-5-mini", ModelSpec("openrouter", "openai/gpt-5-mini")),
        ("ollama:qwen3:4b@http://h:1/v1", ModelSpec("ollama", "qwen3:4b", "http://h:1/v1")),
        ("llamacpp:", ModelSpec("llamacpp")),
        ("lmstudio:http://h:1/v1", ModelSpec("lmstudio", "", "http://h:1/v1")),
        ("vllm:Qwen/Qwen3-4B", ModelSpec("vllm", "Qwen/Qwen3-4B")),
        ("vllm:http://h:8000/v1", ModelSpec("vllm", "", "http://h:8000/v1")),
        ("vllm:m@http://h:8000/v1", ModelSpec("vllm", "m", "http://h:8000/v1")),
    ],
)
def test_spec_round_trip(text: str, spec: ModelSpec) -> None:
    assert ModelSpec.parse(text) == spec
    assert str(spec) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "gpt-5-mini", "openai", "openai:", "openai:@http://h/v1", "openai:m@", "offline:m", "unknown:m",
        "openai:m@ftp://h", "openai:http://h/v1", "ollama:", "vllm:",
        "openai:m@http://", "openai:m@http://h:99999/v1", "openai:m@http://h h/v1",
    ],
)  # fmt: skip
def test_spec_refused(text: str) -> None:
    forms = r"no such model|not a URL|names no model; give |takes no name; give "
    with pytest.raises(UsageError, match=forms) as caught:
        ModelSpec.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("opnai:gpt-5-mini", "no such model; did you mean openai:gpt-5-mini?"),
        ("Ollama:qwen3", "did you mean ollama:qwen3?"),
        ("anthropic:", "names no model; give anthropic:NAME[@URL], such as anthropic:claude"),
        ("offline:m", "takes no name; give offline"),
    ],
)
def test_spec_suggested(text: str, advice: str) -> None:
    with pytest.raises(UsageError) as caught:
        ModelSpec.parse(text)
    assert advice in str(caught.value)


def test_spec_of_a_server_may_leave_the_name_out() -> None:
    for text in ("llamacpp:@http://h/v1", "llamacpp:http://h/v1"):
        assert ModelSpec.parse(text) == ModelSpec("llamacpp", "", "http://h/v1")


def test_spec_properties_come_from_the_table() -> None:
    for row in BACKENDS:
        spec = ModelSpec(row.prefix, "m" if row.has_name else "")
        assert ModelSpec.parse(str(spec)) == spec
        facts = (spec.is_remote, spec.is_cacheable, spec.needs_price)
        assert facts == (row.is_remote, row.is_cacheable, row.needs_price)
        assert row.form in spec_forms()


@pytest.mark.parametrize(
    ("text", "is_on_this_machine"),
    [
        ("offline", True),
        ("transformers:/models/a", True),
        ("openai:m@http://127.0.0.1:8000/v1", True),
        ("openai:m@http://localhost/v1", True),
        ("openai:m@http://[::1]:8000/v1", True),
        ("openai:m@http://127.example/v1", False),
        ("openai:m@http://10.0.0.2/v1", False),
        ("openai:m", False),
    ],
)
def test_spec_on_this_machine(text: str, is_on_this_machine: bool) -> None:
    assert ModelSpec.parse(text).is_on_this_machine == is_on_this_machine


def test_local_server_that_is_not_there() -> None:
    with serving(say("hello")) as (url, _):
        specs = [ModelSpec.parse(text) for text in (f"openai:m@{url}", "offline", "openai:m", "openai:m@http://h/v1")]
        assert missing_local_servers(specs) == []
    ollama = ModelSpec("ollama", "qwen3", "http://127.0.0.1:9")  # the port of the discard service
    assert missing_local_servers([ollama, ollama]) == ["http://127.0.0.1:9 is not there; start it with 'ollama serve'"]
    (line,) = missing_local_servers([*specs, ollama][:1])
    assert line == f"{url} is not there; start it, or fix its URL"


def test_missing_server_is_reported_before_the_video_is_opened(subtitled_video: Path) -> None:
    done = lva("ask", subtitled_video, "Who?", "-m", "ollama:m@http://127.0.0.1:9/v1")
    first, *_ = done.stderr.splitlines()
    assert first == "lva: warning: http://127.0.0.1:9/v1 is not there; start it with 'ollama serve'"
    assert done.returncode == 1


def test_spec_with_password_refused() -> None:
    with pytest.raises(
        UsageError, match="openai:m@http://…@h/v1: its URL has a user name or password; leave it out"
    ) as caught:
        ModelSpec.parse("openai:m@http://name:pass@h/v1")
    assert "name:pass" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://[", "nonsense", "ftp://host"])
def test_url_of_environment_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(UsageError, match=r"OPENAI_BASE_URL: .* is not a URL"):
        _ = ModelSpec.parse("openai:m").server_url


def test_spec_forms_documented() -> None:
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert not [row.form for row in BACKENDS if f"`{row.form}`" not in text]


def test_server_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert ModelSpec("openai", "m").server_url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://h:1/v1")
    assert ModelSpec("openai", "m").server_url == "http://h:1/v1"
    assert ModelSpec("openai", "m", "http://h:2/v1").server_url == "http://h:2/v1"
    assert ModelSpec("vllm", "m").server_url == ""


def test_load_model_key_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(UsageError, match="MY_KEY is not set; export it, or name a server: openai:m@URL"):
        load_model(ModelSpec("openai", "m"), ModelOptions(api_key_env="MY_KEY"))


def test_provider_key_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    with pytest.raises(UsageError, match="GEMINI_API_KEY is not set; export it, or name a server: gemini:m@URL"):
        load_model(ModelSpec("gemini", "m"), ModelOptions())


def test_keys_missing_of_a_team(monkeypatch: pytest.MonkeyPatch, release: Path) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "XAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    team = ("--team", ROOT / "configs/teams/agentic-grok.toml", "--limit", "1")
    problem = "XAI_API_KEY (master, grounding) and OPENAI_API_KEY (vision) are not set; export them"
    done = lva("eval", release, *team)
    assert (done.returncode, f"error: {problem}, or choose" in done.stderr) == (2, True)
    done = lva("eval", release, *team, "--dry-run")
    assert (done.returncode, problem in done.stderr) == (0, True)
    monkeypatch.setenv("XAI_API_KEY", "xai-secret")
    assert "error: OPENAI_API_KEY (vision) is not set; export it, or choose other" in lva("eval", release, *team).stderr


@pytest.mark.parametrize(
    ("text", "api_key_env", "missing"),
    [
        ("openai:m", None, "OPENAI_API_KEY"),
        ("openai:m@https://api.openai.com/v1", "MY_KEY", "MY_KEY"),
        ("openai:m@https://api.x.ai/v1", None, "OPENAI_API_KEY"),
        ("openai:m@http://host:1/v1", None, ""),
        ("openai:m@http://host:1/v1", "MY_KEY", "MY_KEY"),
        ("openai:m@http://127.0.0.1:1/v1", "MY_KEY", ""),
        ("ollama:m", None, ""),
        ("vllm:m", "MY_KEY", ""),
        ("offline", None, ""),
    ],
)
def test_missing_key_env(text: str, api_key_env: str | None, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "MY_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert missing_key_env(ModelSpec.parse(text), api_key_env) == missing


def test_server_by_url_needs_no_package() -> None:
    spec = ModelSpec.parse("vllm:http://127.0.0.1:8000/v1")
    assert (spec.is_remote, spec.is_on_this_machine, spec.is_cacheable, spec.needs_price) == (True, True, False, False)
    assert load_model(spec, ModelOptions())


@pytest.mark.parametrize(
    ("text", "max_tokens"),
    [("openai:m", 8192), ("ollama:m", 8192), ("openai:m@http://h/v1", 1024), ("offline", 1024)],
)
def test_reply_limit_of_models_that_may_reason(text: str, max_tokens: int) -> None:
    assert TeamConfig(master=AgentConfig(model=text)).call_settings("master").max_tokens == max_tokens


def test_unpriced_models() -> None:
    priced, free = AgentConfig(model="openai:a@http://h/v1"), AgentConfig(model="vllm:b")
    team_config = TeamConfig(master=priced, grounding=free, vision=priced)
    assert team_config.unpriced == ("a",)
    price = {"prompt_usd_per_mtok": 1, "completion_usd_per_mtok": 2}
    assert TeamConfig.model_validate({"master": priced, "prices": {"a": price}}).unpriced == ()


# --- a back end in a package of its own ----------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example package, installed by pip without the network."""
    target = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", target, PACKAGE], check=True)
    return target


QUESTION = ("What colour?", "-o", "red", "-o", "grey")


def refused_with(*sites: Path, master: str, video: Path) -> str:
    """The refusal of a command whose packages are those installed, and those in some folders."""
    with pytest.MonkeyPatch.context() as patch:
        for site in reversed(sites):
            patch.syspath_prepend(str(site))
        find_backend.cache_clear()
        try:
            return refusal("ask", video, *QUESTION, "--master", master)
        finally:
            find_backend.cache_clear()
            sys.modules.pop("echo_backend", None)


def test_package_back_end(installed: Path, subtitled_video: Path) -> None:
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))
    master = "echo:<answer>a1</answer>"
    result = lva_process("ask", subtitled_video, *QUESTION, "--master", master, env={"PYTHONPATH": path})
    assert result.returncode == 0, result.stderr
    assert "= a1 grey" in result.stdout


def test_package_back_end_listed(installed: Path, subtitled_video: Path) -> None:
    assert " or echo:…" in refused_with(installed, master="unknown:x", video=subtitled_video)


def test_package_back_end_not_installed(subtitled_video: Path) -> None:
    assert "echo:hi: no such model" in refused_with(master="echo:hi", video=subtitled_video)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module:BACKEND", "echo: its package cannot be imported"),
        ("os:sep", "echo: os:sep is not a Backend with that prefix"),
    ],
)
def test_package_back_end_broken(target: str, message: str, subtitled_video: Path, tmp_path: Path) -> None:
    declare_back_end(tmp_path, target)
    assert message in refused_with(tmp_path, master="echo:hi", video=subtitled_video)


def test_package_back_end_declared_twice(installed: Path, subtitled_video: Path, tmp_path: Path) -> None:
    declare_back_end(tmp_path, "os:sep")
    assert "uninstall all but one" in refused_with(tmp_path, installed, master="echo:hi", video=subtitled_video)


def declare_back_end(site: Path, target: str) -> None:
    """Write the metadata of an installed package with a back end ``echo``."""
    metadata = site / "broken-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[longvideoagent.backends]\necho = {target}\n")
