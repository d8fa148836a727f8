"""How much a client may ask: bytes in a body, requests in a second; below the routes, as ASGI middleware."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from searchkit.web.metrics import Metrics
from searchkit.web.problems import problem

__all__ = ["BodyLimit", "RateLimit", "TokenBuckets"]

_CLIENTS = 10_000
# What the page fetches by the dozen costs less than what makes the encoder work.
_CHEAP = ("/static/", "/v1/segments/", "/v1/assets/", "/v1/uploads/")
_CHEAP_COST = 0.1
_FREE = frozenset({"/healthz", "/readyz"})
_SIGN_IN_COST = 20.0


class BodyLimit:
    """Refuses bodies over a size, by their announced length or while they come in."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, metrics: Metrics) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        too_large = not announced.isascii() or not announced.isdigit() or int(announced) > self._max_bytes
        if too_large:
            await self._refuse(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._max_bytes:
                    self._metrics.refused.labels("size").inc()
                    raise HTTPException(413, _too_large(self._max_bytes))
            return message

        await self._app(scope, counted, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.refused.labels("size").inc()
        response = problem(
            413,
            _too_large(self._max_bytes),
            hint="send a smaller file, or a part of it",
            code="TooLarge",
            headers={"connection": "close"},
        )
        await response(scope, receive, send)


def _too_large(max_bytes: int) -> str:
    return f"a request may have {max_bytes / (1 << 20):.0f} MB at most"


class TokenBuckets:
    """A bucket a client that fills at a steady rate: https://en.wikipedia.org/wiki/Token_bucket.

    Args:
        rate_per_s: tokens that flow in.
        burst: what a bucket holds.
    """

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, client: str, cost: float = 1.0, *, now_s: float | None = None) -> float:
        """Take tokens; returns 0, or the seconds until there are enough."""
        now_s = time.monotonic() if now_s is None else now_s
        with self._lock:
            tokens, at_s = self._held.pop(client, (self._burst, now_s))
            tokens = min(self._burst, tokens + (now_s - at_s) * self._rate_per_s)
            enough = tokens >= min(cost, self._burst)
            self._held[client] = (tokens - cost if enough else tokens, now_s)
            if len(self._held) > _CLIENTS:
                self._held.popitem(last=False)
        return 0.0 if enough else (cost - tokens) / self._rate_per_s


class RateLimit:
    """Refuses clients that ask too often, told apart by their address."""

    def __init__(self, app: ASGIApp, *, rate_per_s: float, burst: int, metrics: Metrics) -> None:
        self._app = app
        self._buckets = TokenBuckets(rate_per_s, burst)
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http" or scope["path"] in _FREE:
            await self._app(scope, receive, send)
            return
        client = scope["client"][0] if scope.get("client") else "unknown"
        wait_s = self._buckets.take(client, _cost(scope))
        if wait_s:
            self._metrics.refused.labels("rate").inc()
            response = problem(
                429,
                "too many requests",
                hint=f"wait {wait_s:.1f} s; --rate-limit sets how many are answered",
                code="TooManyRequests",
                headers={"retry-after": str(max(1, round(wait_s + 0.5)))},
            )
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _cost(scope: Scope) -> float:
    if scope["path"] == "/v1/session" and scope["method"] == "POST":
        return _SIGN_IN_COST
    return _CHEAP_COST if scope["path"].startswith(_CHEAP) else 1.0
