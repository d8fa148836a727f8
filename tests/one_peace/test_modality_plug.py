"""A fourth modality joins by name: one adapter, and nothing in the trunk or the heads knows of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch

from searchkit.errors import ModalityUnsupported
from searchkit.one_peace import AdapterContext, register_modality
from searchkit.one_peace.adapter import _FACTORIES
from searchkit.one_peace.branches import branch_of
from searchkit.one_peace.image_adapter import ImageAdapter
from tests.one_peace.tiny import tiny_config, tiny_model


class DepthAdapter(ImageAdapter):
    """Depth maps: one channel of metres in place of three of colour."""

    modality = "depth"
    channels = 1

    def __init__(self, values: Mapping[str, Any], context: AdapterContext) -> None:
        super().__init__(values, context)

    def forward(self, src_depths: torch.Tensor, **options: Any) -> Any:
        return super().forward(src_depths, **options)


@pytest.fixture(autouse=True)
def _depth_modality() -> Iterator[None]:
    register_modality("depth", DepthAdapter)
    yield
    del _FACTORIES["depth"]


def depth_config(kind: str, head_type: str, **options: Any) -> dict[str, Any]:
    config = tiny_config(kind, head_type, **options)
    encoder = config["model"]["encoder"]
    encoder["depth_adapter"] = {**encoder["image_adapter"], "vision_encoder_type": "mlp"}
    return config


def test_a_retrieval_model_embeds_depth_beside_text() -> None:
    model = tiny_model(depth_config("one_peace_retrieval", "text+depth"))
    depths = torch.rand(3, 1, 64, 64)
    vectors = model("depth", src_depths=depths)
    assert vectors.shape == (3, 32)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert not torch.allclose(vectors[0], vectors[1], atol=1e-4)
    assert model("text", src_tokens=torch.tensor([[5, 6, 2]])).shape == (1, 32)


def test_its_weights_are_a_branch_of_their_own() -> None:
    model = tiny_model(depth_config("one_peace_retrieval", "text+depth"))
    names = ("text", "depth")
    own = {key for key in model.state_dict() if branch_of(key, names) == "depth"}
    assert "depth_proj.weight" in own
    assert "encoder_wrapper.fusion_model.layers.1.depth_ffn.3.weight" in own
    assert "encoder_wrapper.fusion_model.depth_layer_norm.bias" in own
    assert not any("text" in key or "self_attn" in key for key in own)


def test_a_classifier_reads_text_and_depth_jointly() -> None:
    config = depth_config("one_peace_classify", "text+depth", task={"num_classes": 7})
    model = tiny_model(config)
    tokens = torch.tensor([[5, 6, 2], [7, 2, 1]])
    depths = torch.rand(2, 1, 64, 64)
    logits = model(src_tokens=tokens, src_depths=depths)
    assert logits.shape == (2, 7)
    assert not torch.allclose(logits, model(src_tokens=tokens, src_depths=1 - depths))


def test_an_unknown_modality_is_refused_by_name() -> None:
    with pytest.raises(ModalityUnsupported, match="smell"):
        tiny_model(tiny_config(head_type="text+smell", encoder={"smell_adapter": {}}))


def test_names_are_taken_once_and_are_plain_words() -> None:
    with pytest.raises(ValueError, match="already"):
        register_modality("depth", DepthAdapter)
    with pytest.raises(ValueError, match="lower-case"):
        register_modality("Far_Infrared", DepthAdapter)
