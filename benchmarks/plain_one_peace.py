"""ONE-PEACE computed step by step in the order of the paper, as a measure for how quick the model is.

Plain operations on the same weights: every projection by itself, attention by two products and a softmax,
the bias looked up anew in every pass, convolutions over channels-first signals with transpositions for norms.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from searchkit.one_peace.build import Model
from searchkit.one_peace.retrieval import RetrievalModel
from searchkit.one_peace.trunk import TrunkLayer


def embed(model: Model, modality: str, **inputs: Any) -> Tensor:
    """(B, dim) unit rows of one modality; no padding."""
    assert isinstance(model, RetrievalModel)
    adapter = model.encoder_wrapper.get_submodule(f"{modality}_adapter")
    x = _embed_sounds(adapter, inputs["src_audios"]) if modality == "audio" else adapter(**inputs).x
    table = adapter.rel_pos_table_list[0]
    rows = adapter.bucket(x.size(1))
    bias = table(rows)[None].expand(len(x), -1, -1, -1).permute(0, 3, 1, 2).contiguous()
    for layer in model.encoder_wrapper.fusion_model.layers:
        assert isinstance(layer, TrunkLayer)
        x = _layer(layer, x, bias, modality)
    x = model.encoder_wrapper.fusion_model.get_submodule(f"{modality}_layer_norm")(x)
    return F.normalize(model.get_submodule(f"{modality}_proj")(x[:, 0]), dim=1)


def _layer(layer: TrunkLayer, x: Tensor, bias: Tensor, modality: str) -> Tensor:
    attention = layer.self_attn
    batch, length = x.shape[:2]
    normed = layer.self_attn_layer_norm(x)

    def heads(projected: Tensor) -> Tensor:
        return projected.view(batch, length, attention.heads, -1).transpose(1, 2)

    query, key, value = (heads(p(normed)) for p in (attention.q_proj, attention.k_proj, attention.v_proj))
    scores = (query * query.size(-1) ** -0.5) @ key.transpose(2, 3) + bias
    attended = (scores.float().softmax(-1).to(value.dtype) @ value).transpose(1, 2).reshape(x.shape)
    x = x + layer.gamma_1 * attention.out_proj(attention.ln(attended))
    network = layer.get_submodule(f"{modality}_ffn")
    normed = layer.final_layer_norm(x)
    gated = F.gelu(network[0].wi_0(normed)) * network[0].wi_1(normed)
    return x + layer.gamma_2 * network[3](network[2](gated))


def _embed_sounds(adapter: Any, waveforms: Tensor) -> Tensor:
    x = waveforms[:, None]
    for convolution, _, (_, norm), _ in adapter.embed_audios[0].conv_layers:
        x = F.conv1d(x, convolution.weight, convolution.bias, convolution.stride)
        x = F.gelu(norm(x.transpose(1, 2)).transpose(1, 2))
    frames = adapter.embed_audios[3](adapter.embed_audios[2](x.transpose(1, 2)))
    positions = frames
    for convolution in adapter.embed_positions.convolutions():
        y = convolution(positions.transpose(1, 2))
        positions = F.gelu(F.layer_norm(y.transpose(1, 2), (frames.size(2),)))
    first = (adapter.cls_embedding + adapter.cls_pos_embed).expand(len(x), -1, -1)
    return torch.cat([first, frames + positions], dim=1)
