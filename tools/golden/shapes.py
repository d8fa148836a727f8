"""Recorded parameter names and shapes of models at their real size, which no fixture could hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from golden.compare import Check
from searchkit.one_peace.branches import is_derived
from searchkit.one_peace.build import build_model
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.published import published_settings

FILE_NAME = "real_4b_shapes.json"
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def check_file(path: Path) -> Iterator[Check]:
    """Every key and shape, and the number of parameters, against a model built without memory."""
    for name, recorded in json.loads(path.read_text()).items():
        model = build_model(ModelConfig.from_config(_settings(name, recorded)), device="meta")
        found = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        wanted = dict(_expanded(recorded["keys"]))
        wrong = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
        yield Check(f"{name}: {len(wanted)} keys and shapes", float(len(wrong)), 0.0, ", ".join(wrong[:3]))
        count = sum(parameter.numel() for parameter in model.parameters())
        different = abs(count - recorded["total_parameters"])
        yield Check(f"{name}: {count} parameters", float(different), 0.0)


def _expanded(rows: list[Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for key, shape, _, _ in rows:
        if is_derived(key):
            continue
        span = _RANGE.search(key)
        for number in range(int(span[1]), int(span[2]) + 1) if span else (0,):
            yield _RANGE.sub(str(number), key), tuple(shape)


def _settings(name: str, recorded: Any) -> dict[str, Any]:
    """The published settings of a model that is told by its name, "retrieval_val" or "grounding_vl_384"."""
    task, head_type, *size = name.split("_")
    shapes = {key: shape for key, shape, _, _ in recorded["keys"]}
    classifier = shapes.get("classify_head.classifier.3.weight")
    return published_settings(
        kind="one_peace_classify" if classifier else f"one_peace_{task}",
        head_type=head_type,
        patch_image_size=int(size[0]) if size else 256,
        num_classes=classifier[0] if classifier else None,
    )
