"""The learning rate's course, its decay over layers, and averaged weights."""

from __future__ import annotations

import pytest
import torch

from searchkit.training.pretrain.optimizer import MovingAverage, cosine_rate, layer_scale, parameter_groups
from tests.one_peace.test_pretrain import pretrain_config
from tests.one_peace.tiny import tiny_model


def test_the_rate_rises_then_falls_by_a_cosine() -> None:
    rates = [cosine_rate(n, steps=101, warmup_steps=10, peak=1.0, floor=0.1) for n in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == rates[9] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.55, abs=0.02)
    assert rates[100] == pytest.approx(0.1, abs=1e-3)


def test_lower_layers_learn_more_slowly() -> None:
    layer = "encoder_wrapper.fusion_model.layers.{}.self_attn.q_proj.weight"
    scales = [
        layer_scale("encoder_wrapper.image_adapter.embed_images.0.weight", 3, 0.5),
        *(layer_scale(layer.format(n), 3, 0.5) for n in range(3)),
        layer_scale("encoder_wrapper.fusion_model.image_layer_norm.weight", 3, 0.5),
    ]
    assert scales == [0.0625, 0.125, 0.25, 0.5, 1.0]
    assert layer_scale("decoder_wrapper.fusion_model.layers.0.self_attn.q_proj.weight", 3, 0.5) == 1.0


def test_every_trainable_parameter_is_in_one_group_and_vectors_do_not_decay() -> None:
    model = tiny_model(pretrain_config("audio", stage2_pretrain=True))
    groups = parameter_groups(model, layers=2, weight_decay=0.1, layer_decay=0.9)
    grouped = [id(p) for group in groups for p in group["params"]]  # type: ignore[attr-defined]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}  # type: ignore[attr-defined]
    names = {name for name, p in model.named_parameters() if id(p) in decayed}
    assert "audio_proj.weight" in names
    assert "encoder_wrapper.audio_adapter.embed_audios.0.conv_layers.1.0.weight" in names
    assert not any(word in name for name in names for word in ("bias", "norm", "cls_", "rel_pos", "token"))


def test_the_average_follows_what_is_trained() -> None:
    model = torch.nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    average = MovingAverage(model, 0.5)
    start = model.weight.detach().clone()
    for step in range(1, 30):
        with torch.no_grad():
            model.weight.copy_(start + step)
        average.update(model)
    state = average.averaged(model)
    assert torch.allclose(state["weight"], start + 28, atol=0.01)
    assert state["bias"] is not None
    other = MovingAverage(model, 0.5)
    other.load(average.state())
    assert torch.equal(other.values["weight"], average.values["weight"])
    assert other.updates == 29
