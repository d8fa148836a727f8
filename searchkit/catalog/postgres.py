"""Opens a catalog on a PostgreSQL server, and says in plain words what its errors mean; it knows no table."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from searchkit.errors import DependencyMissing, DiskFull, LibraryError, UsageError

__all__ = ["named_errors", "open_engine", "parse_url", "without_password"]

_FULL = frozenset({"53100", "53200"})
_DENIED = frozenset({"42501", "28000", "28P01"})


def parse_url(url: str) -> URL:
    """The place of a PostgreSQL catalog.

    Raises:
        UsageError: it is none.
        DependencyMissing: the extra ``postgres`` is not installed.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise UsageError(f"{url!r} is no place for a catalog", hint=_EXAMPLE) from error
    if parsed.get_backend_name() != "postgresql" or not parsed.database:
        raise UsageError(f"{url!r} is no place for a catalog", hint=_EXAMPLE)
    if importlib.util.find_spec("psycopg") is None:
        raise DependencyMissing("psycopg", "postgres")
    return parsed.set(drivername="postgresql+psycopg")


_EXAMPLE = "--catalog postgresql://USER@HOST/DATABASE"


def without_password(url: str) -> str:
    """The same place, fit to be written down or shown."""
    return _shown(make_url(url))


def _shown(url: URL) -> str:
    return url._replace(password=None).render_as_string(hide_password=False)


def open_engine(url: str) -> Engine:
    """An engine on a catalog; a connection that the server has dropped is made anew.

    Raises:
        UsageError: the URL is none of PostgreSQL.
        DependencyMissing: the extra ``postgres`` is not installed.
    """
    return create_engine(parse_url(url), pool_pre_ping=True, connect_args={"connect_timeout": 10})


@contextmanager
def named_errors(engine: Engine) -> Iterator[None]:
    """Turn what the driver raises into the errors of a library.

    Raises:
        DiskFull: the server has no space left; nothing of the transaction stays.
        LibraryError: the server cannot be reached, or refuses.
    """
    place = _shown(engine.url.set(drivername="postgresql"))
    try:
        yield
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no answer"
        if state in _FULL:
            raise DiskFull(
                f"{place}: {reason}", hint="free some space on the server and try again"
            ) from error
        if state in _DENIED or "password" in reason:
            raise LibraryError(
                f"{place}: {reason}", hint="check the user and its password (PGPASSWORD, ~/.pgpass)"
            ) from error
        if state is None or state.startswith(("08", "57")):
            raise LibraryError(
                f"the catalog at {place} does not answer: {reason}",
                hint="check that the server runs and takes connections from here",
            ) from error
        raise
