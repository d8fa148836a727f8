"""Contracts as pytest classes: inherit one, say how to open yours, and it is tested as searchkit's own are.

::

    class TestMyStore(StoreContract):
        def open_store(self, place, dim, *, read_only=False):
            return MyStore(place / "vectors", dim, read_only=read_only)

    class TestMyEncoder(EncoderContract):
        def open_encoder(self):
            return MyEncoder()
"""

import pytest

pytest.register_assert_rewrite("searchkit.testing.store", "searchkit.testing.encoder")

from searchkit.testing.encoder import EncoderContract  # noqa: E402
from searchkit.testing.store import StoreContract, assert_same_hits, unit_rows  # noqa: E402

__all__ = ["EncoderContract", "StoreContract", "assert_same_hits", "unit_rows"]
