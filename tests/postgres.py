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


def _start(control: list[object], home: Path, common: dict[str, object]) -> int:
    """Start the server and return its port; another program may take a port that was free a moment ago."""
    # Shared memory in the server's own folder: in /dev/shm it would outlive a run that is killed.
    settings = f"-c listen_addresses=127.0.0.1 -k {home} -c fsync=off -c max_connections=50"
    settings += " -c dynamic_shared_memory_type=mmap"
    log = home / "log"
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        started = subprocess.run(
            [*control, "-o", f"{settings} -p {port}", "start"], **{**common, "check": False}
        )
        if started.returncode == 0:
            return port
        said = log.read_text()
        assert "Address already in use" in said, said
        log.unlink()


@contextmanager
def running_server() -> Iterator[str]:
    """A server for the time of the block; gives its URL without a database's name."""
    binaries = _binaries()
    # The server refuses to run as root; the package has made a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="searchkit-postgres-", dir="/tmp"))
    if user:
        shutil.chown(home, user)
    common = {"user": user, "cwd": home, "stdout": subprocess.DEVNULL, "check": True}
    data = home / "data"
    try:
        options = ["--auth=trust", "--username=searchkit", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run([binaries / "initdb", "-D", data, *options], **common)
        control = [binaries / "pg_ctl", "-D", data, "-l", home / "log", "-w", "-t", "300"]
        port = _start(control, home, common)
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
