"""Conversion streams, is whole or not there, and what it writes gives the same vectors."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from searchkit.errors import CheckpointError, DiskFull, ModelCorrupt, ModelNotFound, UsageError
from searchkit.one_peace.branches import open_model_folder
from searchkit.one_peace.convert import convert_checkpoint
from searchkit.one_peace.lazy_model import LazyModel
from searchkit.one_peace.weights import FolderWeights
from tests.one_peace.tiny import tiny_config, tiny_model, write_checkpoint

TOKENS = torch.tensor([[5, 6, 2]])


def embed_text(folder: Path) -> torch.Tensor:
    model = LazyModel(FolderWeights(open_model_folder(folder)))
    with model.using("text") as loaded, torch.inference_mode():
        return loaded("text", src_tokens=TOKENS)


def test_weights_are_split_by_branch_and_unchanged(folder: Path) -> None:
    model = tiny_model(tiny_config())
    found: dict[str, torch.Tensor] = {}
    for name in ("shared", "text", "image", "audio", "heads"):
        with safe_open(str(folder / f"{name}.safetensors"), framework="pt") as file:
            keys = list(file.keys())
            found |= {key: file.get_tensor(key) for key in keys}
        if name in ("text", "image", "audio"):
            others = {"text", "image", "audio"} - {name}
            assert not any(f"{other}_" in key for key in keys for other in others)
    expected = model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    with torch.inference_mode():
        torch.testing.assert_close(embed_text(folder), model("text", src_tokens=TOKENS), rtol=0, atol=2e-6)


def test_the_folder_names_no_place_of_the_training_machine(tmp_path: Path) -> None:
    config = tiny_config(task={"bpe_dir": "/data/someone/bpe", "data": "/data/train.tsv"})
    write_checkpoint(tmp_path / "m.pt", config)
    folder = convert_checkpoint(tmp_path / "m.pt", tmp_path / "m")
    assert "/data" not in (folder / "config.json").read_text()
    assert sorted(path.name for path in folder.iterdir()) == [
        "audio.safetensors",
        "config.json",
        "heads.safetensors",
        "image.safetensors",
        "shared.safetensors",
        "text.safetensors",
        "tokenizer.json",
    ]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_half_precision_halves_the_files_and_keeps_the_direction(
    tmp_path: Path, checkpoint: Path, folder: Path, dtype: str
) -> None:
    low = convert_checkpoint(checkpoint, tmp_path / dtype, dtype=dtype)
    share = (low / "shared.safetensors").stat().st_size / (folder / "shared.safetensors").stat().st_size
    assert share < 0.75 if dtype != "float32" else share == 1
    assert float((embed_text(low) * embed_text(folder)).sum()) > 0.999
    with safe_open(str(low / "text.safetensors"), framework="pt") as file:
        stored = file.get_tensor("text_proj.weight")
    expected = tiny_model(tiny_config()).state_dict()["text_proj.weight"].to(getattr(torch, dtype))
    assert torch.equal(stored, expected)


def test_a_full_folder_and_unknown_types_are_refused(tmp_path: Path, checkpoint: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="not empty"):
        convert_checkpoint(checkpoint, folder)
    with pytest.raises(UsageError, match="int3"):
        convert_checkpoint(checkpoint, tmp_path / "x", dtype="int3")


def test_a_checkpoint_without_settings_needs_them_given(tmp_path: Path) -> None:
    config = tiny_config()
    write_checkpoint(tmp_path / "bare.pt", config, cfg=None)
    with pytest.raises(CheckpointError, match="without a model configuration") as caught:
        convert_checkpoint(tmp_path / "bare.pt", tmp_path / "bare")
    assert "--config" in caught.value.hint
    assert not (tmp_path / "bare").exists()
    convert_checkpoint(tmp_path / "bare.pt", tmp_path / "bare", config=config)
    assert embed_text(tmp_path / "bare").shape == (1, 32)


def test_memory_stays_far_below_the_largest_branch(tmp_path: Path) -> None:
    """A file of 200 MB whose largest branch is 96 MB, converted by a process of its own."""
    config = tiny_config()
    weights = tiny_model(config).state_dict()
    big = "encoder_wrapper.fusion_model.layers.{}.{}_ffn.{}"
    for layer in range(2):
        for name in ("text", "image"):
            weights[big.format(layer, name, "0.wi_0.weight")] = torch.zeros(12_000_000 // 2)
            weights[big.format(layer, name, "3.weight")] = torch.zeros(12_000_000 // 2)
    torch.save({"cfg": {k: config[k] for k in ("task", "model")}, "model": weights}, tmp_path / "big.pt")
    script = textwrap.dedent(
        """
        import re, resource, sys
        from pathlib import Path
        from searchkit.one_peace.convert import convert_checkpoint, tokenizer_json
        def peak_kib():
            # getrusage begins with the peak of the process that started this one.
            status = Path("/proc/self/status")
            if status.exists():
                return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1])
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tokenizer_json()
        before = peak_kib()
        convert_checkpoint(Path(sys.argv[1]), Path(sys.argv[2]))
        assert "torch" not in sys.modules
        print((peak_kib() - before) * 1024)
        """
    )
    arguments = [sys.executable, "-c", script, str(tmp_path / "big.pt"), str(tmp_path / "big")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    largest = max(path.stat().st_size for path in (tmp_path / "big").glob("*.safetensors"))
    assert largest > 90_000_000
    assert int(done.stdout) < 0.7 * largest


def test_nothing_is_left_when_the_process_is_killed(tmp_path: Path, checkpoint: Path) -> None:
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from searchkit.one_peace.convert import convert_checkpoint
        calls = 0
        def progress(done, total):
            global calls
            calls += 1
            if calls == 40:
                os.kill(os.getpid(), signal.SIGKILL)
        convert_checkpoint(Path(sys.argv[1]), Path(sys.argv[2]), progress=progress)
        """
    )
    target = tmp_path / "model"
    done = subprocess.run([sys.executable, "-c", script, str(checkpoint), str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    convert_checkpoint(checkpoint, target)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, checkpoint: Path) -> None:
    script = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        from searchkit.errors import DiskFull
        from searchkit.one_peace.convert import convert_checkpoint
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
        try:
            convert_checkpoint(Path(sys.argv[1]), Path(sys.argv[2]))
        except DiskFull as error:
            print(error.message)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(checkpoint), str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "no space left" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_room_is_checked_before_the_work_begins(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=1000))
    with pytest.raises(DiskFull, match="room for 1000"):
        convert_checkpoint(checkpoint, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_folder_is_named(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(ModelNotFound, match="nowhere"):
        open_model_folder(tmp_path / "nowhere")
    folder = convert_checkpoint(checkpoint, tmp_path / "model")
    path = folder / "text.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(ModelCorrupt, match=r"text\.safetensors"):
        open_model_folder(folder)
    path.write_bytes(b"\xff" * len(whole))
    with pytest.raises(ModelCorrupt, match=r"text\.safetensors"):
        embed_text(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelCorrupt, match=r"config\.json"):
        open_model_folder(folder)


def test_weights_that_do_not_fit_the_configuration_are_named(tmp_path: Path, checkpoint: Path) -> None:
    folder = convert_checkpoint(checkpoint, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["model"]["encoder"]["ffn_embed_dim"] = 128
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"text_ffn.*\(64, 32\).*\(128, 32\)"):
        embed_text(folder)
    config["model"]["encoder"] |= {"ffn_embed_dim": 64, "scale_heads": True}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"c_attn is missing"):
        embed_text(folder)


def test_the_revision_changes_with_any_weight(tmp_path: Path, folder: Path) -> None:
    write_checkpoint(tmp_path / "other.pt", tiny_config(), seed=1)
    other = convert_checkpoint(tmp_path / "other.pt", tmp_path / "other")
    assert open_model_folder(other).revision != open_model_folder(folder).revision
