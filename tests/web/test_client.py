"""``searchkit.Client`` against the real command, beside ``Library``."""

from __future__ import annotations

import inspect
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import searchkit as sk
from searchkit.errors import LibraryError, QueryError, ServerError, UsageError
from searchkit.library import Library
from tests.web.conftest import run_server


def test_the_client_finds_what_the_library_finds(
    server_url: str, library: Library, sample_media: Path
) -> None:
    bark = sample_media / "sounds" / "dog_barking.ogg"
    query = sk.audio(bark) + 0.5 * sk.text("in the snow")
    with sk.Client(server_url) as client:
        found = client.search(query, to="image,audio", k=9, where="type:jpg,ogg")
        assert found.space == library.space.fingerprint
        expected = library.search(query, to="image,audio", k=9, where="type:jpg,ogg")
        assert [result.segment_id for result in found] == [result.segment_id for result in expected]
        assert found[0].path == expected[0].path
        assert found[0].match == expected[0].match or found[0].match == pytest.approx(
            expected[0].match, abs=1e-3
        )
        assert str(found.query) == str(query)


def test_the_client_pages_by_itself(server_url: str) -> None:
    with sk.Client(server_url) as client:
        few, all_ = client.search("rain", k=3), client.search("rain", k=250)
    assert len(few) == 3
    assert [result.rank for result in all_] == list(range(1, len(all_) + 1))
    assert len({result.asset_id for result in all_}) == len(all_) > 60


def test_the_client_has_the_other_verbs(server_url: str, library: Library, media_folder: Path) -> None:
    with sk.Client(server_url) as client:
        assert client.status() == library.status()
        assert client.errors() == library.errors()
        assert client.errors()[0].path == str(media_folder / "broken.jpg")
        duck = client.search("image:duck.jpg", to="image", k=1)[0]
        assert client.media(duck) == duck.path.read_bytes()
        assert Image.open(io.BytesIO(client.thumbnail(duck, 160))).format == "WEBP"
        assert client.tag(duck.path, add=["pond"]) == 1
        assert client.tags() == {"pond": 1}
        assert client.tag(duck.path, remove=["pond"]) == 1
        assert client.runs()[0].state == "done"
        told = client.explain("a duck", duck.path, where="type:jpg")
        expected = library.explain("a duck", duck.path, where="type:jpg")
        assert (told.rank, told.path, told.filters) == (expected.rank, expected.path, expected.filters)
        assert told.score == pytest.approx(expected.score, abs=1e-5)


def test_what_is_embedded_over_http_is_what_the_library_embeds(
    server_url: str, library: Library, sample_media: Path
) -> None:
    waveform = np.sin(np.arange(16_000, dtype=np.float32) / 9)
    samples = [
        sk.TextSample("a dog"),
        sk.ImageSample(np.asarray(Image.open(sample_media / "photos" / "duck.jpg").convert("RGB"))),
        sk.AudioSample(waveform, library.encoder.audio_rate_hz),
        sk.TextSample("a dog"),
    ]
    with sk.Client(server_url) as client:
        rows = client.embed(samples)
        np.testing.assert_allclose(rows, library.embed(samples), atol=2e-3)
        np.testing.assert_allclose(client.embed(["a dog"]), rows[:1], atol=1e-5)


def test_queries_are_saved_and_recalled(server_url: str, library: Library) -> None:
    with sk.Client(server_url) as client:
        row = client.save_query("ducks", "image:duck.jpg", to="image", where="type:jpg")
        assert client.saved_queries() == library.saved_queries() == {"ducks": row}
        found = client.search("@ducks", k=5)
        assert found[0].path.name == "duck.jpg"
        assert {(result.modality, result.path.suffix) for result in found} == {("image", ".jpg")}
        assert [result.path for result in found] == [r.path for r in library.search("@ducks", k=5)]
        with pytest.raises(UsageError, match="cannot name a query"):
            client.save_query("no name", "dog")
        with pytest.raises(QueryError, match="no such file"):
            client.save_query("secrets", "image:/etc/passwd")
        client.delete_query("ducks")
        assert client.saved_queries() == {}
        with pytest.raises(UsageError, match="no query is saved"):
            client.delete_query("ducks")


def test_a_library_is_kept_in_order_over_http(small: tuple[Path, Library]) -> None:
    folder, library = small
    shutil.copy(folder / "a.png", folder / "copy of a.png")
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    for url in run_server(library.folder):
        with sk.Client(url) as client:
            report = client.index()
            assert (report.new, report.same, report.failed, report.interrupted) == (1, 4, 1, False)
            assert [Path(failure.path).name for failure in report.errors] == ["cut.jpg"]
            # What ended does not stand in the way of what comes right after it.
            assert client.index().same == 5
            groups = client.duplicates(near=False)
            assert groups == library.duplicates(near=False)
            assert [{file.path.name for file in group.files} for group in groups] == [
                {"a.png", "copy of a.png"}
            ]
            assert client.verify().clean
            assert client.remove(folder / "copy of a.png") == 1
            assert client.status().assets["image"] == 2
            with pytest.raises(UsageError, match="holds nothing at"):
                client.remove(folder / "copy of a.png")


VERBS = {
    "search",
    "explain",
    "duplicates",
    "embed",
    "save_query",
    "saved_queries",
    "delete_query",
    "index",
    "remove",
    "verify",
    "status",
    "errors",
    "tag",
    "tags",
    "close",
}
# How a run goes about it is for those to say who sit at the server.
PARTLY = {"index", "duplicates"}


def test_the_client_has_the_verbs_of_the_library_with_the_same_parameters() -> None:
    for name in VERBS:
        of_library = inspect.signature(getattr(Library, name))
        of_client = inspect.signature(getattr(sk.Client, name))
        theirs, ours = of_library.parameters, of_client.parameters
        assert ours.keys() == theirs.keys() or (name in PARTLY and ours.keys() < theirs.keys()), name
        for parameter in ours:
            one, other = theirs[parameter], ours[parameter]
            assert (one.kind, one.default) == (other.kind, other.default), (name, parameter)
        assert of_library.return_annotation == of_client.return_annotation, name


def test_errors_are_the_ones_that_the_library_raises(server_url: str) -> None:
    with sk.Client(server_url) as client:
        with pytest.raises(QueryError, match="never closed"):
            client.search("(dog")
        with pytest.raises(QueryError, match="no such file"):
            client.search("image:nowhere.jpg")
        with pytest.raises(UsageError, match="does not lie in an indexed folder"):
            client.index("/etc")
        with pytest.raises(QueryError):
            client.search("dog", k=0)
    with sk.Client("http://127.0.0.1:9") as client, pytest.raises(ServerError, match="no answer"):
        client.status()


def test_a_token_is_sent_along(small: tuple[Path, Library]) -> None:
    for url in run_server(small[1].folder, "--token", "correct horse battery staple"):
        with sk.Client(url) as client, pytest.raises(ServerError, match="asks for its token"):
            client.status()
        with sk.Client(url, token="correct horse battery staple") as client:
            assert client.status().assets["image"] == 2


def test_the_client_refuses_what_the_library_refuses(
    server_url: str, library: Library, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(b"\xff\xd8\xff\xe0 not really")
    with sk.Client(server_url) as client:
        for query, arguments in (
            (cut, {}),
            ("", {}),
            ("dog", {"k": 0}),
            ("dog", {"to": "smell"}),
            ("dog", {"fusion": "stirred"}),
            ("dog", {"cutoff": 2}),
            (sk.image(cut), {}),
        ):
            told = []
            for one in (client, library):
                with pytest.raises(sk.SearchkitError) as raised:
                    one.search(query, **arguments)  # type: ignore[arg-type]
                told.append(raised.value)
            assert type(told[0]) is type(told[1])
        assert getattr(told[0], "path", None) == cut
    with pytest.raises(LibraryError, match="closed"):
        client.search("dog")
    with pytest.raises(UsageError, match="no address"):
        sk.Client("127.0.0.1:8765")
