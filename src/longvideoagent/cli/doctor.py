"""``lva doctor``: one line for each thing that matters, with the mend where one is missing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from urllib.parse import urlsplit

import av
from rich.console import Console
from rich.text import Text

from longvideoagent.agents.config import PRESETS, load_team_config
from longvideoagent.errors import UsageError

WHAT_EXTRAS_ADD = {
    "asr": "speech to text for videos without subtitles",
    "hub": "fetching the published data sets",
    "inspect": "evaluations run by Inspect",
    "parquet": "rows for reinforcement learning, and data sets that are published so",
    "ray": "evaluations on a cluster",
    "train": "training the master on one machine",
    "transformers": "models in this process, batched",
    "verl": "training the master on many GPUs, in an environment of its own",
    "vllm": "models in this process on a GPU, batched continuously",
    "web": "a page to ask on, and tools for assistants",
    "docs": "the documentation site",
    "dev": "the project's own checks and tests",
}
"""One entry for each extra of pyproject.toml."""
API_KEY_ENVS = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
MARKS = {"ok": ("✓", "green"), "absent": ("–", "dim"), "broken": ("✗", "bold red")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: ``ok``, ``absent`` (optional and not there) or ``broken`` (needed and not working)."""

    state: str
    name: str
    told: str


def print_findings() -> bool:
    """Print all findings; False where something needed is broken."""
    console = Console(highlight=False)
    is_sound = True
    for finding in examine():
        mark, style = MARKS[finding.state]
        console.print(Text.assemble((f"{mark} ", style), f"{finding.name:16} ", (finding.told, "dim")), soft_wrap=True)
        is_sound = is_sound and finding.state != "broken"
    return is_sound


def examine() -> Iterator[Finding]:
    """Look at everything, the quick things first."""
    version = metadata.version("longvideoagent")
    yield Finding("ok", "longvideoagent", f"{version} on Python {platform.python_version()}, {os.cpu_count()} cores")
    yield _ffmpeg()
    yield _ocr()
    yield _gpu()
    for name in API_KEY_ENVS:
        told = "set" if os.environ.get(name) else "not set; the offline team needs none"
        yield Finding("ok" if os.environ.get(name) else "absent", name, told)
    for extra in declared_extras():
        yield _extra(extra)


def _ffmpeg() -> Finding:
    libavcodec = ".".join(str(part) for part in av.library_versions["libavcodec"])
    missing = [name for name in ("h264", "hevc", "vp9", "av1", "mpeg4") if name not in av.codecs_available]
    told = f"inside PyAV {av.__version__} (libavcodec {libavcodec})"
    if missing:
        return Finding("broken", "ffmpeg", f"{told} cannot read {', '.join(missing)}; reinstall av from PyPI")
    return Finding("ok", "ffmpeg", f"{told}; a system ffmpeg is not needed")


def _ocr() -> Finding:
    import numpy as np

    from longvideoagent.media.ocr import read_screen

    try:
        read_screen(np.full((64, 64, 3), 255, np.uint8))
    except (ImportError, OSError, RuntimeError) as error:
        return Finding("broken", "text recognition", f"{error}; reinstall rapidocr and onnxruntime")
    return Finding("ok", "text recognition", f"rapidocr {metadata.version('rapidocr')}, models inside its wheel")


def _gpu() -> Finding:
    found = shutil.which("nvidia-smi")
    if found is None:
        return Finding("absent", "GPU", "no NVIDIA driver; the offline team needs none")
    asked = subprocess.run(
        [found, "--query-gpu=name,memory.total", "--format=csv,noheader"], capture_output=True, text=True, check=False
    )
    names = "; ".join(line.strip() for line in asked.stdout.splitlines() if line.strip())
    if asked.returncode or not names:
        return Finding("absent", "GPU", "nvidia-smi finds none; the offline team needs none")
    return Finding("ok", "GPU", names)


def declared_extras() -> list[str]:
    """The extras of the installed distribution."""
    return metadata.metadata("longvideoagent").get_all("Provides-Extra") or []


def _extra(extra: str) -> Finding:
    missing = [name for name in _needs(extra) if not _is_installed(name)]
    adds = WHAT_EXTRAS_ADD[extra]
    if missing:
        return Finding("absent", f"extra {extra}", f"adds {adds}; pip install 'longvideoagent[{extra}]'")
    return Finding("ok", f"extra {extra}", adds)


def _needs(extra: str) -> list[str]:
    """Names of the distributions that an extra asks for."""
    wanted = [line for line in metadata.requires("longvideoagent") or [] if re.search(rf"extra == .{extra}\b", line)]
    return [re.split(r"[\s;<>=!~\[]", line, maxsplit=1)[0] for line in wanted]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def serving_line(preset: str) -> str:
    """The command that serves a preset's master with vLLM, on a machine with a GPU. Raises UsageError
    for an unknown preset."""
    if preset not in PRESETS:
        raise UsageError(f"--preset {preset}: no such preset; there are {', '.join(PRESETS)}")
    role = load_team_config(preset).master
    return (
        f"vllm serve {role.spec.name} --max-model-len {role.max_context_tokens} --port {urlsplit(role.spec.url).port}"
    )
