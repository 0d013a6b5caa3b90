"""Opens weights whose size and hash are right, from wherever they are; downloads nothing.

from longvideoagent.weights.manifest import find_weights
from longvideoagent.weights.store import open_weights

paths = open_weights(find_weights("minilm"))
paths["tokenizer.json"]
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from longvideoagent.errors import DataError, UsageError, read_problem
from longvideoagent.fs import cache_dir
from longvideoagent.weights.manifest import Source, Weights, WeightsFile

DIR_VARIABLE = "LVA_WEIGHTS_DIR"
"""The environment variable with another folder of weights."""
BLOCK_BYTES = 1 << 20


def weights_dir(weights: Weights) -> Path:
    """The folder that ``lva weights get`` puts the files into, which may not exist yet: ``NAME/REVISION`` in
    ``LVA_WEIGHTS_DIR`` or, by default, ``weights`` in the cache directory. Raises UsageError if that variable names the
    home of nobody."""
    folder = _folder_of(DIR_VARIABLE)
    return (folder or cache_dir() / "weights") / weights.name / weights.revision


def local_folders(weights: Weights) -> Iterator[Path]:
    """The folders of this machine that may have the files, in the order of the search."""
    yield weights_dir(weights)
    for source in weights.sources:
        folder = _local_folder(source, weights.revision)
        if folder is not None:
            yield folder


def locate(weights: Weights, file: WeightsFile) -> Path | None:
    """The first of the local folders' files with the name, whatever is in it; None if no folder has one."""
    paths = (folder / file.file for folder in local_folders(weights))
    return next((path for path in paths if path.is_file()), None)


def is_available(weights: Weights) -> bool:
    """Whether a file of each name is on this machine, whatever is in it."""
    return all(locate(weights, file) is not None for file in weights.files)


def size_problem(weights: Weights) -> str:
    """Why weights cannot be opened, as far as names and sizes say, on one line with a fix; empty if they can."""
    missing = [file.file for file in weights.files if locate(weights, file) is None]
    if missing:
        return f"{weights.name}: {missing[0]} is not on this machine; lva weights get {weights.name}"
    paths = ((file, locate(weights, file)) for file in weights.files)
    problems = (_size_problem(path, weights, file) for file, path in paths if path is not None)
    return next((problem for problem in problems if problem), "")


def open_weights(weights: Weights) -> dict[str, Path]:
    """Find the files of weights on this machine, and compare each with its size and hash.

    Args:
        weights: Which; ``manifest.find_weights`` has them by name.

    Returns:
        The path of each file, by the name that it has in the manifest.

    Raises:
        DataError: A file is not there, or the first one of its name has other bytes.
    """
    paths: dict[str, Path] = {}
    for file in weights.files:
        path = locate(weights, file)
        if path is None:
            raise DataError(size_problem(weights))
        if problem := content_problem(path, weights, file):
            raise DataError(problem)
        paths[file.file] = path
    return paths


def content_problem(path: Path, weights: Weights, file: WeightsFile) -> str:
    """Why a file is not the one of the manifest, on one line with a fix; empty if it is."""
    try:
        if problem := _size_problem(path, weights, file):
            return problem
        digest = file_sha256(path)
    except OSError as error:
        return f"{path}: cannot be read ({read_problem(error)}); check its permissions"
    if digest == file.sha256:
        return ""
    expected = f"{file.sha256[:12]}…, which {file.file} of {weights.name} has"
    return f"{path}: its SHA-256 is {digest[:12]}… and not {expected}; {_fix(weights)}"


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while block := opened.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _size_problem(path: Path, weights: Weights, file: WeightsFile) -> str:
    size_bytes = path.stat().st_size
    if size_bytes == file.size_bytes:
        return ""
    expected = f"{file.file} of {weights.name} has {file.size_bytes:,}"
    return f"{path}: has {size_bytes:,} bytes, and {expected}; {_fix(weights)}"


def _fix(weights: Weights) -> str:
    return f"lva weights get {weights.name} replaces it"


def _local_folder(source: Source, revision: str) -> Path | None:
    """Where the files of a source lie on this machine; None if it is not here."""
    if source.hub is not None:
        return _hub_cache() / f"models--{source.hub.replace('/', '--')}" / "snapshots" / revision
    if source.path is not None:
        return Path(source.path).expanduser()
    try:
        distribution = metadata.distribution(source.wheel or "")
    except metadata.PackageNotFoundError:
        return None
    return Path(str(distribution.locate_file(source.folder or "")))


def _hub_cache() -> Path:
    """The folder in which the hub's own client keeps what it has downloaded, by that client's variables."""
    if folder := _folder_of("HF_HUB_CACHE"):
        return folder
    home = _folder_of("HF_HOME") or (_folder_of("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return home / "hub"


def _folder_of(variable: str) -> Path | None:
    """The folder that a variable of the environment names, if it is set. Raises UsageError for a home of nobody."""
    folder = os.environ.get(variable)
    try:
        return Path(folder).expanduser() if folder else None
    except RuntimeError as error:
        raise UsageError(f"{variable}: {folder!r} has no home directory; set it to a folder, or unset it") from error
