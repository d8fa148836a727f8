"""Searching over HTTP: grammar, media, filters, pages, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from searchkit.library import Library
from searchkit.web import create_app
from tests.web.conftest import BASE


def bark(sample_media: Path) -> bytes:
    return (sample_media / "sounds" / "dog_barking.ogg").read_bytes()


def test_a_search_finds_what_the_library_finds(api: TestClient, library: Library) -> None:
    answer = api.post("/v1/search", json={"query": "a dog", "to": ["image"], "k": 5}).json()
    expected = library.search("a dog", to="image", k=5)
    assert [row["segment_id"] for row in answer["results"]] == [result.segment_id for result in expected]
    first = answer["results"][0]
    assert (first["rank"], first["name"], first["modality"]) == (1, expected[0].path.name, "image")
    assert first["width_px"] > 0
    assert first["score"] == pytest.approx(expected[0].score, abs=1e-5)
    assert first["match"] == pytest.approx(expected[0].match, abs=1e-3)


def test_get_and_post_give_the_same_answer(api: TestClient) -> None:
    by_address = api.get("/v1/search", params={"q": "bell", "to": ["audio", "image"], "k": 4}).json()
    by_body = api.post("/v1/search", json={"query": "bell", "to": ["audio", "image"], "k": 4}).json()
    assert by_address["results"] == by_body["results"]


def test_a_file_of_the_library_is_its_own_best_match(api: TestClient) -> None:
    answer = api.post("/v1/search", json={"query": "image:cat_kitten.jpg", "to": ["image"], "k": 1}).json()
    assert answer["results"][0]["name"] == "cat_kitten.jpg"
    assert answer["results"][0]["score"] == pytest.approx(1, abs=1e-2)


def test_media_come_with_a_multipart_search(api: TestClient, sample_media: Path) -> None:
    sent = {"file": ("my bark.ogg", bark(sample_media))}
    alone = api.post("/v1/search", files=sent, data={"k": "1", "to": "audio"}).json()
    assert alone["results"][0]["name"] == "dog_barking.ogg"
    query = 'audio:"my bark.ogg" + 0.5*"in the snow"'
    summed = api.post("/v1/search", files=sent, data={"query": query, "to": "image", "k": "3"}).json()
    assert [(term["kind"], term["weight"]) for term in summed["terms"]] == [("audio", 1.0), ("text", 0.5)]
    assert {row["modality"] for row in summed["results"]} == {"image"}


def test_an_upload_can_be_searched_with_and_shared(api: TestClient, sample_media: Path) -> None:
    kept = api.post("/v1/uploads", files={"file": ("../../bark.ogg", bark(sample_media))}).json()
    assert (kept["name"], kept["modality"]) == ("bark.ogg", "audio")
    assert kept["duration_s"] == pytest.approx(6, abs=0.5)
    answer = api.get("/v1/search", params={"q": kept["source"], "to": "audio", "k": 1}).json()
    assert answer["results"][0]["name"] == "dog_barking.ogg"
    preview = api.get(f"/v1/uploads/{kept['id'].removeprefix('upload/')}/preview").json()
    assert max(preview["peaks"]) == 100
    assert api.get(f"/v1/uploads/{kept['id'].removeprefix('upload/')}/media").content == bark(sample_media)


def test_an_upload_that_lost_its_content_can_be_sent_again(
    small: tuple[Path, Library], sample_media: Path
) -> None:
    sent = {"file": ("bark.ogg", bark(sample_media))}
    with TestClient(create_app(small[1]), base_url=BASE) as api:
        kept = api.post("/v1/uploads", files=sent).json()
        (content,) = (small[1].folder / "cache" / "uploads").glob(kept["id"].removeprefix("upload/"))
        content.write_bytes(b"")
        lost = api.get("/v1/search", params={"q": kept["source"]})
        assert (lost.status_code, "send it again" in lost.text) == (400, True)
        assert api.post("/v1/uploads", files=sent).json() == kept
        assert api.get("/v1/search", params={"q": kept["source"]}).status_code == 200


def test_moments_that_match_far_less_are_not_joined_to_the_right_one(library: Library) -> None:
    def moments(query: str) -> list[tuple[float, float]]:
        found = library.search(query, to="video", spans=True)
        return [
            (r.span.start_s, r.span.end_s) for r in found if r.span and r.path.name == "dog_then_bell.webm"
        ]

    # The picture is a dog for five seconds, then a bell; the sound track is one window.
    assert (0.0, 5.0) in [(start_s, round(end_s)) for start_s, end_s in moments("a dog")]
    assert moments("a church bell")[0][0] >= 4


def test_weights_signs_and_filters_change_the_answer(api: TestClient) -> None:
    def names(query: str, where: str | None = None) -> list[str]:
        body = {"query": query, "to": ["image"], "where": where, "k": 30}
        return [row["name"] for row in api.post("/v1/search", json=body).json()["results"]]

    plain = names("a bell")
    assert names('"a bell" - 0.6*image:bell.png') != plain if "bell.png" in plain else plain
    assert set(names("a bell", "type:png")) == {name for name in plain if name.endswith(".png")}
    assert names("a bell", "name:nothing*") == []


def test_pages_continue_without_gap_or_repeat(api: TestClient) -> None:
    whole = api.post("/v1/search", json={"query": "rain", "k": 200}).json()
    pages, cursor = [], None
    page = api.post("/v1/search", json={"query": "rain", "k": 7}).json()
    while True:
        pages += [row["segment_id"] for row in page["results"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        page = api.get("/v1/search", params={"cursor": cursor}).json()
    assert pages == [row["segment_id"] for row in whole["results"]]
    assert whole["next_cursor"] is None


def test_no_query_lists_the_newest_files(api: TestClient, library: Library) -> None:
    page = api.get("/v1/search", params={"k": 50}).json()
    rest = api.get("/v1/search", params={"cursor": page["next_cursor"]}).json()
    rows = page["results"] + rest["results"]
    dates = [row["date"] for row in rows]
    assert dates == sorted(dates, reverse=True)
    assert len({row["asset_id"] for row in rows}) == len(rows) == sum(library.status().assets.values())
    assert {row["modality"] for row in api.get("/v1/search?to=video").json()["results"]} == {"video"}


def test_every_span_gives_several_results_of_one_file(api: TestClient) -> None:
    asked = {"query": "rain", "to": ["video"], "k": 20}
    best = api.post("/v1/search", json=asked).json()["results"]
    every = api.post("/v1/search", json={**asked, "spans": True}).json()["results"]
    assert len({row["asset_id"] for row in best}) == len(best)
    assert len(every) > len(best)
    assert all(row["end_s"] > row["start_s"] >= 0 for row in every)


def test_explain_shares_sum_to_the_score(api: TestClient) -> None:
    query = '"a dog" + 0.5*image:cat_kitten.jpg'
    row = api.post("/v1/search", json={"query": query, "to": ["image"], "k": 1}).json()["results"][0]
    told = api.post("/v1/explain", json={"query": query, "asset_id": row["asset_id"], "to": ["image"]}).json()
    assert sum(term["contribution"] for term in told["terms"]) == pytest.approx(told["score"], abs=1e-4)
    assert [term["term"] for term in told["terms"]] == ['text:"a dog"', "image:cat_kitten.jpg"]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"query": "(dog"}, "QuerySyntaxError", "never closed"),
        ({"query": "image:nowhere.jpg"}, "QueryError", "no such file"),
        ({"query": "dog", "where": "colour:red"}, "InvalidFilter", "no field is called 'colour'"),
        ({"query": "dog - dog"}, "QueryError", "cancel out"),
        ({"cursor": "bm9uc2Vuc2U"}, "QueryError", "no cursor"),
        ({"query": "upload/1"}, None, None),
        ({"query": "audio:upload/00000000000000000000000000000000"}, "QueryError", "no upload"),
    ],
)
def test_errors_are_problems_in_the_words_of_the_command_line(
    api: TestClient, body: dict[str, str], code: str | None, words: str | None
) -> None:
    response = api.post("/v1/search", json=body)
    if code is None:
        assert response.status_code == 200
        return
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    said = response.json()
    assert (said["code"], said["status"]) == (code, 400)
    assert words in said["detail"]
    assert said["hint"]


def test_the_wrong_kind_of_body_is_refused(api: TestClient) -> None:
    assert api.post("/v1/search", content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    assert (
        api.post("/v1/search", content=b"{", headers={"content-type": "application/json"}).status_code == 422
    )
    assert api.post("/v1/search", json={"quarry": "dog"}).json()["code"] == "InvalidRequest"
    surrogate = b'{"query": "\\ud800"}'
    response = api.post("/v1/search", content=surrogate, headers={"content-type": "application/json"})
    assert response.status_code in (200, 400, 422)


def test_embeddings_follow_the_shape_that_programs_expect(api: TestClient, library: Library) -> None:
    body = {"input": ["a dog", "a cat"], "model": library.space.encoder}
    answer = api.post("/v1/embeddings", json=body).json()
    assert [row["index"] for row in answer["data"]] == [0, 1]
    vector = answer["data"][0]["embedding"]
    assert len(vector) == library.space.dim
    assert sum(value * value for value in vector) == pytest.approx(1, abs=1e-4)
    assert api.post("/v1/embeddings", json={"input": "a", "model": "gpt"}).status_code == 400
    assert api.post("/v1/embeddings", json={"input": "data:http://x"}).status_code == 400
