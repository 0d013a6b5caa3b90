"""From the command line's words to a server that listens."""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import uvicorn
from starlette.types import ASGIApp

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import cache_path, load_team
from longvideoagent.agents.config import load_team_config
from longvideoagent.errors import UsageError
from longvideoagent.fs import PARTIAL
from longvideoagent.server.access import is_loopback
from longvideoagent.server.library import Library

KEEP = ".longvideoagent"
LEAST_TOKEN = 8
EVERYWHERE = ("0.0.0.0", "::")
ABANDONED_S = 86_400
LAST_WORDS_S = 3
"""How long open connections may go on once the server is stopped."""


def open_library(root: Path, keep: Path | None) -> Library:
    """The library in a folder. Raises UsageError where that is none, or nothing can be kept."""
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder; make it, or give the one your videos are in")
    kept = keep or root / KEEP
    try:
        for folder in ("uploads", "asks", "subtitles"):
            (kept / folder).mkdir(parents=True, exist_ok=True)
        (kept / "asks" / ".writable").touch()
        _sweep(kept / "uploads")
    except OSError as error:
        raise UsageError(
            f"{kept}: cannot be written to ({error.strerror}); give another folder with --data-dir"
        ) from error
    return Library(root.absolute(), kept.absolute())


def _sweep(uploads: Path) -> None:
    """Delete what a server that was killed had half written; another one may be writing now."""
    for path in uploads.glob(f"*/*{PARTIAL}.*"):
        if time.time() - path.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(path.parent)


def load_teams(names: Sequence[str], *, is_cached: bool) -> dict[str, Team]:
    """The teams by their names. Raises UsageError or DataError where one cannot be."""
    return {
        name: load_team(load_team_config(name), cache_path() if is_cached else None) for name in dict.fromkeys(names)
    }


def listen(host: str, port: int, token: str | None, warn: Callable[[str], None]) -> socket.socket:
    """A socket at that address. Raises UsageError where others could reach it and no token is asked for, where the
    token is too short, and where the address cannot be had."""
    if token is not None and len(token) < LEAST_TOKEN:
        raise UsageError(f"--token: has to have {LEAST_TOKEN} characters or more")
    if not is_loopback(host):
        if token is None:
            raise UsageError(f"--host {host}: others can reach this address; give a --token that they have to know")
        warn(f"warning: whoever knows the token and reaches {host} can ask, upload and watch; it is not encrypted")
    try:
        at = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        told = f"{host}:{port} cannot be listened on ({error.strerror})"
        raise UsageError(f"{told}; give another --port or --host") from error
    at.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or a small answer may wait 40 ms for the one before
    return at


def run_app(app: ASGIApp, at: socket.socket, tell: Callable[[str], None], token: str | None = None) -> None:
    """Serve until interrupted; ``tell`` is told the address, with the token where there is one."""
    host, port = at.getsockname()[:2]
    name = socket.gethostname() if host in EVERYWHERE else f"[{host}]" if ":" in host else host
    tell(f"http://{name}:{port}/" + (f"?token={quote(token, safe='')}" if token else ""))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=LAST_WORDS_S)
    with suppress(KeyboardInterrupt, asyncio.CancelledError):  # a second Ctrl-C
        _Server(config).run(sockets=[at])


class _Server(uvicorn.Server):
    """Ends what is asked before it waits for connections to close: they show what is asked."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        here = getattr(getattr(self.config.app, "state", None), "app_state", None)
        if here is not None:
            await here.asks.close()
            here.video_cache.close()
        await super().shutdown(sockets)
