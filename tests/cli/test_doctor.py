"""``lva doctor``: the serving command of a preset, and the call of a team's servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.agents.presets import CHECKPOINTS, PRESETS
from longvideoagent.agents.team_file import load_team_config
from longvideoagent.cli.doctor import local_server_results, serving_command
from longvideoagent.errors import UsageError
from longvideoagent.models import vllm_serve
from longvideoagent.models.backends import BACKENDS
from longvideoagent.models.reachability import LocalServer
from longvideoagent.models.vllm_serve import ARCHITECTURES, Gpu, serve_command
from tests.fakes.faulty_server import Fault, call_tool, hang, say, serving, status
from tests.fakes.vllm_arguments import CONFIGS, check_serve, kv_bytes_per_token, num_parameters
from tests.plugins.cli import lva, refusal

GPUS_GIB = (16.0, 24.0, 48.0, 80.0, 141.0)

# --- lva doctor --preset --------------------------------------------------------------------------


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_architecture_as_published(checkpoint: str) -> None:
    shape, config = ARCHITECTURES[f"longvideoagent/longvideoagent-{checkpoint}"], CONFIGS[checkpoint]
    assert shape.num_parameters == num_parameters(config)
    assert shape.kv_bytes_per_token == kv_bytes_per_token(config)
    assert shape.max_positions == config["max_position_embeddings"]


@pytest.mark.parametrize("gpu_gib", GPUS_GIB)
@pytest.mark.parametrize("preset", PRESETS)
def test_preset_served_by_vllm(preset: str, gpu_gib: float) -> None:
    checkpoint = preset.partition("-as-")[0]
    if (checkpoint, gpu_gib) == ("qwen2.5-7b", 16.0):
        with pytest.raises(UsageError, match=r"weights 14\.2 GiB"):
            serving_command(preset, gpu_gib)
        return
    serve = serving_command(preset, gpu_gib)
    arguments = check_serve(serve.command, CONFIGS[checkpoint], gpu_gib)
    assert arguments.model == f"longvideoagent/longvideoagent-{checkpoint}"
    assert arguments.generation_config == "vllm"
    assert arguments.port == 8000
    fits = gpu_gib >= 24 or checkpoint == "qwen2.5-3b"
    assert (arguments.max_model_len >= (load_team_config(preset).master.max_context_tokens or 0)) == fits
    assert any("expects" in line for line in serve.notes) != fits


@pytest.mark.parametrize(("gpu_gib", "tokens"), [(24, 79_872), (48, 237_568), (80, 262_144), (141, 262_144)])
def test_serve_longest_context(gpu_gib: float, tokens: int) -> None:
    assert serving_command("qwen3-4b", gpu_gib).max_model_len == tokens
    assert serving_command("qwen2.5-7b", gpu_gib).max_model_len == 32_768


def test_serve_longer_context_refused() -> None:
    for checkpoint, tokens in (("qwen2.5-7b", 60_000), ("qwen3-4b", 262_145)):
        with pytest.raises(ValueError, match="derived"):
            check_serve(f"vllm serve m --max-model-len {tokens}", CONFIGS[checkpoint], 141)
    with pytest.raises(ValueError, match="KV cache"):
        check_serve("vllm serve m --max-model-len 120000", CONFIGS["qwen3-4b"], 24)


def test_serve_gpu_partly_used() -> None:
    model = "longvideoagent/longvideoagent-qwen3-4b"
    serve = serve_command(model, 8000, Gpu("busy", 80, 40))
    assert "--gpu-memory-utilization 0.5 " in serve.command
    assert serve.max_model_len < 262_144
    with pytest.raises(UsageError, match="free memory"):
        serve_command(model, 8000, Gpu("full", 80, 4))


def nvidia_smi(folder: Path, *lines: str) -> dict[str, str]:
    """An environment whose nvidia-smi prints these lines."""
    script = folder / "nvidia-smi"
    script.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
    script.chmod(0o755)
    return {"PATH": str(folder)}


def test_doctor_preset(tmp_path: Path) -> None:
    none = lva("doctor", "--preset", "qwen3-4b", env=nvidia_smi(tmp_path))
    assert none.stdout == (
        "vllm serve longvideoagent/longvideoagent-qwen3-4b --max-model-len 79872 --generation-config vllm "
        "--gpu-memory-utilization 0.9 --port 8000\n"
    )
    assert "shows no GPU" in none.stderr
    assert "shows no GPU, so one with 24 GiB is assumed" in none.stderr
    assert "--max-model-len 79872 is what fits, of the model's max_position_embeddings 262,144" in none.stderr
    gpus = nvidia_smi(tmp_path, "NVIDIA A, 24564, 24100", "NVIDIA H, 81559, 81000", "shared, [N/A], [N/A]")
    found = lva("doctor", "--preset", "qwen3-4b-as-evaluated", env=gpus)
    assert "--max-model-len 262144" in found.stdout
    assert "NVIDIA H: 79.6 GiB" in found.stderr
    assert "is the model's own limit (max_position_embeddings 262,144)" in found.stderr
    given = lva("doctor", "--preset", "qwen3-4b", "--gpu-memory-gib", "12", env=gpus)
    assert (given.returncode, given.stdout) == (2, "")
    assert "weights 7.5 GiB" in given.stderr
    assert "no such preset" in refusal("doctor", "--preset", "x")
    for size in ("inf", "1e308"):
        assert "not a size" in refusal("doctor", "--preset", "qwen3-4b", "--gpu-memory-gib", size)


@pytest.mark.parametrize("script", ["sleep 9", "echo 'NVIDIA A, 9, 9'; exit 9", "printf '\\377'", None])
def test_nvidia_smi_unusable(script: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if script is not None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if script else str(tmp_path))
    monkeypatch.setattr(vllm_serve, "NVIDIA_SMI_TIMEOUT_S", 0.3)
    assert vllm_serve.largest_gpu() is None


# --- lva doctor --team ----------------------------------------------------------------------------

COPIED = "<answer>a0"


def check(tmp_path: Path, url: str, text: str, *options: str) -> dict[str, Any]:
    """The agents of ``--json`` for a team file, in which URL stands for the server's."""
    (tmp_path / "team.toml").write_text(text.replace("URL", url))
    done = lva("doctor", "--team", tmp_path / "team.toml", "--json", *options)
    record: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == int(any(agent["error"] for agent in record.values()))
    return record


def test_doctor_team(tmp_path: Path) -> None:
    models: list[dict[str, Any]] = [{"id": "other"}, {"id": "m", "max_model_len": 32768}]
    team = """
        [master]
        model = "openai:m@URL"
        max_context_tokens = 60000
        [vision]
        model = "openai:m@URL"
        [prices.m]
        prompt_usd_per_mtok = 100
        completion_usd_per_mtok = 200
    """
    with serving(say(COPIED), models=models) as (url, server):
        record = check(tmp_path, url, team)
        done = lva("doctor", "--team", tmp_path / "team.toml")
    assert record["grounding"]["server"] is None
    master, vision = record["master"], record["vision"]
    assert master["server"]["max_context_tokens"] == 32768
    assert (master["server"]["honors_stop"], master["server"]["reasoning"]) == (True, "")
    assert master["usd"] == pytest.approx((7 * 100 + 3 * 200) / 1e6)
    (remark,) = master["remarks"]
    assert "32,768" in remark
    assert vision["server"]["accepts_images"] is True
    assert len(server.requests) == 4
    assert [request.get("stop") is None for request in server.requests].count(True) == 2
    assert done.returncode == 0
    assert "calls 1 server: at most 3 requests" in done.stderr
    table = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    assert "32,768" in table["context"]
    assert table["accepts images"].split()[2:] == ["–", "–", "yes"]
    assert table["state"].split() == ["state", "works", "not", "called", "works"]
    assert "! master: its server has a context" in done.stdout


def test_doctor_team_dry_run() -> None:
    with serving(say(COPIED)) as (url, server):
        done = lva("doctor", "--master", f"openai:m@{url}", "--vision", f"openai:m@{url}", "--dry-run")
    assert (done.returncode, done.stdout, server.requests) == (0, "", [])
    assert "at most 3 requests" in done.stderr
    assert "$0.0000" in done.stderr  # a server on this machine
    assert "no price" in lva("doctor", "--master", "openai:m@http://host/v1", "--dry-run").stderr
    record = json.loads(lva("doctor", "--master", f"openai:m@{url}", "--dry-run", "--json").stdout)
    assert (record["num_servers"], record["max_usage"]["calls"], record["usd"]) == (1, 1, 0.0)


def test_doctor_calls_nothing_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(say(COPIED)) as (url, server):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        lva("doctor")
        offline = lva("doctor", "--team", "offline")
    assert server.requests == []
    assert "nothing is called" in offline.stderr
    assert "--team" in refusal("doctor", "--json")
    assert "one of them" in refusal("doctor", "--preset", "qwen3-4b", "--team", "offline")
    assert "--preset NAME" in refusal("doctor", "--gpu-memory-gib", "24")
    assert "--team FILE.toml" in refusal("doctor", "--preset", "qwen3-4b", "--prices", "prices.toml")


def test_doctor_lists_the_servers_of_this_machine() -> None:
    rows = [row for row in BACKENDS if row.prefix in ("ollama", "llamacpp")]
    servers = [LocalServer(rows[0], ["qwen2.5vl", "b", "c", "d"]), LocalServer(rows[1], [])]
    listed, unknown = local_server_results(servers)
    assert (listed.state, listed.detail) == ("ok", "has qwen2.5vl, b, c and 1 more; -m ollama:qwen2.5vl")
    assert (unknown.state, unknown.name) == ("absent", "llamacpp")
    assert "http://127.0.0.1:8080/v1 is open but lists no model" in unknown.detail
    (none,) = local_server_results([])
    assert none.detail == "none of ollama, lmstudio, llamacpp runs; docs/local.md says how to start one"


@pytest.mark.parametrize(
    ("answer", "reasoning", "stops"),
    [
        (say(COPIED), "", True),
        (say(f"{COPIED}</answer> end of the line"), "", False),
        (say(f"{COPIED}</answer>"), "", None),
        (say("Sure!"), "", None),
        (say(COPIED, reasoning_content="hm"), "in a field of its own", True),
        (say(f"<think>hm</think>{COPIED}"), "<think> in the reply", True),
        (say("", {"finish_reason": "length"}), "hidden", None),
    ],
)
def test_doctor_team_reasoning_and_stops(answer: Fault, reasoning: str, stops: bool | None, tmp_path: Path) -> None:
    with serving(answer) as (url, _):
        master = check(tmp_path, url, '[master]\nmodel = "openai:m@URL"')["master"]
    assert (master["server"]["reasoning"], master["server"]["honors_stop"]) == (reasoning, stops)
    assert any("reasoning = true" in remark for remark in master["remarks"]) == bool(reasoning)
    assert any("ignores stop" in remark for remark in master["remarks"]) == (stops is False)


@pytest.mark.parametrize(
    ("answers", "calls_tools", "remarks"),
    [
        ([call_tool("answer", '{"text": "a0"}')], True, []),
        ([say("a0")], False,
         ['it wrote text in place of a tool call; if it does so in rollouts, set dialect = "tags"']),
        ([status(400, "tools are not supported"), say(COPIED)], False,
         ["it does not accept tools; the master writes its actions as tags"]),
        ([status(400, "temperature is not supported"), say("a0")], False,
         ['it wrote text in place of a tool call; if it does so in rollouts, set dialect = "tags"',
          "it refuses temperature, which is left out"]),
    ],
)  # fmt: skip
def test_doctor_team_tries_tools(answers: list[Fault], calls_tools: bool, remarks: list[str], tmp_path: Path) -> None:
    with serving(*answers) as (url, server):
        master = check(tmp_path, url, '[master]\nmodel = "openai:m@URL"\ndialect = "tools"')["master"]
    assert master["server"]["calls_tools"] is calls_tools
    assert master["remarks"] == remarks
    assert "tools" in server.requests[0]


def test_doctor_team_without_a_name(tmp_path: Path) -> None:
    with serving(say(COPIED), models=[{"id": "served", "max_model_len": 4096}]) as (url, server):
        master = check(tmp_path, url, '[master]\nmodel = "vllm:URL"')["master"]
    assert master["server"]["max_context_tokens"] == 4096
    assert [request["model"] for request in server.requests] == ["served"]


def test_doctor_team_reasoning_cut(tmp_path: Path) -> None:
    text = (
        '[master]\nmodel = "openai:m@URL"\nreasoning = true\ncompletion_template = "<user>$prompt<assistant><think>\\n"'
    )
    with serving(say("hm", {"finish_reason": "length"})) as (url, server):
        (remark,) = check(tmp_path, url, text, "--max-reply-tokens", "700")["master"]["remarks"]
    assert "cut at 700 tokens inside its reasoning; raise --max-reply-tokens" in remark
    assert server.requests[0]["max_tokens"] == 700
    assert "stop" not in server.requests[0]


@pytest.mark.parametrize(
    ("answer", "timeout_s", "error"),
    [
        (status(401), 60, "the key in OPENAI_API_KEY was refused; export another"),
        (status(404, "no model m"), 60, "is 'm' served there?; the server has a, b"),
        (status(429), 60, "lower requests_per_minute"),
        (status(500, "boom"), 60, "HTTP 500"),
        (hang, 0.4, "no reply within 0 s; raise timeout_s"),
        (say(""), 60, "an empty reply"),
    ],
)
def test_doctor_team_failures(answer: Fault, timeout_s: float, error: str, tmp_path: Path) -> None:
    with serving(answer, models=[{"id": "a"}, {"id": "b"}]) as (url, _):
        master = check(tmp_path, url, f'[master]\nmodel = "openai:m@URL"\ntimeout_s = {timeout_s}')["master"]
    assert error in master["error"]
    assert "\n" not in master["error"]
    assert master["server"] is None


def test_doctor_team_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    text = '[master]\nmodel = "openai:m@http://127.0.0.1:1/v1"\n[vision]\nmodel = "openai:m"'
    (tmp_path / "team.toml").write_text(text)
    done = lva("doctor", "--team", tmp_path / "team.toml")
    assert done.returncode == 1
    errors = [line for line in done.stdout.splitlines() if line.startswith("✗")]
    assert len(errors) == 2
    assert "start the server" in errors[0]
    assert "OPENAI_API_KEY is not set" in errors[1]


def test_doctor_team_text_model_as_vision(tmp_path: Path) -> None:
    with serving(say("a beach", sees=False)) as (url, server):
        vision = check(tmp_path, url, '[vision]\nmodel = "openai:m@URL"')["vision"]
    assert "ignores images" in vision["error"]
    assert len(server.requests) == 2


def test_doctor_team_refused_fields(tmp_path: Path) -> None:
    refusals = [status(400, f"Unrecognized request argument supplied: {name}") for name in ("top_k", "temperature")]
    with serving(*refusals, say(COPIED)) as (url, _):
        master = check(tmp_path, url, '[master]\nmodel = "openai:m@URL"\ntop_k = -1')["master"]
    assert [remark.split(",")[0] for remark in master["remarks"]] == ["it refuses temperature", "it refuses top_k"]


def test_doctor_team_server_with_limits(tmp_path: Path) -> None:
    refusals = [
        status(400, "max_tokens is too large: 256. This model supports at most 100 completion tokens"),
        status(400, "this model only supports streaming"),
    ]
    with serving(*refusals, say(COPIED)) as (url, _):
        master = check(tmp_path, url, '[master]\nmodel = "openai:m@URL"')["master"]
    assert master["remarks"] == [
        "it sends this model's replies as streams only; they are streamed",
        "it allows replies of 100 tokens at most; longer ones are not asked for",
    ]


@pytest.mark.parametrize("spec", ["ollama:m", "llamacpp:", "vllm:"])
def test_doctor_team_other_back_ends(spec: str, tmp_path: Path) -> None:
    with serving(say(COPIED), models=[{"id": "m"}]) as (url, _):
        master = check(tmp_path, url, f'[master]\nmodel = "{spec}{"@" if spec.endswith("m") else ""}URL"')["master"]
    assert (master["server"]["text"], master["error"]) == (COPIED, "")


def test_doctor_team_in_process_not_called(tmp_path: Path) -> None:
    record = check(tmp_path, "", '[master]\nmodel = "scripted:replies.json"')
    assert record["master"]["remarks"] == ["not called: it runs without an HTTP server"]
