"""Measure what merging similar tokens (`--fast`) costs: how many of a picture's ten nearest stay among them.

    python benchmarks/merging_recall.py [--model-dir DIR] [--pictures FOLDER] [--limit 100] [--json FILE]

With a converted model, its own weights decide. Without one, a small model with random weights (384 wide, 6
layers) stands in: its neighbours are alike in colour and texture, no more, so the figure is a rough guide.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from searchkit.one_peace.branches import open_model_folder
from searchkit.one_peace.build import Model, build_model
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.lazy_model import LazyModel
from searchkit.one_peace.pixels import normalise_pixels, open_picture, resize_picture
from searchkit.one_peace.weights import FolderWeights

SHARES = (0.3, 0.6, 0.9)


def random_model() -> Model:
    """A small model whose weights keep signals alive."""
    adapter = {"use_attn_bias": True, "bucket_size": 16}
    encoder = {
        "embed_dim": 384,
        "ffn_embed_dim": 1536,
        "layers": 6,
        "attention_heads": 6,
        "image_adapter": adapter,
        "magneto_scale_attn": True,
        "scale_attn": False,
        "scale_heads": False,
        "dropout": 0.0,
    }
    settings = {"task": {"head_type": "image"}, "model": {"_name": "one_peace_retrieval", "encoder": encoder}}
    model = build_model(ModelConfig.from_config(settings)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("gamma_1", "gamma_2")):
                parameter.fill_(0.5)
            elif parameter.dim() > 1:
                scale = 0.3 if "pos" in name else 0.8 / math.sqrt(math.prod(parameter.shape[1:]))
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return model


def embed(model: Model, pixels: np.ndarray, share: float) -> tuple[np.ndarray, float]:
    """Unit rows of pictures with a share of their tokens merged, and the CPU seconds it took."""
    model.encoder_wrapper.fusion_model.merged_share = share
    started = time.process_time()
    with torch.inference_mode():
        rows = [
            model("image", src_images=torch.from_numpy(pixels[i : i + 1])).numpy() for i in range(len(pixels))
        ]
    return np.concatenate(rows), time.process_time() - started


def nearest(rows: np.ndarray, k: int) -> np.ndarray:
    """Numbers of each row's k nearest others, (N, k), by what is left when the mean is taken away."""
    centred = rows - rows.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    scores = centred @ centred.T
    np.fill_diagonal(scores, -2)
    return np.argsort(-scores, axis=1)[:, :k]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model-dir", type=Path)
    photos = Path(__file__).parent.parent / "sample_media" / "photos"
    parser.add_argument("--pictures", type=Path, default=photos)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kinds = (".jpg", ".jpeg", ".png", ".webp")
    paths = sorted(path for path in arguments.pictures.rglob("*") if path.suffix.lower() in kinds)
    paths = paths[: arguments.limit]
    model: Any = random_model()
    if arguments.model_dir:
        lazy = LazyModel(FolderWeights(open_model_folder(arguments.model_dir)))
        with lazy.using("image") as model:
            pass
    size_px = model.config.task.patch_image_size
    pixels = normalise_pixels([resize_picture(open_picture(path), size_px) for path in paths])
    exact, exact_s = embed(model, pixels, 0.0)
    k = min(10, len(paths) - 1)
    wanted = nearest(exact, k)
    rows = []
    print(f"{len(paths)} pictures; share merged, times as quick, recall@{k} of the exact neighbours, cosine")
    for share in SHARES:
        found, taken_s = embed(model, pixels, share)
        kept = [len(set(a) & set(b)) / k for a, b in zip(wanted, nearest(found, k), strict=True)]
        row = {
            "share": share,
            "times_as_quick": exact_s / taken_s,
            "recall": float(np.mean(kept)),
            "mean_cosine": float((found * exact).sum(1).mean()),
        }
        rows.append(row)
        print("  ".join(f"{value:>7.3f}" for value in row.values()), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"pictures": len(paths), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
