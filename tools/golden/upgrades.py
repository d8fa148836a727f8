"""Fixtures of weights that are fitted to a model of another shape."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from golden.compare import LOGIT, Check, compare, load_npz
from searchkit.one_peace.build import build_model
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.upgrade import fit_weights


def check_folder(folder: Path) -> Iterator[Check]:
    config = json.loads((folder / "config.json").read_text())
    weights = {name: torch.from_numpy(array) for name, array in load_npz(folder / "inputs.npz").items()}
    expected = load_npz(folder / "expected.npz")
    for case in dict.fromkeys(name.partition("/")[0] for name in expected):
        model = build_model(ModelConfig.from_config(target_config(config, case)), device="meta")
        shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        fitted = fit_weights(weights, shapes)
        for name, recorded in expected.items():
            label, _, key = name.partition("/")
            if label == case and key in fitted:
                yield compare(name, fitted[key], recorded, LOGIT)
            elif label == case:
                yield Check(name, float("inf"), LOGIT, "not produced")


def target_config(config: dict[str, Any], case: str) -> dict[str, Any]:
    """The configuration of the model that a case loads into, told from the case's name."""
    target: dict[str, Any] = copy.deepcopy(config["from"])
    number = re.search(r"(\d+)$", case)
    if case.startswith("grounding"):
        size = int(number[1]) if number else config["grounding_patch_image_size"]
        target["task"] |= {"patch_image_size": size, "head_type": "vl", "num_classes": 4}
        target["model"]["_name"] = "one_peace_classify"
    elif case.startswith("copy"):
        target["model"]["copy_rel_pos_table"] = True
    elif case.startswith("bucket") and number:
        target["model"]["encoder"]["image_adapter"]["bucket_size"] = int(number[1])
    return target
