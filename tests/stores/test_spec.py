import sys
from pathlib import Path

import numpy as np
import pytest

from searchkit.errors import DependencyMissing, StoreLocked, UsageError
from searchkit.stores import (
    DEFAULT_STORE,
    STORES,
    delete_collection,
    in_chunks,
    open_collection,
    resolve_store,
)
from searchkit.stores.faiss import gpu
from searchkit.testing import assert_same_hits, unit_rows


def test_the_default_store_is_in_the_table() -> None:
    assert DEFAULT_STORE in STORES
    assert resolve_store("qdrant://localhost:6333").package == "qdrant-client"


@pytest.mark.parametrize("spec", ["", "chroma", "faiss:place", "qdrant://", "qdrant+local:", "Faiss"])
def test_a_spec_that_names_no_store_is_refused(spec: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_collection(spec, root=tmp_path, name="c", dim=4)
    assert repr(spec) in str(caught.value) or spec in str(caught.value)


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a\0b"])
def test_a_name_that_would_leave_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name"):
        open_collection("faiss", root=tmp_path, name=name, dim=4)


def test_a_missing_package_is_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [
        name for name in sys.modules if name.startswith(("qdrant_client", "searchkit.stores.qdrant"))
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    with pytest.raises(DependencyMissing) as caught:
        open_collection(f"qdrant+local:{tmp_path}", root=tmp_path, name="c", dim=4)
    assert caught.value.hint == "pip install 'searchkit[qdrant]'"


@pytest.mark.parametrize("scheme", ["faiss", "exact", "qdrant+local"])
def test_a_deleted_collection_is_empty_when_opened_again(scheme: str, tmp_path: Path) -> None:
    if scheme == "qdrant+local":
        pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    spec = f"{scheme}:{tmp_path / 'qdrant'}" if STORES[scheme].takes_place else scheme
    delete_collection(spec, root=tmp_path, name="a")
    for name in ("a", "b"):
        store = open_collection(spec, root=tmp_path, name=name, dim=4)
        store.upsert([1, 2], unit_rows(2, 4))
        store.close()
    delete_collection(spec, root=tmp_path, name="a")
    store = open_collection(spec, root=tmp_path, name="a", dim=4)
    assert len(store) == 0
    store.close()
    other = open_collection(spec, root=tmp_path, name="b", dim=4)
    assert len(other) == (0 if scheme == "exact" else 2)
    other.close()


def test_a_collection_that_is_being_written_cannot_be_deleted(tmp_path: Path) -> None:
    store = open_collection("faiss", root=tmp_path, name="a", dim=4)
    with pytest.raises(StoreLocked):
        delete_collection("faiss", root=tmp_path, name="a")
    store.upsert([1], unit_rows(1, 4))
    store.close()


def test_chunks_hold_all_rows_once_in_order(tmp_path: Path) -> None:
    store = open_collection("faiss", root=tmp_path, name="a", dim=4)
    ids = np.arange(50) * 3
    store.upsert(ids[::-1], unit_rows(50, 4))
    chunks = list(in_chunks(store, 7))
    assert [len(chunk) for chunk, _ in chunks] == [7] * 7 + [1]
    assert np.concatenate([chunk for chunk, _ in chunks]).tolist() == ids.tolist()
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in chunks]), store.fetch(ids))
    store.close()


def test_without_a_gpu_the_same_files_are_searched_on_the_cpu(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import faiss  # small collections do without until it is loaded

    assert faiss
    gpu.gpu_is_there.cache_clear()
    if gpu.gpu_is_there():
        pytest.skip("this machine has a GPU")
    gpu.gpu_is_there.cache_clear()
    caplog.clear()
    store = open_collection("faiss", root=tmp_path, name="a", dim=4)
    store.upsert(range(5000), unit_rows(5000, 4))
    expected = store.search(unit_rows(2, 4, seed=1), 5)
    store.close()
    store = open_collection("faiss+gpu", root=tmp_path, name="a", dim=4, read_only=True)
    assert_same_hits(store.search(unit_rows(2, 4, seed=1), 5), expected)
    assert "searching on the CPU" in caplog.text
    store.close()
