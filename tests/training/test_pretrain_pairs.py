"""Pairs are found in manifests and shards; what is no pair is passed over, with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from searchkit.errors import UsageError
from searchkit.training.pretrain.pairs import open_pairs
from tests.training.sets import png, wav, write_manifest, write_shard


def test_a_manifest_names_files_beside_it(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, pictures=3, sounds=2)
    found = open_pairs([manifest], "image").pairs
    assert [pair.texts for pair in found][1] == ("picture 1 of a thing", "thing 1")
    assert found[2].read() == png(2)
    assert [pair.key for pair in open_pairs([manifest], "audio").pairs] == ["0.wav", "1.wav"]


def test_lines_that_are_no_pair_are_counted_with_their_reason(tmp_path: Path) -> None:
    lines = ['{"image": "a.png", "text": "a"}', "{broken", '["a"]', '{"image": "b.png"}', '{"text": "b"}', ""]
    lines += ['{"image": "c.png", "text": ["c", 3]}', '{"image": "d.png", "text": "  "}']
    manifest = tmp_path / "pairs.jsonl"
    manifest.write_text("\n".join(lines))
    found = open_pairs([manifest], "image")
    assert len(found.pairs) == 1
    places = {int(place.rpartition(" ")[2]): reason for place, reason in found.skipped.items()}
    assert sorted(places) == [2, 3, 4, 5, 7, 8]
    assert "no text" in places[4]
    assert '"path" with "modality"' in places[5]


def test_a_pair_may_come_several_times_in_an_epoch(tmp_path: Path) -> None:
    manifest = tmp_path / "pairs.jsonl"
    lines = [{"image": f"{n}.png", "text": "a", "repeat": repeat} for n, repeat in enumerate((3, 1, 0, "2"))]
    manifest.write_text("\n".join(map(json.dumps, lines)))
    said = json.dumps({"text": "a", "repeat": 2}).encode()
    shard = write_shard(tmp_path / "a.tar", {"x.png": png(1), "x.json": said})
    found = open_pairs([manifest, shard], "image")
    assert [pair.path.name for pair in found.pairs] == ["0.png"] * 3 + ["1.png"] + ["a.tar"] * 2
    assert len(found.skipped) == 2
    assert all('"repeat" must be' in reason for reason in found.skipped.values())


def test_a_shard_groups_files_by_key(tmp_path: Path) -> None:
    shard = write_shard(
        tmp_path / "a-0000.tar",
        {
            "x/01.jpg": b"jpeg bytes",
            "x/01.txt": b"a dog\n",
            "x/02.json": json.dumps({"caption": ["a cat", "cat"], "width": 3}).encode(),
            "x/02.seg.png": b"no media",
            "x/02.png": png(2),
            "x/03.png": png(3),
            "x/04.wav": wav(4),
            "x/04.txt": b"a tone",
            "x/05.txt": b"alone",
            "x/06.png": png(6),
            "x/06.json": b"{broken",
        },
    )
    found = open_pairs([shard], "image")
    assert [(pair.texts, pair.read()) for pair in found.pairs] == [
        (("a dog",), b"jpeg bytes"),
        (("a cat", "cat"), png(2)),
    ]
    assert {place.rpartition("/")[2] for place in found.skipped} == {"03", "05", "06"}
    (sound,) = open_pairs([shard], "audio").pairs
    assert sound.read() == wav(4)


def test_a_shard_that_was_cut_off_gives_what_is_whole(tmp_path: Path) -> None:
    members = {
        f"{n}.{end}": content for n in range(4) for end, content in (("png", png(n)), ("txt", b"word"))
    }
    shard = write_shard(tmp_path / "a.tar", members)
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    found = open_pairs([tmp_path], "image")
    assert 0 < len(found.pairs) < 4


def test_sources_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, pictures=2, sounds=0)
    with pytest.raises(UsageError, match="no pair of text and audio"):
        open_pairs([manifest], "audio")
    with pytest.raises(UsageError, match="no such file"):
        open_pairs([tmp_path / "none.tar"], "image")
    other = tmp_path / "pairs.csv"
    other.write_text("a,b")
    with pytest.raises(UsageError, match="neither a manifest"):
        open_pairs([other], "image")
