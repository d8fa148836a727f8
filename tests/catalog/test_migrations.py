"""Catalogs that older versions wrote: copied, upgraded, used; and upgrades that are killed half-way."""

from __future__ import annotations

import gzip
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from searchkit.catalog import CATALOG_FILE, Catalog, assets, jobs, runs, segments, spaces
from searchkit.catalog.jobs import NewJob
from searchkit.catalog.tags import tag_counts
from searchkit.migrations import HEAD

DATA = Path(__file__).parent / "data"
OLD = sorted(DATA.glob("*.sqlite.gz"))


def unpack(old: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    with gzip.open(old) as packed, (folder / CATALOG_FILE).open("wb") as catalog:
        shutil.copyfileobj(packed, catalog)
    return folder


def use(catalog: Catalog) -> None:
    """What a library does with its catalog, on what the older version wrote."""
    with catalog.write() as connection:
        ((space_id, space),) = spaces.spaces(connection)
        known = assets.known_assets(connection, space_id, ["/media/photos"])
        assert len(known) == 11
        assert "/media/photos/caf\udce9 \\ x.txt" in known
        assert len(assets.failures(connection)) == 1
        assert tag_counts(connection) == {"holiday": 1}
        refs = spaces.collections_of(connection, space_id)
        ids = [i for ref in refs for i in segments.ready_ids(connection, ref.id)]
        assert len(segments.join(connection, ids)) == len(ids) == 12
        jobs.enqueue(connection, space_id, [NewJob("/media/photos/new.jpg", 1, 1)])
        (claimed,) = jobs.claim_jobs(connection, space_id, "a", 9, 60)
        jobs.finish_jobs(connection, [claimed.id], "a")
        run = runs.start_run(connection, space_id, ["/media/photos"])
        assert runs.recent_runs(connection)[0].id == run
        assert space.dim == refs[0].mean.shape[0]


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.name.split(".")[0])
def test_an_old_catalog_is_upgraded_and_used(tmp_path: Path, old: Path) -> None:
    folder = unpack(old, tmp_path / "library")
    untouched = unpack(old, tmp_path / "untouched") / CATALOG_FILE
    with closing(Catalog.open(folder)) as catalog:
        use(catalog)
        catalog.check_integrity()
        assert catalog.backup is not None
        backup = catalog.backup
    with closing(sqlite3.connect(backup)) as copy, closing(sqlite3.connect(untouched)) as original:
        assert list(copy.iterdump()) == list(original.iterdump())
    with closing(Catalog.open(folder)) as catalog:
        assert catalog.backup is None


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from searchkit.catalog import Catalog, engine
import searchkit.migrations
import alembic.command
left = int(sys.argv[2])
whole = engine.open_engine
def open_engine(path):
    made = whole(path)
    def count(*_):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    for name in ("before_cursor_execute", "commit"):
        event.listen(made, name, count)
    return made
import searchkit.catalog.catalog as module
module.open_engine = open_engine
Catalog.open(Path(sys.argv[1])).close()
"""


def test_an_upgrade_killed_before_any_statement_is_repeated(tmp_path: Path) -> None:
    killed = step = 0
    while True:
        folder = unpack(OLD[0], tmp_path / str(step))
        command = [sys.executable, "-c", KILLED, str(folder), str(step)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        with closing(Catalog.open(folder)) as catalog:
            use(catalog)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        killed += 1
        step += 5
    assert killed >= 3
    with closing(sqlite3.connect(folder / CATALOG_FILE)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
