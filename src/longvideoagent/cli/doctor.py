"""``lva doctor``: one line per requirement, with the fix if one is missing."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from urllib.parse import urlsplit

import av
from rich.text import Text

from longvideoagent.agents.default_models import default_models, default_models_source
from longvideoagent.agents.presets import CHECKPOINTS, PRESETS
from longvideoagent.agents.team_file import load_team_config
from longvideoagent.cli.terminal import printable, stdout_console
from longvideoagent.errors import LongVideoAgentError, UsageError
from longvideoagent.models.backends import BACKENDS
from longvideoagent.models.reachability import LocalServer, find_local_servers
from longvideoagent.models.sound_tagger import is_tagger
from longvideoagent.models.vllm_serve import Gpu, ServeCommand, largest_gpu, query_gpus, serve_command
from longvideoagent.weights.manifest import Weights, known_weights
from longvideoagent.weights.store import is_available, size_problem

EXTRAS = {
    "asr": "speech to text for videos without subtitles",
    "hub": "download of the published data sets",
    "inspect": "evaluation with Inspect",
    "meaning": "lines compared by meaning, with the weights minilm",
    "objects": "objects in the index and in looks, with the weights dfine-nano or a folder",
    "parquet": "rows for reinforcement learning, and data sets published as Parquet",
    "ray": "evaluation on a cluster",
    "sound": "sounds with their times in the index, by a sound tagger, which is a folder; see docs/sound.md",
    "train": "training of the master on one machine",
    "transformers": "models in this process, batched",
    "verl": "training of the master on many GPUs, in an environment of its own",
    "vllm": "models in this process on a GPU, with continuous batching",
    "web": "the web page, and tools for assistants",
    "docs": "the documentation site",
    "dev": "the project's own checks and tests",
}
"""Each extra of pyproject.toml, and what it adds."""
_NEED_WEIGHTS = {"meaning": "", "objects": ", or give a folder (docs/objects.md)"}
"""The extras that do nothing without weights, and what does in place of known ones."""
ENVIRONMENT_VARIABLES = tuple(name for row in BACKENDS if row.needs_key for name in (row.key_env, row.url_env) if name)
DEFAULT_PORT = 8000
"""vLLM's own."""
MAX_GPU_GIB = 100_000.0
MAX_MODELS_SHOWN = 3
"""Of each server on this machine."""
_SYMBOLS = {"ok": ("✓", "green"), "absent": ("–", "dim"), "broken": ("✗", "bold red")}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line. ``state`` is ``ok``, ``absent`` (optional and not installed) or ``broken`` (required, not working)."""

    state: str
    name: str
    detail: str


def print_findings() -> bool:
    """Print all findings. Returns False if something required is broken."""
    console = stdout_console()
    all_ok = True
    for result in run_checks():
        symbol, style = _SYMBOLS[result.state]
        console.print(
            Text.assemble((f"{symbol} ", style), f"{result.name:16} ", (printable(result.detail), "dim")),
            soft_wrap=True,
        )
        all_ok = all_ok and result.state != "broken"
    return all_ok


def run_checks() -> Iterator[CheckResult]:
    """Check everything, the quick checks first."""
    version = metadata.version("longvideoagent")
    yield CheckResult(
        "ok", "longvideoagent", f"{version} on Python {platform.python_version()}, {os.cpu_count()} cores"
    )
    yield _ffmpeg()
    yield _ocr()
    yield _search()
    yield _gpu()
    yield _default_models()
    yield from local_server_results(find_local_servers())
    for name in ENVIRONMENT_VARIABLES:
        is_set = bool(os.environ.get(name))
        detail = "set" if is_set else "not set; the offline team needs none"
        yield CheckResult("ok" if is_set else "absent", name, detail)
    for extra in declared_extras():
        yield _extra(extra)
    yield from _weights()


def _ffmpeg() -> CheckResult:
    libavcodec = ".".join(str(part) for part in av.library_versions["libavcodec"])
    missing = [name for name in ("h264", "hevc", "vp9", "av1", "mpeg4") if name not in av.codecs_available]
    detail = f"inside PyAV {av.__version__} (libavcodec {libavcodec})"
    if missing:
        return CheckResult("broken", "ffmpeg", f"{detail} cannot read {', '.join(missing)}; reinstall av from PyPI")
    return CheckResult("ok", "ffmpeg", f"{detail}; a system ffmpeg is not needed")


def _ocr() -> CheckResult:
    import numpy as np

    from longvideoagent.media.ocr import read_screen

    try:
        read_screen(np.full((64, 64, 3), 255, np.uint8))
    except (ImportError, OSError, RuntimeError) as error:
        return CheckResult("broken", "text recognition", f"{error}; reinstall rapidocr and onnxruntime")
    return CheckResult(
        "ok", "text recognition", f"rapidocr {metadata.version('rapidocr')}, models included in its wheel"
    )


def _search() -> CheckResult:
    from longvideoagent.index.schema import has_fts5

    if not has_fts5():
        return CheckResult("absent", "full-text search", "this SQLite lacks FTS5; lva search reads all lines instead")
    return CheckResult("ok", "full-text search", f"SQLite {sqlite3.sqlite_version} with FTS5")


def _gpu() -> CheckResult:
    names = "; ".join(query_gpus("name,memory.total"))
    if not names:
        return CheckResult("absent", "GPU", "nvidia-smi shows none; the offline team needs none")
    return CheckResult("ok", "GPU", names)


def _default_models() -> CheckResult:
    try:
        models = default_models().model_dump(exclude_none=True)
    except LongVideoAgentError as error:
        return CheckResult("broken", "models", str(error))
    if not models:
        return CheckResult("absent", "models", "none chosen, the offline team answers; lva config set model SPEC")
    chosen = ", ".join(f"{name} {spec}" for name, spec in models.items())
    return CheckResult("ok", "models", f"{chosen}, from {default_models_source()}")


def local_server_results(servers: Sequence[LocalServer]) -> Iterator[CheckResult]:
    """The servers that run on this machine, with the option that uses each."""
    if not servers:
        names = ", ".join(row.prefix for row in BACKENDS if row.start and row.default_url)
        yield CheckResult("absent", "local servers", f"none of {names} runs; docs/local.md says how to start one")
    for row, model_names in servers:
        if not model_names:
            detail = f"{row.default_url} is open but lists no model; load one, or another program has that port"
            yield CheckResult("absent", row.prefix, detail)
            continue
        more = len(model_names) - MAX_MODELS_SHOWN
        listed = ", ".join(model_names[:MAX_MODELS_SHOWN]) + (f" and {more} more" if more > 0 else "")
        yield CheckResult("ok", row.prefix, f"has {listed}; -m {row.prefix}:{model_names[0]}")


def declared_extras() -> list[str]:
    """The extras of the installed distribution."""
    return metadata.metadata("longvideoagent").get_all("Provides-Extra") or []


def _extra(extra: str) -> CheckResult:
    missing = [name for name in _requirements(extra) if not _is_installed(name)]
    adds = EXTRAS[extra]
    if missing:
        return CheckResult("absent", f"extra {extra}", f"adds {adds}; pip install 'longvideoagent[{extra}]'")
    if extra in _NEED_WEIGHTS and (absent := _absent_weights(extra)):
        fix = f"lva weights get {' or '.join(absent)}{_NEED_WEIGHTS[extra]}"
        return CheckResult("ok", f"extra {extra}", f"installed, but its weights are not on this machine; {fix}")
    return CheckResult("ok", f"extra {extra}", adds)


def _absent_weights(extra: str) -> list[str]:
    """The names of an extra's weights if none of them is on this machine."""
    try:
        names = {each.name: is_available(each) for each in known_weights().values() if each.extra == extra}
    except LongVideoAgentError:  # the line of the weights reports it
        return []
    return [] if any(names.values()) else list(names)


def _requirements(extra: str) -> list[str]:
    """Names of the distributions that an extra requires."""
    lines = [line for line in metadata.requires("longvideoagent") or [] if re.search(rf"extra == .{extra}\b", line)]
    return [re.split(r"[\s;<>=!~\[]", line, maxsplit=1)[0] for line in lines]


def _weights() -> Iterator[CheckResult]:
    """Each of the known weights, by names and sizes; hashes are verified when they are opened."""
    try:
        known = known_weights()
    except LongVideoAgentError as error:
        yield CheckResult("broken", "weights", str(error))
        return
    for name, weights in known.items():
        try:
            problem = size_problem(weights)
        except LongVideoAgentError as error:
            yield CheckResult("broken", "weights", str(error))
            return
        adds = f"{weights.adds} ({weights.size_bytes / 1e6:.0f} MB)"
        extra = f", with the extra {weights.extra}" if weights.extra else ""
        if problem and is_available(weights):
            yield CheckResult("broken", f"weights {name}", problem)
        elif problem:
            yield CheckResult("absent", f"weights {name}", f"adds {adds}{extra}; lva weights get {name}")
        else:
            yield CheckResult("ok", f"weights {name}", f"{adds}{extra}")
    yield _sound_tagger([weights for weights in known.values() if is_tagger(weights)])


def _sound_tagger(known: Sequence[Weights]) -> CheckResult:
    """What ``lva index --sound`` can use: a folder, or the user's own weights, since none of the packaged ones is a
    tagger."""
    found = " or ".join(weights.name for weights in known if is_available(weights))
    if not all(map(_is_installed, _requirements("sound"))):
        needs = "lva index --sound needs pip install 'longvideoagent[sound]'"
        return CheckResult("absent", "sound tagger", f"{needs} and {found or 'a folder with one (docs/sound.md)'}")
    if found:
        return CheckResult("ok", "sound tagger", f"lva index --sound {found} finds sounds with their times")
    get = "".join(f", or lva weights get {weights.name}" for weights in known)
    detail = f"none known by name is on this machine; a folder is enough: lva index --sound FOLDER (docs/sound.md){get}"
    return CheckResult("absent", "sound tagger", detail)


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def serving_command(preset: str, gpu_memory_gib: float | None = None) -> ServeCommand:
    """The command that serves a preset's master with vLLM, and notes on what it rests on.

    ``gpu_memory_gib`` is the memory of the GPU that will serve; None takes the one of this machine. Raises UsageError
    if there is no such preset or the model does not fit."""
    if preset not in (*PRESETS, *CHECKPOINTS):
        raise UsageError(f"--preset {preset}: no such preset; there are {', '.join(PRESETS)}")
    if gpu_memory_gib is not None and not gpu_memory_gib <= MAX_GPU_GIB:
        raise UsageError(
            f"--gpu-memory-gib {gpu_memory_gib}: not a size; give the memory of the GPU in GiB, such as 24"
        )
    agent = load_team_config(preset).master
    gpu = largest_gpu() if gpu_memory_gib is None else Gpu("--gpu-memory-gib", gpu_memory_gib, gpu_memory_gib)
    port = urlsplit(agent.spec.url).port or DEFAULT_PORT
    serve = serve_command(agent.spec.name, port, gpu)
    if serve.max_model_len >= (agent.max_context_tokens or 0):
        return serve
    shorter = f"{preset} expects {agent.max_context_tokens:,} tokens of context; a longer prompt is subsampled"
    return replace(serve, notes=(*serve.notes, shorter))
