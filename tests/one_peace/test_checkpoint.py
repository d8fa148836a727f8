"""Checkpoints are read without running anything in them; what is damaged or hostile is refused."""

from __future__ import annotations

import argparse
import collections
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from searchkit.errors import CheckpointError
from searchkit.one_peace.checkpoint import read_checkpoint
from searchkit.one_peace.hub import open_source
from searchkit.one_peace.lazy_model import LazyModel
from tests.one_peace.tiny import tiny_config, tiny_model, write_checkpoint


class Call:
    """Pickles as a call of anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def with_pickle(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return path


def text_embedding(path: Path) -> torch.Tensor:
    model = LazyModel(open_source(path))
    with model.using("text") as loaded, torch.inference_mode():
        return loaded("text", src_tokens=torch.tensor([[5, 6, 2]]))


@pytest.mark.parametrize("legacy", [False, True])
def test_plain_and_legacy_files_give_the_model_that_was_saved(tmp_path: Path, legacy: bool) -> None:
    config = tiny_config()
    model = tiny_model(config)
    state = {"args": None, "cfg": {k: config[k] for k in ("task", "model")}, "model": model.state_dict()}
    path = tmp_path / "model.pt"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    with torch.inference_mode():
        expected = model("text", src_tokens=torch.tensor([[5, 6, 2]]))
    torch.testing.assert_close(text_embedding(path), expected, rtol=0, atol=2e-6)


def test_settings_beside_the_weights_may_be_namespaces_numpy_scalars_and_parameters(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    extra = {"best": np.float64(8.5), "count": np.int64(3), "seen": collections.defaultdict(list, a=[1])}
    write_checkpoint(path, tiny_config(), args=argparse.Namespace(lr=0.1, extra=[1]), extra_state=extra)
    found = read_checkpoint(path)
    assert found.args == {"lr": 0.1, "extra": [1]}
    assert found.cfg is not None
    assert found.cfg["model"]["encoder"]["embed_dim"] == 32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_load_as_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "low.pt"
    model = write_checkpoint(path, tiny_config())
    low = {key: value.to(dtype) for key, value in model.state_dict().items()}
    config = tiny_config()
    torch.save({"cfg": {k: config[k] for k in ("task", "model")}, "model": low}, path)
    with torch.inference_mode():
        expected = model("text", src_tokens=torch.tensor([[5, 6, 2]]))
    found = text_embedding(path)
    assert found.dtype == torch.float32
    assert float((found * expected).sum()) > 0.999


def test_transposed_weights_are_put_in_order(tmp_path: Path) -> None:
    path = tmp_path / "transposed.pt"
    model = write_checkpoint(path, tiny_config())
    weights = dict(model.state_dict())
    weights["text_proj.weight"] = weights["text_proj.weight"].t().contiguous().t()
    config = tiny_config()
    torch.save({"cfg": {k: config[k] for k in ("task", "model")}, "model": weights}, path)
    with torch.inference_mode():
        expected = model("text", src_tokens=torch.tensor([[5, 6, 2]]))
    torch.testing.assert_close(text_embedding(path), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    "hostile",
    [
        lambda canary: Call(eval, f"open({str(canary)!r}, 'w')"),
        lambda canary: Call(Path.touch, canary),
        lambda canary: Call(getattr, "text", "upper"),
        lambda canary: Call(torch.load, str(canary)),
        lambda canary: Call(type, "X", (), {}),
        lambda canary: Call(pickle.loads, b""),
    ],
)
def test_a_file_that_names_code_is_refused_and_nothing_runs(tmp_path: Path, hostile: Any) -> None:
    canary = tmp_path / "canary"
    content = pickle.dumps({"model": {}, "extra": hostile(canary)}, protocol=2)
    path = with_pickle(tmp_path / "hostile.pt", content)
    with pytest.raises(CheckpointError, match=r"hostile\.pt.*refused: the checkpoint names"):
        read_checkpoint(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    "content",
    [
        # A name that climbs through attributes of an allowed one.
        b"\x80\x04\x8c\x0bcollections\x8c\x0cOrderedDict\x93.",
        b"\x80\x04\x8c\x0bcollections\x8c\x17OrderedDict.__init__.__globals__\x93.",
        b"\x80\x02ccollections\nOrderedDict\n)R}(X\x05\x00\x00\x00itemsK\x01ub.",
        b"cposix\nsystem\n(S'true'\ntR.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02Q.",
        b"",
        b"(lp0\n",
    ],
)
def test_odd_pickles_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CheckpointError):
        read_checkpoint(with_pickle(tmp_path / "odd.pt", content))


def test_a_file_cannot_change_what_the_next_one_gets(tmp_path: Path, checkpoint: Path) -> None:
    # BUILD on the stand-in class itself would set attributes on it.
    content = b"\x80\x02cargparse\nNamespace\n}X\x01\x00\x00\x00aK\x01s\x86b."
    with pytest.raises(CheckpointError):
        read_checkpoint(with_pickle(tmp_path / "odd.pt", content))
    assert read_checkpoint(checkpoint).cfg is not None


def test_truncated_files_are_refused_wherever_they_end(tmp_path: Path, checkpoint: Path) -> None:
    whole = checkpoint.read_bytes()
    for share in (0.0, 0.01, 0.5, 0.99):
        path = tmp_path / "cut.pt"
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(CheckpointError, match=r"cut\.pt"):
            read_checkpoint(path)


def test_a_truncated_legacy_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "legacy.pt"
    torch.save({"model": {"w": torch.ones(1000)}}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointError, match="cut off"):
        read_checkpoint(path)


def test_files_that_are_no_checkpoints_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("hello, this is not a checkpoint at all")
    with zipfile.ZipFile(tmp_path / "photos.pt", "w") as archive:
        archive.writestr("a.jpg", b"x")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"model": {}}, tmp_path / "empty.pt")
    for name in ("text.pt", "photos.pt", "list.pt", "empty.pt", "missing.pt"):
        with pytest.raises(CheckpointError, match=name):
            read_checkpoint(tmp_path / name)


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    class Lying:
        def __reduce__(self) -> Any:
            from torch._utils import _rebuild_tensor_v2

            storage = Storage()
            return _rebuild_tensor_v2, (storage, 0, (1000,), (1,), False, collections.OrderedDict())

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            return ("storage", torch.FloatStorage, "0", "cpu", 10) if isinstance(obj, Storage) else None

    import io

    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump({"model": {"w": Lying()}})
    with zipfile.ZipFile(tmp_path / "lying.pt", "w") as archive:
        archive.writestr("archive/data.pkl", buffer.getvalue())
        archive.writestr("archive/data/0", b"\0" * 40)
    with pytest.raises(CheckpointError, match="beyond its storage"):
        read_checkpoint(tmp_path / "lying.pt")
