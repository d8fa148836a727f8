"""Bytes, ranges, thumbnails and waveforms."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image
from starlette.testclient import TestClient

from searchkit.library import Library
from searchkit.web import create_app
from tests.web.conftest import BASE


def one(api: TestClient, name: str) -> dict[str, object]:
    rows = api.get("/v1/search", params={"where": f'name:"{name}"'}).json()["results"]
    assert len(rows) == 1
    return rows[0]


def test_media_have_ranges_and_say_what_they_are(api: TestClient, sample_media: Path) -> None:
    content = (sample_media / "sounds" / "bell_toll.wav").read_bytes()
    url = f"/v1/assets/{one(api, 'bell_toll.wav')['asset_id']}/media"
    whole = api.get(url)
    assert whole.content == content
    assert whole.headers["content-type"] in ("audio/wav", "audio/x-wav")
    part = api.get(url, headers={"range": "bytes=10-29"})
    assert (part.status_code, part.content) == (206, content[10:30])
    assert part.headers["content-range"] == f"bytes 10-29/{len(content)}"
    assert api.get(url, headers={"range": "bytes=-5"}).content == content[-5:]
    assert api.get(url, headers={"range": f"bytes={len(content)}-"}).status_code == 416
    assert api.get(f"{url}?download=true").headers["content-disposition"].startswith("attachment")


def test_thumbnails_are_small_keep_the_shape_and_are_cached(api: TestClient) -> None:
    row = one(api, "sailing_ship.jpg")
    url = f"/v1/segments/{row['segment_id']}/thumbnail?size=150"
    first = api.get(url)
    picture = Image.open(io.BytesIO(first.content))
    assert picture.format == "WEBP"
    assert min(picture.size) == 160
    assert abs(picture.width / picture.height - row["width_px"] / row["height_px"]) < 0.05
    again = api.get(url, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert api.get(url).content == first.content
    assert api.get(f"/v1/segments/{row['segment_id']}/thumbnail?size=5000").status_code == 422


def test_a_video_shows_the_frame_that_was_found(api: TestClient) -> None:
    info = api.get(f"/v1/assets/{one(api, 'train_then_rain.mp4')['asset_id']}").json()
    frames = [segment for segment in info["segments"] if segment["encoded_as"] == "image"]

    def mean_colour(frame: dict[str, object]) -> np.ndarray:
        content = api.get(f"/v1/segments/{frame['segment_id']}/thumbnail").content
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), float).mean(axis=(0, 1))

    train, rain = mean_colour(frames[0]), mean_colour(frames[-1])
    assert np.abs(train - rain).max() > 10


def test_waveforms_and_clips(api: TestClient) -> None:
    row = one(api, "dog_barks_short.wav")
    wave = api.get(f"/v1/assets/{row['asset_id']}/waveform")
    assert wave.json()["duration_s"] > 0
    assert max(wave.json()["peaks"]) == 100
    clip = api.get(f"/v1/assets/{row['asset_id']}/clip", params={"start_s": 0.2, "end_s": 0.7})
    samples, rate_hz = soundfile.read(io.BytesIO(clip.content))
    assert abs(len(samples) / rate_hz - 0.5) < 0.01
    photo = one(api, "duck.jpg")
    for what in ("waveform", "clip"):
        assert api.get(f"/v1/assets/{photo['asset_id']}/{what}").status_code == 404
    assert api.get(f"/v1/segments/{row['segment_id']}/thumbnail").status_code == 404


def test_a_changed_picture_gets_another_thumbnail(small: tuple[Path, Library]) -> None:
    folder, library = small
    with TestClient(create_app(library), base_url=BASE) as api:
        row = one(api, "a.png")
        before = api.get(f"/v1/assets/{row['asset_id']}/thumbnail")
        Image.new("RGB", (64, 48), "red").save(folder / "a.png")
        library.index(folder)
        after = api.get(
            f"/v1/assets/{row['asset_id']}/thumbnail", headers={"if-none-match": before.headers["etag"]}
        )
        assert after.status_code == 200
        assert after.content != before.content


def test_a_file_that_is_gone_is_not_found(small: tuple[Path, Library]) -> None:
    folder, library = small
    with TestClient(create_app(library), base_url=BASE) as api:
        row = one(api, "b.png")
        (folder / "b.png").unlink()
        response = api.get(f"/v1/assets/{row['asset_id']}/media")
        assert response.status_code == 404
        assert "no longer there" in response.json()["detail"]
        assert api.get("/v1/assets/999999").status_code == 404
