"""The application: routes, limits and guards put together around a library."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from searchkit._version import __version__
from searchkit.library import Library
from searchkit.web.limits import BodyLimit, RateLimit
from searchkit.web.models import Problem
from searchkit.web.problems import add_problem_handlers
from searchkit.web.routes import (
    assets,
    embeddings,
    library,
    map,
    page,
    queries,
    runs,
    search,
    server,
    session,
    upkeep,
    uploads,
)
from searchkit.web.security import Guard
from searchkit.web.served import Served
from searchkit.web.settings import ServeSettings

__all__ = ["create_app"]

_ABOUT = """Search a library of photos, sounds, videos and texts with words, a sound, a picture, or a sum.

Errors are `application/problem+json`; `detail` says what went wrong and `hint` what to do next, in the words
of the command line. Lists continue at `next_cursor`. On any address but loopback, send
`Authorization: Bearer TOKEN`."""
_PROBLEM = {"model": Problem, "content": {"application/problem+json": {}}, "description": "What went wrong."}
_STATUSES = (400, 401, 403, 404, 405, 409, 413, 415, 421, 422, 429, 501, 503, 507)
_RESPONSES: dict[int | str, dict[str, Any]] = dict.fromkeys(_STATUSES, _PROBLEM)


def create_app(opened: Library, settings: ServeSettings | None = None) -> FastAPI:
    """An ASGI application that serves a library; the caller closes the library afterwards.

    Args:
        opened: an open library.
        settings: how to serve it; the defaults are for a loopback address.

    Raises:
        EncoderError: the library's encoder cannot be opened.
    """
    chosen = settings or ServeSettings()
    served = Served(opened, chosen)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        served.warm_up()
        yield
        served.close()

    app = FastAPI(
        title="searchkit",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=_RESPONSES,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.served = served
    describe = app.openapi

    def described() -> dict[str, Any]:
        """The description, with how a token is sent."""
        said = describe()
        schemes = said.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer"}
        # Loopback addresses ask for none.
        said["security"] = [{"token": []}, {}]
        return said

    app.openapi = described  # type: ignore[method-assign]
    for routes in (
        search,
        queries,
        uploads,
        assets,
        library,
        runs,
        upkeep,
        map,
        embeddings,
        session,
        server,
        page,
    ):
        app.include_router(routes.router)
    app.mount("/static", page.static_files(), name="static")
    add_problem_handlers(app)
    # The last one added is the first one asked.
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(BodyLimit, max_bytes=chosen.max_upload_bytes, metrics=served.metrics)
    if chosen.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(chosen.cors_origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["authorization", "content-type", "range"],
            max_age=600,
        )
    if chosen.rate_per_s is not None:
        app.add_middleware(
            RateLimit, rate_per_s=chosen.rate_per_s, burst=chosen.rate_burst, metrics=served.metrics
        )
    app.add_middleware(
        Guard,
        settings=chosen,
        sessions=served.sessions,
        token_check=served.token_check,
        metrics=served.metrics,
    )
    return app
