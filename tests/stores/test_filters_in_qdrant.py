"""A library's filters run inside Qdrant, by fields that follow the catalog, and find what others find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("qdrant_client", reason="needs the extra qdrant")

import searchkit as sk
from searchkit.errors import StoreError
from searchkit.query import parse_filter
from searchkit.query.conditions import to_condition
from tests.libraries.words_encoder import WordsEncoder
from tests.media_files import write_folder, write_picture, write_text

from .qdrant_server import QdrantServer

# what fields answer, and what only a pattern does
BY_FIELDS = (
    "type:png",
    "type:image",
    "type:audio,md",
    "type!=png",
    "modality:text,audio",
    "NOT modality:text",
    "width_px>=64",
    "width_px>64",
    "width_px:64",
    "height_px<48 OR duration_s>10",
    "NOT duration_s<10",
    "size_bytes>1kB AND NOT type:flac",
    "rate_hz:16000",
    "channels:1",
    "has:duration_s",
    "NOT has:width_px",
    "has:tag",
    "tag:read",
    "tag:read,written AND type:txt",
    "NOT tag:written",
    "date>=2019",
    "date:2019-06",
    "date<2019-06-02",
    "date!=2019",
    "added>=2020",
    "added<2020",
    "folder:texts",
    "folder:SOUNDS",
    "path:texts/",
    "path:texts/**",
    "latitude>0 OR has:gps OR folder:sounds",
)
BY_PATTERNS = (
    "name:*.png",
    "path:texts/*.txt",
    "tag:re*",
    "folder:texts OR name:picture1*",
    "path:*/dog.txt",
)


@pytest.fixture
def server() -> Iterator[QdrantServer]:
    made = QdrantServer()
    yield made
    made.close()


@pytest.fixture
def media(tmp_path: Path) -> Path:
    import os

    folder = write_folder(tmp_path / "media")
    write_picture(folder / "wide.png", 9, size=(128, 40))
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        os.utime(path, (1_559_300_000 + 40_000 * number,) * 2)  # around the first of June 2019
    return folder


def opened(folder: Path, store: str | None = None) -> sk.Library:
    library = sk.open_library(folder, store=store, decoder="threads")
    library._encoder = WordsEncoder()
    return library


def filled(folder: Path, media: Path, store: str) -> sk.Library:
    library = opened(folder, store)
    library.index(media)
    library.tag(media / "texts", add=["read"])
    library.tag(media / "texts" / "dog.txt", media / "wide.png", add=["written"])
    return library


def found(library: sk.Library, where: str) -> list[tuple[str, float]]:
    results = library.search("a dog in the snow", k=50, where=where, spans=True)
    return sorted((str(result.path), round(result.score, 5)) for result in results)


def sent_filters(server: QdrantServer) -> str:
    """Of all searches since the last call: captions are looked for without one."""
    asked = [search.filter.model_dump_json(exclude_none=True) for search in server.searches if search.filter]
    server.searches.clear()
    return " ".join(asked)


def test_filters_find_the_same_in_every_store(tmp_path: Path, media: Path, server: QdrantServer) -> None:
    there = filled(tmp_path / "there", media, f"qdrant://127.0.0.1:{server.port}")
    here = filled(tmp_path / "here", media, "faiss")
    sizes = set()
    for where in (*BY_FIELDS, *BY_PATTERNS):
        server.searches.clear()
        expected = found(here, where)
        assert found(there, where) == expected, where
        sizes.add(len(expected))
        by_fields = to_condition(parse_filter(where)) is not None
        assert by_fields == (where in BY_FIELDS), where
        if expected:
            # either way it is Qdrant that leaves out the rest
            sent = sent_filters(server)
            assert sent, where
            assert ("has_id" in sent) != by_fields, where
    assert len(sizes) > 4
    assert there.verify().clean
    for library in (there, here):
        library.close()


def test_fields_follow_moves_tags_and_changes(tmp_path: Path, media: Path, server: QdrantServer) -> None:
    with filled(tmp_path / "library", media, f"qdrant://127.0.0.1:{server.port}") as library:
        (media / "moved").mkdir()
        (media / "wide.png").rename(media / "moved" / "wide.png")
        write_picture(media / "picture0.png", 20, size=(300, 20))
        (media / "picture1.png").write_bytes(b"\x89PNG\r\n\x1a\nno longer")
        library.index(media)
        library.tag(media / "texts" / "dog.txt", add=["old"], remove=["read"])
        assert library.verify().clean
        names = {where: [Path(path).name for path, _ in found(library, where)] for where in BY_FIELDS}
        assert names["tag:read"] == ["train.md"]
        assert [Path(path).name for path, _ in found(library, "folder:moved")] == ["wide.png"]
        assert [Path(path).name for path, _ in found(library, "width_px:300")] == ["picture0.png"]
        assert [Path(path).name for path, _ in found(library, "size_bytes<20 AND type:png")] == [
            "picture1.png"
        ]


def test_rows_without_fields_are_filtered_by_their_ids(
    tmp_path: Path, media: Path, server: QdrantServer
) -> None:
    store = f"qdrant://127.0.0.1:{server.port}"
    with filled(tmp_path / "library", media, store) as library:
        expected = found(library, "type:png")
    # as a version before fields has left them
    for name in server.created:
        server.client.clear_payload(name, [point.id for point in server.client.scroll(name, limit=100)[0]])
    with opened(tmp_path / "library") as library:
        assert found(library, "type:png") == expected
        assert "has_id" in sent_filters(server)
        report = library.verify()
        assert not report.clean
        assert all(check.stale == check.vectors for check in report.collections)
        assert library.verify(repair=True).clean
    with opened(tmp_path / "library") as library:
        assert found(library, "type:png") == expected
        assert "has_id" not in sent_filters(server)


def test_fields_that_a_kill_left_behind_show_nothing_wrong(
    tmp_path: Path, media: Path, server: QdrantServer
) -> None:
    with filled(tmp_path / "library", media, f"qdrant://127.0.0.1:{server.port}") as library:
        expected = found(library, "tag:written")
        for name in server.created:
            points = [point.id for point in server.client.scroll(name, limit=100)[0]]
            server.client.set_payload(name, {"tag": ["written"]}, points)
        assert found(library, "tag:written") == expected
        assert not library.verify().clean
        library.verify(repair=True)
        assert library.verify().clean


def test_a_copy_and_an_import_have_the_fields(tmp_path: Path, media: Path, server: QdrantServer) -> None:
    store = f"qdrant://127.0.0.1:{server.port}"
    with filled(tmp_path / "here", media, "faiss") as here:
        here.copy(tmp_path / "copy", store=store)
        here.export(tmp_path / "export", kind="npy")
        sk.import_library(tmp_path / "export", tmp_path / "import", store=store).close()
        for place in ("copy", "import"):
            with opened(tmp_path / place) as there:
                assert there.verify().clean
                for where in ("tag:read AND folder:texts", "width_px>64", "date<2019-06-02"):
                    assert found(there, where) == found(here, where)
                    assert "has_id" not in sent_filters(server)


def test_a_tag_that_the_server_does_not_take_is_not_put_on(
    tmp_path: Path, media: Path, server: QdrantServer
) -> None:
    with filled(tmp_path / "library", media, f"qdrant://127.0.0.1:{server.port}?tries=1") as library:
        server.failures += [(403, {})]
        with pytest.raises(StoreError, match="403"):
            library.tag(media / "texts" / "train.md", add=["new"])
        assert "new" not in library.tags()
        write_text(media / "texts" / "more.txt", "More snow.")
        assert library.index(media).new == 1
