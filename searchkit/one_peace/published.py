"""The published checkpoints by name; it downloads nothing."""

from __future__ import annotations

from dataclasses import dataclass

from searchkit.errors import ModelNotFound

__all__ = ["PUBLISHED", "PublishedCheckpoint", "published"]

_BASE = "http://one-peace-shanghai.oss-accelerate.aliyuncs.com/"
_TUNED = "https://one-peace-shanghai.oss-accelerate.aliyuncs.com/one_peace_checkpoints/"


@dataclass(frozen=True, slots=True)
class PublishedCheckpoint:
    """A checkpoint that the authors of ONE-PEACE serve.

    Attributes:
        name: what `models pull` takes, and the name of the converted folder.
        url: where it is; the publisher gives no checksum.
        about: one line for people.
        hub_name: the name that the original's `from_pretrained` takes, "" for none.
        sha256: known checksum, "" where it is recorded on first use.
    """

    name: str
    url: str
    about: str
    hub_name: str = ""
    sha256: str = ""

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


PUBLISHED: tuple[PublishedCheckpoint, ...] = (
    PublishedCheckpoint(
        "one-peace", f"{_BASE}one-peace.pt", "the base model, 4B: text, images, sounds (15.5 GB)", "ONE-PEACE"
    ),
    PublishedCheckpoint(
        "one-peace-audio", f"{_TUNED}finetune_al_retrieval.pt", "tuned for sounds and text: AudioCaps, Clotho"
    ),
    PublishedCheckpoint("one-peace-coco", f"{_TUNED}finetune_coco.pt", "tuned for images and text: COCO"),
    PublishedCheckpoint(
        "one-peace-flickr", f"{_TUNED}finetune_flickr.pt", "tuned for images and text: Flickr30K"
    ),
    PublishedCheckpoint(
        "one-peace-grounding",
        f"{_TUNED}finetune_refcocog.pt",
        "finds what a text names in an image: `searchkit ground`",
        "ONE-PEACE_Grounding",
    ),
    PublishedCheckpoint(
        "one-peace-vggsound",
        f"{_TUNED}finetune_vggsound.pt",
        "names sounds, 309 classes: `searchkit classify`",
        "ONE-PEACE_VGGSound",
    ),
)


def published(name: str) -> PublishedCheckpoint:
    """A published checkpoint by its name here or the original's name.

    Raises:
        ModelNotFound: there is none of that name.
    """
    for checkpoint in PUBLISHED:
        if name in (checkpoint.name, checkpoint.hub_name):
            return checkpoint
    names = ", ".join(checkpoint.name for checkpoint in PUBLISHED)
    raise ModelNotFound(f"no checkpoint is called {name!r}", hint=f"there are {names}")
