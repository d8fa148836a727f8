"""What an attacker would try, one test each."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from PIL import Image
from starlette.testclient import TestClient

from searchkit.library import Library
from searchkit.web import ServeSettings, create_app, hash_token
from searchkit.web.limits import TokenBuckets
from tests.web.conftest import BASE, EVIL_NAME, EVIL_TEXT, PATIENCE_S, run_server

TOKEN = "correct horse battery staple"


@pytest.fixture
def guarded(small: tuple[Path, Library]) -> TestClient:
    settings = ServeSettings(host="0.0.0.0", token_hash=hash_token(TOKEN))
    with TestClient(create_app(small[1], settings), base_url="http://192.0.2.7:8765") as client:
        yield client


def first_asset(api: TestClient, where: str) -> dict[str, object]:
    return api.get("/v1/search", params={"where": where}).json()["results"][0]


@pytest.mark.parametrize(
    "path", ["/v1/status", "/v1/search?q=dog", "/v1/assets/1/media", "/metrics", "/v1/map"]
)
def test_without_the_token_nothing_is_told(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).status_code == 401
    assert guarded.get(path, headers={"authorization": "Bearer wrong wrong wrong"}).status_code == 401
    assert guarded.get(path, headers={"cookie": "searchkit_session=made-up"}).status_code == 401
    assert guarded.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code in (200, 404)


def test_changes_need_the_token_too(guarded: TestClient) -> None:
    for path in ("/v1/search", "/v1/tags", "/v1/runs", "/v1/uploads", "/v1/embeddings", "/v1/map"):
        assert guarded.post(path, json={}).status_code == 401


def test_a_browser_trades_the_token_for_a_cookie_that_scripts_cannot_read(guarded: TestClient) -> None:
    assert guarded.post("/v1/session", json={"token": "wrong wrong wrong"}).status_code == 401
    cookie = guarded.post("/v1/session", json={"token": TOKEN}).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert guarded.get("/v1/status").status_code == 200
    guarded.delete("/v1/session")
    guarded.cookies.clear()
    assert guarded.get("/v1/status").status_code == 401


def test_the_token_is_stored_as_a_hash_for_its_owner_only(small: tuple[Path, Library]) -> None:
    from searchkit.web import make_token, read_token_hash, save_token_hash

    token, folder = make_token(), small[1].folder
    save_token_hash(folder, hash_token(token))
    files = [path for path in folder.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    assert files == []
    assert stat.S_IMODE((folder / "token.scrypt").stat().st_mode) == 0o600
    assert read_token_hash(folder) != hash_token(token)


def test_an_address_that_others_reach_demands_a_token(small: tuple[Path, Library]) -> None:
    from searchkit.errors import UsageError
    from searchkit.web import serve

    with pytest.raises(UsageError, match="a token is needed"):
        serve(small[1], ServeSettings(host="0.0.0.0", port=0))


@pytest.mark.parametrize(
    "settings", [ServeSettings(proxies=("127.0.0.1",)), ServeSettings(allowed_hosts=("media.example",))]
)
def test_a_server_behind_a_proxy_demands_a_token_too(
    small: tuple[Path, Library], settings: ServeSettings
) -> None:
    from searchkit.errors import UsageError
    from searchkit.web import serve

    with pytest.raises(UsageError, match="a token is needed"):
        serve(small[1], settings)


def test_only_a_named_proxy_is_believed_who_asks(small: tuple[Path, Library]) -> None:
    """Else anyone could pretend to be another client, and never meet the rate limit."""
    told = {"host": "media.example", "x-forwarded-proto": "https"}
    for named in (True, False):
        arguments = ["--token", TOKEN, "--allow-host", "media.example", "--rate-limit", "0.01"]
        for url in run_server(small[1].folder, *arguments, *(["--proxy", "127.0.0.1"] * named)):
            codes = set()
            for number in range(20):
                asked = {**told, "x-forwarded-for": f"192.0.2.{number}"}
                response = httpx2.post(
                    f"{url}v1/session", json={"token": TOKEN}, headers=asked, timeout=PATIENCE_S
                )
                codes.add(response.status_code)
            assert codes == ({204} if named else {204, 429})
            assert ("Secure" in response.headers.get("set-cookie", "")) is named


def test_the_command_makes_a_token_and_shows_it_once(small: tuple[Path, Library]) -> None:
    def said() -> str:
        command = [sys.executable, "-m", "searchkit", "serve", "--host", "0.0.0.0", "--port", "0"]
        with subprocess.Popen(
            [*command, "--library", str(small[1].folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.terminate()
            return process.stderr.read()

    assert "token: " in said()
    assert "token: " not in said()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8765", "localhost.evil.example"])
def test_another_sites_name_for_this_machine_is_refused(api: TestClient, host: str) -> None:
    response = api.get("/v1/status", headers={"host": host})
    assert response.status_code == 421
    assert response.json()["code"] == "UnknownHost"


def test_pages_of_other_sites_can_neither_change_nor_read(api: TestClient) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:9999"):
        assert api.post("/v1/tags", json={}, headers={"origin": origin}).status_code == 403
    for mode in ("no-cors", "cors"):
        headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": mode}
        assert api.get("/v1/assets/1/media", headers=headers).status_code == 403
    headers = {"origin": BASE, "sec-fetch-site": "same-origin"}
    assert api.post("/v1/search", json={"query": "dog"}, headers=headers).status_code == 200


def test_no_cors_unless_set(small: tuple[Path, Library]) -> None:
    origin = "https://gallery.example"
    with TestClient(create_app(small[1]), base_url=BASE) as api:
        assert "access-control-allow-origin" not in api.get("/v1/status", headers={"origin": origin}).headers
    with TestClient(create_app(small[1], ServeSettings(cors_origins=(origin,))), base_url=BASE) as api:
        told = api.get("/v1/status", headers={"origin": origin})
        assert told.headers["access-control-allow-origin"] == origin
        assert api.get("/v1/status", headers={"origin": "https://evil.example"}).status_code == 403


def test_every_answer_has_the_protecting_headers(api: TestClient) -> None:
    for path in ("/", "/v1/status", "/v1/nothing", "/static/js/main.js"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
        "/static/..%2f..%2fsettings.py",
        "/static//etc/passwd",
        "/v1/assets/../../etc/passwd",
        "/v1/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd/media",
        "/v1/uploads/..%2f..%2f..%2fcatalog.sqlite/media",
        "/v1/uploads/catalog.sqlite/media",
    ],
)
def test_paths_do_not_climb_out(api: TestClient, path: str) -> None:
    response = api.get(path)
    assert response.status_code in (404, 422)
    assert b"root:" not in response.content
    assert b"SQLite" not in response.content


@pytest.mark.parametrize("kind", ["image", "audio", "video"])
def test_queries_cannot_name_files_that_nobody_indexed(api: TestClient, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (32, 32), "red").save(secret)
    for name in (secret, "/etc/passwd", "../../../../etc/passwd", "upload/../../catalog.sqlite"):
        response = api.post("/v1/search", json={"query": f'{kind}:"{name}"'})
        assert response.status_code == 400
        assert response.json()["code"] == "QueryError"


def test_a_link_out_of_the_folder_is_not_followed(small: tuple[Path, Library], tmp_path: Path) -> None:
    folder, library = small
    secret = tmp_path / "secret.png"
    Image.new("RGB", (64, 48), "red").save(secret)
    with TestClient(create_app(library), base_url=BASE) as api:
        row = first_asset(api, "name:a.png")
        (folder / "a.png").unlink()
        (folder / "a.png").symlink_to(secret)
        for what in ("media", "thumbnail"):
            response = api.get(f"/v1/assets/{row['asset_id']}/{what}")
            assert response.status_code == 403
            assert "leads out" in response.json()["detail"]
        assert api.post("/v1/search", json={"query": "image:a.png"}).status_code == 403


def test_a_pipe_in_place_of_a_file_does_not_hang_the_server(small: tuple[Path, Library]) -> None:
    folder, library = small
    with TestClient(create_app(library), base_url=BASE) as api:
        row = first_asset(api, "name:a.png")
        (folder / "a.png").unlink()
        os.mkfifo(folder / "a.png")
        assert api.get(f"/v1/assets/{row['asset_id']}/media").status_code == 403


def test_text_of_the_library_is_never_html(api: TestClient) -> None:
    for where in ("name:page.html", f'name:"{EVIL_NAME}"'.replace("?", "\\?")):
        row = first_asset(api, where)
        response = api.get(f"/v1/assets/{row['asset_id']}/media")
        assert EVIL_TEXT.encode() in response.content
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert "sandbox" in response.headers["content-security-policy"]
        assert "<" not in response.headers["content-disposition"]


def test_uploads_are_bounded_in_bytes(small: tuple[Path, Library]) -> None:
    settings = ServeSettings(max_upload_bytes=100_000)
    with TestClient(create_app(small[1], settings), base_url=BASE) as api:
        response = api.post("/v1/uploads", files={"file": ("a.png", bytes(200_000))})
        assert (response.status_code, response.json()["code"]) == (413, "TooLarge")

        def endless():  # type: ignore[no-untyped-def]
            for _ in range(100):
                yield bytes(10_000)

        response = api.post("/v1/search", content=endless(), headers={"content-type": "application/json"})
        assert response.status_code == 413


def test_uploads_are_bounded_in_pixels_and_seconds(small: tuple[Path, Library], sample_media: Path) -> None:
    settings = ServeSettings(max_upload_pixels=10_000, max_upload_seconds=1.0)
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    with TestClient(create_app(small[1], settings), base_url=BASE) as api:
        for content in (bomb.getvalue(), (sample_media / "sounds" / "dog_barking.ogg").read_bytes()):
            response = api.post("/v1/uploads", files={"file": ("bomb", content)})
            assert (response.status_code, response.json()["code"]) == (422, "DecodeError")
        assert list((small[1].folder / "cache" / "uploads").glob("*")) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xd8\xff\xe0 not really", b"<svg onload=alert(1)>", b"#!/bin/sh\nrm -rf /\n", bytes(1000)],
)
def test_uploads_that_are_no_media_are_refused_and_forgotten(
    api: TestClient, library: Library, content: bytes
) -> None:
    before = set((library.folder / "cache" / "uploads").glob("*"))
    response = api.post("/v1/uploads", files={"file": ("photo.jpg", content)})
    assert response.status_code in (400, 422)
    assert str(library.folder) not in response.json()["detail"]
    assert set((library.folder / "cache" / "uploads").glob("*")) == before


def test_a_decoder_that_dies_takes_only_its_own_upload_along(
    small: tuple[Path, Library], sample_media: Path
) -> None:
    app = create_app(small[1])
    picture = (sample_media / "photos" / "duck.jpg").read_bytes()
    with TestClient(app, base_url=BASE) as api:
        assert api.post("/v1/uploads", files={"file": ("duck.jpg", picture)}).status_code == 201
        workers = [worker._process for worker in app.state.served.pool._workers]
        decoders = [process.pid for process in workers if process is not None]
        assert decoders
        for decoder in decoders:
            os.kill(decoder, signal.SIGKILL)
        other = (sample_media / "photos" / "horse.jpg").read_bytes()
        codes = [api.post("/v1/uploads", files={"file": ("horse.jpg", other)}).status_code for _ in range(4)]
        assert set(codes) <= {201, 422}
        assert codes[-1] == 201


def test_nothing_is_fetched_from_other_addresses(api: TestClient) -> None:
    for url in ("http://127.0.0.1/x.png", "file:///etc/passwd", "//evil.example/x"):
        part = {"type": "image_url", "image_url": {"url": url}}
        assert api.post("/v1/embeddings", json={"input": [part]}).status_code == 400


def test_a_client_that_asks_too_often_has_to_wait(small: tuple[Path, Library]) -> None:
    settings = ServeSettings(rate_per_s=0.001, rate_burst=5)
    with TestClient(create_app(small[1], settings), base_url=BASE) as api:
        codes = [api.get("/v1/status").status_code for _ in range(8)]
        assert codes == [200] * 5 + [429] * 3
        refused = api.get("/v1/status")
        assert int(refused.headers["retry-after"]) > 0
        assert api.get("/healthz").status_code == 200


def test_buckets_fill_again_and_clients_do_not_share_them() -> None:
    buckets = TokenBuckets(rate_per_s=2.0, burst=2.0)
    assert [buckets.take("a", now_s=0.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert buckets.take("b", now_s=0.0) == 0.0
    assert buckets.take("a", now_s=0.5) == 0.0


def test_read_only_means_it(small: tuple[Path, Library]) -> None:
    with TestClient(create_app(small[1], ServeSettings(read_only=True)), base_url=BASE) as api:
        row = first_asset(api, "name:a.png")
        assert api.post("/v1/tags", json={"asset_ids": [row["asset_id"]], "add": ["x"]}).status_code == 403
        assert api.post("/v1/runs", json={}).status_code == 403
        assert api.get("/v1/tags").json() == {"tags": {}}


def test_runs_stay_within_indexed_folders(api: TestClient, media_folder: Path) -> None:
    for path in ("/etc", str(media_folder.parent), f"{media_folder}/../..", f"{media_folder}-other"):
        response = api.post("/v1/runs", json={"paths": [path]})
        assert response.status_code == 400
        assert "does not lie in an indexed folder" in response.json()["detail"]
