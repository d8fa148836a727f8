"""The plan is a pure function: every file ends in exactly one list, and the right one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from searchkit.catalog.assets import KnownAsset
from searchkit.catalog.tables import EmbeddingState
from searchkit.catalog.types import encode_path
from searchkit.indexer.plan import Verdict, compare, match_moves
from searchkit.indexer.scan import Found, Unreadable


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


def verdict(seen: Found | Unreadable | None, asset: KnownAsset | None, **options: object) -> str:
    steps = list(compare([seen] if seen else [], rows(asset), recipe="r", **options))
    assert len(steps) == 1
    return steps[0].verdict.value


def rows(*assets: KnownAsset | None) -> list[tuple[str, KnownAsset]]:
    return sorted((encode_path(asset.path), asset) for asset in assets if asset is not None)


SAME = Found("/a", 5, 1)


def test_each_kind_of_change() -> None:
    assert verdict(SAME, None) == "new"
    assert verdict(SAME, known("/a")) == "same"
    assert verdict(Found("/a", 6, 1), known("/a")) == "changed"
    assert verdict(Found("/a", 5, 2), known("/a")) == "changed"
    assert verdict(None, known("/a")) == "gone"
    assert verdict(SAME, known("/a", state=None, recipe=None)) == "again"
    assert verdict(SAME, known("/a", recipe="older settings")) == "again"
    assert verdict(SAME, known("/a", state=EmbeddingState.FAILED)) == "failed"
    assert verdict(SAME, known("/a", state=EmbeddingState.FAILED, recipe="older settings")) == "again"
    assert verdict(SAME, known("/a", state=EmbeddingState.FAILED), retry_failed=True) == "again"
    assert verdict(Found("/a", 6, 1), known("/a", state=EmbeddingState.FAILED)) == "changed"
    assert verdict(SAME, known("/a", state=EmbeddingState.SKIPPED)) == "skipped"
    assert verdict(Found("/a", 6, 1), known("/a", state=EmbeddingState.SKIPPED)) == "changed"
    assert verdict(Unreadable("/a", "no access"), known("/a")) == "unreadable"
    noted = known("/a", state=EmbeddingState.FAILED, error="no access")
    assert verdict(Unreadable("/a", "no access"), noted) == "failed"


def test_a_folder_that_cannot_be_listed_loses_nothing() -> None:
    assets = [known("/disk/pri.jpg"), known("/disk/pri/a"), known("/disk/private/a"), known("/disk/z")]
    closed = Unreadable("/disk/private", "permission denied", is_folder=True)
    steps = {
        step.known.path: step.verdict for step in compare([closed], rows(*assets), recipe="r") if step.known
    }
    assert steps == {
        "/disk/pri.jpg": Verdict.GONE,
        "/disk/pri/a": Verdict.GONE,
        "/disk/private/a": Verdict.SAME,
        "/disk/z": Verdict.GONE,
    }


NAMES = ["a", "a.b", "a-", "A", "é", "\udcff", "\\x", "\n", "𝄞", "z"]
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
STATES = st.sampled_from([*EmbeddingState, None])


@given(
    st.dictionaries(PATHS, st.integers(0, 2)),
    st.dictionaries(PATHS, st.tuples(st.integers(0, 2), STATES)),
    st.booleans(),
)
def test_every_file_is_judged_exactly_once(
    on_disk: dict[str, int], in_catalog: dict[str, tuple[int, EmbeddingState | None]], retry: bool
) -> None:
    found = [
        Found(path, 5, mtime) for path, mtime in sorted(on_disk.items(), key=lambda e: encode_path(e[0]))
    ]
    assets = [known(p, mtime_ns=mtime, state=state) for p, (mtime, state) in in_catalog.items()]
    steps = list(compare(found, rows(*assets), recipe="r", retry_failed=retry))
    paths = [step.seen.path if step.seen else step.known.path for step in steps]
    assert sorted(paths) == sorted(set(on_disk) | set(in_catalog))
    for path, step in zip(paths, steps, strict=True):
        assert (step.verdict is Verdict.NEW) == (path not in in_catalog)
        assert (step.verdict is Verdict.GONE) == (path not in on_disk)


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
