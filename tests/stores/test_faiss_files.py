import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import faiss
import numpy as np
import pytest

from searchkit.errors import DiskFull, StoreCorrupt, StoreError
from searchkit.stores.exact import ExactStore
from searchkit.stores.faiss import FaissStore, Tuning
from searchkit.testing import assert_same_hits, unit_rows

DIM = 32
SMALL = Tuning(seal=64, tier=3)
CODED = Tuning(seal=500, exact=1000, coded=1000, exact_allowed=100)


def clustered(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((40, DIM))
    rows = centres[random.integers(0, 40, count)] + 0.7 * random.standard_normal((count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def filled(folder: Path, count: int, tuning: Tuning, step: int = 40) -> FaissStore:
    store = FaissStore(folder, DIM, tuning=tuning)
    rows = clustered(count)
    for start in range(0, count, step):
        store.upsert(range(start, min(start + step, count)), rows[start : start + step])
    return store


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


def the(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[-1]


@contextmanager
def files_limited_to(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_faiss_reads_a_rows_file_as_it_is(tmp_path: Path) -> None:
    filled(tmp_path, 64, SMALL).close()
    index = faiss.read_index(str(the(tmp_path, "*.rows")), faiss.IO_FLAG_MMAP_IFC)
    np.testing.assert_allclose(index.reconstruct_n(0, 64), clustered(64), atol=1e-3)
    assert index.metric_type == faiss.METRIC_INNER_PRODUCT


def test_a_small_search_imports_neither_faiss_nor_torch(tmp_path: Path) -> None:
    filled(tmp_path, 100, SMALL).close()
    program = (
        "import sys, numpy as np; from pathlib import Path; from searchkit.stores import open_collection\n"
        f"root, name = Path({str(tmp_path.parent)!r}), {tmp_path.name!r}\n"
        f"store = open_collection('faiss', root=root, name=name, dim={DIM}, read_only=True)\n"
        f"print(store.search(np.ones((1, {DIM}), np.float32), 3))\n"
        "assert not {'faiss', 'torch', 'qdrant_client'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Hit(") == 3


def test_many_segments_become_few_and_nothing_changes(tmp_path: Path) -> None:
    store = filled(tmp_path, 2000, SMALL)
    oracle = ExactStore(DIM, dtype=np.float16)
    oracle.upsert(range(2000), clustered(2000))
    store.delete(range(100, 700, 3))
    oracle.delete(range(100, 700, 3))
    store.close()
    store = FaissStore(tmp_path, DIM, read_only=True)
    assert store.describe().segments <= 12
    assert_same_hits(store.search(clustered(20, 5), 15), oracle.search(clustered(20, 5), 15))
    assert store.verify().problems == ()
    store.close()


def test_compacting_leaves_one_segment_without_dead_rows(tmp_path: Path) -> None:
    store = filled(tmp_path, 500, SMALL)
    store.delete(range(0, 500, 2))
    before = store.search(clustered(9, 5), 7)
    store.compact()
    assert (store.describe().segments, store.describe().rows) == (1, 250)
    assert len(the(tmp_path, "*.ids").read_bytes()) == 8 * 250
    assert_same_hits(store.search(clustered(9, 5), 7), before)
    assert not list(tmp_path.glob("*.dead-*"))
    store.close()


def test_merging_keeps_rows_that_lie_between_each_other(tmp_path: Path) -> None:
    tuning = Tuning(seal=2000, tier=100)
    store = FaissStore(tmp_path, DIM, tuning=tuning)
    rows = clustered(4000)
    chosen = np.random.default_rng(2).permutation(4000)
    for part in (chosen[:2000], chosen[2000:]):
        store.upsert(part, rows[part])
    store.delete(range(1000, 2500, 7))
    store.compact()
    kept = np.setdiff1d(np.arange(4000), np.arange(1000, 2500, 7))
    assert store.describe().segments == 1
    assert store.ids().tolist() == kept.tolist()
    assert np.array_equal(store.fetch(kept), rows[kept].astype(np.float16).astype(np.float32))
    store.close()


def test_codes_lie_on_disk_as_faiss_writes_them(tmp_path: Path) -> None:
    store = filled(tmp_path, 5000, CODED)
    store.compact()
    store.close()
    index = faiss.read_index(str(the(tmp_path, "*.codes")))
    assert index.ntotal == 5000
    assert faiss.serialize_index(index).tobytes() == the(tmp_path, "*.codes").read_bytes()


def test_codes_find_nearly_all_and_score_exactly(tmp_path: Path) -> None:
    store = filled(tmp_path, 12_000, CODED, step=400)
    store.close()
    store = FaissStore(tmp_path, DIM, read_only=True, tuning=CODED)
    report = store.describe()
    assert report.coded > 0.7 * report.rows
    oracle = ExactStore(DIM, dtype=np.float16)
    oracle.upsert(range(12_000), clustered(12_000))
    queries = clustered(50, 8)
    for allowed in (None, np.arange(0, 12_000, 2), np.arange(0, 12_000, 10)):
        found = store.search(queries, 10, among=allowed)
        true = oracle.search(queries, 10, among=allowed)
        shared = [
            len({hit.id for hit in a} & {hit.id for hit in b}) for a, b in zip(found, true, strict=True)
        ]
        assert sum(shared) >= 0.98 * 500
        scores = {hit.id: hit.score for hit in true[0]}
        for hit in found[0]:
            if hit.id in scores:
                assert hit.score == pytest.approx(scores[hit.id], abs=2e-6)
            assert allowed is None or hit.id in allowed
    store.close()


def test_deleted_rows_never_come_from_codes(tmp_path: Path) -> None:
    store = filled(tmp_path, 6000, CODED, step=400)
    store.compact()
    assert store.describe().coded == 6000
    queries = clustered(20, 8)
    gone = {hit.id for hits in store.search(queries, 5) for hit in hits}
    store.delete(sorted(gone))
    assert not gone & {hit.id for hits in store.search(queries, 50) for hit in hits}
    store.close()


def test_damaged_bytes_are_found_and_named(tmp_path: Path) -> None:
    filled(tmp_path, 300, SMALL).close()
    for pattern in ("*.rows", "*.ids"):
        path = the(tmp_path, pattern)
        flip(path, -3)
        store = FaissStore(tmp_path, DIM, read_only=True)
        problems = store.verify().problems
        assert any(path.name in problem and "checksum" in problem for problem in problems)
        store.close()
        flip(path, -3)
    store = FaissStore(tmp_path, DIM, read_only=True)
    assert store.verify().ok
    store.close()


def test_a_truncated_or_missing_file_is_said_at_opening(tmp_path: Path) -> None:
    filled(tmp_path, 300, SMALL).close()
    path = the(tmp_path, "*.rows")
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(StoreCorrupt, match=path.name):
        FaissStore(tmp_path, DIM)
    path.unlink()
    for read_only in (True, False):
        with pytest.raises(StoreCorrupt, match=path.name):
            FaissStore(tmp_path, DIM, read_only=read_only)
    path.write_bytes(content)
    store = FaissStore(tmp_path, DIM)
    assert len(store) == 300
    store.close()


def test_a_damaged_manifest_is_said_and_a_later_format_refused(tmp_path: Path) -> None:
    filled(tmp_path, 100, SMALL).close()
    path = tmp_path / "manifest.json"
    content = path.read_text()
    for damaged in ("", content[:50], content.replace('"dim": 32', '"dim": 33')):
        path.write_text(damaged)
        with pytest.raises(StoreCorrupt, match=r"manifest\.json"):
            FaissStore(tmp_path, DIM)
    path.write_text(content.replace('"format": 1', '"format": 2'))
    with pytest.raises(StoreError, match="format 2") as caught:
        FaissStore(tmp_path, DIM)
    assert "upgrade" in caught.value.hint
    path.unlink()
    with pytest.raises(StoreCorrupt, match=r"manifest\.json"):
        FaissStore(tmp_path, DIM)


def test_damaged_codes_cost_speed_and_no_answers_and_are_made_anew(tmp_path: Path) -> None:
    store = filled(tmp_path, 3000, CODED, step=400)
    store.compact()
    queries = clustered(10, 8)
    expected = store.search(queries, 10)
    store.close()
    path = the(tmp_path, "*.codes")
    path.write_bytes(b"nonsense")
    store = FaissStore(tmp_path, DIM, tuning=CODED)
    assert_same_hits(store.search(queries, 10), expected)
    assert any(path.name in problem for problem in store.verify(repair=True).problems)
    store.close()
    store = FaissStore(tmp_path, DIM, tuning=CODED)
    assert store.verify().ok
    assert store.describe().coded == 3000
    assert_same_hits(store.search(queries, 10), expected)
    store.close()


def test_a_torn_write_is_dropped_and_a_damaged_one_said(tmp_path: Path) -> None:
    store = filled(tmp_path, 10, SMALL, step=1)
    store.close()
    log = the(tmp_path, "log-*")
    content = log.read_bytes()
    log.write_bytes(content[:-7])
    store = FaissStore(tmp_path, DIM)
    assert store.ids().tolist() == list(range(9))
    store.upsert([9], clustered(10)[9:])
    store.flush()
    store.upsert([10], clustered(1))
    store.close()
    # the record that follows it says that this one had reached the disk
    flip(log, len(content) - 7)
    for read_only in (True, False):
        with pytest.raises(StoreCorrupt, match=log.name):
            FaissStore(tmp_path, DIM, read_only=read_only)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    store = filled(tmp_path, 50, SMALL)
    store.flush()
    log = the(tmp_path, "log-*")
    with files_limited_to(log.stat().st_size + 100), pytest.raises(DiskFull, match="no space left"):
        store.upsert(range(50, 60), clustered(10))
    assert store.ids().tolist() == list(range(50))
    # many at once do not go through the log
    with files_limited_to(2000), pytest.raises(DiskFull):
        store.upsert(range(100, 200), clustered(100))
    assert store.ids().tolist() == list(range(50))
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]
    store.upsert(range(100, 200), clustered(100))
    store.close()
    store = FaissStore(tmp_path, DIM)
    assert store.ids().tolist() == [*range(50), *range(100, 200)]
    store.close()


def test_leftovers_of_a_killed_writer_are_swept_and_other_files_are_not(tmp_path: Path) -> None:
    filled(tmp_path, 100, SMALL).close()
    left = [tmp_path / name for name in ("seg-00009999.rows", ".seg-1.rows.x.tmp", "log-77777777")]
    for path in [*left, tmp_path / "notes.txt"]:
        path.write_bytes(b"x")
    FaissStore(tmp_path, DIM).close()
    assert not [path for path in left if path.exists()]
    assert (tmp_path / "notes.txt").exists()


def test_a_reader_keeps_answering_while_segments_are_merged_away(tmp_path: Path) -> None:
    store = filled(tmp_path, 1000, SMALL)
    reader = FaissStore(tmp_path, DIM, read_only=True, tuning=SMALL)
    queries = clustered(3, 8)
    expected = reader.search(queries, 5)
    for _ in range(3):
        store.upsert(range(2000, 2200), unit_rows(200, DIM))
        store.delete(range(2000, 2200))
        store.compact()
        assert_same_hits(reader.search(queries, 5), expected)
    assert len(list(tmp_path.iterdir())) < 8
    store.close()
    reader.close()


GRAPHED = Tuning(seal=500, exact=1000, coded=1000, exact_allowed=100, graph=4000)


def test_a_graph_takes_over_by_itself_and_codes_serve_selective_searches(tmp_path: Path) -> None:
    store = filled(tmp_path, 6000, GRAPHED, step=400)
    store.compact()
    assert (store.describe().graphed, store.describe().coded) == (6000, 6000)
    store.delete(range(0, 6000, 7))
    store.upsert(range(6000, 6100), clustered(100, 3))
    oracle = ExactStore(DIM, dtype=np.float16)
    oracle.upsert(range(6000), clustered(6000))
    oracle.delete(range(0, 6000, 7))
    oracle.upsert(range(6000, 6100), clustered(100, 3))
    store.close()
    store = FaissStore(tmp_path, DIM, read_only=True, tuning=GRAPHED)
    queries = clustered(50, 8)
    for allowed in (None, np.arange(0, 6000, 20), np.arange(0, 6000, 2)):
        found = store.search(queries, 10, among=allowed)
        true = oracle.search(queries, 10, among=allowed)
        shared = [
            len({hit.id for hit in a} & {hit.id for hit in b}) for a, b in zip(found, true, strict=True)
        ]
        assert sum(shared) >= 0.98 * 500
        assert not any(hit.id % 7 == 0 for hits in found for hit in hits if hit.id < 6000)
    assert store.verify().ok
    store.close()


def test_files_of_format_1_are_read_and_written_on(tmp_path: Path) -> None:
    """The files were written by searchkit 0.1.0: sealed, masked and coded segments, and a log with a tail."""
    old = Path(__file__).parent / "files"
    expected = np.load(old / "faiss-1.npz")
    folder = tmp_path / "c"
    shutil.copytree(old / "faiss-1", folder)
    for read_only in (True, False):
        store = FaissStore(folder, 16, read_only=read_only)
        assert store.verify().problems == ()
        assert store.ids().tolist() == expected["ids"].tolist()
        np.testing.assert_array_equal(store.fetch(expected["ids"]), expected["rows"].astype(np.float32))
        hits = store.search(expected["rows"].astype(np.float32), 1)
        assert [found[0].id for found in hits] == expected["ids"].tolist()
        store.close()
    store = FaissStore(folder, 16)
    store.upsert([9000], unit_rows(1, 16, seed=11))
    store.compact()
    assert len(store) == len(expected["ids"]) + 1
    assert store.verify().ok
    store.close()
