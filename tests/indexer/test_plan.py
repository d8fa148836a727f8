"""The plan is a pure function: every file ends in exactly one list, and the right one."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from searchkit.catalog.assets import KnownAsset
from searchkit.catalog.tables import EmbeddingState
from searchkit.indexer.plan import make_plan, match_moves
from searchkit.indexer.scan import Found


def known(path: str, **changes: object) -> KnownAsset:
    values: dict[str, object] = {
        "id": abs(hash(path)),
        "path": path,
        "size_bytes": 5,
        "mtime_ns": 1,
        "content_hash": "aa",
        "state": EmbeddingState.READY,
        "embedded_hash": "aa",
        "recipe": "r",
        "error": None,
    }
    return KnownAsset(**{**values, **changes})  # type: ignore[arg-type]


def plan_one(found: Found | None, asset: KnownAsset | None, **options: object) -> str:
    plan = make_plan([found] if found else [], {asset.path: asset} if asset else {}, recipe="r", **options)
    filled = [name for name in plan.__dataclass_fields__ if getattr(plan, name)]
    assert len(filled) == 1
    return filled[0]


SAME = Found("/a", 5, 1)


def test_each_kind_of_change() -> None:
    assert plan_one(SAME, None) == "new"
    assert plan_one(SAME, known("/a")) == "same"
    assert plan_one(Found("/a", 6, 1), known("/a")) == "changed"
    assert plan_one(Found("/a", 5, 2), known("/a")) == "changed"
    assert plan_one(None, known("/a")) == "gone"
    assert plan_one(SAME, known("/a", state=None, recipe=None)) == "again"
    assert plan_one(SAME, known("/a", recipe="older settings")) == "again"
    assert plan_one(SAME, known("/a", state=EmbeddingState.FAILED)) == "failed"
    assert plan_one(SAME, known("/a", state=EmbeddingState.FAILED, recipe="older settings")) == "again"
    assert plan_one(SAME, known("/a", state=EmbeddingState.FAILED), retry_failed=True) == "again"
    assert plan_one(Found("/a", 6, 1), known("/a", state=EmbeddingState.FAILED)) == "changed"
    assert plan_one(SAME, known("/a", state=EmbeddingState.SKIPPED)) == "skipped"
    assert plan_one(Found("/a", 6, 1), known("/a", state=EmbeddingState.SKIPPED)) == "changed"


def test_a_folder_that_cannot_be_listed_loses_nothing() -> None:
    asset = known("/disk/private/a")
    assert plan_one(None, asset, closed=["/disk/private"]) == "same"
    assert plan_one(None, asset, closed=["/disk/pri"]) == "gone"


PATHS = st.sampled_from([f"/{name}" for name in "abcdefgh"])
STATES = st.sampled_from([*EmbeddingState, None])


@given(
    st.dictionaries(PATHS, st.integers(0, 2)),
    st.dictionaries(PATHS, st.tuples(st.integers(0, 2), STATES)),
    st.booleans(),
)
def test_every_file_is_in_exactly_one_list(
    on_disk: dict[str, int], in_catalog: dict[str, tuple[int, EmbeddingState | None]], retry: bool
) -> None:
    found = [Found(path, 5, mtime) for path, mtime in on_disk.items()]
    assets = {p: known(p, mtime_ns=mtime, state=state) for p, (mtime, state) in in_catalog.items()}
    plan = make_plan(found, assets, recipe="r", retry_failed=retry)
    listed = Counter(entry.path for entry in plan.new)
    listed.update(entry.found.path for entry in plan.changed + plan.again)
    listed.update(entry.path for entry in plan.same + plan.skipped + plan.failed + plan.gone)
    assert listed == Counter(set(on_disk) | set(in_catalog))
    assert {asset.path for asset in plan.gone} == set(in_catalog) - set(on_disk)


def test_moves_pair_equal_content_and_prefer_the_same_name() -> None:
    gone = [
        known("/old/x.jpg", id=1),
        known("/old/y.jpg", id=2),
        known("/old/z.jpg", id=3, content_hash="cc"),
    ]
    new = [Found("/new/y.jpg", 5, 9), Found("/new/other.jpg", 5, 9), Found("/new/fresh.jpg", 5, 9)]
    hashes = {"/new/y.jpg": "aa", "/new/other.jpg": "aa", "/new/fresh.jpg": "dd"}
    moves, still_gone, really_new = match_moves(gone, new, hashes)
    assert {(move.known.path, move.found.path) for move in moves} == {
        ("/old/y.jpg", "/new/y.jpg"),
        ("/old/x.jpg", "/new/other.jpg"),
    }
    assert [asset.path for asset in still_gone] == ["/old/z.jpg"]
    assert [found.path for found in really_new] == ["/new/fresh.jpg"]


def test_a_copy_beside_the_original_is_no_move() -> None:
    moves, gone, new = match_moves([], [Found("/copy.jpg", 5, 9)], {"/copy.jpg": "aa"})
    assert (moves, gone, [found.path for found in new]) == ([], [], ["/copy.jpg"])
