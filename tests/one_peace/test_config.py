from __future__ import annotations

import pytest

from searchkit.errors import CheckpointError
from searchkit.one_peace.config import ModelConfig, frame_count, modalities_of, parse_conv_spec
from tests.one_peace.tiny import tiny_config


def test_the_published_convolutions_give_49_frames_a_second() -> None:
    spec = parse_conv_spec("[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]")
    assert len(spec) == 7
    assert [frame_count(n, spec) for n in (16_000, 240_000, 327_759, 1)] == [49, 749, 1023, 0]


@pytest.mark.parametrize(
    "spec",
    ["__import__('os').system('true')", "[(1,2)]", "[(1,2,3)] * 10**9", "lambda: 0", "[(a,1,1)]", "(("],
)
def test_a_convolution_spec_is_never_evaluated(spec: str) -> None:
    with pytest.raises(CheckpointError):
        parse_conv_spec(spec)


def test_head_types_name_modalities() -> None:
    assert modalities_of("al") == ("text", "audio")
    assert modalities_of("text+depth") == ("text", "depth")


def test_modalities_are_those_of_the_head_type_that_are_switched_on() -> None:
    config = tiny_config(encoder={"use_audio_moe": False})
    assert ModelConfig.from_config(config).modalities == ("text", "image")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"embed_dim": "wide"}, "embed_dim"),
        ({"embed_dim": 30}, "attention_heads"),
        ({"layers": 0}, "at least 1"),
        ({"use_layer_scale": 1}, "use_layer_scale"),
    ],
)
def test_a_wrong_option_is_named(change: dict[str, object], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        ModelConfig.from_config(tiny_config(encoder=change))


def test_missing_sections_and_unknown_kinds_are_refused() -> None:
    with pytest.raises(CheckpointError, match="section"):
        ModelConfig.from_config({"model": {}})
    with pytest.raises(CheckpointError, match="one_peace_sing"):
        ModelConfig.from_config(tiny_config("one_peace_sing"))
    with pytest.raises(CheckpointError, match="multiple of 16"):
        ModelConfig.from_config(tiny_config(task={"patch_image_size": 100}))
