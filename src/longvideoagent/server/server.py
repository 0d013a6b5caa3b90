"""From the command line's options to a server that listens."""

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
from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.default_models import DefaultModels, choose_team, default_models
from longvideoagent.agents.team_file import load_team_config
from longvideoagent.errors import UsageError
from longvideoagent.fs import PARTIAL
from longvideoagent.media.text_encoding import check_encoding
from longvideoagent.models.backends import OFFLINE
from longvideoagent.models.secrets import render_spec
from longvideoagent.server.access import is_loopback
from longvideoagent.server.connections import LimitedProtocol
from longvideoagent.server.job_record import JOBS_DIR
from longvideoagent.server.library import SUBTITLES_DIR, UPLOADS_DIR, Library

DATA_DIR = ".longvideoagent"
MIN_TOKEN_CHARS = 16
ALL_INTERFACES = ("0.0.0.0", "::")
ABANDONED_UPLOAD_S = 86_400
SHUTDOWN_TIMEOUT_S = 3
"""How long open connections may continue after the server is stopped."""


def open_library(root: Path, data_dir: Path | None, encoding: str | None = None) -> Library:
    """The library in a folder. Raises UsageError if the folder does not exist, or the data directory (default:
    ``.longvideoagent`` in the folder) cannot be written to, or Python has no such ``encoding`` of subtitle files."""
    if encoding is not None:
        check_encoding(encoding)
    if not root.is_dir():
        raise UsageError(f"{root}: not a folder; create it, or give the one that holds your videos")
    data_dir = data_dir or root / DATA_DIR
    try:
        for name in (UPLOADS_DIR, JOBS_DIR, SUBTITLES_DIR):
            (data_dir / name).mkdir(parents=True, exist_ok=True)
        (data_dir / JOBS_DIR / ".writable").touch()
        _remove_abandoned_uploads(data_dir / UPLOADS_DIR)
    except OSError as error:
        raise UsageError(
            f"{data_dir}: cannot be written to ({error.strerror}); give another folder with --data-dir"
        ) from error
    return Library(root.absolute(), data_dir.absolute(), encoding)


def _remove_abandoned_uploads(uploads: Path) -> None:
    """Delete the partial files of a server that was killed, but not those that another server may be writing."""
    for path in uploads.glob(f"*/*{PARTIAL}.*"):
        if time.time() - path.stat().st_mtime > ABANDONED_UPLOAD_S:
            shutil.rmtree(path.parent)


def load_teams(
    names: Sequence[str], max_reply_tokens: int | None = None, *, model: str | None = None, is_cached: bool
) -> dict[str, Team]:
    """The teams that can be asked, by name; the first is the default.

    Args:
        names: Teams by name or file. Empty: the offline team, behind the default models if there are any.
        max_reply_tokens: Another limit of one reply; None keeps each team's.
        model: A model spec; a team of that name, before all others, has it in every role.
        is_cached: Whether replies are read from the cache and written to it.

    Returns:
        The loaded teams.

    Raises:
        UsageError: A team or model does not exist or needs something that is missing.
        DataError: A file cannot be used.
    """
    configs: dict[str, TeamConfig] = {}
    if model is not None:
        configs[render_spec(model)] = TeamConfig().with_models(model=model)
    elif not names and default_models() != DefaultModels():
        default = choose_team(None, DefaultModels())
        configs[default.master.label] = default
    for name in names or [OFFLINE]:
        configs.setdefault(name, load_team_config(name))
    return {
        name: load_team(config.with_reply_limit(max_reply_tokens), cache_path() if is_cached else None)
        for name, config in configs.items()
    }


def listen(host: str, port: int, token: str | None, warn: Callable[[str], None]) -> socket.socket:
    """A listening socket. Raises UsageError if other machines can reach the address and there is no token, if the token
    is too short, and if the address cannot be bound."""
    if token is not None and len(token) < MIN_TOKEN_CHARS:
        raise UsageError(f"--token: too short; use {MIN_TOKEN_CHARS} characters or more")
    if not is_loopback(host):
        if token is None:
            raise UsageError(f"--host {host}: other machines can reach this address; set a --token")
        warn(f"warning: everybody who has the token and reaches {host} can ask, upload and watch, without encryption")
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UsageError(
            f"{host}:{port}: cannot be listened on ({error.strerror}); give another --port or --host"
        ) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or a small reply may wait 40 ms for the last one
    return listener


def run_app(app: ASGIApp, listener: socket.socket, on_ready: Callable[[str], None], token: str | None = None) -> None:
    """Serve until interrupted. ``on_ready`` gets the server's URL, which contains the token if there is one."""
    host, port = listener.getsockname()[:2]
    name = socket.gethostname() if host in ALL_INTERFACES else f"[{host}]" if ":" in host else host
    on_ready(f"http://{name}:{port}/" + (f"?token={quote(token, safe='')}" if token else ""))
    config = uvicorn.Config(
        app, http=LimitedProtocol, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S
    )
    with suppress(KeyboardInterrupt, asyncio.CancelledError):  # a second Ctrl-C
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Stops the jobs before it waits for connections to close: connections stay open while they watch a job."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        state = getattr(getattr(self.config.app, "state", None), "app_state", None)
        if state is not None:
            await state.job_queue.close()
            state.video_cache.close()
        await super().shutdown(sockets)
