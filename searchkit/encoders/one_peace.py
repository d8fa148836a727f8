"""The encoder `one-peace`: samples to unit vectors with a converted ONE-PEACE model, branch by branch.

A vector is what its sample gets alone, whatever else is in the batch; `exact=True` gives instead what the
original gives in the same batch, where a short sound sees what it was padded with.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from searchkit.config import models_folder
from searchkit.errors import EncoderError, ModalityUnsupported
from searchkit.one_peace.branches import open_model_folder
from searchkit.one_peace.config import frame_count, parse_conv_spec
from searchkit.one_peace.hub import resolve_dtype
from searchkit.one_peace.lazy_model import LazyModel
from searchkit.one_peace.pixels import MEAN, STD, normalise_pixels, resize_picture
from searchkit.one_peace.tokenizer import TextTokenizer, pad_ids
from searchkit.one_peace.waveforms import RATE_HZ, RESAMPLER, pad_waveforms, prepare_waveform, resample
from searchkit.one_peace.weights import FolderWeights
from searchkit.types import AudioSample, FloatArray, ImageSample, Modality, Sample, Space, TextSample

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["OnePeaceEncoder", "load"]

_BATCH_TOKENS = 2048
_LONGEST_S = 20
_PREPROCESSING = 1


def load(
    model_dir: Path | None = None,
    *,
    device: str | None = None,
    dtype: str = "float32",
    exact: bool = False,
    idle_s: float | None = None,
) -> OnePeaceEncoder:
    """Open a converted model; nothing is read but its configuration until the first sample.

    Args:
        model_dir: the converted folder; None for the one that `searchkit models pull one-peace` makes.
        device: a torch device; None takes a GPU where there is one.
        dtype: "float32", "bfloat16", "float16", or "int8": the trunk in int8, on a CPU only.
        exact: reproduce the original in its batches.
        idle_s: drop a branch that was not used for so long, when another one is used.

    Raises:
        ModelNotFound: there is no converted model.
        ModelCorrupt: a file of it is damaged.
        UsageError: the dtype is unknown.
    """
    folder = open_model_folder(model_dir or models_folder() / "one-peace")
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    int8 = dtype == "int8"
    precision = resolve_dtype("float32" if int8 else dtype)
    model = LazyModel(FolderWeights(folder), device=chosen, dtype=precision, int8=int8)
    return OnePeaceEncoder(model, folder.revision, exact=exact, idle_s=idle_s)


class OnePeaceEncoder:
    """ONE-PEACE behind searchkit's Encoder contract."""

    audio_rate_hz = RATE_HZ

    def __init__(
        self, model: LazyModel, revision: str, *, exact: bool = False, idle_s: float | None = None
    ) -> None:
        config = model.config
        if config.kind != "one_peace_retrieval":
            raise EncoderError(
                f"{model.source.name} is a model for {config.task.num_classes} classes, not for search",
                hint="`searchkit classify` and `searchkit ground` use such models",
            )
        self.model = model
        self.exact = exact
        self.idle_s = idle_s
        self.modalities = frozenset(Modality(name) for name in config.modalities if name in set(Modality))
        audio = config.encoder.adapters.get("audio", {})
        self._spec = parse_conv_spec(audio.get("feature_encoder_spec"))
        self._tokenizer: TextTokenizer | None = None
        self._used_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self.space = Space("one-peace", revision, self._preprocessing(), config.encoder.embed_dim)

    def _preprocessing(self) -> str:
        """Everything between a sample and its vector that is not in the weights."""
        task = self.model.config.task
        facts = (
            _PREPROCESSING,
            ("text", task.max_src_length),
            ("image", task.patch_image_size, "pillow-bicubic", MEAN, STD),
            ("audio", RATE_HZ, RESAMPLER, task.max_duration, "batch" if self.exact else "alone"),
            ("dtype", str(self.model.dtype), self.model.int8),
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]

    def encode(self, samples: Sequence[Sample]) -> FloatArray:
        """Embed samples of any mix of modalities, in order: (N, dim) float32 unit rows.

        Sounds are cut to the model's longest duration (15 or 20 s), texts to its longest length (70 tokens).

        Raises:
            ModalityUnsupported: the checkpoint lacks a sample's modality.
            EncoderError: a sample cannot be embedded.
        """
        rows = np.zeros((len(samples), self.space.dim), dtype=np.float32)
        steps: tuple[tuple[type, Callable[..., None]], ...] = (
            (TextSample, self._encode_texts),
            (ImageSample, self._encode_images),
            (AudioSample, self._encode_sounds),
        )
        with self._lock:
            for kind, step in steps:
                places = [place for place, sample in enumerate(samples) if isinstance(sample, kind)]
                if places:
                    name = samples[places[0]].modality
                    if name not in self.modalities:
                        raise ModalityUnsupported(f"{self.model.source.name} cannot embed {name.value}")
                    step(places, samples, rows)
                    self._note_use(name.value)
        return rows

    def close(self) -> None:
        """Free all branches; they load again when they are needed."""
        with self._lock:
            self.model.drop()

    def drop(self, modality: Modality) -> None:
        """Free one modality's branch; it loads again when it is needed."""
        with self._lock:
            self.model.drop(modality.value)

    def _note_use(self, name: str) -> None:
        now = time.monotonic()
        self._used_at[name] = now
        if self.idle_s is not None:
            idle = [other for other, at in self._used_at.items() if now - at > self.idle_s]
            for other in idle:
                self.model.drop(other)
                del self._used_at[other]

    def _encode_texts(self, places: list[int], samples: Sequence[TextSample], rows: FloatArray) -> None:
        if self._tokenizer is None:
            self._tokenizer = self.model.source.tokenizer()
        ids = {place: self._tokenizer.encode(samples[place].text) for place in places}
        for batch in self._batches(places, {place: len(ids[place]) for place in places}):
            tokens = torch.from_numpy(pad_ids([ids[place] for place in batch]))
            rows[batch] = self._run("text", src_tokens=tokens)

    def _encode_images(self, places: list[int], samples: Sequence[ImageSample], rows: FloatArray) -> None:
        task = self.model.config.task
        patches = (task.patch_image_size // 16) ** 2
        for batch in self._batches(places, dict.fromkeys(places, patches)):
            resized = [resize_picture(samples[place].pixels, task.patch_image_size) for place in batch]
            rows[batch] = self._run("image", src_images=torch.from_numpy(normalise_pixels(resized)))

    def _encode_sounds(self, places: list[int], samples: Sequence[AudioSample], rows: FloatArray) -> None:
        longest_s = min(self.model.config.task.max_duration, _LONGEST_S)
        clips = {
            place: prepare_waveform(
                resample(samples[place].waveform, samples[place].rate_hz), max_duration_s=longest_s
            )
            for place in places
        }
        frames = {place: frame_count(len(clip), self._spec) for place, clip in clips.items()}
        for batch in self._batches(places, frames):
            waveforms, masks = pad_waveforms([clips[place] for place in batch], self._spec)
            rows[batch] = self._run(
                "audio",
                src_audios=torch.from_numpy(waveforms),
                audio_padding_masks=torch.from_numpy(masks),
                isolate=not self.exact,
            )

    def _batches(self, places: list[int], lengths: dict[int, int]) -> list[list[int]]:
        """Places in batches of similar length; as they came where batches must be the original's."""
        if self.exact:
            return [places]
        batches: list[list[int]] = []
        for place in sorted(places, key=lambda place: lengths[place]):
            length = lengths[place]
            current = batches[-1] if batches else []
            fits = current and (len(current) + 1) * length <= _BATCH_TOKENS
            # A batch costs its longest member for each; a quarter more is less than another batch costs.
            if fits and length <= 1.25 * lengths[current[0]] + 2:
                current.append(place)
            else:
                batches.append([place])
        return batches

    def _run(self, modality: str, **inputs: Any) -> npt.NDArray[np.float32]:
        device, dtype = self.model.device, self.model.dtype
        moved = {
            key: value.to(device, dtype if value.is_floating_point() else None)
            if isinstance(value, torch.Tensor)
            else value
            for key, value in inputs.items()
        }
        with self.model.using(modality) as model, torch.inference_mode():
            vectors = model(modality, **moved).float()
            unit = torch.nn.functional.normalize(vectors, dim=1).cpu().numpy()
        if not np.isfinite(unit).all():
            raise EncoderError(f"{modality}: the model gave values that are not finite in {dtype}")
        return np.asarray(unit, dtype=np.float32)
