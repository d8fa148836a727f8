"""The modalities that ship as plugs: told by content, decoded, prepared, embedded by a ONE-PEACE model."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from searchkit.errors import DecodeError
from searchkit.media import DecodeSettings, open_media, sniff
from searchkit.media.isolate import DecoderPool
from searchkit.modality import BUILT_IN, plug_of
from searchkit.types import ArraySample
from tests.one_peace.tiny import tiny_config, tiny_model

RANDOM = np.random.default_rng(0)
METRES = RANDOM.uniform(0.5, 8, (48, 64)).astype(np.float32)
DIRECTIONS = RANDOM.normal(size=(40, 40, 3)).astype(np.float32)
CLOUD = RANDOM.normal(size=(300, 3)).astype(np.float32)


def depth_png(path: Path) -> None:
    Image.fromarray((METRES * 1000).astype(np.uint16)).save(path)


def pfm(path: Path, values: Any) -> None:
    kind = b"PF" if values.ndim == 3 else b"Pf"
    head = kind + f"\n{values.shape[1]} {values.shape[0]}\n-1.0\n".encode()
    path.write_bytes(head + values[::-1].astype("<f4").tobytes())


def ply(path: Path, form: str) -> None:
    head = f"ply\nformat {form} 1.0\nelement vertex {len(CLOUD)}\n"
    head += (
        "".join(f"property float {axis}\n" for axis in "xyz") + "property uchar red\nproperty uchar green\n"
    )
    head += "property uchar blue\nelement face 0\nproperty list uchar int vertex_indices\nend_header\n"
    if form == "ascii":
        body = "".join(f"{x} {y} {z} 255 0 51\n" for x, y, z in CLOUD).encode()
    else:
        mark = ">" if "big" in form else "<"
        body = b"".join(struct.pack(f"{mark}3f3B", *point, 255, 0, 51) for point in CLOUD)
    path.write_bytes(head.encode() + body)


def pcd(path: Path) -> None:
    head = f"# .PCD v.7\nVERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {len(CLOUD)}\n"
    head += f"HEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(CLOUD)}\nDATA binary\n"
    path.write_bytes(head.encode() + CLOUD.tobytes())


def imu_csv(path: Path, seconds: float = 4, rate_hz: int = 100) -> None:
    times = np.arange(0, seconds, 1 / rate_hz)
    waves = np.stack([np.sin(times * (axis + 1)) for axis in range(6)], axis=1)
    lines = ["time_ms,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"]
    lines += [
        f"{1000 * time:.1f}," + ",".join(f"{value:.5f}" for value in row)
        for time, row in zip(times, waves, strict=True)
    ]
    path.write_text("\n".join(lines))


CASES: dict[str, tuple[str, Callable[[Path], object], tuple[int, ...]]] = {
    "a.png": ("depth", depth_png, (48, 64)),
    "a.pfm": ("depth", lambda path: pfm(path, METRES), (48, 64)),
    "a-depth.npz": ("depth", lambda path: np.savez(path, depth=METRES), (48, 64)),
    "a-depth.npy": ("depth", lambda path: np.save(path, METRES), (48, 64)),
    "b.pfm": ("normal", lambda path: pfm(path, DIRECTIONS), (40, 40, 3)),
    "b.npz": ("normal", lambda path: np.savez(path, normals=DIRECTIONS), (40, 40, 3)),
    "c.ply": ("points", lambda path: ply(path, "ascii"), (300, 6)),
    "d.ply": ("points", lambda path: ply(path, "binary_little_endian"), (300, 6)),
    "e.ply": ("points", lambda path: ply(path, "binary_big_endian"), (300, 6)),
    "f.pcd": ("points", pcd, (300, 6)),
    "g.npy": ("points", lambda path: np.save(path, CLOUD), (300, 6)),
    "h.csv": ("imu", imu_csv, (200, 6)),
    "i.npz": (
        "imu",
        lambda path: np.savez(path, acc=np.ones((100, 3)), gyro=np.ones((100, 3)), rate_hz=50),
        (100, 6),
    ),
    "j.npz": ("fmri", lambda path: np.savez(path, fmri=RANDOM.normal(size=(3, 500))), (500,)),
    "k.npy": ("fmri", lambda path: np.save(path, RANDOM.normal(size=700)), (700,)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readings")
    for name, (_, write, _) in CASES.items():
        write(folder / name)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_told_by_its_content_and_decoded(folder: Path, name: str) -> None:
    modality, _, shape = CASES[name]
    settings = DecodeSettings(plugs=tuple(BUILT_IN))
    decoded = open_media(folder / name, settings)
    assert decoded.media_type.modality == modality
    (sample,) = decoded.samples
    assert isinstance(sample, ArraySample)
    assert sample.values.shape == shape


def test_values_are_what_was_written(folder: Path) -> None:
    settings = DecodeSettings(plugs=("depth", "normal", "points"))
    png, exact, normal, cloud = (
        next(iter(open_media(folder / name, settings).samples)).values  # type: ignore[union-attr]
        for name in ("a.png", "a.pfm", "b.pfm", "d.ply")
    )
    np.testing.assert_allclose(png, METRES, atol=1e-3)
    np.testing.assert_array_equal(exact, METRES)
    np.testing.assert_allclose(
        normal, DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=2, keepdims=True), atol=1e-6
    )
    np.testing.assert_allclose(cloud[:, :3], CLOUD)
    np.testing.assert_allclose(cloud[0, 3:], (1, 0, 0.2), atol=1e-6)


def test_without_a_model_that_embeds_it_a_file_is_what_it_was_before(folder: Path) -> None:
    found = sniff(folder / "a.png")
    assert found is not None
    assert found.modality == "image"
    assert sniff(folder / "a-depth.npz") is None
    plain = DecodeSettings()
    assert plain.fingerprint == DecodeSettings(plugs=()).fingerprint
    assert plain.fingerprint != DecodeSettings(plugs=("depth",)).fingerprint


def test_a_decoding_process_gives_the_same(folder: Path) -> None:
    settings = DecodeSettings(plugs=tuple(BUILT_IN))
    with DecoderPool(1) as pool:
        for name in ("a.png", "c.ply", "h.csv"):
            ours, theirs = open_media(folder / name, settings), pool.open_media(folder / name, settings)
            assert ours.facts == theirs.facts
            (mine,), (yours,) = list(ours.samples), list(theirs.samples)
            assert isinstance(mine, ArraySample)
            assert isinstance(yours, ArraySample)
            np.testing.assert_array_equal(mine.values, yours.values)


def test_a_long_series_comes_in_windows_with_their_times(tmp_path: Path) -> None:
    imu_csv(tmp_path / "walk.csv", seconds=22)
    decoded = open_media(tmp_path / "walk.csv", DecodeSettings(plugs=("imu",)))
    assert decoded.facts.duration_s == pytest.approx(22, abs=0.1)
    spans = [sample.span for sample in decoded.samples]
    assert [(span.start_s, span.end_s) for span in spans if span][:3] == [(0, 10), (5, 15), (10, 20)]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cut.pfm", b"Pf\n64 64\n-1.0\n" + bytes(100), "cut off"),
        ("cut.ply", b"ply\nformat ascii 1.0\nelement vertex 99\nproperty float x\n", "header is damaged"),
        ("empty.pfm", b"Pf\n8 8\n-1.0\n" + bytes(256), "no reading"),
    ],
)
def test_a_damaged_file_says_what_is_wrong(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=reason):
        list(open_media(path, DecodeSettings(plugs=tuple(BUILT_IN))).samples)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_model_embeds_each_of_them(folder: Path, name: str) -> None:
    files = [file for file, case in CASES.items() if case[0] == name]
    config = tiny_config(head_type=f"text+{name}")
    small = {"points": 64, "groups": 8, "neighbours": 8} if name == "points" else {}
    small |= {"length": 512} if name == "fmri" else {}
    config["model"]["encoder"][f"{name}_adapter"] = small
    model = tiny_model(config)
    plug = plug_of(name)
    options = {**plug.options, **small, "size_px": 64}
    samples = [next(plug.decode(folder / file)) for file in files[:2]]
    values = torch.from_numpy(np.stack([plug.prepare(sample.values, options) for sample in samples]))
    with torch.inference_mode():
        vectors = model(name, values=values)
        alone = model(name, values=values[:1])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(values)))
    torch.testing.assert_close(vectors[:1], alone, atol=2e-6, rtol=0)
    other = torch.flip(values, dims=(-1,)) if name != "points" else values * 0.5
    with torch.inference_mode():
        assert not torch.allclose(vectors, model(name, values=other), atol=1e-4)
