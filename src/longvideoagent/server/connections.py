"""Limits of connections: how many there are, and how long each may take for the headers of a request.

uvicorn itself waits for the rest of a request's headers as long as the client likes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast

from uvicorn.protocols.http.auto import AutoHTTPProtocol

MAX_CONNECTIONS = 500
MAX_CONNECTIONS_PER_ADDRESS = 200
"""A page that watches a job and plays a video holds about three."""
HEADERS_TIMEOUT_S = 15.0
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    b'{"detail": "too many connections are open; close some and try again"}'
)
_counts: Counter[str] = Counter()
"""Open connections of this process, by address."""


class LimitedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's HTTP protocol with these limits."""

    _address: str | None = None
    _headers_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """See asyncio."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        if _counts.total() >= MAX_CONNECTIONS or _counts[address] >= MAX_CONNECTIONS_PER_ADDRESS:
            transport.write(_REFUSAL)
            transport.close()
            return
        self._address = address
        _counts[address] += 1
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self.transport.is_closing():
            return
        if not self._is_answering() and self._headers_timer is None:
            self._start_timer()
        super().data_received(data)
        if self._is_answering():
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._stop_timer()
        if self._address is not None:
            _counts[self._address] -= 1
            if not _counts[self._address]:
                del _counts[self._address]
            self._address = None
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        """Whether the headers of a request are complete and its response is not."""
        return self.cycle is not None and not self.cycle.response_complete

    def _start_timer(self) -> None:
        self._headers_timer = asyncio.get_running_loop().call_later(HEADERS_TIMEOUT_S, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None

    def _on_timeout(self) -> None:
        self._headers_timer = None
        if not self._is_answering():
            cast("asyncio.Transport", self.transport).close()
