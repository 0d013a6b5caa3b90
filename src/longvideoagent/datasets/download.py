"""The published data sets, from the Hugging Face hub (extra ``hub``).

The hub's own client goes on where a download was cut off; that what came is what the hub holds is checked
here, by the hash that the hub tells of each file.
"""

from __future__ import annotations

import hashlib
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from longvideoagent.errors import DataError, UsageError, one_line

REPOSITORIES: dict[str, str | None] = {
    "longtvqa": "longvideoagent/LongTVQA",
    "longtvqa-plus": "longvideoagent/LongTVQA_plus",
    "frames": None,
}
"""Where they lie. TVQA's frames are given out by its authors on request, so no public place is known here."""

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def download(name: str, out: Path, repository: str | None = None) -> Path:
    """Fetch one of them, or another repository of data, into ``out``. Raises UsageError for another name,
    a file as ``out`` or without the extra, and DataError where the hub cannot be reached, does not have it, or
    gave other bytes than it holds."""
    if name not in REPOSITORIES:
        raise UsageError(f"{name}: no such data set; there are {', '.join(REPOSITORIES)}")
    if find_spec("huggingface_hub") is None:
        raise UsageError("huggingface_hub is not installed; pip install 'longvideoagent[hub]'")
    repository = repository or REPOSITORIES[name]
    if repository is None:
        raise UsageError(f"{name}: no public repository is known; give the one you have access to as --repository")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    if out.is_file():
        raise UsageError(f"{out}: is a file; give a folder as --out")
    if REPOSITORY.fullmatch(repository) is None:
        raise UsageError(f"--repository {repository}: no name of a repository; give OWNER/NAME")
    hub = HfApi()
    try:
        commit = hub.dataset_info(repository).sha
        fetched = Path(hub.snapshot_download(repository, repo_type="dataset", revision=commit, local_dir=out))
        told = list(hub.list_repo_tree(repository, repo_type="dataset", revision=commit, recursive=True))
    except (RepositoryNotFoundError, GatedRepoError) as error:
        mend = "check its name, and give a token that may read it as HF_TOKEN"
        raise DataError(f"{repository}: is not on the hub, or not for you; {mend}") from error
    except (OSError, ValueError, HfHubHTTPError, *_transport_errors()) as error:
        reason = one_line(error, 200)
        raise DataError(f"{repository}: cannot be fetched ({reason}); check the connection and run it again") from error
    for entry in told:
        if hasattr(entry, "blob_id"):
            _verify(fetched / entry.path, entry)
    return fetched


def _transport_errors() -> tuple[type[Exception], ...]:
    """What the hub's client lets through of its transport, which it has changed between versions."""
    return tuple(import_module(name).HTTPError for name in ("httpx", "httpx2") if find_spec(name))


def _verify(path: Path, entry: Any) -> None:
    """Compare a file with the hash its entry tells: SHA-256 where it is a large one, git's where it is not.
    A file that differs is taken away, so that it is fetched again."""
    large = getattr(entry, "lfs", None)
    digest = hashlib.sha256() if large else hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != (large.sha256 if large else entry.blob_id):
        path.unlink()
        raise DataError(f"{path}: other bytes than the hub holds; it was taken away, run it again")
