from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from searchkit.errors import DecodeError, UsageError
from searchkit.media import DecodeSettings, MediaType, isolate, open_media, sniff
from searchkit.media.isolate import DecoderPool
from searchkit.types import AudioSample, ImageSample, Modality, Sample, TextSample

from .making import noise, png_header, write_sound, write_video

# Stands before the worker's own code: a time limit is of decoding then, not of a slow machine's imports.
READY = """
import searchkit.media.audio, searchkit.media.image
searchkit.media.image._formats()
"""

# Stands there, too: files of these names do to the worker what broken decoders do.
SABOTAGE = textwrap.dedent(
    """
    import ctypes, os, signal, time
    import searchkit.media.open as opening
    genuine = opening._decoder
    def decoder(media_type):
        facts, samples = genuine(media_type)
        def sabotaged(path, settings):
            if "segfault" in path.name:
                ctypes.string_at(0)
            if "abort" in path.name:
                os.abort()
            if "hang" in path.name:
                time.sleep(600)
            if "stuck" in path.name:
                # Holds the interpreter, as a decoder in C may.
                ctypes.PyDLL(None).sleep(600)
            if "killed" in path.name:
                os.kill(os.getpid(), signal.SIGKILL)
            if "greedy" in path.name:
                bytearray(1 << 40)
            if "talks" in path.name:
                os.write(1, b"loud noise on standard output")
            yield from samples(path, settings)
        return facts, sabotaged
    opening._decoder = decoder
    """
)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def start_with(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    start, end = isolate._START.rsplit("main()", 1)
    monkeypatch.setattr(isolate, "_START", f"{start}{code}\nmain(){end}")


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    start_with(monkeypatch, READY)


@pytest.fixture
def sabotage(monkeypatch: pytest.MonkeyPatch) -> None:
    start_with(monkeypatch, READY + SABOTAGE)


def assert_same(one: Sample, other: Sample) -> None:
    assert type(one) is type(other)
    assert one.span == other.span
    if isinstance(one, ImageSample) and isinstance(other, ImageSample):
        assert np.array_equal(one.pixels, other.pixels)
    elif isinstance(one, AudioSample) and isinstance(other, AudioSample):
        assert np.array_equal(one.waveform, other.waveform)
        assert one.rate_hz == other.rate_hz
    else:
        assert one == other or (isinstance(one, TextSample) and one.text == other.text)  # type: ignore[attr-defined]


def test_it_gives_what_decoding_in_process_gives(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 2000), (1, 2, 3)).save(tmp_path / "big.jpg")
    write_sound(tmp_path / "long.wav", noise(16_000 * 40), 16_000)
    write_video(tmp_path / "a.mp4", [3.0, 3.0])
    frames = [Image.new("RGB", (8, 8), (shade, shade, shade)) for shade in range(10, 250, 20)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "a.txt").write_text("Ünïcode words. " * 200, encoding="utf-8")
    Image.new("RGB", (8, 8)).save(tmp_path / os.fsdecode(b"bad\xff\nname.png"))
    (tmp_path / "a.bin").write_bytes(b"\x05\x07\x00\xfe" * 100)
    settings = DecodeSettings(audio_window_s=10, passage_chars=300)
    with DecoderPool(1) as pool:
        for path in tmp_path.iterdir():
            assert pool.sniff(path) == sniff(path)
            if path.suffix == ".bin":
                continue
            ours, theirs = open_media(path, settings), pool.open_media(path, settings)
            assert (theirs.media_type, theirs.facts) == (ours.media_type, ours.facts)
            for one, other in zip(ours.samples, theirs.samples, strict=True):
                assert_same(one, other)


def test_errors_are_those_of_decoding_in_process(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(50_000, 50_000))
    (tmp_path / "empty.jpg").touch()
    for path in (*tmp_path.iterdir(), Path("relative/gone.jpg")):
        with DecoderPool(1) as pool, pytest.raises(DecodeError) as theirs:
            list(pool.open_media(path).samples)
        with pytest.raises(DecodeError) as ours:
            list(open_media(path).samples)
        assert (theirs.value.path, theirs.value.reason, theirs.value.hint) == (
            path,
            ours.value.reason,
            ours.value.hint,
        )


@pytest.mark.usefixtures("sabotage")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("segfault.png", "the decoder crashed (SIGSEGV)"),
        ("abort.png", "the decoder crashed (SIGABRT)"),
        ("killed.png", "the decoder was killed, perhaps for want of memory"),
        ("hang.png", "decoding took longer than 6 s"),
        ("stuck.png", "decoding took longer than 6 s"),
        ("greedy.png", "there is not enough memory to decode it"),
    ],
)
def test_a_decoder_that_dies_takes_one_file_with_it(pictures: Path, name: str, reason: str) -> None:
    bad = pictures / name
    Image.new("RGB", (8, 8)).save(bad)
    paths = sorted(pictures.iterdir())
    outcomes: dict[str, str] = {}
    with DecoderPool(2, timeout_s=6) as pool:

        def read(path: Path) -> None:
            try:
                outcomes[path.name] = f"{len(list(pool.open_media(path).samples))} sample"
            except DecodeError as error:
                outcomes[error.path.name] = error.reason

        with ThreadPoolExecutor(3) as threads:
            list(threads.map(read, [*paths, *paths[:8]]))
    assert sum(outcome == "1 sample" for outcome in outcomes.values()) == 8
    assert outcomes[name] == reason


@pytest.mark.usefixtures("sabotage")
def test_what_a_decoder_prints_does_not_get_between_the_samples(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "talks.png")
    with DecoderPool(1) as pool:
        (sample,) = pool.open_media(tmp_path / "talks.png").samples
    assert isinstance(sample, ImageSample)
    assert (sample.pixels == 9).all()


def test_samples_that_are_not_asked_for_hold_nothing_up(tmp_path: Path) -> None:
    write_sound(tmp_path / "long.wav", noise(16_000 * 300), 16_000)
    with DecoderPool(1) as pool:
        never = pool.open_media(tmp_path / "long.wav")
        halfway = pool.open_media(tmp_path / "long.wav")
        next(halfway.samples)
        del halfway
        gc.collect()
        assert len(list(pool.open_media(tmp_path / "long.wav").samples)) == 30
        assert len(list(never.samples)) == 30


@pytest.mark.usefixtures("ready")
def test_a_slow_consumer_is_no_hanging_decoder(tmp_path: Path) -> None:
    write_sound(tmp_path / "long.wav", noise(16_000 * 120), 16_000)
    with DecoderPool(1, timeout_s=5) as pool:
        pool.open_media(tmp_path / "long.wav")
        samples = pool.open_media(tmp_path / "long.wav").samples
        next(samples)
        time.sleep(5.5)
        assert len(list(samples)) == 11


def test_a_known_type_is_not_sniffed_again(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    claimed = MediaType(Modality.AUDIO, "audio/wav")
    with DecoderPool(1) as pool, pytest.raises(DecodeError, match="cut off"):
        pool.open_media(tmp_path / "a.png", media_type=claimed)


def test_closing_ends_the_processes(pictures: Path) -> None:
    pool = DecoderPool(2)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(pool.open_media, pictures.iterdir()))
    processes = [worker._process for worker in pool._workers if worker._process]
    assert processes
    pool.close()
    pool.close()
    assert all(process.poll() is not None for process in processes)
    with pytest.raises(UsageError, match="closed"):
        pool.open_media(pictures / "0.png")


def test_workers_end_with_a_caller_that_is_killed(pictures: Path) -> None:
    code = (
        "import sys, time\nfrom searchkit.media.isolate import DecoderPool\n"
        "pool = DecoderPool(1)\npool.open_media(sys.argv[1])\n"
        "print(pool._workers[0]._process.pid, flush=True)\ntime.sleep(600)\n"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", code, str(pictures / "0.png")], stdout=subprocess.PIPE, text=True
    )
    assert caller.stdout is not None
    with caller.stdout:
        worker = int(caller.stdout.readline())
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    while runs(worker):  # the test's time limit ends a wait in vain
        time.sleep(0.1)


def runs(pid: int) -> bool:
    """Whether a process is there; an orphan that ended may stay as a zombie until it is reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
