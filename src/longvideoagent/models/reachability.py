"""Finds servers on this machine: those that run, and those that a team needs and that have not been started."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Sequence
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple
from urllib.parse import urlsplit

from longvideoagent.models.backends import BACKENDS, Backend
from longvideoagent.models.spec import ModelSpec

CONNECT_TIMEOUT_S = 1.0
MAX_LIST_BYTES = 1_000_000
MAX_NAMES = 100


class LocalServer(NamedTuple):
    """A server that runs on this machine."""

    row: Backend
    model_names: Sequence[str]
    """What it lists; none if it has no model, or is another program at that port."""


def find_local_servers(rows: Iterable[Backend] = BACKENDS) -> list[LocalServer]:
    """The servers that run at the usual ports of the back ends on this machine. Each port is asked for its models; no
    key is sent, and nothing is asked of a model."""
    usual = [row for row in rows if row.start and row.default_url]
    return [LocalServer(row, _model_names(row.default_url)) for row in usual if _is_open(row.default_url)]


def _model_names(url: str) -> list[str]:
    """The names that a server lists; none if the reply is not a list. No proxy is used and no redirect is followed, so
    that no other machine is asked."""
    address = urlsplit(f"{url}/models")
    with closing(HTTPConnection(address.netloc, timeout=CONNECT_TIMEOUT_S)) as connection:
        try:
            connection.request("GET", address.path)
            response = connection.getresponse()
            listed = json.loads(response.read(MAX_LIST_BYTES)) if response.status == HTTPStatus.OK else None
        except (OSError, ValueError, RecursionError, HTTPException):
            return []
    models = listed.get("data") if isinstance(listed, dict) else None
    names = [each.get("id") for each in models if isinstance(each, dict)] if isinstance(models, list) else []
    return [" ".join(name.split()) for name in names if isinstance(name, str) and name.strip()][:MAX_NAMES]


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
