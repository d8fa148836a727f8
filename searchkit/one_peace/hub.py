"""The original's hub interface: code written for ONE-PEACE runs after one changed import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from searchkit.config import models_folder
from searchkit.errors import EncoderError, UsageError
from searchkit.one_peace.branches import open_model_folder
from searchkit.one_peace.config import parse_conv_spec
from searchkit.one_peace.lazy_model import LazyModel
from searchkit.one_peace.pixels import normalise_pixels, open_picture, resize_picture
from searchkit.one_peace.published import published
from searchkit.one_peace.waveforms import open_sound, pad_waveforms, prepare_waveform
from searchkit.one_peace.weights import CheckpointWeights, FolderWeights, WeightSource

__all__ = ["OnePeaceHubInterface", "from_pretrained", "resolve_dtype"]

_DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "float": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
    "half": torch.float16,
}
_ORIGINALS_PLACE = Path("~/.cache/one-peace")
_DEFAULT_SPEC = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2"


def resolve_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """A floating-point type by its name here, in torch, or in the original ("bf16", "fp16").

    Raises:
        UsageError: the name is unknown.
    """
    if isinstance(dtype, torch.dtype):
        if dtype in _DTYPES.values():
            return dtype
    elif dtype in _DTYPES:
        return _DTYPES[dtype]
    raise UsageError(f"dtype {dtype!r} is none of {', '.join(_DTYPES)}")


def open_source(
    name_or_path: str | Path, *, kind: str | None = None, root: Path | None = None
) -> WeightSource:
    """Find a model: a converted folder, a checkpoint file, or a published name.

    A name means what `searchkit models pull` made, or else the file that the original itself downloaded.

    Args:
        name_or_path: a folder, a file, or a name such as "ONE-PEACE" or "one-peace-grounding".
        kind: build this kind of model in place of the checkpoint's own.
        root: where names are looked up; None for searchkit's own place.

    Raises:
        ModelNotFound: there is no such model, or it was not pulled.
        CheckpointError: the checkpoint cannot be read.
        EncoderError: it is no classification model, and one is wanted.
    """
    path = Path(name_or_path)
    if not path.exists():
        known = published(str(name_or_path))
        path = (root or models_folder()) / known.name
        left = (root or _ORIGINALS_PLACE).expanduser() / known.file_name
        if left.is_file() and not path.is_dir():
            path = left
    is_file = path.is_file()
    source = (
        CheckpointWeights(path, kind=kind) if is_file else FolderWeights(open_model_folder(path, kind=kind))
    )
    if kind == "one_peace_classify" and not source.config.task.num_classes:
        raise EncoderError(
            f"{source.name} is no classification model: its settings have no num_classes",
            hint="searchkit models pull one-peace-grounding (or one-peace-vggsound)",
        )
    return source


def from_pretrained(
    model_name_or_path: str | Path,
    model_type: str = "one_peace_retrieval",
    device: str | None = None,
    dtype: str | torch.dtype = "float32",
    download_root: str | Path | None = None,
) -> OnePeaceHubInterface:
    """Open a model as the original's function of this name does.

    Args:
        model_name_or_path: "ONE-PEACE", "ONE-PEACE_Grounding" or "ONE-PEACE_VGGSound" once pulled, or
            downloaded by the original; a .pt file; or a converted folder.
        model_type: "one_peace_retrieval" or "one_peace_classify".
        device: a torch device; None takes a GPU where there is one.
        dtype: "float32", "bfloat16"/"bf16" or "float16"/"fp16".
        download_root: where pulled models or downloaded files lie, in place of the usual places.

    Raises:
        ModelNotFound: no such model; `searchkit models pull NAME` downloads the published ones.
        CheckpointError: the checkpoint cannot be read, is refused, or is of another type.
        UsageError: the dtype or the model type is unknown.
    """
    if model_type not in ("one_peace_retrieval", "one_peace_classify"):
        raise UsageError(f"model_type {model_type!r} is none of one_peace_retrieval, one_peace_classify")
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    root = Path(download_root) if download_root else None
    source = open_source(model_name_or_path, kind=model_type, root=root)
    return OnePeaceHubInterface(LazyModel(source, device=chosen, dtype=resolve_dtype(dtype)))


class OnePeaceHubInterface:
    """Raw files to tensors, tensors to features; the branches of the model load when they are first used.

    Features of a batch are what the original gives in that batch: a short sound's depend on what it is padded
    to. `searchkit.encoders` gives vectors that do not.
    """

    def __init__(self, model: LazyModel) -> None:
        self.model = model
        self.device = model.device
        self.dtype = model.dtype
        self._tokenizer = model.source.tokenizer() if "text" in model.config.modalities else None
        audio = model.config.encoder.adapters.get("audio", {})
        self._spec = parse_conv_spec(audio.get("feature_encoder_spec") or _DEFAULT_SPEC)

    def process_text(self, text_list: Sequence[str]) -> Tensor:
        """Token ids (B, T) int64, padded with 1.

        Raises:
            EncoderError: the list is empty, or the model takes no text.
        """
        if self._tokenizer is None:
            raise EncoderError(f"{self.model.source.name} takes no text")
        return torch.from_numpy(self._tokenizer.encode_batch(list(text_list))).to(self.device)

    def process_image(self, image_list: Sequence[str | Path], return_image_sizes: bool = False) -> Any:
        """Pixels (B, 3, S, S); with `return_image_sizes` also the widths (B,) and heights (B,) in pixels.

        Raises:
            DecodeError: a file is no picture.
            EncoderError: the list is empty.
        """
        pictures = [open_picture(path) for path in image_list]
        size_px = self.model.config.task.patch_image_size
        pixels = normalise_pixels([resize_picture(picture, size_px) for picture in pictures])
        src_images = torch.from_numpy(pixels).to(self.device, self.dtype)
        if not return_image_sizes:
            return src_images
        widths = torch.tensor([picture.width for picture in pictures], device=self.device)
        return src_images, widths, torch.tensor([picture.height for picture in pictures], device=self.device)

    def process_audio(self, audio_list: Sequence[str | Path]) -> tuple[Tensor, Tensor]:
        """Waveforms (B, samples), at most 15 s, and their padding masks (B, frames + 1).

        Raises:
            DecodeError: a file is no sound.
            EncoderError: the list is empty.
        """
        clips = [prepare_waveform(open_sound(path)) for path in audio_list]
        waveforms, masks = pad_waveforms(clips, self._spec)
        return torch.from_numpy(waveforms).to(self.device, self.dtype), torch.from_numpy(masks).to(
            self.device
        )

    def process_image_text_pairs(
        self, image_text_list: Sequence[tuple[str | Path, str]], return_image_sizes: bool = False
    ) -> tuple[Any, Tensor]:
        """What `process_image` gives for the first of each pair, and `process_text` for the second."""
        images = self.process_image([image for image, _ in image_text_list], return_image_sizes)
        return images, self.process_text([text for _, text in image_text_list])

    def extract_text_features(self, src_tokens: Tensor) -> Tensor:
        """Unit vectors (B, dim), or logits of a text classifier."""
        return self._run(("text",), src_tokens=src_tokens)

    def extract_image_features(self, src_images: Tensor) -> Tensor:
        """Unit vectors (B, dim), or logits of an image classifier."""
        return self._run(("image",), src_images=src_images)

    def extract_audio_features(self, src_audios: Tensor, audio_padding_masks: Tensor) -> Tensor:
        """Unit vectors (B, dim), or logits (B, classes) of an audio classifier."""
        return self._run(("audio",), src_audios=src_audios, audio_padding_masks=audio_padding_masks)

    def extract_vl_features(self, src_images: Tensor, src_tokens: Tensor) -> Tensor:
        """Logits (B, classes) of a model of text with images: for grounding, boxes before the sigmoid.

        Raises:
            EncoderError: the model is one for retrieval, which has no joint feature.
        """
        return self._run(("text", "image"), src_tokens=src_tokens, src_images=src_images)

    def _run(self, modalities: tuple[str, ...], **inputs: Tensor) -> Tensor:
        config = self.model.config
        if config.kind == "one_peace_retrieval":
            if len(modalities) > 1:
                raise EncoderError("a retrieval model has no joint feature; open one with one_peace_classify")
            inputs["encoder_type"] = modalities[0]  # type: ignore[assignment]
        elif modalities != config.modalities:
            raise EncoderError(
                f"this classification model takes {' with '.join(config.modalities)},"
                f" not {' with '.join(modalities)}"
            )
        with self.model.using(*modalities) as model, torch.set_grad_enabled(torch.is_grad_enabled()):
            features: Tensor = model(**inputs)
        return features
