"""The quick ways of computing ONE-PEACE give what the plain way gives, or as near to it as they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from searchkit.encoders import open_encoder
from searchkit.encoders.one_peace import load
from searchkit.errors import ModelNotFound, UsageError
from searchkit.one_peace.audio_convolutions import StridedConvolution
from searchkit.one_peace.branches import open_model_folder
from searchkit.one_peace.lazy_model import LazyModel
from searchkit.one_peace.merging import Tokens, merge_counts
from searchkit.one_peace.packed import PackedLinear, can_pack
from searchkit.one_peace.precision import faster, unpack_convolution
from searchkit.one_peace.weights import FolderWeights
from searchkit.types import AudioSample, ImageSample, Sample, TextSample


def pictures(count: int) -> list[Sample]:
    random = np.random.default_rng(3)
    return [ImageSample(random.integers(0, 255, (40, 50, 3), dtype=np.uint8)) for _ in range(count)]


def sounds(*lengths: int) -> list[Sample]:
    random = np.random.default_rng(4)
    return [AudioSample(0.1 * random.standard_normal(n).astype(np.float32), 16_000) for n in lengths]


def test_a_packed_model_gives_the_same_vectors_and_can_be_dropped(folder: Path) -> None:
    model = LazyModel(FolderWeights(open_model_folder(folder)))
    inputs = {
        "text": {"src_tokens": torch.randint(4, 1000, (3, 9), generator=torch.Generator().manual_seed(0))},
        "image": {"src_images": torch.randn(2, 3, 64, 64)},
        "audio": {
            "src_audios": torch.randn(2, 20_000),
            "audio_padding_masks": torch.zeros(2, 63, dtype=torch.bool),
        },
    }
    for modality, arguments in inputs.items():
        with torch.inference_mode():
            with model.using(modality) as loaded:
                before = loaded(modality, **arguments)
            model.pack(modality)
            with model.using(modality) as loaded:
                packed = loaded(modality, **arguments)
            model.drop(modality)
            assert modality not in model.loaded
            with model.using(modality) as loaded:
                after = loaded(modality, **arguments)
        torch.testing.assert_close(packed, before, rtol=0, atol=2e-6)
        torch.testing.assert_close(after, before, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_packed_layer_is_the_layer(dtype: torch.dtype) -> None:
    if not can_pack(dtype):
        pytest.skip(f"this CPU or this build of torch does not pack {dtype}")
    layer = torch.nn.Linear(48, 20)
    x = torch.randn(3, 5, 48)
    tolerance = 1e-5 if dtype == torch.float32 else 3e-2
    torch.testing.assert_close(
        PackedLinear(layer.weight, layer.bias, dtype)(x), layer(x), rtol=0, atol=tolerance
    )


def test_a_packed_convolution_is_used_in_the_place_of_its_weights() -> None:
    convolution = StridedConvolution(16, 32, 3, 2, bias=False)
    x = torch.randn(41, 16)
    with torch.inference_mode():
        plain = convolution(x)
        torch.testing.assert_close(plain, F.conv1d(x.t()[None], convolution.weight, stride=2)[0].t())
        faster("conv_layers.0.0", convolution, int8=False)
        if not can_pack(torch.float32):
            pytest.skip("this build of torch does not pack")
        convolution.weight.zero_()
        torch.testing.assert_close(convolution(x), plain)
        unpack_convolution(convolution)
        assert not convolution(x).any()


def test_many_samples_at_once_get_what_each_gets_alone(folder: Path) -> None:
    """Eight samples are enough for the weights to be packed."""
    encoder = load(folder)
    samples = [*pictures(9), *sounds(*range(16_000, 25_000, 1000))]
    alone = np.concatenate([encoder.encode([sample]) for sample in samples])
    np.testing.assert_allclose(encoder.encode(samples), alone, atol=2e-6)


def test_merging_sums_what_it_merges_and_leaves_cls_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 21, 8, generator=generator)
    key = torch.randn(2, 3, 21, 4, generator=generator)
    tokens = Tokens.of(x).merged(key, 6).merged(torch.randn(2, 3, 15, 4, generator=generator), 5)
    assert tokens.x.shape == (2, 10, 8)
    torch.testing.assert_close(tokens.size.sum(1), torch.full((2,), 21.0))
    torch.testing.assert_close((tokens.x * tokens.size[:, :, None]).sum(1), x.sum(1), rtol=0, atol=1e-4)
    torch.testing.assert_close(tokens.x[:, 0], x[:, 0])
    assert (tokens.place[:, 0] == 0).all()
    assert all(len(set(row.tolist())) == 10 for row in tokens.place)


def test_equal_tokens_merge_without_loss() -> None:
    """Two positions with the same content and no relative bias are one token of size two."""
    generator = torch.Generator().manual_seed(1)
    distinct = torch.randn(1, 5, 8, generator=generator)
    x = torch.cat([distinct[:, :1], distinct[:, 1:].repeat_interleave(2, 1)], dim=1)
    key = x.view(1, 9, 2, 4).transpose(1, 2)
    merged = Tokens.of(x).merged(key, 4)
    assert merged.size[0].tolist() == [1.0, 2.0, 2.0, 2.0, 2.0]
    query = torch.randn(1, 2, 1, 4, generator=generator)

    def attend(tokens: Tokens) -> torch.Tensor:
        keys = tokens.x.view(1, -1, 2, 4).transpose(1, 2)
        bias = tokens.bias(None)
        assert bias is not None
        return F.scaled_dot_product_attention(query, keys, keys, attn_mask=bias[:, :, :1])

    torch.testing.assert_close(attend(merged), attend(Tokens.of(x)))


def test_merge_counts_reach_their_share() -> None:
    assert sum(merge_counts(256, 12, 0.6)) == 154
    assert sum(merge_counts(256, 1, 0.9)) == 128
    assert merge_counts(256, 3, 0.0) == [0, 0, 0]


def test_fast_is_another_space_near_the_exact_one(folder: Path) -> None:
    exact, fast = load(folder), load(folder, fast=True)
    assert fast.space.fingerprint != exact.space.fingerprint
    samples = [*pictures(5), *sounds(16_000, 16_100, 30_000), TextSample("a dog")]
    rows = fast.encode(samples)
    near = (rows * exact.encode(samples)).sum(1)
    assert (near > 0.9).all()
    assert (near[:8] < 0.9999999).any()
    np.testing.assert_allclose(rows[-1], exact.encode(samples[-1:])[0], atol=2e-6)
    alone = np.concatenate([fast.encode([sample]) for sample in samples])
    np.testing.assert_allclose(rows, alone, atol=2e-6)


def test_options_follow_a_models_name(folder: Path) -> None:
    spaces = {
        name: open_encoder(name, folder).space.fingerprint
        for name in (
            "one-peace",
            "one-peace:float32",
            "one-peace:bfloat16",
            "one-peace:fast",
            "one-peace:exact",
        )
    }
    assert spaces["one-peace"] == spaces["one-peace:float32"]
    assert len(set(spaces.values())) == 4
    with pytest.raises(ModelNotFound, match="no option 'int3'"):
        open_encoder("one-peace:int3", folder)
    with pytest.raises(ModelNotFound, match="no option 'fast'"):
        open_encoder("mini:fast")
    for name in ("one-peace:fast:exact", "one-peace:float16:int8"):
        with pytest.raises(UsageError, match="exclude each other"):
            open_encoder(name, folder)
