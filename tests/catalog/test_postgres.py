"""The catalog on a real PostgreSQL server: schema, verbs, claims of several workers, plain errors."""

# ruff: noqa: F811 - pytest hands fixtures in by name
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text, update

from searchkit.catalog import Catalog, assets, jobs, runs, saved, segments, spaces, tags, words
from searchkit.catalog.jobs import NewJob
from searchkit.catalog.segments import NewSegment
from searchkit.catalog.shared import agree
from searchkit.catalog.tables import EmbeddingState, Root, RunState
from searchkit.catalog.types import encode_path
from searchkit.errors import LibraryError, LibraryTooNew, UsageError
from searchkit.migrations import HEAD, REVISIONS
from searchkit.types import Modality, Space
from tests.postgres import postgres_server, postgres_url  # noqa: F401 - fixtures

pytestmark = pytest.mark.xdist_group("postgres")

NOW = datetime.now(UTC)
SPACE = Space("mini", "1", "p", 8)
FACTS = {"size_bytes": 5, "mtime_ns": 7, "date": "2020-01-01T00:00:00", "content_hash": "aa"}


@pytest.fixture
def catalog(tmp_path: Path, postgres_url: str) -> Iterator[Catalog]:
    with closing(Catalog.open(tmp_path, postgres_url)) as opened:
        yield opened


def test_the_same_migrations_make_the_same_schema(catalog: Catalog) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from searchkit.catalog.tables import Base

    def own(kind: str, name: str) -> bool:
        return not (kind == "index" and name.endswith("_fts"))

    with catalog.read() as connection:
        options = {"compare_type": False, "include_name": lambda name, kind, _: own(kind, name or "")}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_every_older_schema_is_upgraded(tmp_path: Path, postgres_url: str) -> None:
    from sqlalchemy import create_engine

    from searchkit.migrations import upgrade

    engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        upgrade(connection, REVISIONS[0])
        connection.execute(text("INSERT INTO roots (path, added_at) VALUES ('/old', '2020')"))
    engine.dispose()
    with closing(Catalog.open(tmp_path, postgres_url)) as catalog, catalog.read() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == HEAD
        assert [path for path, _ in assets.roots(connection)] == ["/old"]


def test_a_later_schema_is_refused(tmp_path: Path, postgres_url: str) -> None:
    with closing(Catalog.open(tmp_path, postgres_url)) as catalog, catalog.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LibraryTooNew, match="9999"):
        Catalog.open(tmp_path, postgres_url)


def test_many_who_open_a_new_catalog_at_once_make_it_once(tmp_path: Path, postgres_url: str) -> None:
    opened: list[Catalog] = []
    threads = [
        threading.Thread(target=lambda: opened.append(Catalog.open(tmp_path, postgres_url))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 6
    for catalog in opened:
        catalog.close()


def test_paths_of_any_kind_come_back_in_the_order_of_their_bytes(catalog: Catalog) -> None:
    names = ["a", "a.b", "a/c", "a-", "A", "é", "\udcff", "\\x", "\n", "𝄞", "z", "Z", "_", " "]
    with catalog.write() as connection:
        root = assets.ensure_root(connection, "/r")
        rows = [{"root_id": root, "path": f"/r/{name}", **FACTS} for name in names]
        assets.insert_assets(connection, rows)
        space = spaces.ensure_space(connection, SPACE)
        raw = [path for path, _ in assets.known_rows(connection, space, "/r")]
        assert raw == sorted(encode_path(f"/r/{name}") for name in names)
        assert len(assets.ids_under(connection, "/r/a")) == 2


def test_segments_walk_through_their_states(catalog: Catalog) -> None:
    with catalog.write() as connection:
        root = assets.ensure_root(connection, "/r")
        (asset,) = assets.insert_assets(connection, [{"root_id": root, "path": "/r/1", **FACTS}])
        space = spaces.ensure_space(connection, SPACE)
        ref = spaces.ensure_collection(connection, space, SPACE, Modality.IMAGE, Modality.IMAGE)
        ids = segments.insert_pending(
            connection, [NewSegment(asset, ref.id, n, None, None, f"passage {n}") for n in range(300)]
        )
        assert ids == sorted(ids)
        assert segments.join(connection, ids) == {}
        segments.mark_assets_ready(connection, [asset], space)
        assert sorted(segments.join(connection, ids)) == ids
        assert segments.some_ready_ids(connection, ref.id, 10) == segments.some_ready_ids(
            connection, ref.id, 10
        )
        row = {"asset_id": asset, "content_hash": "aa", "recipe": "r", "error": None}
        assets.set_embeddings(connection, space, [{**row, "state": EmbeddingState.READY.value}])
        assert assets.known_assets(connection, space, ["/r"])["/r/1"].state is EmbeddingState.READY
        segments.mark_assets_deleting(connection, [asset])
        segments.delete_segments(connection, ids)
        assets.delete_assets(connection, [asset])
        assert assets.ids_under(connection, "/r") == []


def test_workers_never_get_the_same_job(catalog: Catalog) -> None:
    with catalog.write() as connection:
        space = spaces.ensure_space(connection, SPACE)
        jobs.enqueue(connection, space, [NewJob(f"/r/{n}", 1, 1) for n in range(500)])
    taken: dict[str, list[str]] = {}

    def work(name: str) -> None:
        mine = taken.setdefault(name, [])
        while True:
            with catalog.write() as connection:
                claimed = jobs.claim_jobs(connection, space, name, 7, 60)
            if not claimed:
                return
            mine.extend(job.path for job in claimed)

    threads = [threading.Thread(target=work, args=(f"worker{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = [path for paths in taken.values() for path in paths]
    assert len(together) == 500
    assert len(set(together)) == 500


def test_claiming_does_not_wait_for_what_another_is_taking(catalog: Catalog) -> None:
    with catalog.write() as connection:
        space = spaces.ensure_space(connection, SPACE)
        jobs.enqueue(connection, space, [NewJob(f"/r/{n}", 1, 1) for n in range(4)])
    with catalog.write() as one, catalog.write() as two:
        first = jobs.claim_jobs(one, space, "a", 2, 60)
        second = jobs.claim_jobs(two, space, "b", 4, 60)
    assert [len(first), len(second)] == [2, 2]
    assert {job.id for job in first} & {job.id for job in second} == set()


def test_one_plans_at_a_time(catalog: Catalog) -> None:
    with catalog.planning() as first, catalog.planning() as second:
        assert (first, second) == (True, False)
    with catalog.planning() as again:
        assert again


def test_runs_of_several_machines_go_on_side_by_side(catalog: Catalog) -> None:
    with catalog.write() as connection:
        space = spaces.ensure_space(connection, SPACE)
        first = runs.start_run(connection, space, ["/a"], alone=False)
        runs.start_run(connection, space, ["/a"], alone=False)
        runs.note_alive(connection, first)
        runs.end_run(connection, first, RunState.DONE, {"new": 1}, "zero \0 and \udcff")
        assert [run.state for run in runs.recent_runs(connection)] == [RunState.RUNNING, RunState.DONE]


def test_what_is_wrong_with_a_place_is_said(tmp_path: Path, postgres_url: str) -> None:
    with pytest.raises(LibraryError, match="does not answer"):
        Catalog.open(tmp_path, "postgresql://searchkit:secret@127.0.0.1:1/nothing")
    with pytest.raises(LibraryError, match="no_such_database") as caught:
        Catalog.open(tmp_path, postgres_url.rsplit("/", 1)[0] + "/no_such_database")
    assert "secret" not in str(caught.value)
    for place in ("mysql://host/db", "postgresql://host", "what?"):
        with pytest.raises(UsageError):
            Catalog.open(tmp_path, place)


def test_many_who_need_a_new_space_at_once_make_it_once(catalog: Catalog) -> None:
    start = threading.Barrier(6)
    made: list[tuple[int, int]] = []

    def need() -> None:
        start.wait()
        with catalog.write() as connection:
            space_id = spaces.ensure_space(connection, SPACE)
            found = spaces.ensure_collection(connection, space_id, SPACE, Modality.IMAGE, Modality.IMAGE)
            made.append((space_id, found.id))

    threads = [threading.Thread(target=need) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert len(set(made)) == 1


def at_once(work: Callable[[], object], threads: int = 6) -> None:
    """Call ``work`` in several threads at the same moment; what one raises is raised."""
    start = threading.Barrier(threads)
    failures: list[BaseException] = []

    def begin() -> None:
        start.wait()
        try:
            work()
        except BaseException as error:
            failures.append(error)

    started = [threading.Thread(target=begin) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    assert failures == []


def test_many_who_need_the_same_new_rows_at_once_make_them_once(catalog: Catalog) -> None:
    with catalog.write() as connection:
        spaces.ensure_space(connection, SPACE)

    def need() -> None:
        for number in range(5):
            with catalog.write() as connection:
                root = assets.ensure_root(connection, f"/root{number}")

            def insert(connection: Connection, root: int = root, number: int = number) -> None:
                path = f"/root{number}/file"
                if not assets.ids_of(connection, [path]):
                    assets.insert_assets(connection, [{"root_id": root, "path": path, **FACTS}])

            catalog.write_again(insert)
            with catalog.write() as connection:
                ids = assets.ids_under(connection, f"/root{number}")
                words.index_assets(connection, ids)
                tags.add_tags(connection, ids, ["holiday"])
                saved.save_query(connection, "barks", 'text:"a bark"')
                agree(connection, {"store": "qdrant://here:1"})

    at_once(need)
    with catalog.read() as connection:
        assert [path for path, _ in assets.roots(connection)] == [f"/root{n}" for n in range(5)]
        assert tags.tag_counts(connection) == {"holiday": 5}
        assert list(saved.saved_queries(connection)) == ["barks"]


def test_two_who_wait_for_each_other_both_get_through(catalog: Catalog) -> None:
    with catalog.write() as connection:
        for path in ("/a", "/b"):
            assets.ensure_root(connection, path)
    orders = [("/a", "/b"), ("/b", "/a")]
    both_hold_one = threading.Barrier(2)
    tries: list[str] = []

    def work() -> None:
        first, second = orders.pop()

        def change(connection: Connection) -> None:
            tries.append(first)
            connection.execute(update(Root).where(Root.path == first).values(added_at=NOW))
            if tries.count(first) == 1:
                both_hold_one.wait()
            connection.execute(update(Root).where(Root.path == second).values(added_at=NOW))

        catalog.write_again(change)

    at_once(work, threads=2)
    # One had to begin again; more than once where it was back before the other had been woken.
    assert len(tries) >= 3
    with catalog.read() as connection:
        assert set(connection.scalars(select(Root.added_at))) == {NOW}
