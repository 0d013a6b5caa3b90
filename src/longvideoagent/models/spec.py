"""Model specs, written ``BACKEND:NAME@URL``; ``models.backends`` has the table of back ends.

>>> ModelSpec.parse("openai:qwen3:4b@http://127.0.0.1:11434/v1")
ModelSpec(backend='openai', name='qwen3:4b', url='http://127.0.0.1:11434/v1')
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from longvideoagent.errors import UsageError, require_modules
from longvideoagent.models.backends import (
    ANTHROPIC_LOADER,
    BACKENDS,
    OFFLINE,
    OPENAI_LOADER,
    Backend,
    find_backend,
    spec_forms,
)
from longvideoagent.models.secrets import render_spec

if TYPE_CHECKING:
    from longvideoagent.models.base import Model, ModelOptions
URL_STARTS = ("http://", "https://")


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
            raise UsageError(_spec_problem(text, row))
        at = url = ""
        if row.takes_url and name.startswith(URL_STARTS):
            name, url = "", name
        elif row.takes_url:
            name, at, url = name.partition("@")
        is_named = bool(name) or (row.is_name_optional and bool(url or row.default_url))
        if row.has_name != is_named or (at and not url):
            raise UsageError(_spec_problem(text, row))
        if url:
            _check_url(text, url, row.key_env)
        return cls(prefix, name, url)

    def __str__(self) -> str:
        url = f"@{self.url}" if self.name and self.url else self.url
        return f"{self.backend}:{self.name}{url}" if self.row.has_name else self.backend

    @property
    def row(self) -> Backend:
        """The back end's row of the table. Raises UsageError for an unknown back end."""
        row = find_backend(self.backend)
        if row is None:
            raise UsageError(
                f"{render_spec(str(self.backend))}:{render_spec(self.name)}: no such model; give {spec_forms()}"
            )
        return row

    @property
    def server_url(self) -> str:
        """The URL of the model's server: from the spec, the environment or the back end; empty in this process. Raises
        UsageError if the environment holds something else."""
        if not self.url and (url := os.environ.get(self.row.url_env, "")):
            _check_url(self.row.url_env, url, self.row.key_env)
            return url
        return self.url or self.row.default_url

    @property
    def is_offline(self) -> bool:
        """Whether the embedded agent takes the model's place."""
        return self.backend == OFFLINE

    @property
    def is_remote(self) -> bool:
        """Whether it runs on a server; see ``Backend.is_remote``."""
        return self.row.is_remote or bool(self.url)

    @property
    def has_chat_api(self) -> bool:
        """Whether its server is called by OpenAI's chat completions or Anthropic's messages."""
        is_server = self.row.loader in (OPENAI_LOADER, ANTHROPIC_LOADER)
        return is_server or (self.backend == "vllm" and bool(self.url))

    @property
    def is_on_this_machine(self) -> bool:
        """Whether it runs in this process, or on a server that is on this machine by the host of its URL."""
        from urllib.parse import urlsplit  # slow to import

        host = urlsplit(self.server_url).hostname or ""
        return not self.is_remote or host in ("localhost", "127.0.0.1", "::1")

    @property
    def is_cacheable(self) -> bool:
        """Whether its replies may be cached: it is named, and not in this process (``Backend.is_cacheable``)."""
        return bool(self.name) and (self.row.is_cacheable or bool(self.url))

    @property
    def may_reason(self) -> bool:
        """See ``Backend.may_reason``. A server at another URL is known to whoever gives the URL."""
        return self.row.may_reason and self.server_url == self.row.default_url

    @property
    def calls_tools(self) -> bool:
        """See ``Backend.calls_tools``. A server at another URL is known to whoever gives the URL."""
        return self.row.calls_tools and self.server_url == self.row.default_url

    @property
    def is_provider(self) -> bool:
        """Whether it is served by the provider that its back end stands for, and not at another URL."""
        return self.row.needs_key and self.server_url == self.row.default_url

    @property
    def needs_price(self) -> bool:
        """See ``Backend.needs_price``."""
        return self.row.needs_price


def _spec_problem(text: str, row: Backend | None) -> str:
    """What is wrong with a text that does not name a model, with the form that was probably meant."""
    text = render_spec(text)
    prefix, _, name = text.partition(":")
    if row is not None:
        example = f", such as {row.prefix}:{row.example}" if row.example and row.has_name else ""
        return f"{text}: {'names no model' if row.has_name else 'takes no name'}; give {row.form}{example}"
    meant = get_close_matches(prefix.lower(), [row.prefix for row in BACKENDS], n=1) if name else []
    suggestion = f"; did you mean {meant[0]}{f':{name}' if name else ''}?" if meant else ""
    return f"{text}: no such model{suggestion or f'; give {spec_forms()}'}"


def load_model(spec: ModelSpec, options: ModelOptions) -> Model:
    """The model itself, one call of which is one request. Raises UsageError for a missing package or key."""
    row = spec.row
    if not spec.url:
        require_modules(row.modules, row.requirement)
    if key_env := missing_key_env(spec, options.api_key_env):
        raise UsageError(missing_key(spec, key_env))
    module, _, function = row.loader.partition(":")
    model: Model = getattr(import_module(module), function)(spec, options)
    return model


def missing_key_env(spec: ModelSpec, api_key_env: str | None) -> str:
    """The environment variable with the key of a model's server, if the server needs a key and the variable does not
    hold one; else empty. A provider's own server needs one, and so does any that is elsewhere if the team names its
    variable, ``api_key_env``."""
    key_env = api_key_env or spec.row.key_env
    if not spec.is_remote or os.environ.get(key_env, "").strip():
        return ""
    is_provider = any(row.needs_key and row.default_url == spec.server_url for row in (spec.row, *BACKENDS))
    return key_env if is_provider or (api_key_env is not None and not spec.is_on_this_machine) else ""


def missing_key(spec: ModelSpec, key_env: str) -> str:
    """The message for a server whose key is not in the environment."""
    other = f", or name a server: {spec.backend}:{spec.name}@URL" if spec.row.takes_url and not spec.url else ""
    return f"{key_env} is not set; export it{other}"


def _check_url(text: str, url: str, key_env: str) -> None:
    """Refuse a URL that is not one, or that has a secret in it, which would be printed and stored with the URL."""
    shown, shown_url = render_spec(text), render_spec(f"@{url}")[1:]
    if not url.startswith(URL_STARTS):
        raise UsageError(f"{shown}: {shown_url!r} is not a URL; begin it with http:// or https://")
    from urllib.parse import urlsplit  # slow to import, and needed only for a URL

    try:
        parts = urlsplit(url)
        is_url = parts.hostname is not None and (parts.port or 1) > 0 and not re.search(r"\s", url)
    except ValueError:
        is_url = False
    fix = f"leave it out, and put the key into the environment variable {key_env}, or one that api_key_env names"
    if "@" in url.partition("//")[2]:
        raise UsageError(f"{shown}: its URL has a user name or password; {fix}")
    if "?" in url or "#" in url:
        raise UsageError(f"{shown}: its URL has a query, which an address of a server cannot have; {fix}")
    if not is_url:
        raise UsageError(f"{shown}: {shown_url!r} is not a URL; give http://HOST:PORT/v1")
