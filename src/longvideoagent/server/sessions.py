"""Sessions of browsers that have presented the token, and the delay after wrong tokens."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass, field

MAX_SESSIONS = 1000
SESSION_S = 30 * 86_400.0
FIRST_DELAY_S = 0.5
MAX_DELAY_S = 10.0
FORGET_S = 600.0
"""After that long without a wrong token, an address starts again without a delay."""
MAX_ADDRESSES = 1000


@dataclass
class Sessions:
    """The sessions of one server process, by the digest of their random keys. The oldest is dropped if there are too
    many."""

    _ends_s: dict[bytes, float] = field(default_factory=dict)
    """On the monotonic clock."""

    def start(self) -> str:
        """A new session; its key, to be kept by the browser."""
        key = secrets.token_urlsafe(32)
        while len(self._ends_s) >= MAX_SESSIONS:
            del self._ends_s[next(iter(self._ends_s))]
        self._ends_s[_digest(key)] = time.monotonic() + SESSION_S
        return key

    def has(self, key: str) -> bool:
        """Whether a key is that of a session that has not ended."""
        return self._ends_s.get(_digest(key), 0.0) > time.monotonic()


def _digest(key: str) -> bytes:
    """Looked up in place of the key, so that the time of a look-up says nothing about any key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


@dataclass
class _Address:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    num_wrong: int = 0
    last_s: float = 0.0


@dataclass
class WrongTokens:
    """Checks the tokens of an address one after the other, and waits after each wrong one, longer each time."""

    _addresses: dict[str, _Address] = field(default_factory=dict)

    async def check(self, address: str, is_right: bool) -> bool:
        """``is_right``, when it is this request's turn; after a delay if it is wrong."""
        entry = self._addresses.setdefault(address, _Address())
        async with entry.lock:
            now_s = time.monotonic()
            if is_right or now_s - entry.last_s > FORGET_S:
                entry.num_wrong = 0
            if not is_right:
                entry.num_wrong, entry.last_s = entry.num_wrong + 1, now_s
                await asyncio.sleep(min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** (entry.num_wrong - 1)))
        self._forget()
        return is_right

    def _forget(self) -> None:
        """Drop the oldest addresses that nobody waits for, if there are too many."""
        excess = len(self._addresses) - MAX_ADDRESSES
        idle = [name for name, entry in self._addresses.items() if not entry.lock.locked()] if excess > 0 else []
        for name in idle[:excess]:
            del self._addresses[name]
