"""Build the set that the small model of docs/pretraining.md is trained and measured on, by one command.

    python tools/build_nano_set.py DIR [--cache DIR]

Needs searchkit itself, npm, apt-get with dpkg (run `apt-get update` once before), and

    pip install resvg-py==0.5.0
    pip install --no-deps tinysoundfont==0.3.7

Downloads about 350 MB into the cache and takes about ten minutes. Everything trained on is under a licence
that does not bind the weights: see `tools/mini/fetch.py`.
"""

import argparse
import json
from pathlib import Path

from mini.drawings import clipart_drawings, emoji_drawings
from mini.fetch import fetch
from nano.dataset import build, read_pictures
from nano.sounds import font_sounds, recorded_sounds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "searchkit-mini")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)

    def unpacked(package: str) -> Path:
        return fetch(package, options.cache)

    emoji = ("emoji-datasource-google", "emoji-datasource-twitter", "@lobehub/fluent-emoji-3d", "emojilib")
    drawings = [*emoji_drawings(*map(unpacked, emoji)), *clipart_drawings(unpacked("openclipart-svg"))]
    pictures = list(read_pictures(drawings))
    font = unpacked("fluid-soundfont-gm") / "usr/share/sounds/sf2/FluidR3_GM.sf2"
    sounds = [
        *font_sounds(font),
        *recorded_sounds(unpacked("sonic-pi-samples"), "*.flac"),
        *recorded_sounds(unpacked("ion-sound"), "*.ogg"),
    ]
    counts = build(options.folder, pictures, sounds)
    print(json.dumps(counts, indent=1))


if __name__ == "__main__":
    main()
