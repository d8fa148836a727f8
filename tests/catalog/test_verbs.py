"""Catalog verbs on a real database: paths of any kind, roots that merge, states that change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from searchkit.catalog import Catalog, assets, jobs, runs, segments, spaces
from searchkit.catalog.jobs import NewJob
from searchkit.catalog.segments import NewSegment
from searchkit.catalog.tables import EmbeddingState, RunState, SegmentState
from searchkit.catalog.types import decode_path, encode_path
from searchkit.types import Modality, Space

SPACE = Space("mini", "1", "p", 8)
FACTS = {"size_bytes": 5, "mtime_ns": 7, "date": "2020-01-01T00:00:00", "content_hash": "aa"}


def insert(connection: Connection, root: int, path: str) -> int:
    (key,) = assets.insert_assets(connection, [{"root_id": root, "path": path, **FACTS}])
    return key


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog.open(tmp_path)
    yield opened
    opened.close()


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name))
def test_any_file_name_survives_storage(name: bytes) -> None:
    import os

    path = os.fsdecode(name)
    stored = encode_path(path)
    stored.encode()  # any database takes it
    assert decode_path(stored) == path


@pytest.mark.parametrize(
    "name",
    ["plain.jpg", "new\nline.jpg", "back\\slash\\x41.jpg", "bad\udcff\udc80.jpg", "%_'\".jpg", "日本.png"],
)
def test_odd_paths_are_found_again(catalog: Catalog, name: str) -> None:
    path = f"/root/{name}"
    with catalog.write() as connection:
        root = assets.ensure_root(connection, "/root")
        key = insert(connection, root, path)
        space = spaces.ensure_space(connection, SPACE)
    with catalog.read() as connection:
        known = assets.known_assets(connection, space, ["/root"])
        assert {path: asset.id for path, asset in known.items()} == {path: key}
        assert assets.ids_under(connection, path) == [key]


def test_a_scope_holds_its_folder_only(catalog: Catalog) -> None:
    paths = ["/a/b/1.jpg", "/a/b", "/a/bc/2.jpg", "/a/b.jpg", "/a/b0/3.jpg", "/a/b/c/4.jpg", "/a/B/5.jpg"]
    with catalog.write() as connection:
        root = assets.ensure_root(connection, "/a")
        for path in paths:
            insert(connection, root, path)
        space = spaces.ensure_space(connection, SPACE)
        known = assets.known_assets(connection, space, ["/a/b"])
    assert sorted(known) == ["/a/b", "/a/b/1.jpg", "/a/b/c/4.jpg"]


def test_a_root_above_others_takes_their_assets(catalog: Catalog) -> None:
    with catalog.write() as connection:
        child = assets.ensure_root(connection, "/media/photos")
        insert(connection, child, "/media/photos/1.jpg")
        assert assets.ensure_root(connection, "/media/photos/2020") == child
        parent = assets.ensure_root(connection, "/media")
        assert assets.roots(connection) == [("/media", parent)]
        assets.delete_empty_roots(connection)
        assert assets.roots(connection) == [("/media", parent)]


def _segment(catalog: Catalog) -> tuple[int, int, list[int]]:
    with catalog.write() as connection:
        root = assets.ensure_root(connection, "/r")
        asset = insert(connection, root, "/r/1")
        space = spaces.ensure_space(connection, SPACE)
        ref = spaces.ensure_collection(connection, space, SPACE, Modality.VIDEO, Modality.IMAGE)
        rows = [NewSegment(asset, ref.id, n, float(n), n + 1.0, None) for n in range(3)]
        return asset, space, segments.insert_pending(connection, rows)


def test_only_ready_segments_are_joined_and_ids_come_in_order(catalog: Catalog) -> None:
    asset, space, ids = _segment(catalog)
    assert ids == sorted(ids)
    with catalog.write() as connection:
        assert segments.join(connection, ids) == {}
        segments.mark_ready(connection, asset, space)
        rows = segments.join(connection, ids)
        assert [rows[i].start_s for i in ids] == [0.0, 1.0, 2.0]
        assert {row.modality for row in rows.values()} == {Modality.VIDEO}
        segments.mark_asset_deleting(connection, asset)
        assert segments.join(connection, ids) == {}


def test_new_segments_replace_the_old_ones_at_once(catalog: Catalog) -> None:
    asset, space, old = _segment(catalog)
    with catalog.write() as connection:
        segments.mark_ready(connection, asset, space)
        (ref,) = spaces.collections_of(connection, space)
        new = segments.insert_pending(connection, [NewSegment(asset, ref.id, 0, None, None, "x")])
        segments.mark_ready(connection, asset, space)
        assert sorted(segments.join(connection, old + new)) == new
        assert [pair[0] for pair in segments.unsettled(connection, SegmentState.DELETING)] == old


def test_an_id_is_never_used_twice(catalog: Catalog) -> None:
    asset, _, ids = _segment(catalog)
    with catalog.write() as connection:
        segments.mark_asset_deleting(connection, asset)
        segments.delete_segments(connection, ids)
        assets.delete_assets(connection, [asset])
    _, _, again = _segment(catalog)
    assert min(again) > max(ids)


def test_an_asset_with_segments_is_not_deleted(catalog: Catalog) -> None:
    asset, _, _ = _segment(catalog)
    with catalog.write() as connection:
        assets.delete_assets(connection, [asset])
        assert assets.ids_under(connection, "/r") == [asset]


def test_failures_are_listed_until_they_succeed(catalog: Catalog) -> None:
    asset, space, _ = _segment(catalog)
    row = {"asset_id": asset, "content_hash": None, "recipe": "r"}
    with catalog.write() as connection:
        assets.set_embeddings(
            connection, space, [{**row, "state": EmbeddingState.FAILED.value, "error": "torn"}]
        )
        assert [(f.path, f.reason) for f in assets.failures(connection)] == [("/r/1", "torn")]
        assets.set_embeddings(
            connection, space, [{**row, "state": EmbeddingState.READY.value, "error": None}]
        )
        assert assets.failures(connection) == []


def test_collections_of_a_video_are_two(catalog: Catalog) -> None:
    with catalog.write() as connection:
        space = spaces.ensure_space(connection, SPACE)
        for encoded_as in (Modality.IMAGE, Modality.AUDIO, Modality.IMAGE):
            spaces.ensure_collection(connection, space, SPACE, Modality.VIDEO, encoded_as)
        names = [ref.name for ref in spaces.collections_of(connection, space)]
    assert [name.rsplit(".", 1)[-1] for name in names] == ["video-image", "video-audio"]


def test_a_killed_run_is_told_from_a_running_one(catalog: Catalog) -> None:
    with catalog.write() as connection:
        space = spaces.ensure_space(connection, SPACE)
        runs.start_run(connection, space, ["/r"])
        second = runs.start_run(connection, space, ["/r"])
        runs.end_run(connection, second, RunState.DONE, {"new": 3})
        latest, killed = runs.recent_runs(connection)
    assert (latest.state, latest.counts) == (RunState.DONE, {"new": 3})
    assert (killed.state, killed.ended_at) == (RunState.INTERRUPTED, None)


def _queue(catalog: Catalog, *paths: str) -> int:
    with catalog.write() as connection:
        space = spaces.ensure_space(connection, SPACE)
        jobs.enqueue(connection, space, [NewJob(path, 5, 7) for path in paths])
    return space


def test_a_job_is_given_to_one_worker_until_its_lease_ends(catalog: Catalog) -> None:
    space = _queue(catalog, "/r/1", "/r/2", "/r/3")
    with catalog.write() as connection:
        first = jobs.claim_jobs(connection, space, "a", 2, 60)
        second = jobs.claim_jobs(connection, space, "b", 2, 60)
        assert [job.path for job in first + second] == ["/r/1", "/r/2", "/r/3"]
        assert jobs.claim_jobs(connection, space, "c", 2, 60) == []
        jobs.renew_leases(connection, "a", -1)
        (one, two) = jobs.claim_jobs(connection, space, "c", 9, 60)
        assert [(job.path, job.attempts) for job in (one, two)] == [("/r/1", 2), ("/r/2", 2)]
        assert jobs.finish_jobs(connection, [one.id, two.id], "a") == set()
        assert jobs.held_jobs(connection, [one.id, two.id], "c") == {one.id, two.id}
        assert jobs.finish_jobs(connection, [one.id], "c") == {one.id}
        assert jobs.count_jobs(connection, space) == 2
        assert jobs.count_jobs(connection, space, not_of="c") == 1


def test_a_file_waits_once_and_a_released_one_waits_again(catalog: Catalog) -> None:
    space = _queue(catalog, "/r/1")
    _queue(catalog, "/r/1", "/r/2")
    with catalog.write() as connection:
        assert len(jobs.claim_jobs(connection, space, "a", 9, 60)) == 2
        jobs.enqueue(connection, space, [NewJob("/r/1", 6, 8)])
        jobs.release_jobs(connection, space, "a")
        again = jobs.claim_jobs(connection, space, "b", 9, 60)
    assert [(job.path, job.size_bytes, job.attempts) for job in again] == [("/r/1", 5, 1), ("/r/2", 5, 1)]


def test_a_released_job_leaves_nothing_half_recorded(catalog: Catalog) -> None:
    _, space, ids = _segment(catalog)
    _queue(catalog, "/r/1")
    with catalog.write() as connection:
        (job,) = jobs.claim_jobs(connection, space, "a", 9, 60)
        assert job.known is not None
        jobs.release_jobs(connection, space, "a")
        assert [pair[0] for pair in segments.unsettled(connection, SegmentState.DELETING)] == ids


def test_clearing_jobs_leaves_other_folders_and_those_at_work(catalog: Catalog) -> None:
    space = _queue(catalog, "/r/1", "/r/2", "/s/3")
    with catalog.write() as connection:
        jobs.claim_jobs(connection, space, "a", 1, 60)
        jobs.clear_jobs(connection, space, ["/r"])
        assert jobs.count_jobs(connection, space) == 2
        jobs.park_jobs(connection, died=False)
        assert jobs.count_jobs(connection, space) == 0


def test_only_new_files_can_be_moves(catalog: Catalog) -> None:
    _segment(catalog)
    space = _queue(catalog, "/r/1", "/r/new")
    with catalog.read() as connection:
        assert [job.path for job in jobs.new_jobs_of_size(connection, space, [5, 9])] == ["/r/new"]
        assert jobs.new_jobs_of_size(connection, space, [9]) == []
