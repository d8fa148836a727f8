"""The adapter for square maps of any number of channels, such as depth and normal maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from searchkit.one_peace.adapter import AdapterContext, Embedded, Preserved
from searchkit.one_peace.image_adapter import ImageAdapter

__all__ = ["GridAdapter"]


class GridAdapter(ImageAdapter):
    """An image adapter for the `channels` of its options, under the `modality` of its options."""

    def __init__(self, values: Mapping[str, Any], context: AdapterContext) -> None:
        self.modality = str(values["modality"])
        self.channels = int(values["channels"])
        super().__init__(values, context)

    def forward(  # type: ignore[override]
        self, values: Tensor, *, preserved: Preserved | None = None
    ) -> Embedded:
        """Embed maps (B, channels, S, S) into (S / 16) ** 2 + 1 positions."""
        return super().forward(values, preserved=preserved)
