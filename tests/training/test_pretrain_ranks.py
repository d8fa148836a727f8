"""Two processes on halves of a batch compute the loss and the gradients of one with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from searchkit.one_peace.config import CriterionConfig
from searchkit.one_peace.pretrain_losses import contrast, pretrain_loss, same_rows
from tests.one_peace.test_pretrain import pretrain_config
from tests.one_peace.tiny import tiny_model
from tests.training.two_ranks import joined_batch

CRITERION = CriterionConfig(label_smoothing=0.1)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, torch.Tensor]]]:
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.training.two_ranks", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen([*command, str(rank)], env=environment, stderr=subprocess.PIPE) for rank in (0, 1)
    ]
    try:
        errors = [process.communicate(timeout=300)[1].decode() for process in ranks]
    finally:
        for process in ranks:
            process.kill()
    assert [process.returncode for process in ranks] == [0, 0], "".join(errors)[-3000:]
    return [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("other", ["image", "audio"])
def test_two_ranks_equal_one_with_the_joined_batch(
    halves: list[dict[str, dict[str, torch.Tensor]]], other: str
) -> None:
    model = tiny_model(pretrain_config(other, stage2_pretrain=other == "audio")).train()
    result = pretrain_loss(model, CRITERION, joined_batch(other))
    result.total.backward()
    means = (halves[0][other]["loss"] + halves[1][other]["loss"]) / 2
    torch.testing.assert_close(means, result.total.detach(), atol=1e-5, rtol=1e-6)
    compared = 0
    for name, parameter in model.named_parameters():
        for rank in (0, 1):
            gradient = halves[rank][other].get(name)
            assert (gradient is None) == (parameter.grad is None), name
            if parameter.grad is not None:
                torch.testing.assert_close(gradient, parameter.grad, atol=2e-6, rtol=1e-4, msg=name)
                compared += 1
    assert compared > 60


def test_gathered_rows_carry_gradient_to_the_rank_that_gave_them(
    halves: list[dict[str, dict[str, torch.Tensor]]],
) -> None:
    # Each rank weighs all five rows with its own number plus one: every row's gradient is 1 + 2.
    for rank, rows in ((0, 3), (1, 2)):
        gathered = halves[rank]["gather"]
        assert gathered["joined"].tolist() == [[0.0], [0.0], [0.0], [1.0], [1.0]]
        assert gathered["start"].item() == 3 * rank
        assert gathered["gradient"].tolist() == [[3.0]] * rows


def test_equal_captions_are_no_negatives() -> None:
    left, right = torch.eye(3), torch.eye(3)
    right[1] = right[0]
    scale = torch.tensor(10.0)
    plain, _, _ = contrast(left, right, scale)
    captions, files = torch.tensor([7, 7, 8]), torch.tensor([1, 2, 3])
    forgiven, _, _ = contrast(left, right, scale, same_rows(captions, files))
    assert float(forgiven) < float(plain) - 0.5
    unlike, _, _ = contrast(left, right, scale, same_rows(torch.arange(3), files))
    assert float(unlike) == float(plain)


def test_a_batch_of_one_caption_has_nothing_to_tell_apart() -> None:
    rows = torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    loss, _, _ = contrast(rows, rows.flip(0), torch.tensor(10.0), same_rows(torch.zeros(4, dtype=torch.long)))
    assert float(loss) == 0.0


def test_passes_without_weight_are_not_computed() -> None:
    names = ("text", "image", "vl_text", "vl_image")
    none = CriterionConfig(**{f"dcl_{name}_alpha": 0.0 for name in names})
    inputs = {k: v for k, v in joined_batch("image").items() if not k.endswith(("_ids", "_indices"))}
    result = pretrain_loss(tiny_model(pretrain_config("image")), none, inputs)
    assert set(result.parts) == {"itc_loss"}
    assert torch.equal(result.total, result.parts["itc_loss"])
