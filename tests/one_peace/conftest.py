"""A tiny retrieval model as a checkpoint and as a converted folder, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from searchkit.one_peace.convert import convert_checkpoint
from tests.one_peace.tiny import tiny_config, write_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.pt"
    write_checkpoint(path, tiny_config())
    return path


@pytest.fixture(scope="session")
def folder(checkpoint: Path) -> Path:
    return convert_checkpoint(checkpoint, checkpoint.parent / "tiny")
