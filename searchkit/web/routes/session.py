"""``/v1/session``: a browser trades the token for a cookie that scripts cannot read."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from searchkit.errors import Unavailable
from searchkit.web.library_models import SessionInfo, SessionRequest
from searchkit.web.security import SESSION_COOKIE, bearer_token, session_of
from searchkit.web.served import ServedLibrary

__all__ = ["router"]

router = APIRouter(prefix="/v1/session", tags=["server"])


@router.get("")
def session(request: Request, served: ServedLibrary) -> SessionInfo:
    """Whether a token is needed, and whether this browser has given it."""
    known = session_of(request.headers)
    token = bearer_token(request.headers)
    check = served.token_check
    signed_in = (
        check is None
        or (known is not None and served.sessions.holds(known))
        or (token is not None and check(token))
    )
    return SessionInfo(token_needed=check is not None, signed_in=signed_in)


@router.post("", status_code=204)
def sign_in(wanted: SessionRequest, request: Request, served: ServedLibrary) -> Response:
    """Sign a browser in."""
    if served.token_check is not None and not served.token_check(wanted.token):
        raise Unavailable(
            "that is not this server's token",
            status=401,
            hint="`searchkit serve --new-token` makes another",
        )
    response = Response(status_code=204)
    response.set_cookie(
        SESSION_COOKIE,
        served.sessions.open(),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )
    return response


@router.delete("", status_code=204)
def sign_out(request: Request, served: ServedLibrary) -> Response:
    """Sign a browser out."""
    known = session_of(request.headers)
    if known is not None:
        served.sessions.close(known)
    response = Response(status_code=204)
    response.delete_cookie(SESSION_COOKIE, path="/")
    return response
