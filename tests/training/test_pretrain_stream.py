"""The stream of pairs is the same for one seed, goes on where it was left, and survives broken files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchkit.errors import UsageError
from searchkit.one_peace.config import TaskConfig
from searchkit.one_peace.tokenizer import TextTokenizer
from searchkit.training.pretrain.pairs import open_pairs
from searchkit.training.pretrain.samples import Sample, SampleReader
from searchkit.training.pretrain.stream import PairStream
from tests.training.sets import write_manifest

TASK = TaskConfig(patch_image_size=32, max_src_length=24, max_duration=2)


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.built_in()


def stream_of(folder: Path, tokenizer: TextTokenizer, **options: Any) -> PairStream:
    modality = options.pop("modality", "image")
    reader = SampleReader(TASK, tokenizer, crop_scale=0.5, flip=True)
    pairs = open_pairs([folder / "pairs.jsonl"], modality)
    return PairStream(pairs, reader, **{"batch_size": 5, "seed": 3, **options})


def take(stream: PairStream, batches: int) -> list[Sample]:
    return [sample for _ in range(batches) for sample in stream.next_batch().samples]


def same(left: list[Sample], right: list[Sample]) -> bool:
    return all(
        a.ids == b.ids and a.media_id == b.media_id and np.array_equal(a.media, b.media)
        for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_it_goes_on_where_it_was_left(tmp_path: Path, tokenizer: TextTokenizer, modality: str) -> None:
    write_manifest(tmp_path, 12, 12)
    whole = take(stream_of(tmp_path, tokenizer, modality=modality), 6)
    first = stream_of(tmp_path, tokenizer, modality=modality)
    take(first, 3)
    position = PairStream.position_of(first.state())
    second = stream_of(tmp_path, tokenizer, modality=modality, position=position)
    assert same(take(second, 3), whole[15:])


def test_every_epoch_holds_every_pair_once_in_another_order(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    write_manifest(tmp_path, 10, 0)
    samples = take(stream_of(tmp_path, tokenizer), 4)
    epochs = [[sample.media_id for sample in samples[start : start + 10]] for start in (0, 10)]
    assert len(set(epochs[0])) == 10
    assert set(epochs[0]) == set(epochs[1])
    assert epochs[0] != epochs[1]


def test_decoding_ahead_changes_nothing(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    write_manifest(tmp_path, 12, 0)
    ahead = stream_of(tmp_path, tokenizer, workers=2)
    assert same(take(ahead, 4), take(stream_of(tmp_path, tokenizer), 4))
    after = stream_of(tmp_path, tokenizer, position=PairStream.position_of(ahead.state()))
    assert same(take(after, 1), take(stream_of(tmp_path, tokenizer), 5)[20:])
    ahead.close()


def test_broken_files_are_skipped_and_counted(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    write_manifest(tmp_path, 10, 6)
    (tmp_path / "3.png").write_bytes(b"no picture")
    (tmp_path / "4.png").unlink()
    (tmp_path / "5.png").write_bytes((tmp_path / "5.png").read_bytes()[:200])
    (tmp_path / "1.wav").write_bytes(b"RIFF")
    stream = stream_of(tmp_path, tokenizer, batch_size=7)
    assert len({sample.media_id for sample in take(stream, 1)}) == 7
    assert set(stream.skipped) == {"3.png", "4.png", "5.png"}
    sounds = stream_of(tmp_path, tokenizer, modality="audio", batch_size=5)
    take(sounds, 1)
    assert set(sounds.skipped) == {"1.wav"}


def test_nothing_that_can_be_read_is_an_error_and_no_endless_loop(
    tmp_path: Path, tokenizer: TextTokenizer
) -> None:
    write_manifest(tmp_path, 4, 0)
    for path in tmp_path.glob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(UsageError, match="none of 4 pairs could be read"):
        stream_of(tmp_path, tokenizer).next_batch()


def test_ranks_share_the_pairs(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    write_manifest(tmp_path, 12, 0)
    shares = [
        {s.media_id for s in take(stream_of(tmp_path, tokenizer, rank=rank, ranks=2, batch_size=6), 1)}
        for rank in (0, 1)
    ]
    assert len(shares[0] | shares[1]) == 12


def test_equal_captions_and_equal_files_have_equal_numbers(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    write_manifest(tmp_path, 2, 0)
    (tmp_path / "pairs.jsonl").write_text(
        '{"image": "0.png", "text": "A Dog"}\n{"image": "1.png", "text": "a  dog "}\n'
        '{"image": "0.png", "text": "an animal"}\n'
    )
    samples = take(stream_of(tmp_path, tokenizer, batch_size=3), 1)
    assert len({sample.caption_id for sample in samples}) == 2
    assert len({sample.media_id for sample in samples}) == 2
