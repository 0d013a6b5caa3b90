"""Downloads one file over HTTP, and resumes an earlier download."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from longvideoagent.errors import DataError, one_line

TIMEOUT_S = 60.0
"""How long a server may send nothing."""
BLOCK_BYTES = 1 << 16
_CONNECTION_ERRORS = (ConnectionError, TimeoutError, HTTPException, ssl.SSLError)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class NoConnectionError(DataError):
    """The server cannot be reached: there is no network, its name is unknown, or it refuses connections."""


def download(url: str, partial: Path, size_bytes: int, on_bytes: Callable[[int], None]) -> None:
    """Download a file of a known size. A connection that breaks is opened again as long as each connection adds bytes.

    Args:
        url: An HTTP address.
        partial: The file to write. What it holds is the beginning from an earlier try, and stays if this one fails.
        size_bytes: The size of the whole file.
        on_bytes: Called with the size of the partial file, in bytes.

    Raises:
        NoConnectionError: The server cannot be reached. The message has no fix; the caller adds one.
        DataError: The server does not have the file, has one of another size, or closes each connection.
        OSError: The file cannot be written.
    """
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.touch()
    if partial.stat().st_size > size_bytes:
        partial.unlink()
        partial.touch()
    while (num_before := partial.stat().st_size) < size_bytes:
        reason = _add(url, partial, size_bytes, on_bytes)
        num_now = partial.stat().st_size
        if num_now == num_before:
            there = _progress_text(num_now, size_bytes)
            raise DataError(f"{url}: {reason or 'the connection was closed'}; {there}; run it again to resume")


def _add(url: str, partial: Path, size_bytes: int, on_bytes: Callable[[int], None]) -> str:
    """Append to the file what one connection sends; returns why the connection broke, or an empty text."""
    start = partial.stat().st_size
    request = Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urlopen(request, timeout=TIMEOUT_S) as response:
            start = _start(url, response, start, size_bytes)
            with partial.open("rb+") as file:
                file.truncate(start)
                file.seek(start)
                while block := response.read1(BLOCK_BYTES):
                    if file.tell() + len(block) > size_bytes:
                        raise DataError(_other_size(url, f"more than {size_bytes:,}", size_bytes))
                    file.write(block)
                    on_bytes(file.tell())
    except HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            raise DataError(_other_size(url, f"at most {start:,}", size_bytes)) from error
        fix = "check HF_ENDPOINT and the name of the repository"
        raise DataError(f"{url}: the server answers {error.code} ({one_line(error, 100)}); {fix}") from error
    except URLError as error:  # what goes wrong after the connection is made is not wrapped in one
        reason = one_line(error.reason if isinstance(error.reason, OSError) else error, 200)
        there = _progress_text(start, size_bytes)
        raise NoConnectionError(f"{url}: no connection ({reason or type(error).__name__}); {there}") from error
    except _CONNECTION_ERRORS as error:
        return one_line(error, 200) or type(error).__name__
    return ""


def _progress_text(num_bytes: int, size_bytes: int) -> str:
    return f"{num_bytes:,} of {size_bytes:,} bytes are downloaded"


def _start(url: str, response: HTTPResponse, wanted: int, size_bytes: int) -> int:
    """The offset in the file at which the body of a reply begins: 0 if the server ignores the range of the request."""
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != wanted:
            raise DataError(f"{url}: the server sends another range than was requested; check HF_ENDPOINT and proxies")
        start, total = wanted, match[2]
    else:
        start, total = 0, response.headers.get("Content-Length", "*")
    if total.isdigit() and int(total) != size_bytes:
        raise DataError(_other_size(url, f"{int(total):,}", size_bytes))
    return start


def _other_size(url: str, has: str, size_bytes: int) -> str:
    return f"{url}: has {has} bytes, and {size_bytes:,} are expected; check HF_ENDPOINT, or update longvideoagent"
