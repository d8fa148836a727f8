"""What every VectorStore does, as a pytest class."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from searchkit.errors import DimensionMismatch, InvalidVector, StoreError, StoreLocked, UnknownId, UsageError
from searchkit.stores.exact import ExactStore
from searchkit.types import FloatArray, Hit, VectorStore

__all__ = ["StoreContract", "assert_same_hits", "unit_rows"]

DIM = 24
_SPAWN = multiprocessing.get_context("spawn")


def unit_rows(count: int, dim: int = DIM, *, seed: int = 0) -> FloatArray:
    """Random unit rows (count, dim) float32, the same for the same seed."""
    rows = np.random.default_rng(seed).standard_normal((count, dim))
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def assert_same_hits(actual: Sequence[Sequence[Hit]], expected: Sequence[Sequence[Hit]]) -> None:
    """Two answers agree: the same ids in the same order, scores equal to float32 rounding."""
    assert [[hit.id for hit in hits] for hits in actual] == [[hit.id for hit in hits] for hits in expected]
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(
            [hit.score for hit in ours], [hit.score for hit in theirs], rtol=0, atol=2e-6
        )


class StoreContract:
    """What every VectorStore does; it agrees in value and order with the exact one.

    Attributes:
        row_dtype: what the store rounds rows to.
        persistent: rows are there again when the same place is opened anew.
        shared: other processes may read while one writes.
        one_writer: a second writer is refused.
    """

    row_dtype: ClassVar[npt.DTypeLike] = np.float16
    persistent: ClassVar[bool] = True
    shared: ClassVar[bool] = True
    one_writer: ClassVar[bool] = True

    def open_store(self, place: Path, dim: int, *, read_only: bool = False) -> VectorStore:
        """Open the store that lies in the folder ``place``; the same place is the same store."""
        raise NotImplementedError

    def filled(self, place: Path, count: int = 50) -> tuple[VectorStore, ExactStore]:
        """The store and the oracle with the same ``count`` rows, ids 0 to count - 1."""
        store, oracle = self.open_store(place, DIM), ExactStore(DIM, dtype=self.row_dtype)
        for each in (store, oracle):
            each.upsert(range(count), unit_rows(count))
        return store, oracle

    def test_an_empty_store_finds_nothing(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path, DIM)
        assert (store.dim, len(store), store.ids().tolist()) == (DIM, 0, [])
        assert store.search(unit_rows(2), 3) == [[], []]
        assert store.fetch([]).shape == (0, DIM)
        store.upsert([], np.empty((0, DIM), dtype=np.float32))
        store.delete([])
        store.flush()
        assert store.search(np.empty((0, DIM), dtype=np.float32), 3) == []
        store.close()

    def test_fetch_gives_rows_in_the_order_asked(self, tmp_path: Path) -> None:
        store, oracle = self.filled(tmp_path)
        wanted = [31, 2, 31, 49, 0]
        rows = store.fetch(wanted)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(rows, oracle.fetch(wanted), rtol=0, atol=1e-6)
        with pytest.raises(UnknownId, match="77"):
            store.fetch([3, 77])
        store.close()

    def test_upsert_replaces_and_may_be_repeated(self, tmp_path: Path) -> None:
        store, oracle = self.filled(tmp_path)
        fresh = unit_rows(20, seed=1)
        for _ in range(2):
            store.upsert(range(10, 30), fresh)
        oracle.upsert(range(10, 30), fresh)
        assert len(store) == 50
        assert_same_hits(store.search(fresh[:3], 50), oracle.search(fresh[:3], 50))
        store.close()

    def test_of_equal_ids_in_one_upsert_the_last_counts(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path, DIM)
        rows = unit_rows(4)
        store.upsert([7, 3, 7, 7], rows)
        assert store.ids().tolist() == [3, 7]
        np.testing.assert_allclose(store.fetch([7, 3]), rows[[3, 1]], rtol=0, atol=1e-3)
        store.close()

    def test_deleted_rows_are_gone_and_unknown_ones_are_fine(self, tmp_path: Path) -> None:
        store, oracle = self.filled(tmp_path)
        store.delete([5, 17, 4000, 5])
        store.delete([17])
        oracle.delete([5, 17])
        assert len(store) == 48
        assert store.ids().tolist() == oracle.ids().tolist()
        assert_same_hits(store.search(unit_rows(3, seed=9), 48), oracle.search(unit_rows(3, seed=9), 48))
        with pytest.raises(UnknownId):
            store.fetch([17])
        store.upsert([17], unit_rows(1, seed=3))
        assert store.search(unit_rows(1, seed=3), 1)[0][0].id == 17
        store.close()

    def test_agrees_with_the_oracle_through_many_writes(self, tmp_path: Path) -> None:
        store, oracle = self.filled(tmp_path)
        random = np.random.default_rng(5)
        for step in range(40):
            ids = random.integers(0, 300, size=random.integers(1, 30)).tolist()
            if random.random() < 0.3:
                store.delete(ids)
                oracle.delete(ids)
            else:
                rows = unit_rows(len(ids), seed=step)
                store.upsert(ids, rows)
                oracle.upsert(ids, rows)
            if step % 4 == 0:
                store.flush()
                queries, allowed = unit_rows(3, seed=1000 + step), random.integers(0, 300, size=60).tolist()
                assert_same_hits(store.search(queries, 10), oracle.search(queries, 10))
                assert_same_hits(
                    store.search(queries, 10, among=allowed), oracle.search(queries, 10, among=allowed)
                )
        assert store.ids().tolist() == oracle.ids().tolist()
        store.close()

    def test_equal_scores_come_in_ascending_order_of_id(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path, DIM)
        row, other = unit_rows(2)
        store.upsert([9, 4, 12, 1, 7], np.stack([row, row, other, row, row]))
        store.upsert([5], row[None])
        assert [hit.id for hit in store.search(row[None], 6)[0]] == [1, 4, 5, 7, 9, 12]
        assert [hit.id for hit in store.search(row[None], 2)[0]] == [1, 4]
        store.close()

    def test_among_is_applied_before_the_best_are_taken(self, tmp_path: Path) -> None:
        store, oracle = self.filled(tmp_path)
        query = oracle.fetch([11])
        worst = [hit.id for hit in oracle.search(query, 50)[0]][-3:]
        everything = list(range(50))
        for allowed in ([], [11], [12], worst, worst * 2, [999], [12, 999], everything, everything[::-1]):
            expected = oracle.search(query, 10, among=allowed)
            assert_same_hits(store.search(query, 10, among=allowed), expected)
            assert len(expected[0]) == min(10, len(set(allowed) & set(everything)))
        store.close()

    def test_k_larger_than_the_store_gives_all(self, tmp_path: Path) -> None:
        store, oracle = self.filled(tmp_path, 5)
        assert_same_hits(store.search(unit_rows(2, seed=2), 1000), oracle.search(unit_rows(2, seed=2), 1000))
        with pytest.raises(UsageError):
            store.search(unit_rows(1), 0)
        store.close()

    def test_a_batch_gives_what_single_queries_give(self, tmp_path: Path) -> None:
        store, _ = self.filled(tmp_path, 200)
        queries = unit_rows(33, seed=8)
        alone = [store.search(query[None], 7)[0] for query in queries]
        assert_same_hits(store.search(queries, 7), alone)
        store.close()

    def test_a_query_may_have_any_length_but_zero(self, tmp_path: Path) -> None:
        store, oracle = self.filled(tmp_path)
        for factor in (1e-3, 5.0):
            query = unit_rows(1, seed=4) * np.float32(factor)
            actual, expected = store.search(query, 5)[0], oracle.search(query, 5)[0]
            assert [hit.id for hit in actual] == [hit.id for hit in expected]
            np.testing.assert_allclose(
                [hit.score for hit in actual], [hit.score for hit in expected], rtol=1e-5, atol=2e-6 * factor
            )
        for bad in (np.zeros((1, DIM), np.float32), np.full((1, DIM), np.nan, np.float32)):
            with pytest.raises(InvalidVector):
                store.search(bad, 5)
        store.close()

    def test_bad_rows_are_refused_whole(self, tmp_path: Path) -> None:
        store, _ = self.filled(tmp_path, 3)
        for bad in (np.nan, np.inf, 7.0):
            rows = unit_rows(2, seed=6)
            rows[1, 0] = bad
            with pytest.raises(InvalidVector, match="row 1"):
                store.upsert([10, 11], rows)
        with pytest.raises(InvalidVector):
            store.upsert([10], np.zeros((1, DIM), dtype=np.float32))
        with pytest.raises(UsageError):
            store.upsert([10, 11], unit_rows(1))
        with pytest.raises(UsageError):
            store.upsert([-1], unit_rows(1))
        assert store.ids().tolist() == [0, 1, 2]
        store.close()

    def test_another_dimension_is_refused(self, tmp_path: Path) -> None:
        store, _ = self.filled(tmp_path, 3)
        with pytest.raises(DimensionMismatch):
            store.upsert([10], unit_rows(1, DIM + 1))
        with pytest.raises(DimensionMismatch):
            store.search(unit_rows(1, DIM - 1), 3)
        with pytest.raises(DimensionMismatch):
            store.search(unit_rows(1)[0], 3)
        assert len(store) == 3
        store.close()
        if self.persistent:
            with pytest.raises(DimensionMismatch):
                self.open_store(tmp_path, DIM + 1)

    def test_large_ids_are_kept_whole(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path, DIM)
        ids = [2**40 + 1, 2**53 - 1, 0]
        store.upsert(ids, unit_rows(3))
        assert store.ids().tolist() == sorted(ids)
        assert store.search(unit_rows(2)[1:], 1)[0][0].id == 2**53 - 1
        store.close()

    def test_a_closed_store_says_so(self, tmp_path: Path) -> None:
        if not self.persistent:
            return
        store, _ = self.filled(tmp_path, 3)
        store.close()
        store.close()
        with pytest.raises(StoreError):
            store.search(unit_rows(1), 1)

    def test_reopening_finds_everything_again(self, tmp_path: Path) -> None:
        if not self.persistent:
            return
        store, oracle = self.filled(tmp_path)
        store.delete([3])
        oracle.delete([3])
        store.close()
        for read_only in (True, False, True):
            store = self.open_store(tmp_path, DIM, read_only=read_only)
            assert store.ids().tolist() == oracle.ids().tolist()
            assert_same_hits(store.search(unit_rows(2, seed=7), 9), oracle.search(unit_rows(2, seed=7), 9))
            store.close()

    def test_read_only_makes_nothing_and_refuses_writes(self, tmp_path: Path) -> None:
        if not self.persistent:
            return
        store = self.open_store(tmp_path, DIM, read_only=True)
        assert (len(store), store.search(unit_rows(1), 3)) == (0, [[]])
        with pytest.raises(UsageError, match="read-only"):
            store.upsert([1], unit_rows(1))
        with pytest.raises(UsageError, match="read-only"):
            store.delete([1])
        store.close()

    def test_threads_search_while_another_writes(self, tmp_path: Path) -> None:
        store, _ = self.filled(tmp_path, 20)
        anchor = unit_rows(20)
        stop, failures = threading.Event(), list[str]()

        def search() -> None:
            while not stop.is_set():
                for row, hits in enumerate(store.search(anchor, 3)):
                    # rows 0 to 19 never change, whatever else comes and goes
                    if hits[0].id != row or len({hit.id for hit in hits}) != 3:
                        failures.append(f"query {row} found {hits}")

        threads = [threading.Thread(target=search) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for step in range(12):
                store.upsert(range(100, 150), unit_rows(50, seed=step + 50))
                store.delete(range(100 + step % 20, 150))
                store.flush()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert failures == []
        store.close()

    def test_a_reader_follows_a_writer(self, tmp_path: Path) -> None:
        if not self.shared:
            return
        reader = self.open_store(tmp_path, DIM, read_only=True)
        writer, oracle = self.filled(tmp_path)
        assert_same_hits(reader.search(unit_rows(2), 9), oracle.search(unit_rows(2), 9))
        writer.delete([0])
        writer.upsert([70], unit_rows(1))
        assert len(reader) == 50
        assert reader.search(unit_rows(1), 1)[0][0].id == 70
        writer.close()
        reader.close()

    def test_a_second_writer_is_refused_and_told_by_whom(self, tmp_path: Path) -> None:
        if not self.one_writer:
            return
        child, pipe = _start(type(self), tmp_path, _hold)
        try:
            assert pipe.recv() == "open"
            with pytest.raises(StoreLocked, match=rf"\b{child.pid}\b"):
                self.open_store(tmp_path, DIM)
        finally:
            child.kill()
            child.join()
        store = self.open_store(tmp_path, DIM)
        store.upsert([1], unit_rows(1))
        store.close()

    def test_a_killed_writer_loses_nothing_that_was_flushed(self, tmp_path: Path) -> None:
        if not self.persistent:
            return
        child, pipe = _start(type(self), tmp_path, _write_on)
        reader = None
        try:
            acknowledged = int(pipe.recv())
            if self.shared:
                reader = self.open_store(tmp_path, DIM, read_only=True)
            end_s = time.monotonic() + 0.4
            while time.monotonic() < end_s or acknowledged < 40:
                acknowledged = int(pipe.recv())
                if reader is not None:
                    # written before it was acknowledged, so a reader of another process sees it
                    assert len(reader) >= acknowledged
        finally:
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()
        while pipe.poll():
            try:
                acknowledged = int(pipe.recv())
            except EOFError:
                break
        if reader is not None:
            reader.close()
        store = self.open_store(tmp_path, DIM)
        ids = store.ids().tolist()
        assert ids[:acknowledged] == list(range(acknowledged))
        assert ids == list(range(len(ids)))
        expected = np.concatenate([unit_rows(1, seed=id_) for id_ in ids[-20:]])
        np.testing.assert_allclose(store.fetch(ids[-20:]), expected, rtol=0, atol=1e-3)
        store.upsert([10**6], unit_rows(1))
        assert len(store) == len(ids) + 1
        store.close()


def _start(
    contract: type[StoreContract], place: Path, what: object
) -> tuple[multiprocessing.context.SpawnProcess, Connection]:
    ours, theirs = _SPAWN.Pipe(duplex=False)
    child = _SPAWN.Process(target=what, args=(contract, place, theirs), daemon=True)  # type: ignore[arg-type]
    child.start()
    theirs.close()
    return child, ours


def _hold(contract: type[StoreContract], place: Path, pipe: Connection) -> None:
    store = contract().open_store(place, DIM)
    pipe.send("open")
    time.sleep(60)
    store.close()


def _write_on(contract: type[StoreContract], place: Path, pipe: Connection) -> None:
    store = contract().open_store(place, DIM)
    for id_ in range(10**5):
        store.upsert([id_], unit_rows(1, seed=id_))
        store.flush()
        pipe.send(id_ + 1)
