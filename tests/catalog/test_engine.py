"""Opening a catalog: new, older, newer, damaged, and full of concurrent readers."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from searchkit.catalog import CATALOG_FILE, Catalog, assets
from searchkit.errors import CatalogCorrupt, LibraryTooNew


def test_a_new_catalog_has_the_newest_schema_and_no_drift(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from searchkit.catalog.tables import Base

    with closing(Catalog.open(tmp_path)) as catalog, catalog.read() as connection:
        # Full-text tables and what they keep beside themselves are the database's own.
        own = {"compare_type": False, "include_name": lambda name, kind, _: "_fts" not in (name or "")}
        context = MigrationContext.configure(connection, opts=own)
        assert compare_metadata(context, Base.metadata) == []


def test_opening_again_changes_nothing_and_makes_no_backup(tmp_path: Path) -> None:
    Catalog.open(tmp_path).close()
    with closing(Catalog.open(tmp_path)) as catalog:
        assert catalog.backup is None
    assert not (tmp_path / "backups").exists()


def test_a_catalog_of_a_later_version_is_refused_untouched(tmp_path: Path) -> None:
    Catalog.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / CATALOG_FILE)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(LibraryTooNew, match="9999") as caught:
        Catalog.open(tmp_path)
    assert "pip install" in caught.value.hint
    with closing(sqlite3.connect(tmp_path / CATALOG_FILE)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


@pytest.mark.parametrize(
    "content", [b"this is no database, but it is long enough to be one" * 100, b"SQLite"]
)
def test_a_damaged_catalog_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CATALOG_FILE).write_bytes(content)
    with pytest.raises(CatalogCorrupt, match=CATALOG_FILE) as caught:
        Catalog.open(tmp_path)
    assert caught.value.hint
    assert (tmp_path / CATALOG_FILE).read_bytes() == content


def test_a_page_of_garbage_is_found_by_the_integrity_check(tmp_path: Path) -> None:
    with closing(Catalog.open(tmp_path)) as catalog, catalog.write() as connection:
        for number in range(500):
            assets.ensure_root(connection, f"/folder{number:04d}/with/a/name/of/some/length")
    path = tmp_path / CATALOG_FILE
    content = bytearray(path.read_bytes())
    page = content.index(b"/folder0250/with") // 4096 * 4096
    content[page : page + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    with closing(Catalog.open(tmp_path)) as catalog, pytest.raises(CatalogCorrupt):
        catalog.check_integrity()


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    with closing(Catalog.open(tmp_path)) as catalog:
        with pytest.raises(ZeroDivisionError), catalog.write() as connection:
            assets.ensure_root(connection, "/a")
            raise ZeroDivisionError
        with catalog.read() as connection:
            assert assets.roots(connection) == []


def test_readers_see_the_old_state_while_a_writer_works(tmp_path: Path) -> None:
    with closing(Catalog.open(tmp_path)) as catalog:
        seen: list[int] = []

        def read() -> None:
            with catalog.read() as connection:
                seen.append(len(assets.roots(connection)))

        with catalog.write() as connection:
            assets.ensure_root(connection, "/a")
            reader = threading.Thread(target=read)
            reader.start()
            reader.join()
        read()
    assert seen == [0, 1]


def test_a_kill_during_the_first_migration_leaves_a_catalog_that_opens(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "import searchkit.migrations as migrations\n"
        "from searchkit.catalog import Catalog\n"
        "whole = migrations.upgrade\n"
        "def upgrade(connection):\n"
        "    whole(connection)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "migrations.upgrade = upgrade\n"
        "Catalog.open(Path(sys.argv[1]))\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == -9
    with closing(Catalog.open(tmp_path)) as catalog, catalog.read() as connection:
        assert assets.roots(connection) == []
