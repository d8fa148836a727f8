"""``/`` and ``/static``: the page, from files that ship with searchkit."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

__all__ = ["router", "static_files"]

router = APIRouter(include_in_schema=False)
STATIC = Path(__file__).resolve().parent.parent / "static"
_FRESH = {"cache-control": "no-cache"}


@router.get("/")
def page() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html", media_type="text/html; charset=utf-8", headers=_FRESH)


@router.get("/favicon.ico")
def icon() -> FileResponse:
    """The page's icon."""
    return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml", headers=_FRESH)


def static_files() -> StaticFiles:
    """The page's scripts, styles and pictures; they change with the version, so browsers ask each time."""
    return StaticFiles(directory=STATIC)
