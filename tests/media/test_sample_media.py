from __future__ import annotations

from pathlib import Path

import pytest

from searchkit.errors import DecodeError
from searchkit.media import looks_like_media, open_media
from searchkit.types import Modality

MODALITIES = {
    "photos": Modality.IMAGE,
    "drawings": Modality.IMAGE,
    "sounds": Modality.AUDIO,
    "videos": Modality.VIDEO,
    "texts": Modality.TEXT,
}


@pytest.mark.parametrize("folder", MODALITIES)
def test_every_good_file_decodes(folder: str, sample_media: Path) -> None:
    paths = sorted((sample_media / folder).iterdir())
    assert paths
    for path in paths:
        decoded = open_media(path)
        assert decoded.media_type.modality is MODALITIES[folder], path
        modalities = {sample.modality for sample in decoded.samples}
        both = {Modality.IMAGE, Modality.AUDIO}
        assert modalities == (both if folder == "videos" else {MODALITIES[folder]}), path


def test_every_broken_file_has_a_reason(sample_media: Path) -> None:
    for path in sorted((sample_media / "broken").iterdir()):
        assert looks_like_media(path)
        with pytest.raises(DecodeError):
            list(open_media(path).samples)
