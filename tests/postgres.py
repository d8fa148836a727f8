"""A PostgreSQL server for tests: a folder of its own, on loopback, as a user that is not root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["postgres_server", "postgres_url"]


def _binaries() -> Path:
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "postgres").exists():
            return place
    raise FileNotFoundError("PostgreSQL is not installed: sh tools/install_test_system.sh")


@contextmanager
def running_server() -> Iterator[str]:
    """A server for the time of the block; gives its URL without a database's name."""
    binaries = _binaries()
    # The server refuses to run as root; the package has made a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="searchkit-postgres-", dir="/tmp"))
    if user:
        shutil.chown(home, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"user": user, "cwd": home, "stdout": subprocess.DEVNULL, "check": True}
    data = home / "data"
    try:
        options = ["--auth=trust", "--username=searchkit", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run([binaries / "initdb", "-D", data, *options], **common)
        settings = f"-c listen_addresses=127.0.0.1 -p {port} -k {home} -c fsync=off -c max_connections=50"
        control = [binaries / "pg_ctl", "-D", data, "-l", home / "log", "-w"]
        subprocess.run([*control, "-o", settings, "start"], **common)
        try:
            yield f"postgresql://searchkit@127.0.0.1:{port}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **common)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A database of the test's own."""
    import psycopg

    name = f"test_{os.urandom(4).hex()}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{postgres_server}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
