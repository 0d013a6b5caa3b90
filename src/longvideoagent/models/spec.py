"""Model specs, written ``BACKEND:NAME@URL``, and the table of back ends that run them.

A new back end is a row of ``BACKENDS`` and a file with its loader. A package of its own declares its row in the
entry-point group ``longvideoagent.backends``, as examples/backend_package does.

>>> ModelSpec.parse("openai:qwen3:4b@http://127.0.0.1:11434/v1")
ModelSpec(backend='openai', name='qwen3:4b', url='http://127.0.0.1:11434/v1')
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from longvideoagent.errors import UsageError, one_line, require_modules

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

    from longvideoagent.models.base import Model, ModelOptions

ENTRY_POINT_GROUP = "longvideoagent.backends"


@dataclass(frozen=True)
class Backend:
    """A row of the table: how a back end's specs are written, how it is loaded and what holds for its models."""

    prefix: str
    """What its specs begin with; also the name of its entry point."""
    form: str
    """Its specs as help and error messages show them."""
    loader: str = ""
    """``module:function``, imported on first use: takes a ModelSpec and ModelOptions, returns a Model."""
    modules: tuple[str, ...] = ()
    """Modules that the loader imports and that may be missing."""
    requirement: str = ""
    """The pip requirement that installs them."""
    has_name: bool = True
    """Whether its specs name a model."""
    takes_url: bool = False
    """Whether its specs may end in ``@URL``."""
    url_env: str = ""
    """The environment variable with the server's URL, for specs without one."""
    default_url: str = ""
    """The vendor's own server, for specs without a URL; it needs a key."""
    is_remote: bool = False
    """Whether its models run on a server: calls are then limited, and retried after passing failures."""
    is_cacheable: bool = False
    """Whether replies may be cached. A model in this process is not: its folder may hold other weights tomorrow."""
    cache_prefix: str | None = None
    """What the keys of its cached replies begin with; None: its prefix and a colon."""
    needs_price: bool = False
    """Whether its tokens may cost money, so that a limit in dollars needs a price."""


OFFLINE = "offline"
BACKENDS = (
    Backend(OFFLINE, OFFLINE, has_name=False),  # the embedded agents, which use no chat model
    Backend(
        "openai",
        "openai:NAME[@URL]",
        "longvideoagent.models.openai:load_model",
        takes_url=True,
        url_env="OPENAI_BASE_URL",
        default_url="https://api.openai.com/v1",
        is_remote=True,
        is_cacheable=True,
        cache_prefix="",  # as replies were cached before there were other servers
        needs_price=True,
    ),
    Backend(
        "transformers",
        "transformers:PATH",
        "longvideoagent.models.transformers:load_model",
        modules=("torch", "transformers"),
        requirement="longvideoagent[transformers]",
    ),
    Backend(
        "vllm",
        "vllm:PATH",
        "longvideoagent.models.vllm:load_model",
        modules=("vllm",),
        requirement="longvideoagent[vllm]",
    ),
    Backend("scripted", "scripted:FILE", "longvideoagent.models.scripted:load_model"),
)


@dataclass(frozen=True)
class ModelSpec:
    """A model, by its back end, its name (or path) and the URL of its server, if the spec gives one."""

    backend: str
    name: str = ""
    url: str = ""

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """The spec that is written like this; ``str`` gives the text back. Raises UsageError."""
        prefix, colon, name = text.partition(":")
        row = find_backend(prefix)
        if row is None or row.has_name != bool(colon):
            raise UsageError(f"{text}: no such model; give {spec_forms()}")
        at = url = ""
        if row.takes_url:
            name, at, url = name.partition("@")
        if row.has_name != bool(name) or (at and not url):
            raise UsageError(f"{text}: no such model; give {spec_forms()}")
        if url:
            _check_url(text, url)
        return cls(prefix, name, url)

    def __str__(self) -> str:
        return self.backend + (f":{self.name}" if self.name else "") + (f"@{self.url}" if self.url else "")

    @property
    def row(self) -> Backend:
        """The back end's row of the table. Raises UsageError for an unknown back end."""
        row = find_backend(self.backend)
        if row is None:
            raise UsageError(f"{self}: no such model; give {spec_forms()}")
        return row

    @property
    def server_url(self) -> str:
        """The URL of the model's server: from the spec, the environment or the back end; empty in this process. Raises
        UsageError if the environment holds something else."""
        if not self.url and (url := os.environ.get(self.row.url_env, "")):
            _check_url(self.row.url_env, url)
            return url
        return self.url or self.row.default_url

    @property
    def is_offline(self) -> bool:
        """Whether the embedded agent takes the model's place."""
        return self.backend == OFFLINE

    @property
    def is_remote(self) -> bool:
        """See ``Backend.is_remote``."""
        return self.row.is_remote

    @property
    def is_on_this_machine(self) -> bool:
        """Whether it runs in this process, or on a server that is on this machine by the host of its URL."""
        from urllib.parse import urlsplit  # slow to import

        host = urlsplit(self.server_url).hostname or ""
        return not self.is_remote or host in ("localhost", "127.0.0.1", "::1")

    @property
    def is_cacheable(self) -> bool:
        """See ``Backend.is_cacheable``."""
        return self.row.is_cacheable

    @property
    def needs_price(self) -> bool:
        """See ``Backend.needs_price``."""
        return self.row.needs_price


def load_model(spec: ModelSpec, options: ModelOptions) -> Model:
    """The model itself, one call of which is one request. Raises UsageError for a missing package or key."""
    row = spec.row
    require_modules(row.modules, row.requirement)
    if row.default_url and spec.server_url == row.default_url and not os.environ.get(options.api_key_env):
        raise UsageError(missing_key(spec, options.api_key_env))
    module, _, function = row.loader.partition(":")
    model: Model = getattr(import_module(module), function)(spec, options)
    return model


def missing_key(spec: ModelSpec, api_key_env: str) -> str:
    """The message for a vendor's server whose key is not in the environment."""
    other = f", or name a server: {spec.backend}:{spec.name}@URL" if spec.row.takes_url else ""
    return f"{api_key_env} is not set; export it{other}"


@cache
def find_backend(prefix: str) -> Backend | None:
    """The row with that prefix, of this package or of an installed one; None if there is none. Raises UsageError
    for an installed back end that cannot be used."""
    for row in BACKENDS:
        if row.prefix == prefix:
            return row
    entries = list(_installed().select(name=prefix))
    if not entries:
        return None
    if len({entry.value for entry in entries}) > 1:
        raise UsageError(f"{prefix}: {len(entries)} installed packages declare this back end; uninstall all but one")
    try:
        loaded = entries[0].load()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{prefix}: its package cannot be imported ({one_line(error)}); reinstall it") from error
    if not isinstance(loaded, Backend) or loaded.prefix != prefix:
        raise UsageError(f"{prefix}: {entries[0].value} is not a Backend with that prefix; update its package")
    return loaded


def spec_forms() -> str:
    """The forms of all specs, of installed packages too, for help and error messages."""
    installed = sorted(_installed().names)
    forms = [row.form for row in BACKENDS] + [f"{name}:…" for name in installed]
    return f"{', '.join(forms[:-1])} or {forms[-1]}"


def _installed() -> EntryPoints:
    """The entry points of back ends in installed packages."""
    from importlib.metadata import entry_points  # slow to import, and rarely needed

    return entry_points(group=ENTRY_POINT_GROUP)


def _check_url(text: str, url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{text}: {url!r} is not a URL; begin it with http:// or https://")
    from urllib.parse import urlsplit  # slow to import, and needed only for a URL

    try:
        parts = urlsplit(url)
        is_url = parts.hostname is not None and (parts.port or 1) > 0 and not re.search(r"\s", url)
    except ValueError:
        is_url = False
    if is_url and parts.username is not None:  # not repeated here: it is secret
        raise UsageError(
            f"{text.partition('@')[0]}: its URL has a user name; leave it out, and put the key into the environment"
        )
    if not is_url:
        raise UsageError(f"{text}: {url!r} is not a URL; give http://HOST:PORT/v1")
