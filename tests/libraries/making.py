"""Makes the library that is kept for a revision of the catalog's schema, by the code of that time.

    cd CHECKOUT_OF_THAT_TIME; PYTHONPATH=... python .../tests/libraries/making.py FOLDER REVISION

A revision's first library is made by the last code before the next revision, so that those that are kept were
written by what people had. Media lie in /media/old meanwhile, which is what the catalog then says.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

import searchkit as sk
from searchkit.stores.faiss import FaissStore, Tuning

MEDIA = Path("/media/old")
QUERIES = ("steam train", "a dog in the snow", "ship")


def encoder():
    place = Path(__file__).with_name("words_encoder.py")
    spec = importlib.util.spec_from_file_location("words_encoder", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WordsEncoder()


def write_media():
    (MEDIA / "texts").mkdir(parents=True)
    for name, words in {
        "dog.txt": "A dog runs through the snow.",
        "train.md": "# Train\n\nA steam train leaves the station.",
        "caf\udce9.txt": "Coffee and cake in a small town.",
        "ship.txt": "A ship sails out of the harbour. Long after it the horn sounds over the sea.",
    }.items():
        (MEDIA / "texts" / name).write_text(words)
    for number in range(3):
        blocks = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((64, 48), Image.Resampling.NEAREST).save(
            MEDIA / f"picture{number}.png"
        )
    times = np.arange(40 * 16_000) / 16_000
    soundfile.write(MEDIA / "long.flac", np.sin(2000 * times) * np.exp(-times / 10), 16_000)
    (MEDIA / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    (MEDIA / "table.bin").write_bytes(bytes(range(256)) * 4)


def main(folder, revision):
    shutil.rmtree(MEDIA, ignore_errors=True)
    write_media()
    place = folder / revision
    try:
        with sk.open_library(place) as library:
            library._encoder = encoder()
            library.index(MEDIA)
            library.tag(MEDIA / "texts", add=["read"])
            if hasattr(library, "save_query"):
                library.save_query("rails", "text:train", to="text", where="tag:read")
        for collection in (place / "vectors").iterdir():
            # sealed segments with codes; what is written after them stays in the log
            store = FaissStore(collection, 24, tuning=Tuning(seal=2, exact=0, coded=1))
            store.compact()
            store.close()
        (MEDIA / "texts" / "dog.txt").write_text("The dog sleeps; outside there is snow.")
        (MEDIA / "texts" / "new.txt").write_text("A lighthouse in the fog.")
        (MEDIA / "picture1.png").unlink()
        with sk.open_library(place) as library:
            library._encoder = encoder()
            library.index(MEDIA)
            expected = {
                "revision": revision,
                "searches": {
                    query: [
                        [str(found.path), found.segment_id, round(found.score, 5)]
                        for found in library.search(query, k=50, spans=True)
                    ]
                    for query in QUERIES
                },
            }
        (place / "expected.json").write_text(json.dumps(expected, indent=1))
        with tarfile.open(folder / f"{revision}.tar.xz", "w:xz") as archive:
            archive.add(place, revision, filter=lambda entry: None if "lock" in entry.name else entry)
        shutil.rmtree(place)
    finally:
        shutil.rmtree(MEDIA)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
