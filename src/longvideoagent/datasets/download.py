"""Download the published data sets from the Hugging Face hub (extra ``hub``).

The hub's own client resumes interrupted downloads; here every file is compared with the hash that the hub states.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from longvideoagent.errors import DataError, UsageError, one_line, require_extra


class PublishedSet(NamedTuple):
    """Where a set is published."""

    repository: str
    files: Sequence[str] | None = None
    """Its questions and subtitles; None: all files."""


PUBLISHED_SETS = {
    "longtvqa": PublishedSet("longvideoagent/LongTVQA"),
    "longtvqa-plus": PublishedSet("longvideoagent/LongTVQA_plus"),
    "tvqa-long": PublishedSet(
        "Vision-CAIR/TVQA-Long",
        tuple(f"tvqa-long-annotations/tvqa_{name}.json" for name in ("val_edited", "preprocessed_subtitles")),
    ),
}

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def download_dataset(name: str, out: Path, repository: str | None = None) -> Path:
    """Download one of ``PUBLISHED_SETS``, or another repository, into ``out``. Raises UsageError for an unknown name,
    and as ``download_files``."""
    if repository is not None:
        return download_files(repository, out)
    if name not in PUBLISHED_SETS:
        raise UsageError(f"{name}: unknown data set; give one of {', '.join(PUBLISHED_SETS)}, or frames")
    return download_files(PUBLISHED_SETS[name].repository, out, PUBLISHED_SETS[name].files)


def download_files(repository: str, out: Path, files: Sequence[str] | None = None) -> Path:
    """Download these files of a repository, or all of it, into ``out``.

    Raises:
        UsageError: If ``out`` is a file, for an invalid name, or without the extra.
        DataError: If the hub cannot be reached, does not have the repository or a file, or sent other bytes than it
            holds.
        OSError: If ``out`` cannot be written.
    """
    require_extra("huggingface_hub", extra="hub")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    if out.is_file():
        raise UsageError(f"{out}: is a file; give a folder as --out")
    if REPOSITORY.fullmatch(repository) is None:
        raise UsageError(f"--repository {repository}: not the name of a repository; give OWNER/NAME")
    hub = HfApi()
    try:
        commit = hub.dataset_info(repository).sha
        tree = hub.list_repo_tree(repository, repo_type="dataset", revision=commit, recursive=True)
        entries = [entry for entry in tree if files is None or entry.path in files]
        missing = set(files or ()) - {entry.path for entry in entries}
        if missing:
            raise DataError(f"{repository}: has no {min(missing)}; check --repository")
        folder = Path(
            hub.snapshot_download(
                repository, repo_type="dataset", revision=commit, local_dir=out, allow_patterns=files and list(files)
            )
        )
    except (RepositoryNotFoundError, GatedRepoError) as error:
        fix = "check its name, and set HF_TOKEN to a token that may read it"
        raise DataError(f"{repository}: not on the hub, or access is denied; {fix}") from error
    except (KeyError, TypeError) as error:
        message = f"{repository}: a reply that is not the hub's ({type(error).__name__}); check HF_ENDPOINT and proxies"
        raise DataError(message) from error
    except (OSError, ValueError, HfHubHTTPError, *_transport_errors()) as error:
        if isinstance(error, OSError) and (error.filename or error.errno == errno.ENOSPC):
            raise
        reason = one_line(error, 200)
        message = f"{repository}: cannot be downloaded ({reason}); check the connection and run it again"
        raise DataError(message) from error
    for entry in entries:
        if hasattr(entry, "blob_id"):
            _verify(folder / entry.path, entry)
    return folder


def _transport_errors() -> tuple[type[Exception], ...]:
    """The errors of its transport that the hub's client does not wrap; the transport differs between versions."""
    return tuple(import_module(name).HTTPError for name in ("httpx", "httpx2") if find_spec(name))


def _verify(path: Path, entry: Any) -> None:
    """Compare a file with the hash of its entry: SHA-256 of a large file, else git's SHA-1. A file that differs is
    deleted, so that it is downloaded again."""
    large = getattr(entry, "lfs", None)
    digest = hashlib.sha256() if large else hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != (large.sha256 if large else entry.blob_id):
        path.unlink()
        raise DataError(f"{path}: other bytes than the hub holds; it was deleted, run it again")
