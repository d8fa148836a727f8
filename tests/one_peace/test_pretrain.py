"""The pretraining objective trains, and its second stage leaves the first one's weights alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from searchkit.errors import EncoderError
from searchkit.one_peace.config import CriterionConfig
from searchkit.one_peace.pretrain_losses import pretrain_loss
from tests.one_peace.tiny import tiny_config, tiny_model


def pretrain_config(other: str, **model: Any) -> dict[str, Any]:
    switches = {f"use_{name}_moe": name in ("text", other) for name in ("text", "image", "audio")}
    config = tiny_config("one_peace_pretrain", "vl", encoder=switches, **model)
    decoder = {**config["model"]["encoder"], "embed_dim": 16, "ffn_embed_dim": 32, "attention_heads": 2}
    for name in ("text", "image", "audio"):
        decoder[f"{name}_adapter"] = {**decoder[f"{name}_adapter"], "use_attn_bias": False}
    decoder["image_adapter"]["vision_encoder_type"] = "none"
    decoder["audio_adapter"] |= {"feature_encoder_spec": None, "abs_pos_type": "fixed"}
    config["model"]["decoder"] = decoder
    return config


def batch(other: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    inputs: dict[str, torch.Tensor] = {"src_tokens": torch.tensor([[5, 6, 7, 8, 2], [9, 10, 2, 1, 1]])}
    lengths = {"text": 6}
    if other == "image":
        inputs["src_images"] = torch.randn(2, 3, 64, 64)
        lengths["image"] = 17
    else:
        inputs["src_audios"] = torch.randn(2, 16_000)
        inputs["audio_padding_masks"] = torch.zeros(2, 50, dtype=torch.bool)
        lengths["audio"] = 50
    letter = "vl" if other == "image" else "al"
    for name, length in lengths.items():
        for prefix in ("", f"{letter}_"):
            mask = torch.zeros(2, length, dtype=torch.bool)
            mask[:, 2 : 2 + max(1, length // 3)] = True
            if name == "text":
                mask[1] = torch.tensor([False, False, True, False, False, False])
            kept = [[i for i in range(length) if not row[i]] for row in mask]
            if name == "text":
                kept[1] = [0, 1, 3]
            width = max(map(len, kept))
            ids = torch.tensor([row + [-1] * (width - len(row)) for row in kept])
            inputs[f"{prefix}{name}_mask_indices"], inputs[f"{prefix}{name}_preserve_ids"] = mask, ids
    return inputs


@pytest.mark.parametrize("other", ["image", "audio"])
def test_the_objective_falls_in_training(other: str) -> None:
    model = tiny_model(pretrain_config(other)).train()
    inputs = batch(other)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    criterion = CriterionConfig(label_smoothing=0.1)
    history = []
    for _ in range(8):
        loss = pretrain_loss(model, criterion, inputs)
        history.append(loss.total.item())
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    assert history[-1] < history[0] - 0.15
    letter = {"image": "i", "audio": "a"}[other]
    assert f"{letter}tc_loss" in loss.parts


def test_the_second_stage_trains_only_what_is_new() -> None:
    model = tiny_model(pretrain_config("audio", stage2_pretrain=True))
    pretrain_loss(model, CriterionConfig(), batch("audio")).total.backward()
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    encoder = {name for name in moved if name.startswith("encoder_wrapper")}
    assert encoder
    assert all("audio" in name for name in encoder)
    assert "text_proj.weight" not in moved


def test_recomputing_activations_changes_no_gradient() -> None:
    gradients = []
    for recompute in (False, True):
        config = pretrain_config("image")
        config["model"]["encoder"]["checkpoint_activations"] = recompute
        model = tiny_model(config).train()
        pretrain_loss(model, CriterionConfig(), batch("image")).total.backward()
        gradients.append(model.encoder_wrapper.fusion_model.layers[0].self_attn.q_proj.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    from searchkit.one_peace.layers import DropPath

    torch.manual_seed(0)
    layer = DropPath(0.25).train()
    dropped = layer(torch.ones(4000, 2, 3))
    per_sample = dropped.flatten(1)
    assert ((per_sample == 0).all(1) | (per_sample == 1 / 0.75).all(1)).all()
    assert float(dropped.mean()) == pytest.approx(1, abs=0.05)
    assert torch.equal(layer.eval()(torch.ones(2, 1, 1)), torch.ones(2, 1, 1))


def test_other_pairs_are_refused() -> None:
    model = tiny_model(pretrain_config("image"))
    object.__setattr__(model.config, "modalities", ("image",))
    with pytest.raises(EncoderError, match="pretraining pairs"):
        pretrain_loss(model, CriterionConfig(), batch("image"))


def test_a_pass_without_gradient_sees_the_weights_of_the_last_step() -> None:
    model = tiny_model(pretrain_config("image")).train()
    images = {"image": {"src_images": batch("image")["src_images"]}}
    with torch.no_grad():
        before = model.encode(images).x
        table = model.encoder_wrapper.image_adapter.rel_pos_table_list[0].weight
        table.add_(torch.randn(table.shape, generator=torch.Generator().manual_seed(1)))
        after = model.encode(images).x
    with_gradient = model.encode(images).x.detach()
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, with_gradient)
