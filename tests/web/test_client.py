"""``searchkit.Client`` against the real command, beside ``Library``."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import searchkit as sk
from searchkit.errors import QueryError, ServerError, UsageError
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
        assert client.status()["assets"] == library.status().to_dict()["assets"]
        assert [failure["path"] for failure in client.errors()] == [str(media_folder / "broken.jpg")]
        rows = client.embed(["a dog", "a cat"])
        np.testing.assert_allclose(
            rows, library.embed([sk.TextSample("a dog"), sk.TextSample("a cat")]), atol=1e-4
        )
        duck = client.search("image:duck.jpg", to="image", k=1)[0]
        assert client.media(duck) == duck.path.read_bytes()
        assert Image.open(io.BytesIO(client.thumbnail(duck, 160))).format == "WEBP"
        assert client.tag(duck.path, add=["pond"]) == 1
        assert client.tags() == {"pond": 1}
        assert client.tag(duck.path, remove=["pond"]) == 1
        assert client.runs()[0]["state"] == "done"
        assert client.explain("a duck", duck.asset_id)["path"] == str(duck.path)


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
            assert client.status()["assets"]["image"] == 2
