"""One of two processes of tests/training/test_pretrain_ranks.py; also makes the batch that they share."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from searchkit.one_peace.config import CriterionConfig
from searchkit.one_peace.ranks import gather_rows
from searchkit.training.pretrain.loop import Objective
from tests.one_peace.test_pretrain import batch, pretrain_config
from tests.one_peace.tiny import tiny_model


def joined_batch(other: str) -> dict[str, torch.Tensor]:
    """Four pairs; the halves hide different numbers of positions, and two captions are equal across them."""
    first, second = batch(other), batch(other)
    media = f"src_{other}s"
    second[media] = torch.randn(second[media].shape, generator=torch.Generator().manual_seed(5))
    second["src_tokens"] = torch.tensor([[11, 12, 13, 2, 1], [9, 10, 2, 1, 1]])
    text = torch.tensor([[0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0]], dtype=torch.bool)
    for prefix in ("", "vl_" if other == "image" else "al_"):
        second[f"{prefix}text_mask_indices"] = text
        # As many columns as the first half, padded, so that the halves can be joined.
        width = first[f"{prefix}text_preserve_ids"].shape[1]
        kept = [[0, 1, 3, 4], [0, 2, 3]]
        rows = [row + [-1] * (width - len(row)) for row in kept]
        assert all(len(row) == width for row in rows)
        second[f"{prefix}text_preserve_ids"] = torch.tensor(rows)
    joined = {name: torch.cat([first[name], second[name]]) for name in first}
    return {**joined, "caption_ids": torch.tensor([1, 2, 3, 2])}


def main(folder: Path, rank: int) -> None:
    torch.set_num_threads(1)
    # They meet by a file: a port that was free a moment ago may be taken by now.
    dist.init_process_group("gloo", init_method=(folder / "meeting").as_uri(), rank=rank, world_size=2)
    found: dict[str, dict[str, torch.Tensor]] = {}
    for other in ("image", "audio"):
        model = tiny_model(pretrain_config(other, stage2_pretrain=other == "audio")).train()
        objective = Objective(model, CriterionConfig(label_smoothing=0.1))
        half = {name: value[2 * rank : 2 * rank + 2] for name, value in joined_batch(other).items()}
        shared = DistributedDataParallel(objective, find_unused_parameters=True)
        loss, _ = shared(half)
        loss.backward()
        found[other] = {"loss": loss.detach()}
        found[other] |= {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    rows = torch.full((3 - rank, 1), float(rank), requires_grad=True)
    joined, start = gather_rows(rows)
    (joined * (rank + 1)).sum().backward()
    assert rows.grad is not None
    found["gather"] = {"joined": joined.detach(), "start": torch.tensor(start), "gradient": rows.grad}
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
