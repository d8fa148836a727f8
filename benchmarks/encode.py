"""Measure ONE-PEACE's encoding speed on a CPU as a share of what the machine's matrix products reach.

The model has random weights: width 768, 3072 in the feed-forward networks, 12 heads, 12 layers, the full
waveform encoder. Inputs: 8 texts of 16 tokens (and one alone), 8 pictures of 256 pixels, 8 sounds of 5 s.

Usage: python benchmarks/encode.py [--threads 1] [--only image] [--precision int8] [--json FILE]

Times are CPU seconds of the process (with one thread: what a free core would take), the least of some runs.
Columns: how many times as quick as the same model computed plainly (plain_one_peace.py) in the same run, and
as the original elsewhere; the share of the machine's float32 rate and of the precision's own rate; the least
cosine to the plain float32 result. "fast" merges similar tokens.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import plain_one_peace
import torch
import torch.nn.functional as F

from searchkit.one_peace.build import Model, build_model
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.merging import MERGED_SHARE
from searchkit.one_peace.packed import PackedLinear, can_pack
from searchkit.one_peace.precision import faster
from searchkit.one_peace.quantised import Int8Linear, RoundedRows

DIM, HIDDEN, HEADS, LAYERS, BATCH = 768, 3072, 12, 12, 8
TOKENS, IMAGE_PX, SAMPLES = 16, 256, 80_000
CONVOLUTIONS = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2"
# The original implementation on another 2-core machine: items a second with two threads, CPU s with one.
ORIGINAL_PER_S = {"text": 28.9, "image": 2.0, "audio": 1.25}
ORIGINAL_CPU_S = {"text": 0.056, "image": 0.907, "audio": 1.41}


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
    """Rates of one product of 2048 x 2048 matrices, in 1e9 operations a CPU second, by the quickest way."""
    count = 2 * 2048**3 / 1e9
    rates: dict[str, float] = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        weight, x = torch.randn(2048, 2048, dtype=dtype), torch.randn(2048, 2048, dtype=dtype)
        ways: list[Callable[[], Any]] = [lambda x=x, w=weight: F.linear(x, w)]
        if can_pack(dtype):
            packed = PackedLinear(weight, None)
            ways.append(lambda x=x, layer=packed: layer(x))
        rates[name] = count / min(least_s(way, runs) for way in ways)
    layer = Int8Linear(torch.nn.Linear(2048, 2048, bias=False))
    rounded = RoundedRows.of(torch.randn(2048, 2048))
    rates["int8"] = count / least_s(lambda: layer.multiply(rounded), runs)
    return rates


def prepare(model: Model, precision: str) -> Model:
    """A copy of the model as the encoder runs it in a precision."""
    model = copy.deepcopy(model)
    if precision == "bfloat16":
        model.bfloat16()
    for path, module in list(model.named_modules()):
        replacement = faster(path, module, int8=precision == "int8")
        if replacement is not None:
            model.set_submodule(path, replacement)
    return model


def cases(only: list[str] | None) -> Iterator[tuple[str, int]]:
    for modality in only or ("text", "image", "audio"):
        yield modality, BATCH
        if modality == "text":
            yield modality, 1


def measure(
    model: Model, precision: str, rates: dict[str, float], arguments: Any
) -> Iterator[dict[str, Any]]:
    """A row for the plain way, one for this model, and one with tokens merged where that applies."""
    prepared = prepare(model, precision)
    for modality, batch in cases(arguments.only):
        inputs = make_inputs(batch)[modality]
        exact = plain_one_peace.embed(model, modality, **inputs)
        given = {
            k: v.to(prepared.logit_scale.dtype) if v.is_floating_point() else v for k, v in inputs.items()
        }
        runs: dict[str, Callable[[], torch.Tensor]] = {}
        if precision == "float32":
            runs["plain"] = lambda m=modality, i=inputs: plain_one_peace.embed(model, m, **i)
        runs[precision] = lambda m=modality, i=given: prepared(m, **i)
        if modality != "text" and precision != "bfloat16":
            runs[f"{precision} fast"] = lambda m=modality, i=given: prepared(m, **i)
        for name, run in runs.items():
            prepared.encoder_wrapper.fusion_model.merged_share = MERGED_SHARE if "fast" in name else 0.0
            vectors = run().float()
            taken_s = least_s(run, arguments.runs) / batch
            work = operations(modality)
            yield {
                "precision": name,
                "modality": modality,
                "batch": batch,
                "cpu_s_per_item": taken_s,
                "per_cpu_s": 1 / taken_s,
                "share_of_float32_rate": work / taken_s / rates["float32"],
                "share_of_own_rate": work / taken_s / rates[precision],
                "least_cosine": F.cosine_similarity(vectors, exact).min().item(),
            }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=("text", "image", "audio"), action="append")
    parser.add_argument("--precision", choices=("float32", "bfloat16", "int8"), action="append")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows: list[dict[str, Any]] = []
    with torch.inference_mode():
        rates = matrix_rates(arguments.runs)
        print("matrix rates, 1e9 operations a CPU second:", {k: round(v, 1) for k, v in rates.items()})
        model = make_model()
        print(f"{'':<26}{'CPU s':>8}{'/ plain':>9}{'/ original':>11}{'of f32':>8}{'of own':>8}{'cosine':>10}")
        plain: dict[tuple[str, int], float] = {}
        for precision in arguments.precision or ("float32", "bfloat16", "int8"):
            for row in measure(model, precision, rates, arguments):
                case = row["modality"], row["batch"]
                plain.setdefault(case, row["cpu_s_per_item"])
                row["times_plain"] = plain[case] / row["cpu_s_per_item"]
                # What the original took on one thread of another machine says little of this one.
                row["times_original"] = ORIGINAL_CPU_S[row["modality"]] / row["cpu_s_per_item"]
                rows.append(row)
                print(
                    f"{row['modality']:<6} x {row['batch']:<2}{row['precision']:<15}"
                    f"{row['cpu_s_per_item']:>8.4f}{row['times_plain']:>9.2f}{row['times_original']:>11.2f}"
                    f"{row['share_of_float32_rate']:>8.0%}{row['share_of_own_rate']:>8.0%}"
                    f"{row['least_cosine']:>10.6f}",
                    flush=True,
                )
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
