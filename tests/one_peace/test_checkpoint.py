"""Checkpoints are read without running anything in them; what is damaged or hostile is refused."""

from __future__ import annotations

import argparse
import collections
import contextlib
import pickle
import tarfile
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


def storage_reference(key: bytes = b"0", count: bytes = b"K\x0a") -> bytes:
    """Pickled bytes of a reference to a storage of ten float32 numbers."""
    name = b"X" + len(key).to_bytes(4, "little") + key
    return b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n" + name + b"X\x03\x00\x00\x00cpu" + count + b"tQ"


def tensor_reference(shape: bytes = b"K\x0a\x85", stride: bytes = b"K\x01\x85") -> bytes:
    """Pickled bytes of a tensor in it."""
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage_reference()
        + b"K\x00"
        + shape
        + stride
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def in_model(tensor: bytes) -> bytes:
    """A whole pickle of {"model": {"w": tensor}}."""
    return b"\x80\x02}X\x05\x00\x00\x00model}X\x01\x00\x00\x00w" + tensor + b"ss."


def with_storage(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", b"\0" * 40)
    return path


def test_a_hand_written_pickle_is_read(tmp_path: Path) -> None:
    found = read_checkpoint(with_storage(tmp_path / "hand.pt", in_model(tensor_reference())))
    assert found.tensors["w"].shape == (10,)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        # BUILD on a checked description, to let it reach beyond its storage.
        (tensor_reference() + b"](K\x00M\xff\xff(M\xff\xfftKd\x85eb", "changes a tensor's description"),
        (tensor_reference() + b"N}X\x06\x00\x00\x00offsetM\xff\xffs\x86b", "changes a tensor's description"),
        (storage_reference() + b"N}X\x05\x00\x00\x00countJ\xff\xff\xff\x7fs\x86b", "description"),
        # A shape of 2 ** 40 rows that all lie on one number.
        (tensor_reference(b"\x8a\x06\x00\x00\x00\x00\x00\x01K\x01\x86", b"K\x00K\x01\x86"), "more elements"),
        # A storage of another key than any in the file, and one that is larger than its data.
        (tensor_reference().replace(b"X\x01\x00\x00\x000X", b"X\x01\x00\x00\x009X"), "cut off"),
        (tensor_reference().replace(b"K\x0atQ", b"M\x00\x01tQ"), "cut off"),
        # References to storages that are no storages.
        (b"(X\x06\x00\x00\x00modulecos\nsystem\nX\x01\x00\x00\x000tQ", "names os.system"),
        (b"X\x01\x00\x00\x000Q", "unexpected way"),
        (
            b"(X\x07\x00\x00\x00storagecargparse\nNamespace\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x0atQ",
            "unex",
        ),
        # Calls by every instruction that makes calls.
        (b"(S'true'\nios\nsystem\n", "names os.system"),
        (b"(cos\nsystem\nS'true'\no", "names os.system"),
        (b"cos\nsystem\n(S'true'\nt\x81", "names os.system"),
        (b"cbuiltins\neval\n(S'1'\ntR", "names builtins.eval"),
        (b"c__builtin__\nexec\n(S'1'\ntR", "names __builtin__.exec"),
        (b"cbuiltins\ngetattr\n(cargparse\nNamespace\nS'__init__'\ntR", "names builtins.getattr"),
        (b"cnumpy\nload\n(S'x'\ntR", "names numpy.load"),
        (b"ctorch.serialization\nload\n(S'x'\ntR", "names torch.serialization.load"),
        (b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93S'true'\n\x85R", "names os.system"),
        # A memo slot that would need gigabytes, and an announced length that is not there.
        (b"Nr\xff\xff\xff\x7f", "beyond reason"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fx", "damaged"),
    ],
)
def test_tricks_are_refused(tmp_path: Path, tensor: bytes, message: str) -> None:
    path = with_storage(tmp_path / "trick.pt", in_model(tensor))
    with pytest.raises(CheckpointError, match=r"trick\.pt") as caught:
        read_checkpoint(path)
    assert message in str(caught.value)


def test_settings_that_unfold_without_end_are_refused(tmp_path: Path) -> None:
    """Lists that hold the one before twice: 40 of them, 2 ** 40 values."""
    nested: list[Any] = []
    for _ in range(40):
        nested = [nested, nested]
    write_checkpoint(tmp_path / "laughs.pt", tiny_config(), cfg={"model": nested})
    with pytest.raises(CheckpointError, match="too many settings"):
        read_checkpoint(tmp_path / "laughs.pt")
    endless: list[Any] = []
    endless.append(endless)
    write_checkpoint(tmp_path / "endless.pt", tiny_config(), cfg={"model": endless})
    with pytest.raises(CheckpointError, match="too deep"):
        read_checkpoint(tmp_path / "endless.pt")


def test_archives_that_are_more_than_they_seem_are_refused(tmp_path: Path, folder: Path) -> None:
    bomb = tmp_path / "bomb.pt"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 50_000_000)
    assert bomb.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match="compressed"):
        read_checkpoint(bomb)
    encrypted = bytearray(with_pickle(tmp_path / "encrypted.pt", b"N.").read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(mark) + place] |= 1
    (tmp_path / "encrypted.pt").write_bytes(encrypted)
    with pytest.raises(CheckpointError, match=r"encrypted\.pt"):
        read_checkpoint(tmp_path / "encrypted.pt")
    with tarfile.open(tmp_path / "old.pt", "w") as archive:
        archive.add(folder / "shared.safetensors", "storages")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        read_checkpoint(tmp_path / "old.pt")


@pytest.mark.parametrize("legacy", [False, True])
def test_damage_anywhere_is_refused_or_harmless(tmp_path: Path, legacy: bool) -> None:
    state = {"cfg": {"task": {}, "model": {"a": [1, 2.5, "x"]}}, "model": {"w": torch.ones(3, 4)}}
    path = tmp_path / "damaged.pt"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(400):
        content = bytearray(whole)
        for place in random.integers(0, len(content), random.integers(1, 4)):
            content[place] = random.integers(0, 256)
        path.write_bytes(content[: random.integers(1, len(content))] if random.random() < 0.2 else content)
        with contextlib.suppress(CheckpointError):
            found = read_checkpoint(path)
            assert all(tensor.start + tensor.size_bytes <= len(whole) for tensor in found.tensors.values())
