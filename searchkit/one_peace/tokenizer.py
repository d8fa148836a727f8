"""Text to token ids: GPT-2's byte-level BPE seen through the dictionary that ONE-PEACE was trained with.

The merging is done by the `tokenizers` library; this module knows the files and the order of the ids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as BpeTokenizer
from tokenizers import models, pre_tokenizers

from searchkit.errors import CheckpointError, EncoderError

__all__ = ["EOS_ID", "PAD_ID", "UNK_ID", "TextTokenizer", "clean_caption", "tokenizer_json"]

PAD_ID, EOS_ID, UNK_ID = 1, 2, 3
_SPECIALS = 4
# What GPT-2's alphabet writes for a space; it begins a word.
_SPACE = "\u0120"
_ASSET = Path(__file__).parent / "assets" / "gpt2_bpe.npz"


def _byte_characters() -> list[str]:
    """GPT-2's printable stand-in for each byte, in the order of its vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + i) for i in range(len(others))]


def tokenizer_json(bpe_dir: Path | None = None, *, most_merges: int | None = None) -> tuple[str, int]:
    """The tokenizer in the `tokenizers` library's own format, and how many ids the dictionary has.

    Args:
        bpe_dir: a folder with `vocab.bpe` and `dict.txt`; None takes the published ones, which ship
            with this package.
        most_merges: keep only so many merges, the most frequent ones, and only the tokens that these make;
            for a small model, in which rarer words fall into pieces. The ids are its own.

    Raises:
        CheckpointError: a file is missing or is not what its name says.
    """
    if bpe_dir is None:
        with np.load(_ASSET, allow_pickle=False) as asset:
            pairs, order = asset["merges"].tolist(), asset["dictionary"].tolist()
        tokens = _byte_characters()
        for left, right in pairs:
            tokens.append(tokens[left] + tokens[right])
        merges = [(tokens[left], tokens[right]) for left, right in pairs]
        size = len(order) + 3 + _SPECIALS
    else:
        merges, order, size = _read_bpe_folder(bpe_dir)
        tokens = _byte_characters() + [left + right for left, right in merges]
    if most_merges is not None:
        merges, tokens = merges[:most_merges], tokens[: 256 + most_merges]
        order = [gpt2_id for gpt2_id in order if 0 <= gpt2_id < len(tokens)]
        size = len(order) + _SPECIALS
    tokens.append("<|endoftext|>")
    rank = {gpt2_id: index + _SPECIALS for index, gpt2_id in enumerate(order)}
    # A token outside the dictionary gets an id past its end, which encode() turns into <unk>.
    vocabulary = {token: rank.get(i, size + i) for i, token in enumerate(tokens)}
    bpe = BpeTokenizer(models.BPE(vocab=vocabulary, merges=merges))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return bpe.to_str(), size


def _read_bpe_folder(folder: Path) -> tuple[list[tuple[str, str]], dict[int, int] | list[int], int]:
    try:
        merge_lines = (folder / "vocab.bpe").read_text(encoding="utf-8").split("\n")[1:]
        words = [
            line.split(" ")[0] for line in (folder / "dict.txt").read_text(encoding="utf-8").splitlines()
        ]
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{folder}: the BPE files cannot be read: {error}") from error
    merges = []
    for line in filter(None, merge_lines):
        left, space, right = line.partition(" ")
        if not space:
            raise CheckpointError(f"{folder / 'vocab.bpe'}: {line!r} is no pair of tokens")
        merges.append((left, right))
    order = [int(word) if word.isdecimal() else -1 for word in words]
    return merges, order, len(words) + _SPECIALS


class TextTokenizer:
    """Turns texts into ids as the model's training did: lower case, a space in front, cut, eos at the end."""

    def __init__(self, serialised: str, *, dictionary_size: int, max_tokens: int = 70) -> None:
        try:
            self._bpe = BpeTokenizer.from_str(serialised)
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"the tokenizer file cannot be read: {error}") from error
        self.dictionary_size = dictionary_size
        self.max_tokens = max_tokens

    @classmethod
    def built_in(cls, *, dictionary_size: int = 50264, max_tokens: int = 70) -> TextTokenizer:
        """The published dictionary; a smaller size turns later words into <unk>."""
        return cls(tokenizer_json()[0], dictionary_size=dictionary_size, max_tokens=max_tokens)

    @classmethod
    def from_file(cls, path: Path, *, dictionary_size: int, max_tokens: int = 70) -> TextTokenizer:
        """Read the `tokenizer.json` of a converted model.

        Raises:
            CheckpointError: the file is missing or damaged.
        """
        try:
            text = path.read_text(encoding="utf-8")
            json.loads(text)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path}: the tokenizer cannot be read: {error}") from error
        return cls(text, dictionary_size=dictionary_size, max_tokens=max_tokens)

    def encode(self, text: str) -> list[int]:
        """Ids of one text: at most `max_tokens`, then eos. Special tokens in the text are plain text."""
        return self.encode_words(text)[0]

    def encode_words(self, text: str) -> tuple[list[int], list[int]]:
        """Ids as `encode` gives them, and for each but eos the number of its word, told apart by spaces."""
        prepared = f" {text.lower()}".encode("utf-8", "replace").decode()
        encoded = self._bpe.encode(prepared, add_special_tokens=False)
        ids = [i if i < self.dictionary_size else UNK_ID for i in encoded.ids[: self.max_tokens]]
        words = list(accumulate(int(token.startswith(_SPACE)) for token in encoded.tokens[: self.max_tokens]))
        return [*ids, EOS_ID], words

    def encode_batch(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Ids of several texts, (B, T), padded on the right with `PAD_ID`.

        Raises:
            EncoderError: there is no text.
        """
        return pad_ids([self.encode(text) for text in texts])


def pad_ids(rows: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
    """Rows of ids as one array (B, T), padded on the right.

    Raises:
        EncoderError: there is no row.
    """
    if not rows:
        raise EncoderError("at least one text is needed, got an empty list")
    padded = np.full((len(rows), max(map(len, rows))), PAD_ID, dtype=np.int64)
    for row, ids in zip(padded, rows, strict=True):
        row[: len(ids)] = ids
    return padded


def clean_caption(text: str) -> str:
    """What the training sets did to a caption before tokenizing: lower case, no leading punctuation."""
    text = text.lower().lstrip(",.!?*#:;~").replace("\t", " ")
    return re.sub(r"\s{2,}", " ", text).rstrip("\n").strip(" ")
