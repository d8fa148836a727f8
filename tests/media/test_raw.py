from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from searchkit.errors import DecodeError
from searchkit.media import DecodeSettings, open_media, sniff
from searchkit.types import ImageSample

from .making import write_dng

HEIC = Path(__file__).parent / "files" / "corners.heic"


def jpeg(orientation: int | None = None) -> bytes:
    """900 x 600, blue at the left and white at the right."""
    pixels = np.zeros((600, 900, 3), np.uint8)
    pixels[:, :450, 2], pixels[:, 450:] = 255, 255
    exif = Image.Exif()
    if orientation:
        exif[ExifTags.Base.Orientation] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", exif=exif)
    return file.getvalue()


def decode(path: Path, **limits: int) -> np.ndarray:
    (sample,) = open_media(path, DecodeSettings(**limits)).samples  # type: ignore[arg-type]
    assert isinstance(sample, ImageSample)
    return sample.pixels


def test_a_camera_file_without_a_preview_is_developed(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng")
    decoded = open_media(tmp_path / "a.dng")
    assert decoded.media_type.mime == "image/x-adobe-dng"
    assert (decoded.facts.width_px, decoded.facts.height_px) == (96, 64)
    assert decoded.facts.taken_at == "2021-02-03T04:05:06"
    pixels = decode(tmp_path / "a.dng")
    assert pixels.shape == (32, 48, 3)
    assert pixels[16, 8].argmax() == 0
    assert pixels[16, 40].argmax() == 1


def test_a_camera_file_gives_its_preview(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", preview=jpeg())
    pixels = decode(tmp_path / "a.dng", image_max_side_px=300)
    assert pixels.shape == (300, 450, 3)
    assert pixels[150, 50, 0] < 30
    assert pixels[150, 400, 0] > 220


@pytest.mark.parametrize("turned_preview", [None, 6])
def test_a_turned_camera_file_is_turned_once(tmp_path: Path, turned_preview: int | None) -> None:
    write_dng(tmp_path / "developed.dng", orientation=6)
    write_dng(tmp_path / "preview.dng", orientation=6, preview=jpeg(turned_preview))
    facts = open_media(tmp_path / "developed.dng").facts
    assert (facts.width_px, facts.height_px) == (64, 96)
    developed, preview = decode(tmp_path / "developed.dng"), decode(tmp_path / "preview.dng")
    assert developed.shape == (48, 32, 3)
    assert developed[8, 16].argmax() == 0
    assert preview.shape == (900, 600, 3)
    assert preview[100, 300, 0] < 30
    assert preview[800, 300, 0] > 220


def test_a_damaged_camera_file_is_an_error(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng")
    (tmp_path / "cut.dng").write_bytes((tmp_path / "a.dng").read_bytes()[:400])
    with pytest.raises(DecodeError, match="camera file is damaged"):
        list(open_media(tmp_path / "cut.dng").samples)
    with pytest.raises(DecodeError, match="more than the limit"):
        open_media(tmp_path / "a.dng", DecodeSettings(max_pixels=5000))


def test_heic_is_read() -> None:
    found = sniff(HEIC)
    assert found is not None
    assert found.mime == "image/heic"
    assert open_media(HEIC).facts.taken_at == "2022-03-04T05:06:07"
    pixels = decode(HEIC)
    assert pixels.shape == (48, 96, 3)
    assert [pixels[y, x].argmax() for y, x in ((10, 20), (10, 70), (40, 20))] == [0, 1, 2]


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [("rawpy", "a.dng", "raw"), ("pypdf", "a.pdf", "pdf"), ("pi_heif", "a.heic", "heif")],
)
def test_a_missing_package_is_named_with_what_to_type(
    package: str, name: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dng(tmp_path / "a.dng")
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4\n")
    (tmp_path / "a.heic").write_bytes(HEIC.read_bytes())
    monkeypatch.setitem(sys.modules, package, None)
    if package == "pi_heif":
        from searchkit.media import image

        monkeypatch.setattr(image, "_known_formats", ["PNG"])
    with pytest.raises(DecodeError, match=f"needs the package {package.replace('_', '-')}") as caught:
        open_media(tmp_path / name)
    assert caught.value.hint == f"pip install 'searchkit[{extra}]'"
