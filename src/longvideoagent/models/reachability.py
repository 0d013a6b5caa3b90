"""Finds servers on this machine that have not been started, before a video is opened for their models."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from longvideoagent.models.spec import ModelSpec

CONNECT_TIMEOUT_S = 1.0


def missing_local_servers(specs: Iterable[ModelSpec]) -> list[str]:
    """One line for each server on this machine to which no connection can be opened, with what starts it. Cached
    replies of such a server can still be used, so that this is not an error."""
    rows = {spec.server_url: spec.row for spec in specs if spec.is_remote and spec.is_on_this_machine}
    return [
        f"{url} is not there; start it{f' with {row.start!r}' if row.start else ', or fix its URL'}"
        for url, row in rows.items()
        if not _is_open(url)
    ]


def _is_open(url: str) -> bool:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname, port), CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False
