"""Keeps keys and passwords out of what is printed and stored.

>>> render_spec("openai:m@https://me:password@host/v1?key=abc")
'openai:m@https://…@host/v1?…'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from longvideoagent.errors import ModelError

HIDDEN = "…"
MIN_SECRET_CHARS = 8
"""Shorter values are not replaced in texts: they would be found in ordinary words."""
_USER_INFO = re.compile(r"(?<=//)\S*@")
_SECOND_AT = re.compile(r"(?<=@)(?!https?:)[^\s@/]*@")
_QUERY = re.compile(r"(//[^\s?#]*[?#])[^\s'\",;)]*")
_KEY_SHAPED = re.compile(r"\b(?:sk-[\w-]{16,}|(?:gsk_|hf_|r8_|nvapi-|xai-|pplx-)[\w-]{28,}|AIza[\w-]{30,})")
_SECRET_NAME = re.compile(r"key|token|secret|passw|auth|credential|signature", re.IGNORECASE)


def render_spec(text: str) -> str:
    """A model spec, a URL or a text with one, as it may be printed and stored: without user names, passwords, queries
    and what has the form of a provider's key."""
    text = _SECOND_AT.sub(f"{HIDDEN}@", _USER_INFO.sub(f"{HIDDEN}@", text))
    return _KEY_SHAPED.sub(HIDDEN, _QUERY.sub(rf"\1{HIDDEN}", text))


def secret_values(fields: Any) -> Iterator[str]:
    """The texts in fields of a request whose names speak of keys."""
    for name, value in fields.items() if isinstance(fields, Mapping) else ():
        if isinstance(value, str) and _SECRET_NAME.search(str(name)):
            yield value
        yield from secret_values(value)


def hide_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text of an error without these secrets, which some servers repeat; also where it was cut inside one."""
    from urllib.parse import quote  # slow to import

    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) < MIN_SECRET_CHARS:
            continue
        for form in (secret, quote(secret, safe="")):
            text = re.sub(re.escape(form), HIDDEN, text, flags=re.IGNORECASE)
        for length in range(len(secret) - 1, MIN_SECRET_CHARS - 1, -1):
            if text.endswith(secret[:length]):
                text = text[:-length] + HIDDEN
                break
    return text


@contextmanager
def secrets_hidden(secrets: Iterable[str]) -> Iterator[None]:
    """Raise each ModelError of the block without these secrets in its message."""
    try:
        yield
    except ModelError as error:
        error.args = (hide_secrets(str(error), secrets), *error.args[1:])
        raise
