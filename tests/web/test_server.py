"""The library as a whole over HTTP: status, tags, errors, runs, map, metrics, health."""

from __future__ import annotations

import json
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from searchkit.library import Library
from searchkit.types import Modality
from searchkit.web import create_app
from tests.media_files import write_picture
from tests.web.conftest import BASE, PATIENCE_S, wait_until


def test_status_counts_what_the_library_holds(api: TestClient, library: Library, media_folder: Path) -> None:
    status = api.get("/v1/status").json()
    held = library.status()
    assert status["assets"] == {modality.value: count for modality, count in held.assets.items()}
    assert status["roots"] == [str(media_folder)]
    assert (status["failed"], status["model"]) == (1, "mini")


def test_errors_come_in_pages_with_reasons(api: TestClient, media_folder: Path) -> None:
    page = api.get("/v1/errors?limit=1").json()
    assert [row["path"] for row in page["errors"]] == [str(media_folder / "broken.jpg")]
    assert page["errors"][0]["reason"]
    assert page["next_cursor"] is None


def test_tags_can_be_put_on_searched_for_and_taken_off(small: tuple[Path, Library]) -> None:
    folder, library = small
    with TestClient(create_app(library), base_url=BASE) as api:
        row = api.get("/v1/search?where=name:a.png").json()["results"][0]
        changed = api.post(
            "/v1/tags", json={"asset_ids": [row["asset_id"]], "add": ["holiday", "two words"]}
        ).json()
        assert changed == {"changed": 1, "tags": {"holiday": 1, "two words": 1}}
        found = api.get("/v1/search", params={"q": "anything", "where": "tag:holiday"}).json()["results"]
        assert [(hit["name"], hit["tags"]) for hit in found] == [("a.png", ["holiday", "two words"])]
        assert api.post("/v1/tags", json={"paths": [str(folder)], "add": ["all"]}).json()["changed"] == 4
        api.post("/v1/tags", json={"asset_ids": [row["asset_id"]], "remove": ["holiday"]})
        assert api.get("/v1/tags").json()["tags"] == {"all": 4, "two words": 1}
        assert api.post("/v1/tags", json={"asset_ids": [10**6], "add": ["x"]}).status_code == 400
        assert api.post("/v1/tags", json={"asset_ids": [1], "add": ["  "]}).status_code == 422
        assert api.post("/v1/tags", json={"add": ["x"]}).status_code == 400


def test_a_run_that_the_server_starts_finds_new_files_while_searches_are_answered(
    small: tuple[Path, Library],
) -> None:
    folder, library = small
    with TestClient(create_app(library), base_url=BASE) as api:
        write_picture(folder / "new.png", 9)
        assert api.post("/v1/runs/stop", json={}).json() == {"stopped": False}
        begun = api.post("/v1/runs", json={})
        assert (begun.status_code, begun.json()) == (202, {"started": True, "after": 1})

        def has_ended() -> bool:
            assert api.get("/v1/search?q=snow").status_code == 200
            runs = api.get("/v1/runs").json()["runs"]
            return len(runs) == 2 and runs[0]["state"] != "running"

        wait_until(has_ended, "the end of the run")
        runs = api.get("/v1/runs").json()["runs"]
        assert (runs[0]["state"], runs[0]["counts"]["new"]) == ("done", 1)
        names = [row["name"] for row in api.get("/v1/search?q=snow&to=image").json()["results"]]
        assert "new.png" in names
        assert api.get("/v1/status").json()["run_complaint"] == ""


def test_a_page_full_of_thumbnails_does_not_hold_searches_up(
    small: tuple[Path, Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(small[1])
    gate, renderings = threading.Event(), app.state.served.renderings
    make = renderings.thumbnail

    def held_back(*asked: object) -> tuple[bytes, str]:
        assert gate.wait(PATIENCE_S)
        return make(*asked)

    monkeypatch.setattr(renderings, "thumbnail", held_back)
    with TestClient(app, base_url=BASE) as api, ThreadPoolExecutor(60) as pool:
        row = api.get("/v1/search?where=name:a.png").json()["results"][0]
        url = f"/v1/segments/{row['segment_id']}/thumbnail"
        waiting = [pool.submit(api.get, url) for _ in range(60)]
        try:
            assert api.get("/v1/search?q=snow").status_code == 200
            assert not any(one.done() for one in waiting)
        finally:
            gate.set()
        assert {one.result().status_code for one in waiting} == {200}


def test_the_map_holds_every_segment_once(small: tuple[Path, Library]) -> None:
    _, library = small
    app = create_app(library)
    with TestClient(app, base_url=BASE) as api:
        assert api.get("/v1/map").json()["state"] == "absent"
        assert api.get("/v1/map/points").status_code == 404
        assert api.post("/v1/map").status_code == 202
        app.state.served.map.wait(PATIENCE_S)
        state = api.get("/v1/map").json()
        segments = sum(library.status().segments.values())
        assert (state["state"], state["points"], state["is_current"]) == ("ready", segments, True)
        response = api.get("/v1/map/points")
        count, length = struct.unpack_from("<II", response.content)
        header = json.loads(response.content[8 : 8 + length])
        assert header["modalities"] == list(Modality)
        ids = struct.unpack_from(f"<{count}d", response.content, 8 + length)
        assert sorted(int(id_) for id_ in ids) == sorted(set(ids))
        assert len(response.content) == 8 + length + count * (8 + 8 + 2 + 2 + 1)
        again = api.get("/v1/map/points", headers={"if-none-match": response.headers["etag"]})
        assert again.status_code == 304


def test_health_readiness_and_metrics(api: TestClient) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    wait_until(lambda: api.get("/readyz").status_code == 200, "readiness")
    assert api.get("/readyz").json() == {"status": "ready"}
    api.get("/v1/search?q=metrics")
    text = api.get("/metrics").text
    assert 'searchkit_http_requests_total{method="GET",route="/v1/search",status="200"}' in text
    assert "searchkit_encode_batch_requests_count" in text
    assert 'searchkit_assets{modality="image"}' in text


def test_fields_name_what_filters_know(api: TestClient) -> None:
    fields = {field["name"]: field for field in api.get("/v1/fields").json()}
    assert fields["date"]["ordered"]
    assert not fields["tag"]["ordered"]


@pytest.mark.parametrize("path", ["/", "/static/js/main.js", "/static/css/base.css", "/static/icon.svg"])
def test_the_page_needs_nothing_from_elsewhere(api: TestClient, path: str) -> None:
    response = api.get(path)
    assert response.status_code == 200
    text = response.text.replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in text
    assert "https://" not in text
