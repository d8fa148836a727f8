"""Measure ONE-PEACE's encoding speed on a CPU as a share of what the machine's matrix products reach.

The model has random weights: width 768, 3072 in the feed-forward networks, 12 heads, 12 layers, the full
waveform encoder. Inputs: 8 texts of 16 tokens, 8 pictures of 256 pixels, 8 sounds of 5 s.

Usage: python benchmarks/encode.py [--threads 1] [--json FILE]

Times are CPU seconds of the process (with one thread: what a free core would take), the least of some runs.
The matrix rates come from the same run.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from searchkit.one_peace.build import Model, build_model
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.quantised import Int8Linear, takes_int8

DIM, HIDDEN, HEADS, LAYERS, BATCH = 768, 3072, 12, 12, 8
TOKENS, IMAGE_PX, SAMPLES = 16, 256, 80_000
CONVOLUTIONS = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2"
# Items a second of the original implementation on another 2-core machine, for orientation only.
ORIGINAL_PER_S = {"text": 28.9, "image": 2.0, "audio": 1.25}


def make_model() -> Model:
    """The benchmark's model with weights that keep signals alive through all layers."""
    bias = {"use_attn_bias": True}
    encoder = {
        "embed_dim": DIM,
        "ffn_embed_dim": HIDDEN,
        "layers": LAYERS,
        "attention_heads": HEADS,
        "text_adapter": {**bias, "bucket_size": 256},
        "image_adapter": {**bias, "bucket_size": 16},
        "audio_adapter": {**bias, "bucket_size": 512, "feature_encoder_spec": CONVOLUTIONS},
        "magneto_scale_attn": True,
        "scale_attn": False,
        "scale_heads": False,
        "dropout": 0.0,
    }
    task = {"head_type": "val", "patch_image_size": IMAGE_PX}
    model = build_model(
        ModelConfig.from_config({"task": task, "model": {"_name": "one_peace_retrieval", "encoder": encoder}})
    ).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("gamma_1", "gamma_2")):
                parameter.fill_(0.5)
            elif parameter.dim() > 1:
                fan_in = math.prod(parameter.shape[1:])
                scale = 0.3 if "embed" in name and parameter.dim() == 2 else 0.8 / math.sqrt(fan_in)
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return model


def make_inputs(batch: int) -> dict[str, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(4, 50_000, (batch, TOKENS), generator=generator)
    tokens[:, -1] = 2
    return {
        "text": {"src_tokens": tokens},
        "image": {"src_images": torch.randn(batch, 3, IMAGE_PX, IMAGE_PX, generator=generator)},
        "audio": {
            "src_audios": torch.randn(batch, SAMPLES, generator=generator),
            "audio_padding_masks": torch.zeros(batch, 250, dtype=torch.bool),
        },
    }


def operations(modality: str) -> float:
    """Floating-point operations of one item, in units of 1e9: matrix products only."""
    length = {"text": TOKENS + 1, "image": 257, "audio": 250}[modality]
    per_token = 4 * DIM * DIM + 3 * DIM * HIDDEN
    total = LAYERS * (2 * length * per_token + 4 * length * length * DIM)
    if modality == "audio":
        frames, channels = SAMPLES, 1
        for kernel, stride in [(10, 5)] + [(3, 2)] * 4 + [(2, 2)] * 2:
            frames = (frames - kernel) // stride + 1
            total += 2 * frames * kernel * channels * 512
            channels = 512
        total += 2 * frames * 512 * DIM + 5 * 2 * frames * DIM * (DIM // 16) * 19
    if modality == "image":
        total += 2 * DIM // 4 * (64 * 64 * 48 + 32 * 32 * DIM) + 2 * 256 * DIM * DIM
    return total / 1e9


def least_s(run: Callable[[], Any], runs: int) -> float:
    run()
    times = []
    for _ in range(runs):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def matrix_rates(runs: int) -> dict[str, float]:
    """Rates of one product 2048 x 2048 x 2048, in 1e9 operations a CPU second."""
    layer = torch.nn.Linear(2048, 2048, bias=False)
    x = torch.randn(2048, 2048)
    low, low_x = torch.nn.Linear(2048, 2048, bias=False).bfloat16(), x[:256].bfloat16()
    count = 2 * 2048**3 / 1e9
    rounded = Int8Linear(layer)
    return {
        "float32": count / least_s(lambda: layer(x), runs),
        "bfloat16": count / 8 / least_s(lambda: low(low_x), 1),
        "int8": count / least_s(lambda: rounded(x), runs),
    }


def quantise(model: Model) -> None:
    trunk = model.encoder_wrapper.fusion_model
    for path, module in list(trunk.named_modules()):
        if takes_int8(path, module):
            trunk.set_submodule(path, Int8Linear(module))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=("text", "image", "audio"), action="append")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    modalities = arguments.only or ["text", "image", "audio"]
    with torch.inference_mode():
        rates = matrix_rates(arguments.runs)
        print("matrix rates, 1e9 operations a CPU second:", {k: round(v, 1) for k, v in rates.items()})
        model, rows, reference = make_model(), [], {}
        for precision in ("float32", "int8"):
            if precision == "int8":
                quantise(model)
            for modality in modalities:
                for batch in (BATCH, 1) if modality == "text" else (BATCH,):
                    inputs = make_inputs(batch)[modality]
                    vectors = model(modality, **inputs)
                    taken = least_s(lambda m=modality, i=inputs: model(m, **i), arguments.runs)
                    rate = batch * operations(modality) / taken
                    exact = reference.setdefault((modality, batch), vectors)
                    rows.append(
                        {
                            "precision": precision,
                            "modality": modality,
                            "batch": batch,
                            "cpu_s_per_item": taken / batch,
                            "gflop_per_cpu_s": rate,
                            "share_of_float32_rate": rate / rates["float32"],
                            "least_cosine": F.cosine_similarity(vectors, exact).min().item(),
                        }
                    )
                    print({k: round(v, 5) if isinstance(v, float) else v for k, v in rows[-1].items()})
    if arguments.json:
        result = {
            "threads": arguments.threads,
            "rates": rates,
            "rows": rows,
            "original_per_s": ORIGINAL_PER_S,
        }
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
