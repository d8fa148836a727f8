"""What tests of the indexer share: decoding in threads, which spares each run the start of processes."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _decode_in_threads(monkeypatch: pytest.MonkeyPatch, _own_library: None) -> None:
    monkeypatch.setenv("SEARCHKIT_DECODER", "threads")
