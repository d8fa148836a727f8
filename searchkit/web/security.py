"""Who may ask what: host names, tokens, sessions, cross-site requests; and the headers of every answer.

It works below the routes, so that none can be forgotten.
"""

from __future__ import annotations

import time
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from searchkit.web.metrics import Metrics
from searchkit.web.problems import problem
from searchkit.web.settings import ServeSettings
from searchkit.web.tokens import Sessions, TokenCheck

__all__ = ["SESSION_COOKIE", "Guard", "bearer_token", "session_of"]

SESSION_COOKIE = "searchkit_session"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/v1/session", "/favicon.ico", "/openapi.json"})
_PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
# Whatever a file of the library holds, nothing in it runs or loads anything.
_DATA_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
}


class Guard:
    """ASGI middleware that refuses what may not be asked, and adds headers to what is answered.

    Args:
        app: what it guards.
        settings: who may ask.
        sessions: of signed-in browsers.
        token_check: compares tokens; None lets everybody in who can reach the address.
        metrics: counts.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: ServeSettings,
        sessions: Sessions,
        token_check: TokenCheck | None,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._hosts = settings.hosts
        self._origins = frozenset(settings.cors_origins)
        self._sessions = sessions
        self._token_check = token_check
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        is_page = not scope["path"].startswith("/v1/")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("content-security-policy", _PAGE_POLICY if is_page else _DATA_POLICY)
                if not is_page:
                    headers.setdefault("cache-control", "no-store")
                self._count(scope, message["status"], started_s)
            await send(message)

        headers = Headers(scope=scope)
        refusal = await self._refusal(scope, headers)
        if refusal is not None:
            reason, response = refusal
            self._metrics.refused.labels(reason).inc()
            await response(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    async def _refusal(self, scope: Scope, headers: Headers) -> tuple[str, Any] | None:
        host = _host_name(headers.get("host", ""))
        if self._hosts and host not in self._hosts:
            # A page on another site can have its own name point here; the name gives it away.
            return "host", problem(
                421,
                f"this server does not go by the name {host[:100]!r}",
                hint="--allow-host adds a name",
                code="UnknownHost",
            )
        is_cross_site = self._is_cross_site(scope, headers)
        if is_cross_site and scope["path"] not in ("/", "/healthz", "/readyz"):
            return "cross-site", problem(
                403,
                "requests from pages of other sites are refused",
                hint="--cors ORIGIN allows a site",
                code="CrossSite",
            )
        if self._token_check is None or scope["path"] in _OPEN_PATHS or scope["path"].startswith("/static/"):
            return None
        if scope["method"] == "OPTIONS" and headers.get("origin") in self._origins:
            return None
        token = bearer_token(headers)
        if token is not None:
            if await _in_thread(self._token_check, token):
                return None
        elif (session := session_of(headers)) is not None and self._sessions.holds(session):
            return None
        return "token", problem(
            401,
            "this server asks for its token" if token is None else "that is not this server's token",
            hint="send it as `Authorization: Bearer TOKEN`; `searchkit serve --new-token` makes another",
            code="TokenNeeded",
            headers={"www-authenticate": 'Bearer realm="searchkit"'},
        )

    def _is_cross_site(self, scope: Scope, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin in self._origins:
            return False
        if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
            return True
        fetched_from = headers.get("sec-fetch-site", "none")
        if fetched_from in ("none", "same-origin"):
            return False
        is_navigation = headers.get("sec-fetch-mode") == "navigate" and scope["method"] in _SAFE_METHODS
        return not is_navigation

    def _count(self, scope: Scope, status: int, started_s: float) -> None:
        route = scope.get("route")
        name = getattr(route, "path", None) or "other"
        self._metrics.requests.labels(scope["method"], name, str(status)).inc()
        self._metrics.request_seconds.labels(name).observe(time.perf_counter() - started_s)


def bearer_token(headers: Headers) -> str | None:
    """The token of an Authorization header, None when there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def session_of(headers: Headers) -> str | None:
    """The session id of a cookie, None when there is none."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    found = cookies.get(SESSION_COOKIE)
    return found.value if found else None


def _host_name(host: str) -> str:
    """``localhost`` of ``localhost:8765``, ``::1`` of ``[::1]:8765``."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


async def _in_thread(check: TokenCheck, token: str) -> bool:
    from anyio import to_thread

    # A first look at a token costs some 50 ms of scrypt.
    return await to_thread.run_sync(check, token)
