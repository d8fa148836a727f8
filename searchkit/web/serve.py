"""Runs the application until it is told to stop; it prints nothing."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

import uvicorn

from searchkit.errors import UsageError
from searchkit.library import Library
from searchkit.web.app import create_app
from searchkit.web.settings import ServeSettings, is_loopback

__all__ = ["serve"]

_PATIENCE_S = 3


def serve(
    library: Library,
    settings: ServeSettings,
    *,
    on_ready: Callable[[str], None] = lambda url: None,
    log_level: str = "warning",
) -> None:
    """Serve a library until SIGINT or SIGTERM.

    Args:
        library: an open library; the caller closes it.
        settings: where and how.
        on_ready: hears the address once requests are answered.
        log_level: what uvicorn logs: "warning", "info", ...

    Raises:
        UsageError: the address is taken or not this machine's, or others may reach it and no token is set.
        EncoderError: the library's encoder cannot be opened.
    """
    if settings.token_hash is None and not settings.is_private:
        raise UsageError(
            f"{settings.host} can be reached from outside, so a token is needed"
            if not is_loopback(settings.host)
            else "a proxy lets others in, so a token is needed",
            hint="leave --host, --allow-host and --proxy out, or set --token",
        )
    listener = _listen(settings.host, settings.port)
    try:
        app = create_app(library, settings)
        port = listener.getsockname()[1]
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        config = uvicorn.Config(
            app,
            log_level=log_level,
            access_log=log_level in ("info", "debug"),
            server_header=False,
            date_header=True,
            timeout_graceful_shutdown=_PATIENCE_S,
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=64 << 10,
            proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=list(settings.proxies),
            ws="none",
        )
        logging.getLogger("uvicorn.error").addFilter(_is_no_cancelled_request)
        server = _Server(config, lambda: on_ready(f"http://{shown}:{port}/"))
        server.run(sockets=[listener])
    finally:
        listener.close()


def _is_no_cancelled_request(record: logging.LogRecord) -> bool:
    """Requests that are cut off when the server stops are no errors of the server."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it answers."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(512)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"cannot listen on {host} port {port}: {error}", hint="choose another --host or --port"
        ) from error
    return listener
