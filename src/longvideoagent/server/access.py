"""Access control: no requests from other sites, and no requests without the token if there is one.

Without a token, the Host header must be a loopback name; otherwise a page of another site could point its own host name
at this server (DNS rebinding). Requests from other sites are detected by what browsers send (``Sec-Fetch-Site``,
``Origin``); programs other than browsers send neither.
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

from longvideoagent.server.sessions import Sessions, WrongTokens

COOKIE = "lva_session"
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The page loads nothing from other hosts, and other sites cannot embed it."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
TOKEN_FORM = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Token</title></head><body><form method="get" action="/"><p><label>This server needs the token that it
printed at its start: <input type="password" name="token" autocomplete="current-password" required></label>
<button>Open</button></p></form></body></html>
"""


class AccessMiddleware:
    """Passes allowed requests on to ``app`` and refuses the others with a reason."""

    def __init__(self, app: ASGIApp, token: str | None = None) -> None:
        self._app = app
        self._token_digest = None if token is None else _digest(token)
        self._sessions, self._wrong_tokens = Sessions(), WrongTokens()
        self.cookie = f"{COOKIE}_{(self._token_digest or '')[:8]}"  # browsers share cookies among the ports of a host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = await self._refuse(scope, Headers(scope=scope))
        await (refusal or self._app)(scope, receive, _with_security_headers(send))

    async def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        """The response to a refused request, or None if the request is allowed."""
        if self._token_digest is None and not is_loopback(_host_name(headers.get("host", ""))):
            return _error(403, "this server answers only to localhost and 127.0.0.1; open it under one of these names")
        if _is_cross_site(scope["method"], headers):
            return _error(403, "this request comes from another site; open the page of this server and ask there")
        return None if self._token_digest is None else await self._check_token(self._token_digest, scope, headers)

    async def _check_token(self, token_digest: str, scope: Scope, headers: Headers) -> Response | None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["method"] == "GET" and "token" in query:
            if not await self._is_token(query.pop("token")[0], token_digest, scope):
                return _error(401, "wrong token; open the address that the server printed at its start")
            return self._start_session(scope, urlencode(query, doseq=True))
        if self._sessions.has(cookie_parser(headers.get("cookie", "")).get(self.cookie, "")):
            return None
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and await self._is_token(credentials.strip(), token_digest, scope):
            return None
        if scope["path"] == "/" and "text/html" in headers.get("accept", ""):
            return HTMLResponse(TOKEN_FORM, 401)
        refusal = _error(
            401, "this server needs a token; open the address with ?token=… that the server printed at its start"
        )
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal

    async def _is_token(self, text: str, token_digest: str, scope: Scope) -> bool:
        client = scope.get("client")
        return await self._wrong_tokens.check(client[0] if client else "", _is_equal(_digest(text), token_digest))

    def _start_session(self, scope: Scope, query: str) -> Response:
        """Redirect to the same address without the token, and set the cookie."""
        path = "/" + scope["path"].lstrip("/")  # two slashes would name another host
        redirect = RedirectResponse(path + (f"?{query}" if query else ""), 303)
        is_secure = scope["scheme"] == "https"
        redirect.set_cookie(self.cookie, self._sessions.start(), httponly=True, samesite="strict", secure=is_secure)
        return redirect


def is_loopback(host: str) -> bool:
    """Whether a host name is a name of this machine that no other machine can reach."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_cross_site(method: str, headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    is_navigation = method == "GET" and headers.get("sec-fetch-mode") == "navigate"  # a link to the page
    if site not in (None, "same-origin", "none") and not is_navigation:
        return True
    origin = headers.get("origin")
    return origin is not None and method not in SAFE_METHODS and origin.partition("://")[2] != headers.get("host")


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _digest(token: str) -> str:
    """Its constant length makes comparisons take constant time."""
    return hashlib.sha256(f"longvideoagent {token}".encode()).hexdigest()


def _is_equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _error(status_code: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status_code)


def _with_security_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
