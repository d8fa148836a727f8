"""A soundboard for a picture book: for each picture of a folder, the sound that fits it best.

Shows searchkit inside another application: one library, many searches from several threads.

    python examples/soundboard.py sample_media/photos sample_media/sounds
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import searchkit as sk


def best_sound(library: sk.Library, picture: Path) -> sk.Result | None:
    """The sound that fits a picture best, None when the library holds no sounds."""
    results = library.search(sk.image(picture), to="audio", k=1)
    return results[0] if results else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("sounds", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sk.open_library(folder) as library:
        report = library.index(arguments.pictures, arguments.sounds)
        for failure in report.errors:
            print(f"passed over {failure.path}: {failure.reason}")
        pictures = sorted(path for path in arguments.pictures.iterdir() if path.is_file())
        with ThreadPoolExecutor() as pool:
            for picture, sound in zip(
                pictures, pool.map(lambda path: best_sound(library, path), pictures), strict=True
            ):
                print(f"{picture.name:32} {sound.path.name if sound else '-'}")


if __name__ == "__main__":
    main()
