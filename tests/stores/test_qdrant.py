import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("qdrant_client", reason="needs the extra qdrant")

from qdrant_client import models

from searchkit.errors import InvalidFilter, StoreError, UsageError
from searchkit.stores import delete_collection, open_collection
from searchkit.stores.conditions import AllOf, AnyOf, Between, Not, OneOf
from searchkit.stores.qdrant import QdrantStore
from searchkit.stores.qdrant.opening import switch_alias
from searchkit.stores.qdrant.settings import parse_spec
from searchkit.testing import StoreContract, assert_same_hits, unit_rows
from searchkit.types import VectorStore

from .qdrant_server import QdrantServer

DIM = 8
# read when this file is: tests run without any setting of searchkit's
REAL = os.environ.get("SEARCHKIT_TEST_QDRANT_URL", "")
_ADDRESS = "QDRANT_TEST_ADDRESS"


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[QdrantServer]:
    made = QdrantServer()
    # read by processes that a test starts, too
    os.environ[_ADDRESS] = (REAL or f"qdrant://127.0.0.1:{made.port}").rstrip("/")
    yield made
    del os.environ[_ADDRESS]
    made.close()


@pytest.fixture
def spec(tmp_path: Path, server: QdrantServer) -> str:
    server.requests.clear()
    return f"qdrant://127.0.0.1:{server.port}/{tmp_path.name}"


def opened(spec: str, *, read_only: bool = False) -> QdrantStore:
    store = open_collection(spec, root=Path(), name="c", dim=DIM, read_only=read_only)
    assert isinstance(store, QdrantStore)
    return store


class TestQdrantLocal(StoreContract):
    row_dtype = np.float32
    shared = False

    def open_store(self, place: Path, dim: int, *, read_only: bool = False) -> VectorStore:
        return open_collection(f"qdrant+local:{place}", root=place, name="c", dim=dim, read_only=read_only)


class TestQdrantServer(StoreContract):
    """Over REST: against a real server when SEARCHKIT_TEST_QDRANT_URL names one (qdrant://HOST:PORT)."""

    one_writer = False

    def open_store(self, place: Path, dim: int, *, read_only: bool = False) -> VectorStore:
        prefix = hashlib.sha256(str(place).encode()).hexdigest()[:12]
        spec = f"{os.environ[_ADDRESS]}/test-{prefix}"
        return open_collection(spec, root=place, name="c", dim=dim, read_only=read_only)


def test_a_collection_is_made_as_the_settings_say(spec: str, server: QdrantServer) -> None:
    opened(f"{spec}?shards=3&replicas=2&write_consistency=2&quantization=binary").close()
    made = server.created[f"{spec.rpartition('/')[2]}-c"]
    assert (made.shard_number, made.replication_factor, made.write_consistency_factor) == (3, 2, 2)
    assert isinstance(made.vectors, models.VectorParams)
    assert (made.vectors.size, made.vectors.distance) == (DIM, models.Distance.DOT)
    assert (made.vectors.datatype, made.vectors.on_disk) == (models.Datatype.FLOAT16, True)
    assert isinstance(made.quantization_config, models.BinaryQuantization)
    indexed = [request for request in server.requests if "/index" in request]
    assert len(indexed) > 8


def test_many_who_open_a_new_collection_at_once_share_it(spec: str) -> None:
    start, stores = threading.Barrier(4), []

    def work() -> None:
        start.wait()
        stores.append(opened(spec))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores) == 4
    stores[0].upsert([1], unit_rows(1, DIM))
    for store in stores:
        assert store.ids().tolist() == [1]
        store.close()


def test_searches_rescore_what_quantization_found(spec: str, server: QdrantServer) -> None:
    store = opened(f"{spec}?oversampling=4&ef=99")
    store.upsert([1, 2], unit_rows(2, DIM))
    store.search(unit_rows(1, DIM), 1, among=[2, 5])
    asked = server.bodies["QueryRequestBatch"].searches[0]
    assert asked.params.hnsw_ef == 99
    assert (asked.params.quantization.rescore, asked.params.quantization.oversampling) == (True, 4)
    assert asked.filter.must[0].has_id == [2, 5]
    store.close()


def test_rows_go_in_batches(spec: str, server: QdrantServer) -> None:
    store = opened(f"{spec}?batch_rows=10")
    store.upsert(range(35), unit_rows(35, DIM))
    sent = [request for request in server.requests if request.startswith("PUT") and "/points?" in request]
    assert len(sent) == 4
    assert all("wait=true" in request for request in sent)
    assert len(store) == 35
    store.close()


@pytest.mark.parametrize(
    "failures",
    [[(503, {})] * 2, [(429, {"Retry-After": "0"})], [(504, {}), (502, {})]],
    ids=["unavailable", "asked to wait", "gateway"],
)
def test_a_busy_server_is_asked_again(
    spec: str, server: QdrantServer, failures: list[tuple[int, dict[str, str]]]
) -> None:
    store = opened(spec)
    server.failures += failures
    store.upsert([1], unit_rows(1, DIM))
    assert server.failures == []
    assert store.ids().tolist() == [1]
    store.close()


def test_a_refusal_is_not_repeated_and_says_what_the_server_said(spec: str, server: QdrantServer) -> None:
    store = opened(spec)
    server.failures += [(403, {}), (200, {})]
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:\d+: 403 .*busy"):
        store.upsert([1], unit_rows(1, DIM))
    assert server.failures == [(200, {})]
    server.failures.clear()
    store.close()


def test_an_absent_server_is_named_with_what_to_check() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match=f"127.0.0.1:{port}") as caught:
            opened(f"qdrant://127.0.0.1:{port}?tries=2&timeout_s=1")
    assert "server runs" in caught.value.hint


def test_the_key_comes_from_the_environment(
    spec: str, server: QdrantServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHKIT_QDRANT_API_KEY", "secret-42")
    with pytest.warns(UserWarning, match="insecure"):
        opened(spec).close()
    assert server.headers["api-key"] == "secret-42"


@pytest.mark.parametrize("scheme", ["local", "server"])
def test_fields_are_kept_and_filtered_by(scheme: str, spec: str, tmp_path: Path) -> None:
    store = opened(f"qdrant+local:{tmp_path}" if scheme == "local" else spec)
    rows = unit_rows(6, DIM)
    store.upsert(range(6), rows)
    store.set_fields(
        range(6),
        [{"mime": "jpg" if id_ % 2 else "png", "width_px": 100 * id_, "tag": ["a"]} for id_ in range(5)]
        + [{"mime": "gif"}],
    )

    def found(condition: object) -> list[int]:
        return sorted(hit.id for hit in store.search_where(rows[:1], 10, condition)[0])

    assert found(OneOf("mime", ("jpg",))) == [1, 3]
    assert found(OneOf("mime", ("jpg", "gif"))) == [1, 3, 5]
    assert found(OneOf("tag", ("a",))) == [0, 1, 2, 3, 4]
    assert found(Not(OneOf("tag", ("a",)))) == [5]
    assert found(Between("width_px", 100, 300)) == [1, 2, 3]
    assert found(Between("width_px", 100, 300, strictly=True)) == [2]
    assert found(AllOf((OneOf("mime", ("png",)), Between("width_px", least=200)))) == [2, 4]
    assert found(AnyOf((OneOf("mime", ("gif",)), Between("width_px", most=0)))) == [0, 5]
    store.upsert([1], rows[1:2])
    assert found(OneOf("mime", ("jpg",))) == [3]
    with pytest.raises(InvalidFilter, match="colour"):
        store.set_fields([1], [{"colour": "red"}])
    with pytest.raises(InvalidFilter, match="mime"):
        Between("mime", 1, 2)
    store.close()


def test_an_alias_switches_to_another_collection_at_once(spec: str) -> None:
    for name, seed in (("old", 1), ("new", 2)):
        store = open_collection(spec, root=Path(), name=name, dim=DIM)
        store.upsert([seed], unit_rows(1, DIM, seed=seed))
        store.close()
    for name, expected in (("old", [1]), ("new", [2])):
        switch_alias(spec, alias="c", name=name)
        store = opened(spec, read_only=True)
        assert store.ids().tolist() == expected
        store.close()
    with pytest.raises(StoreError, match="nowhere"):
        switch_alias(spec, alias="c", name="nowhere")


def test_verify_reads_all_rows(spec: str, server: QdrantServer) -> None:
    store = opened(f"{spec}?batch_rows=7")
    store.upsert(range(30), unit_rows(30, DIM))
    report = store.verify()
    assert (report.rows, report.ok) == (30, True)
    name = f"{spec.rpartition('/')[2]}-c"
    server.client.upsert(name, [models.PointStruct(id=99, vector=[3.0] * DIM)])
    assert "99" in store.verify().problems[0]
    store.close()


def test_libraries_of_one_server_do_not_meet(spec: str) -> None:
    store = opened(spec)
    store.upsert([1], unit_rows(1, DIM))
    other = opened(f"{spec}-other")
    assert len(other) == 0
    delete_collection(f"{spec}-other", root=Path(), name="c")
    assert_same_hits(store.search(unit_rows(1, DIM), 1), store.search(unit_rows(1, DIM), 1))
    other.close()
    store.close()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("qdrant://h:port", "port"),
        ("qdrant://user:word@h", "API_KEY"),
        ("qdrant://h?colour=red", "colour"),
        ("qdrant://h?shards=two", "number"),
        ("qdrant://h?shards=0", "at least 1"),
        ("qdrant://h?grpc=perhaps", "true or false"),
        ("qdrant://h?quantization=ternary", "ternary"),
        ("qdrant://h?write_consistency=2", "replicas"),
    ],
)
def test_a_bad_spec_says_what_is_wrong(spec: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_spec(spec)
    assert message in str(caught.value) + caught.value.hint


def test_a_spec_is_read_whole() -> None:
    settings = parse_spec("qdrants://Example.org/a/b?grpc=true&grpc_port=7334&tries=2")
    assert (settings.host, settings.port, settings.tls, settings.prefix) == ("example.org", 6333, True, "a-b")
    assert (settings.grpc, settings.grpc_port, settings.tries, settings.local) == (True, 7334, 2, False)
