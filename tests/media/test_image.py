from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, features

from searchkit.errors import DecodeError
from searchkit.media import DecodeSettings, open_media
from searchkit.types import ImageSample, Modality

from .making import png_header


def decode(path: Path, **settings: object) -> np.ndarray:
    decoded = open_media(path, DecodeSettings(**settings))  # type: ignore[arg-type]
    assert decoded.media_type.modality is Modality.IMAGE
    (sample,) = decoded.samples
    assert isinstance(sample, ImageSample)
    assert sample.span is None
    facts = decoded.facts
    assert facts.width_px is not None
    assert facts.height_px is not None
    assert (sample.pixels.shape[0] > sample.pixels.shape[1]) == (facts.height_px > facts.width_px)
    return sample.pixels


@pytest.fixture
def corners() -> Image.Image:
    """40 x 20 with one colour a quarter, so that any turn shows."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:10, :20], pixels[:10, 20:], pixels[10:, :20] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return Image.fromarray(pixels)


FORMATS = [
    "png",
    "bmp",
    "tiff",
    "gif",
    "ppm",
    "webp",
    "jp2",
    "ico",
    "tga",
    "pcx",
    "sgi",
    "dds",
    "qoi",
    "jpg",
    "avif",
]


@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_gives_the_picture(corners: Image.Image, tmp_path: Path, extension: str) -> None:
    if extension == "avif" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    options = {"webp": {"lossless": True}, "ico": {"sizes": [(40, 20)]}, "jpg": {"subsampling": 0}}.get(
        extension, {}
    )
    path = tmp_path / f"picture.{extension}"
    corners.save(path, **options)
    pixels = decode(path)
    assert pixels.shape == (20, 40, 3)
    lossy = extension in ("jpg", "avif")
    np.testing.assert_allclose(
        pixels[2:8, 2:16], np.broadcast_to((255, 0, 0), (6, 14, 3)), atol=12 if lossy else 0
    )
    np.testing.assert_allclose(
        pixels[2:8, 24:38], np.broadcast_to((0, 255, 0), (6, 14, 3)), atol=12 if lossy else 0
    )


@pytest.mark.parametrize("extension", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_undone(
    tmp_path: Path, corners: Image.Image, orientation: int, extension: str
) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = corners.transpose(undo[orientation]) if orientation > 1 else corners
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"turned.{extension}"
    options = {"lossless": True} if extension == "webp" else {"subsampling": 0} if extension == "jpg" else {}
    stored.save(path, exif=exif, **options)
    np.testing.assert_allclose(decode(path), np.asarray(corners), atol=60 if extension == "jpg" else 0)
    assert (open_media(path).facts.width_px, open_media(path).facts.height_px) == (40, 20)


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[:, :3] = (10, 20, 30, 255)
    rgba[:, 3:] = (200, 0, 0, 0)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    Image.fromarray(rgba).quantize(8).save(tmp_path / "palette.png")
    Image.fromarray(rgba).convert("LA").save(tmp_path / "grey.png")
    half = np.full((2, 2, 4), (0, 0, 0, 128), np.uint8)
    Image.fromarray(half).save(tmp_path / "half.png")
    assert decode(tmp_path / "a.png")[0].tolist() == [[10, 20, 30]] * 3 + [[255, 255, 255]] * 3
    assert decode(tmp_path / "palette.png")[0, 5].tolist() == [255, 255, 255]
    assert decode(tmp_path / "grey.png")[0, 5].tolist() == [255, 255, 255]
    assert decode(tmp_path / "half.png")[0, 0].tolist() == pytest.approx([127] * 3, abs=1)


def test_deep_pictures_keep_their_greys(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, axis=0)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    Image.fromarray(ramp).save(tmp_path / "deep.tiff")
    Image.fromarray((ramp / 65535).astype(np.float32)).save(tmp_path / "float.tiff")
    Image.fromarray((ramp / 65535 * 1e6).astype(np.int32)).save(tmp_path / "int.tiff")
    for name in ("deep.png", "deep.tiff", "float.tiff", "int.tiff"):
        assert np.abs(decode(tmp_path / name)[0, :, 0].astype(int) - np.arange(256)).max() <= 1, name


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (9, 7), (255, 255, 255)).convert(mode)
    path = tmp_path / ("picture.png" if mode in ("1", "L", "P") else "picture.tiff")
    image.save(path)
    assert (decode(path) >= 250).all()


def test_an_animation_gives_some_of_its_frames(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), (shade, shade, shade)) for shade in (10, 60, 110, 160, 210)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert open_media(tmp_path / "a.gif").facts.frames == 5

    def shades(**settings: int) -> list[int]:
        samples = open_media(tmp_path / "a.gif", DecodeSettings(**settings)).samples
        return [int(sample.pixels[0, 0, 0]) for sample in samples if isinstance(sample, ImageSample)]

    assert shades() == [10, 60, 110, 160, 210]
    assert shades(image_max_frames=3) == [10, 60, 160]
    assert shades(image_max_frames=1) == [10]


@pytest.mark.parametrize("extension", ["jpg", "png"])
def test_big_pictures_are_reduced_but_not_below_what_is_asked(tmp_path: Path, extension: str) -> None:
    # A slope has no detail that reduction could lose.
    slope = np.linspace(0, 255, 1600).astype(np.uint8)[None].repeat(1200, axis=0)
    path = tmp_path / f"big.{extension}"
    Image.fromarray(slope).convert("RGB").save(path)
    full = decode(path, image_max_side_px=None)
    small = decode(path, image_max_side_px=256)
    assert full.shape == (1200, 1600, 3)
    assert small.shape == (300, 400, 3)
    assert np.abs(small[150, :, 0].astype(int) - full[600, 2::4, 0]).max() <= 3
    facts = open_media(path).facts
    assert (facts.width_px, facts.height_px) == (1600, 1200)


def test_time_and_place_are_read(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "Dog in snow"
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "2021:07:30 18:05:09"
    details[ExifTags.Base.OffsetTimeOriginal] = "+02:00"
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitude], place[ExifTags.GPS.GPSLatitudeRef] = (33.0, 52.0, 12.0), "S"
    place[ExifTags.GPS.GPSLongitude], place[ExifTags.GPS.GPSLongitudeRef] = (151.0, 12.0, 36.0), "E"
    Image.new("RGB", (8, 8)).save(tmp_path / "p.jpg", exif=exif)
    facts = open_media(tmp_path / "p.jpg").facts
    assert facts.taken_at == "2021-07-30T18:05:09+02:00"
    assert facts.latitude == pytest.approx(-33.87)
    assert facts.longitude == pytest.approx(151.21)
    assert facts.title == "Dog in snow"


def test_damaged_metadata_do_not_hide_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "p.jpg"
    Image.new("RGB", (8, 8), (0, 0, 255)).save(path, exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f garbage")
    assert decode(path)[0, 0, 2] > 240


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "gif", "tiff", "bmp"])
def test_a_picture_cut_off_is_an_error(tmp_path: Path, extension: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"cut.{extension}"
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DecodeError, match=r"damaged or cut off|damaged, or no image") as caught:
        list(open_media(path).samples)
    assert caught.value.path == path


@pytest.mark.parametrize("width", [12_000, 50_000])
def test_too_many_pixels_are_refused_before_they_are_made(tmp_path: Path, width: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(width, 50_000))
    with pytest.raises(DecodeError, match="million pixels, more than the limit of 178 million"):
        open_media(path)
    Image.new("RGB", (100, 100)).save(tmp_path / "small.png")
    with pytest.raises(DecodeError, match="limit"):
        open_media(tmp_path / "small.png", DecodeSettings(max_pixels=9_999))


def test_decoding_in_threads_leaves_the_callers_warning_filters_alone(tmp_path: Path) -> None:
    paths = []
    for number in range(40):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (200, 200), (number, 0, 0)).save(paths[-1])
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        shades = list(pool.map(lambda path: int(decode(path)[0, 0, 0]), paths))
    assert shades == list(range(40))
    assert warnings.filters == before
