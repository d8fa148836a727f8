"""Writes real media files for the tests of decoding."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

COLOURS = [(220, 30, 30), (30, 200, 40), (40, 50, 230), (240, 230, 60), (200, 60, 210), (60, 210, 220)]


def tone(seconds: float, rate_hz: int, channels: int = 1, hz: float = 440.0) -> np.ndarray:
    """(n, channels) float32 of a tone, quieter in each further channel."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = 0.4 * np.sin(2 * np.pi * hz * time_s)
    return np.stack([wave / (1 + c) for c in range(channels)], axis=1).astype(np.float32)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(count) * 0.1).astype(np.float32)


def write_sound(path: Path, samples: np.ndarray, rate_hz: int, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    return path


def write_video(
    path: Path,
    scenes_s: list[float],
    *,
    fps: int = 10,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    sound: str | None = "aac",
    container: str | None = None,
    options: dict[str, str] | None = None,
    gop: int = 12,
    tags: dict[str, str] | None = None,
    pixel_aspect: Fraction = Fraction(1),
) -> Path:
    """A video with one colour a scene; its sound is a tone of 440 Hz as long as the pictures."""
    with av.open(str(path), "w", format=container, options=options or {}) as output:
        output.metadata.update(tags or {})
        pictures = output.add_stream(codec, rate=fps)
        pictures.width, pictures.height = size
        pictures.pix_fmt = "yuv420p"
        pictures.codec_context.gop_size = gop
        pictures.codec_context.sample_aspect_ratio = pixel_aspect
        track = _Track(output, output.add_stream(sound, rate=48_000, layout="mono")) if sound else None
        heard = np.array_split(tone(sum(scenes_s), 48_000)[:, 0], round(sum(scenes_s) * fps))
        for number in range(round(sum(scenes_s) * fps)):
            scene = int(np.searchsorted(np.cumsum(scenes_s), number / fps + 1e-9, side="right"))
            pixels = np.zeros((size[1], size[0], 3), np.uint8)
            pixels[:] = COLOURS[scene % len(COLOURS)]
            output.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels)))
            if track is not None:
                track.write(heard[number])
        output.mux(pictures.encode())
        if track is not None:
            track.finish()
    return path


def write_encoded_sound(
    path: Path, codec: str, samples: np.ndarray, rate_hz: int, container: str | None = None
) -> Path:
    """A sound written by FFmpeg, for the formats that libsndfile lacks; samples are (n,) float32."""
    with av.open(str(path), "w", format=container) as output:
        track = output.add_stream(codec, rate=rate_hz, layout="mono")
        track.bit_rate = 96_000
        writer = _Track(output, track)
        for at in range(0, len(samples), 4096):
            writer.write(samples[at : at + 4096])
        writer.finish()
    return path


class _Track:
    """A sound track that is written bit by bit."""

    def __init__(self, output: av.container.OutputContainer, track: av.AudioStream) -> None:
        self._output, self._track, self._at = output, track, 0
        self._resampler = av.AudioResampler(
            track.codec_context.format, track.layout, track.rate, frame_size=track.frame_size or 1024
        )

    def write(self, samples: np.ndarray) -> None:
        frame = av.AudioFrame.from_ndarray(samples[None].copy(), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = self._track.rate, self._at
        self._at += len(samples)
        for piece in self._resampler.resample(frame):
            self._output.mux(self._track.encode(piece))

    def finish(self) -> None:
        for piece in self._resampler.resample(None):
            self._output.mux(self._track.encode(piece))
        self._output.mux(self._track.encode())


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels and holds none."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00" * 100)) + chunk(b"IEND", b"")


def turn_video(path: Path) -> None:
    """Set the rotation of an MP4's picture track to a quarter turn, in its header."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def write_dng(path: Path, *, preview: bytes | None = None, orientation: int = 1) -> None:
    """A camera file of 96 x 64 whose left half is red and right half green, with a JPEG preview or none."""
    cfa = np.zeros((64, 96), np.uint16)
    cfa[0::2, 0:48:2] = 60_000
    cfa[0::2, 49::2] = cfa[1::2, 48::2] = 60_000
    matrix = [value for cell in np.eye(3, dtype=int).ravel().tolist() for value in (cell, 1)]
    camera = [
        (271, 2, b"Test\0"),
        (272, 2, b"Test\0"),
        (274, 3, [orientation]),
        (306, 2, b"2021:02:03 04:05:06\0"),
    ]
    camera += [(50706, 1, bytes([1, 4, 0, 0])), (50708, 2, b"Test Model\0"), (50721, 10, matrix)]
    camera += [(50728, 5, [1, 1] * 3), (50778, 3, [21])]
    sensor: list[tuple[int, int, list[int] | bytes]] = [
        *[(256, 4, [96]), (257, 4, [64]), (258, 3, [16]), (259, 3, [1]), (262, 3, [32_803]), (277, 3, [1])],
        *[(278, 4, [64]), (33421, 3, [2, 2]), (33422, 1, bytes([0, 1, 1, 2])), (50717, 4, [65_535])],
    ]
    data = bytearray(b"II*\0" + struct.pack("<I", 8))
    if preview is None:
        _append_directory(data, [(254, 4, [0]), *sensor, *camera], cfa.tobytes())
    else:
        small = [
            (254, 4, [1]),
            (256, 4, [900]),
            (257, 4, [600]),
            (258, 3, [8, 8, 8]),
            (259, 3, [7]),
            (262, 3, [6]),
        ]
        small += [(277, 3, [3]), (278, 4, [600]), (330, 4, [0])]
        _append_directory(data, [*small, *camera], preview)
        # The first directory points to the sensor's, which comes after it.
        at = data.index(struct.pack("<HHI", 330, 4, 1)) + 8
        data[at : at + 4] = struct.pack("<I", len(data))
        _append_directory(data, [(254, 4, [0]), *sensor], cfa.tobytes())
    path.write_bytes(data)


def _append_directory(data: bytearray, tags: list[tuple[int, int, list[int] | bytes]], strip: bytes) -> None:
    """A TIFF directory with one strip; tags are (number, type, values)."""
    tags = sorted([*tags, (273, 4, [0]), (279, 4, [len(strip)])])
    values_at = len(data) + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for number, kind, content in tags:
        letter, size = {1: ("B", 1), 2: ("B", 1), 3: ("H", 2), 4: ("I", 4), 5: ("I", 8), 10: ("i", 8)}[kind]
        packed = struct.pack(f"<{len(content)}{letter}", *content)
        count = len(packed) // size
        if number == 273:
            entries += struct.pack("<HHI", number, kind, count) + b"HERE"
        elif len(packed) > 4:
            entries += struct.pack("<HHII", number, kind, count, values_at + len(values))
            values += packed + b"\0" * (len(packed) % 2)
        else:
            entries += struct.pack("<HHI", number, kind, count) + packed.ljust(4, b"\0")
    entries = entries.replace(b"HERE", struct.pack("<I", values_at + len(values)))
    data += struct.pack("<H", len(tags)) + entries + bytes(4) + values + strip
