"""The published data sets, from the Hugging Face hub (extra ``hub``).

The hub's own client goes on where a download was cut off, and checks what it fetched by size and hash.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from longvideoagent.errors import DataError, UsageError

REPOSITORIES: dict[str, str | None] = {
    "longtvqa": "longvideoagent/LongTVQA",
    "longtvqa-plus": "longvideoagent/LongTVQA_plus",
    "frames": None,
}
"""Where they lie. TVQA's frames are given out by its authors on request, so no public place is known here."""


def download(name: str, out: Path, repository: str | None = None) -> Path:
    """Fetch one of them, or another repository of data, into ``out``. Raises UsageError for another name or
    without the extra, and DataError where the hub cannot be reached or does not have it."""
    if name not in REPOSITORIES:
        raise UsageError(f"{name}: no such data set; there are {', '.join(REPOSITORIES)}")
    if find_spec("huggingface_hub") is None:
        raise UsageError("huggingface_hub is not installed; pip install 'longvideoagent[hub]'")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    repository = repository or REPOSITORIES[name]
    if repository is None:
        raise UsageError(f"{name}: no public repository is known; give the one you have access to as --repository")
    try:
        return Path(snapshot_download(repository, repo_type="dataset", local_dir=out))
    except (OSError, ValueError, HfHubHTTPError) as error:
        told = " ".join(str(error).split())[:200]
        raise DataError(f"{repository}: cannot be fetched ({told}); check the connection and run it again") from error
