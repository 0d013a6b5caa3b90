"""Who may ask the server: nobody from another site, and nobody without the token where there is one.

On the loopback address without a token, requests must name that address as their host, or a page elsewhere could
have its own name point here. What comes from another site is refused as the browser tells it (``Sec-Fetch-Site``,
``Origin``); programs that are no browsers send neither.
"""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import ip_address
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "lva_session"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing from outside is loaded, and nobody outside may embed what is here."""
SAFE = ("GET", "HEAD", "OPTIONS")
ASK_FOR_TOKEN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Token</title></head><body><form method="get" action="/"><p><label>This server asks for its token, which it
printed when it was started: <input type="password" name="token" autocomplete="current-password" required></label>
<button>Open</button></p></form></body></html>
"""
_NOT_OURS = "this request comes from another site; open the page of this server and ask there"


class AccessMiddleware:
    """Lets requests through to ``app``, or refuses them in words."""

    def __init__(self, app: ASGIApp, token: str | None = None) -> None:
        self._app = app
        self._token = token
        self._session = "" if token is None else _digest(token)
        self.cookie = f"{COOKIE}_{self._session[:8]}"  # browsers share cookies among the ports of a host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refuse(scope, Headers(scope=scope))
        if refused is not None:
            await refused(scope, receive, _with_headers(send))
            return
        await self._app(scope, receive, _with_headers(send))

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        """What to say instead of an answer, or None for an answer."""
        if self._token is None and not is_loopback(_host_name(headers.get("host", ""))):
            return _told(403, "this server answers to localhost and 127.0.0.1 only; open it under that name")
        if _is_foreign(scope["method"], headers):
            return _told(403, _NOT_OURS)
        return None if self._token is None else self._ask_for_token(scope, headers)

    def _ask_for_token(self, scope: Scope, headers: Headers) -> Response | None:
        asked = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["method"] == "GET" and "token" in asked:
            if not _equal(_digest(asked.pop("token")[0]), self._session):
                return _told(401, "this token is wrong; open the address that the server printed when it was started")
            rest = urlencode(asked, doseq=True)
            path = "/" + scope["path"].lstrip("/")  # two slashes would name another host
            welcome = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
            is_secure = scope["scheme"] == "https"
            welcome.set_cookie(self.cookie, self._session, httponly=True, samesite="strict", secure=is_secure)
            return welcome
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _equal(_digest(given.strip()), self._session):
            return None
        if _equal(cookie_parser(headers.get("cookie", "")).get(self.cookie, ""), self._session):
            return None
        if scope["path"] == "/" and "text/html" in headers.get("accept", ""):
            return HTMLResponse(ASK_FOR_TOKEN, 401)
        told = _told(
            401, "this server asks for a token; open the address with ?token=… that it printed when it was started"
        )
        told.headers["WWW-Authenticate"] = "Bearer"
        return told


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine and no other can reach it."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_foreign(method: str, headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    is_visit = method == "GET" and headers.get("sec-fetch-mode") == "navigate"  # a link to the page
    if site not in (None, "same-origin", "none") and not is_visit:
        return True
    origin = headers.get("origin")
    return origin is not None and method not in SAFE and origin.partition("://")[2] != headers.get("host")


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _digest(token: str) -> str:
    """What the cookie holds: not the token itself, and of one length, so that comparing takes one time."""
    return hashlib.sha256(f"longvideoagent {token}".encode()).hexdigest()


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _told(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)


def _with_headers(send: Send) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return told
