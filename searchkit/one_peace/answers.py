"""What the classification checkpoints answer: the box of what a text names, and the classes of a sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import ImageDraw

from searchkit.durable import replace_file
from searchkit.errors import EncoderError, UsageError
from searchkit.one_peace.branches import read_labels
from searchkit.one_peace.hub import OnePeaceHubInterface, from_pretrained
from searchkit.one_peace.pixels import open_picture
from searchkit.one_peace.weights import FolderWeights

__all__ = ["Box", "SoundClass", "classify_sound", "draw_box", "ground"]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a picture, in pixels from its upper left; an upside-down one means "not found"."""

    x0_px: float
    y0_px: float
    x1_px: float
    y1_px: float

    @property
    def is_well_formed(self) -> bool:
        """Whether it has an inside."""
        return self.x0_px < self.x1_px and self.y0_px < self.y1_px


@dataclass(frozen=True, slots=True)
class SoundClass:
    """A class that a sound may be of: its number, its name ("" where unknown), and its probability."""

    number: int
    name: str
    probability: float


def ground(
    image: Path, text: str, *, model: str | Path | OnePeaceHubInterface = "one-peace-grounding"
) -> Box:
    """Find what a text names in a picture.

    Args:
        image: a picture file; its EXIF orientation is not applied.
        text: such as "the man in the red shirt".
        model: an open model, a published name, a folder or a file.

    Raises:
        DecodeError: the file is no picture.
        EncoderError: the model does not give boxes.
    """
    hub = _open(model)
    if hub.model.config.modalities != ("text", "image") or hub.model.config.task.num_classes != 4:
        raise EncoderError(
            f"{hub.model.source.name} does not give boxes", hint="searchkit models pull one-peace-grounding"
        )
    (pixels, widths, heights), tokens = hub.process_image_text_pairs([(image, text)], return_image_sizes=True)
    with torch.inference_mode():
        corners = hub.extract_vl_features(pixels, tokens).float().sigmoid()[0]
    size = torch.stack([widths[0], heights[0]]).repeat(2)
    return Box(*(corners * size).tolist())


def draw_box(image: Path, box: Box, out: Path) -> None:
    """Write a picture with a box drawn into it, as PNG.

    Raises:
        DecodeError: the file is no picture.
        UsageError: the box has no inside, or the folder does not exist.
        DiskFull: the device is full.
    """
    if not box.is_well_formed:
        raise UsageError("the box has no inside: the model did not find what the text names")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"no such folder: {out.parent}", hint=f"mkdir -p '{out.parent}'")
    picture = open_picture(image)
    width_px = max(2, round(min(picture.size) / 150))
    corners = (box.x0_px, box.y0_px, box.x1_px, box.y1_px)
    ImageDraw.Draw(picture).rectangle(corners, outline=(255, 32, 32), width=width_px)
    with replace_file(out.absolute()) as file:
        picture.save(file, format="PNG")


def classify_sound(
    sound: Path,
    *,
    k: int = 5,
    model: str | Path | OnePeaceHubInterface = "one-peace-vggsound",
    labels: Path | None = None,
) -> list[SoundClass]:
    """The most likely classes of a sound, best first.

    Args:
        sound: a sound file; its first 15 seconds are heard.
        k: how many classes.
        model: an open model, a published name, a folder or a file.
        labels: names of the classes as JSON, a list or an object of numbers to names; None takes the
            model folder's labels.json where there is one.

    Raises:
        DecodeError: the file is no sound.
        EncoderError: the model does not classify sounds.
    """
    if k < 1:
        raise UsageError(f"k must be at least 1, got {k}")
    hub = _open(model)
    if hub.model.config.modalities != ("audio",):
        raise EncoderError(
            f"{hub.model.source.name} does not classify sounds",
            hint="searchkit models pull one-peace-vggsound",
        )
    source = hub.model.source
    names: tuple[str, ...] = ()
    if labels is not None:
        names = read_labels(labels)
    elif isinstance(source, FolderWeights):
        names = source.folder.labels()
    with torch.inference_mode():
        logits = hub.extract_audio_features(*hub.process_audio([sound]))[0].float()
    best = logits.softmax(0).topk(min(k, len(logits)))
    return [
        SoundClass(number, names[number] if number < len(names) else "", probability)
        for number, probability in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def _open(model: str | Path | OnePeaceHubInterface) -> OnePeaceHubInterface:
    if isinstance(model, OnePeaceHubInterface):
        return model
    return from_pretrained(model, model_type="one_peace_classify")
