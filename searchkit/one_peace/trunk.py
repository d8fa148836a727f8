"""The trunk: self-attention layers shared by all modalities, each with a feed-forward network per modality.

It knows modalities by name only; what made a sequence is the adapters' affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from searchkit.one_peace.adapter import Embedded
from searchkit.one_peace.attention import SelfAttention
from searchkit.one_peace.config import EncoderConfig
from searchkit.one_peace.layers import DropPath, FeedForward, layer_norm
from searchkit.one_peace.merging import Tokens, merge_counts

__all__ = ["Encoded", "Part", "Trunk", "TrunkLayer"]


@dataclass(frozen=True)
class Part:
    """Where a modality lies in a joint sequence: the half-open range of positions [start, end)."""

    modality: str
    start: int
    end: int


@dataclass(frozen=True)
class Encoded:
    """What a trunk gives back: x (B, T, D) after the final norms, padding_mask (B, T), and its parts."""

    x: Tensor
    padding_mask: Tensor
    parts: tuple[Part, ...]

    def of(self, modality: str) -> Tensor:
        """One modality's positions (B, T_m, D), cls first."""
        part = self._part(modality)
        return self.x[:, part.start : part.end]

    def mask_of(self, modality: str) -> Tensor:
        """One modality's padding mask (B, T_m)."""
        part = self._part(modality)
        return self.padding_mask[:, part.start : part.end]

    def _part(self, modality: str) -> Part:
        return next(part for part in self.parts if part.modality == modality)


class TrunkLayer(nn.Module):
    """One layer: shared self-attention, then each part's own feed-forward network."""

    def __init__(self, config: EncoderConfig, modalities: Sequence[str], drop_path: float) -> None:
        super().__init__()
        dim = config.embed_dim
        self.self_attn = SelfAttention(
            dim,
            config.attention_heads,
            inner_norm=config.magneto_scale_attn,
            scale_heads=config.scale_heads,
            dropout=config.attention_dropout,
        )
        self.self_attn_layer_norm = layer_norm(dim)
        self.attn_ln = layer_norm(dim) if config.scale_attn else None
        self.final_layer_norm = layer_norm(dim)
        for name in modalities:
            network = FeedForward(
                dim, config.ffn_embed_dim, inner_norm=config.scale_fc, dropout=config.activation_dropout
            )
            self.add_module(f"{name}_ffn", network)
        scale = config.use_layer_scale
        self.gamma_1 = nn.Parameter(torch.empty(dim)) if scale else None
        self.gamma_2 = nn.Parameter(torch.empty(dim)) if scale else None
        self.dropout = nn.Dropout(config.dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, bias: Tensor | None, parts: Sequence[Part]) -> Tensor:
        """Map (B, T, D) to the same shape."""
        attended = self.self_attn(self.self_attn_layer_norm(x), bias)
        return self._transform(self._add_attended(x, attended), parts)

    def forward_merging(
        self, tokens: Tokens, bias: Tensor | None, parts: Sequence[Part], count: int
    ) -> Tokens:
        """Like `forward`, merging `count` tokens between the two halves; one modality alone, no padding."""
        attention = self.self_attn
        query, key, value = attention.project(self.self_attn_layer_norm(tokens.x))
        attended = attention.attend(query, key, value, tokens.bias(bias))
        merged = replace(tokens, x=self._add_attended(tokens.x, attended)).merged(key, count)
        whole = [replace(part, end=merged.x.size(1)) for part in parts]
        return replace(merged, x=self._transform(merged.x, whole))

    def _add_attended(self, x: Tensor, attended: Tensor) -> Tensor:
        if self.attn_ln is not None:
            attended = self.attn_ln(attended)
        return self._add(x, attended, self.gamma_1)

    def _transform(self, x: Tensor, parts: Sequence[Part]) -> Tensor:
        normed = self.final_layer_norm(x)
        outputs = [
            self.get_submodule(f"{part.modality}_ffn")(normed[:, part.start : part.end]) for part in parts
        ]
        return self._add(x, outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1), self.gamma_2)

    def _add(self, x: Tensor, branch: Tensor, gamma: Tensor | None) -> Tensor:
        branch = self.dropout(branch)
        if gamma is not None and not self.training:
            return torch.addcmul(x, branch, gamma)
        if gamma is not None:
            branch = gamma * branch
        added: Tensor = x + self.drop_path(branch)
        return added


class Trunk(nn.Module):
    """All layers and a final norm per modality.

    Attributes:
        merged_share: which share of the tokens is merged away by the last layer, in passes of one modality
            without padding and without gradients; 0 merges nothing.
    """

    def __init__(self, config: EncoderConfig, modalities: Sequence[str]) -> None:
        super().__init__()
        rates = torch.linspace(0, config.drop_path_rate, config.layers, device="cpu").tolist()
        self.layers = nn.ModuleList(TrunkLayer(config, modalities, rate) for rate in rates)
        for name in modalities:
            self.add_module(f"{name}_layer_norm", layer_norm(config.embed_dim))
        self.recompute = config.checkpoint_activations
        self.merged_share = 0.0

    def forward(self, inputs: Sequence[Embedded]) -> Encoded:
        """Run one modality, or several joined in the order given."""
        parts: list[Part] = []
        for embedded in inputs:
            start = parts[-1].end if parts else 0
            parts.append(Part(embedded.modality, start, start + embedded.x.size(1)))
        x = torch.cat([e.x for e in inputs], dim=1) if len(inputs) > 1 else inputs[0].x
        padding_mask = torch.cat([e.padding_mask for e in inputs], dim=1)
        has_padding = bool(padding_mask.any())
        if has_padding:
            x = x * ~padding_mask[:, :, None]
        bias_of = _bias_by_layer(inputs, parts, padding_mask if has_padding else None)
        if self.merged_share and len(parts) == 1 and not has_padding and not torch.is_grad_enabled():
            return self._forward_merging(x, bias_of, parts[0])
        for number, layer in enumerate(self.layers):
            if self.recompute and self.training:
                x = checkpoint(layer, x, bias_of(number), parts, use_reentrant=False)
            else:
                x = layer(x, bias_of(number), parts)
        normed = [self.get_submodule(f"{p.modality}_layer_norm")(x[:, p.start : p.end]) for p in parts]
        return Encoded(torch.cat(normed, dim=1) if len(normed) > 1 else normed[0], padding_mask, tuple(parts))

    def _forward_merging(self, x: Tensor, bias_of: Callable[[int], Tensor | None], part: Part) -> Encoded:
        tokens = Tokens.of(x)
        counts = merge_counts(x.size(1) - 1, len(self.layers), self.merged_share)
        for number, (layer, count) in enumerate(zip(self.layers, counts, strict=True)):
            assert isinstance(layer, TrunkLayer)
            tokens = layer.forward_merging(tokens, bias_of(number), [part], count)
        normed = self.get_submodule(f"{part.modality}_layer_norm")(tokens.x)
        mask = torch.zeros(normed.shape[:2], dtype=torch.bool, device=x.device)
        return Encoded(normed, mask, (replace(part, end=normed.size(1)),))


def _bias_by_layer(
    inputs: Sequence[Embedded], parts: Sequence[Part], padding_mask: Tensor | None
) -> Callable[[int], Tensor | None]:
    """The attention bias of each layer: block diagonal over the parts, -inf at padding keys.

    Padding is masked through the bias alone, and the first part decides whether there is one: where its
    modality has no table, nothing is masked.
    """
    if not inputs[0].tables:
        return lambda layer: None
    shared = all(embedded.tables <= 1 for embedded in inputs)
    total = parts[-1].end
    computed: list[Tensor] = []

    def bias_of(layer: int) -> Tensor:
        if shared and computed:
            return computed[0]
        blocks = [(part, e.bias(layer)) for part, e in zip(parts, inputs, strict=True) if e.tables]
        if len(inputs) == 1:
            bias = blocks[0][1]
        else:
            first = blocks[0][1]
            batched = [block.size(0) for _, block in blocks if block.dim() == 4]
            bias = first.new_zeros((*batched[:1], first.size(-3), total, total))
            for part, block in blocks:
                bias[..., part.start : part.end, part.start : part.end] = block
        if bias.dim() == 3:
            bias = bias[None]
        if padding_mask is not None:
            bias = bias.masked_fill(padding_mask[:, None, None, :], float("-inf"))
        if shared:
            computed.append(bias)
        return bias

    return bias_of
