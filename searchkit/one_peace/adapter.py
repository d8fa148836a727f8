"""What every modality's adapter offers to the trunk, and the registry that makes a modality a plug.

A modality is one adapter registered by name; its feed-forward networks, final norm and projection are made
from that name, so nothing in the trunk or the heads changes when one is added.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from searchkit.errors import CheckpointError, ModalityUnsupported
from searchkit.modality import load_object, plug_of
from searchkit.one_peace.layers import layer_norm

__all__ = [
    "Adapter",
    "AdapterContext",
    "Embedded",
    "Preserved",
    "adapter_factory",
    "check_choice",
    "gather_positions",
    "register_modality",
]

_CACHE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class AdapterContext:
    """What an adapter may need beside its own options.

    Attributes:
        dim: width of the trunk.
        heads: attention heads of the trunk.
        tables: how many relative-position tables: one for all layers, or one a layer.
        dictionary_size: rows of a token embedding; 0 builds none.
        patch_image_size: side of the square images, in pixels.
    """

    dim: int
    heads: int
    tables: int
    dictionary_size: int
    patch_image_size: int


@dataclass(frozen=True)
class Preserved:
    """Which positions a masked pass keeps: ids (B, P) with -1 as padding; position 0 is cls.

    For a decoder, `embed` (B, P, D) holds the kept positions and `mask_token` (1, D) fills the others.
    """

    ids: Tensor
    embed: Tensor | None = None
    mask_token: Tensor | None = None

    @property
    def padding_mask(self) -> Tensor:
        """(B, P) True where an id is padding."""
        return self.ids.eq(-1)

    @property
    def gather_ids(self) -> Tensor:
        """(B, P) ids where padding points at the last slot's position."""
        return self.ids.masked_fill(self.padding_mask, self.ids.size(1) - 1)


@dataclass(frozen=True)
class Embedded:
    """One modality's part of a trunk pass.

    Attributes:
        modality: its name.
        x: (B, T, D), cls first.
        padding_mask: (B, T) True at padding.
        tables: how many bias tables exist; 0 when the modality has no attention bias.
        bias: maps a layer's number to its bias, (H, T, T) or (B, H, T, T).
    """

    modality: str
    x: Tensor
    padding_mask: Tensor
    tables: int
    bias: Callable[[int], Tensor]


class Adapter(nn.Module):
    """Base of the adapters: a cls token, relative-position tables, and the steps they share.

    A subclass sets `modality`, calls `add_embedding_options` and `add_bias_tables`, and implements `forward`.
    """

    modality: str
    cls_embedding: nn.Parameter
    layernorm_embedding: nn.LayerNorm | None
    type_embedding: nn.Parameter | None
    rel_pos_table_list: nn.ModuleList

    def __init__(self, context: AdapterContext, *, shrink_alpha: float, dropout: float) -> None:
        super().__init__()
        self.context = context
        self.shrink_alpha = shrink_alpha
        self.dropout = nn.Dropout(dropout)
        self.cls_embedding = nn.Parameter(torch.empty(1, 1, context.dim))
        self._bias_cache: OrderedDict[tuple[int, int, torch.dtype], tuple[int, Tensor]] = OrderedDict()

    @abstractmethod
    def bucket(self, length: int) -> Tensor:
        """Row numbers (T, T) into a bias table for a sequence of `length` with cls."""

    def add_embedding_options(self, layernorm: bool, type_embedding: bool) -> None:
        """Create the norm over embeddings and the modality's type embedding where asked for."""
        dim = self.context.dim
        self.layernorm_embedding = layer_norm(dim) if layernorm else None
        self.type_embedding = nn.Parameter(torch.empty(1, 1, dim)) if type_embedding else None

    def add_bias_tables(self, rows: int, *, use_attn_bias: bool) -> None:
        """Create the relative-position tables, (rows, heads) each."""
        count = self.context.tables if use_attn_bias else 0
        self.rel_pos_table_list = nn.ModuleList(nn.Embedding(rows, self.context.heads) for _ in range(count))

    def finish(
        self, x: Tensor, positions: Tensor, preserved: Preserved | None, second_type: Tensor | None = None
    ) -> Tensor:
        """Norm, gradient shrinking, positions, type embeddings and dropout, in that order.

        A decoder's input, made of mask tokens, skips the first two.
        """
        decodes = preserved is not None and preserved.mask_token is not None
        if self.layernorm_embedding is not None and not decodes:
            x = self.layernorm_embedding(x)
        if self.shrink_alpha != 1.0 and not decodes:
            x = x * self.shrink_alpha + x.detach() * (1 - self.shrink_alpha)
        x = x + positions
        for embedding in (self.type_embedding, second_type):
            if embedding is not None:
                x = x + embedding
        dropped: Tensor = self.dropout(x)
        return dropped

    def embedded(self, x: Tensor, padding_mask: Tensor, preserved: Preserved | None) -> Embedded:
        """Wrap a finished sequence with its padding mask and its bias."""
        length = padding_mask.size(1)
        if preserved is None or preserved.mask_token is not None:
            tables = len(self.rel_pos_table_list)
            return Embedded(self.modality, x, padding_mask, tables, lambda layer: self._bias(length, layer))
        ids = preserved.gather_ids

        def gathered(layer: int) -> Tensor:
            table = self.rel_pos_table_list[min(layer, len(self.rel_pos_table_list) - 1)]
            rows = self.bucket(length).to(ids.device)[ids[:, :, None], ids[:, None, :]]
            values: Tensor = table(rows)
            return values.permute(0, 3, 1, 2)

        return Embedded(self.modality, x, preserved.padding_mask, len(self.rel_pos_table_list), gathered)

    def fill_masked(self, preserved: Preserved, length: int) -> Tensor:
        """A decoder's input (B, T, D): mask tokens everywhere but at the preserved positions."""
        assert preserved.mask_token is not None
        assert preserved.embed is not None
        batch = preserved.ids.size(0)
        x = preserved.mask_token.expand(batch, length, -1).clone()
        kept = preserved.ids.ne(-1)
        rows = torch.arange(batch, device=x.device)[:, None].expand_as(preserved.ids)[kept]
        return x.index_put((rows, preserved.ids[kept]), preserved.embed[kept].to(x.dtype))

    def _bias(self, length: int, layer: int) -> Tensor:
        number = min(layer, len(self.rel_pos_table_list) - 1)
        weight: Tensor = self.rel_pos_table_list[number].weight  # type: ignore[assignment]
        key = (length, number, weight.dtype)
        keep = not (torch.is_grad_enabled() and weight.requires_grad)
        # A training step changes the table in place, which its version tells.
        version = 0 if weight.is_inference() else weight._version
        if keep and key in self._bias_cache and self._bias_cache[key][0] == version:
            self._bias_cache.move_to_end(key)
            return self._bias_cache[key][1]
        rows = self.bucket(length).to(weight.device).flatten()
        bias = weight.t().index_select(1, rows).view(-1, length, length)
        if keep and len(self.rel_pos_table_list) * bias.nbytes <= _CACHE_BYTES:
            self._bias_cache[key] = (version, bias)
            while sum(cached.nbytes for _, cached in self._bias_cache.values()) > _CACHE_BYTES:
                self._bias_cache.popitem(last=False)
        return bias

    def clear_cache(self) -> None:
        """Forget cached biases; needed after the tables are replaced."""
        self._bias_cache.clear()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self.clear_cache()
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.clear_cache()
        super()._load_from_state_dict(*args, **kwargs)


def gather_positions(x: Tensor, preserved: Preserved) -> Tensor:
    """Rows of (B, T, D) or (1, T, D) at the preserved ids: (B, P, D)."""
    ids = preserved.gather_ids[:, :, None].expand(-1, -1, x.size(-1))
    return x.expand(ids.size(0), -1, -1).gather(1, ids)


AdapterFactory = Callable[[Mapping[str, Any], AdapterContext], Adapter]
_FACTORIES: dict[str, AdapterFactory] = {}


def register_modality(name: str, factory: AdapterFactory, *, replace_existing: bool = False) -> None:
    """Make a modality known by name.

    Args:
        name: such as "depth"; it prefixes the modality's parameter names.
        factory: makes the adapter from the config's `<name>_adapter` section and a context.
        replace_existing: allow to replace a known one.

    Raises:
        ValueError: the name is taken or is not a lower-case word.
    """
    if not (name.isidentifier() and name.islower() and "_" not in name):
        raise ValueError(f"a modality's name is one lower-case word, got {name!r}")
    if name in _FACTORIES and not replace_existing:
        raise ValueError(f"the modality {name!r} is already registered")
    _FACTORIES[name] = factory


def adapter_factory(name: str) -> AdapterFactory:
    """The factory of a registered modality, or of one that a plug adds.

    Raises:
        ModalityUnsupported: nobody registered that name, or its plug has no adapter.
    """
    if name in _FACTORIES:
        return _FACTORIES[name]
    plug = plug_of(name)
    if not plug.adapter:
        raise ModalityUnsupported(f"the plug of {name!r} has no adapter")
    factory: AdapterFactory = load_object(plug.adapter)
    return lambda values, context: factory({**plug.options, **values, "modality": name}, context)


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse an option value that is not understood."""
    if value not in choices:
        raise CheckpointError(f"config: {name} {value!r} is none of {', '.join(choices)}")
