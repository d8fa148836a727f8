"""Errors as ``application/problem+json`` (RFC 9457), with the words that the command line uses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from searchkit import errors
from searchkit.types import safe_text

__all__ = ["add_problem_handlers", "problem", "safe_text"]

_LOG = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[errors.SearchkitError], int], ...] = (
    (errors.UnknownId, 404),
    (errors.UsageError, 400),
    (errors.QueryError, 400),
    (errors.LibraryNotFound, 409),
    (errors.LibraryLocked, 409),
    (errors.LibraryError, 500),
    (errors.DecodeError, 422),
    (errors.ModalityUnsupported, 422),
    (errors.SpaceMismatch, 409),
    (errors.EncoderError, 503),
    (errors.DependencyMissing, 501),
    (errors.StoreLocked, 409),
    (errors.StoreError, 503),
    (errors.DiskFull, 507),
)
_TITLES = {
    400: "The request cannot be answered as asked",
    401: "A token is needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Not possible now",
    413: "Too large",
    415: "Not a kind of content that is taken here",
    416: "Range not satisfiable",
    421: "This server does not go by that name",
    422: "The content cannot be used",
    429: "Too many requests",
    500: "Internal error",
    501: "Not installed",
    503: "Not available now",
    507: "The disk is full",
}


def problem(
    status: int,
    detail: str,
    *,
    hint: str = "",
    code: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """A response that says what went wrong and what to do next."""
    body = {
        "type": "about:blank",
        "title": _TITLES.get(status, "The request failed"),
        "status": status,
        "detail": _encodable(detail),
        "hint": _encodable(hint),
        "code": code,
        **more,
    }
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def add_problem_handlers(app: FastAPI) -> None:
    """Have every error of an application become a problem."""
    app.add_exception_handler(errors.SearchkitError, _on_searchkit_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_bug)


def _on_searchkit_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.SearchkitError)
    if isinstance(error, errors.Unavailable):
        status = error.status
    else:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if status >= 500 and not isinstance(error, errors.Unavailable):
        _LOG.warning("%s %s: %s", request.method, request.url.path, error)
    more: dict[str, Any] = {"column": error.column} if isinstance(error, errors.QuerySyntaxError) else {}
    return problem(status, error.message, hint=error.hint, code=type(error).__name__, **more)


def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [
        {
            "at": ".".join(_encodable(str(part)) for part in entry["loc"]),
            "reason": _encodable(entry["msg"].removeprefix("Value error, ")),
        }
        for entry in error.errors()
    ]
    words = "; ".join(": ".join(filter(None, (entry["at"], entry["reason"]))) for entry in found)
    return problem(422, words, code="InvalidRequest", hint="see /openapi.json", errors=found)


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), code="HTTPError", headers=error.headers)


def _on_bug(request: Request, error: Exception) -> Response:
    return problem(
        500,
        f"internal error: {type(error).__name__}",
        hint="the server's log says more",
        code="InternalError",
    )
