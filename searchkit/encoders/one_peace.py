"""The encoder `one-peace`: samples to unit vectors with a converted ONE-PEACE model, branch by branch.

A vector is what its sample gets alone, whatever else is in the batch; `exact=True` gives instead what the
original gives in the same batch, where a short sound sees what it was padded with.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from searchkit.config import models_folder
from searchkit.errors import EncoderError, ModalityUnsupported, UsageError
from searchkit.one_peace.branches import open_model_folder
from searchkit.one_peace.hub import resolve_dtype
from searchkit.one_peace.inputs import ModelInputs
from searchkit.one_peace.lazy_model import LazyModel
from searchkit.one_peace.merging import MERGED_SHARE
from searchkit.one_peace.precision import describe_int8
from searchkit.one_peace.waveforms import RATE_HZ
from searchkit.one_peace.weights import FolderWeights
from searchkit.types import FloatArray, Modality, Sample, Space

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["OnePeaceEncoder", "load"]

_BATCH_TOKENS = 2048
# So many samples at once are worth a rearranged copy of the weights.
_MANY_SAMPLES = 8


def load(
    model_dir: Path | None = None,
    *,
    device: str | None = None,
    dtype: str = "float32",
    exact: bool = False,
    fast: bool = False,
    idle_s: float | None = None,
    options: Sequence[str] = (),
) -> OnePeaceEncoder:
    """Open a converted model; nothing is read but its configuration until the first sample.

    Args:
        model_dir: the converted folder; None for the one that `searchkit models pull one-peace` makes.
        device: a torch device; None takes a GPU where there is one.
        dtype: "float32", "bfloat16", "float16", or "int8": the trunk in int8, on a CPU only.
        exact: reproduce the original in its batches.
        fast: merge similar tokens of pictures and sounds (arXiv 2210.09461): quicker, and less exact.
        idle_s: drop a branch that was not used for so long, when another one is used.
        options: a dtype, "exact" or "fast", as they stand after a model's name: "one-peace:int8:fast".

    Raises:
        ModelNotFound: there is no converted model.
        ModelCorrupt: a file of it is damaged.
        UsageError: the dtype is unknown, or two options exclude each other.
    """
    exact, fast = exact or "exact" in options, fast or "fast" in options
    dtypes = [option for option in options if option not in ("exact", "fast")] or [dtype]
    if len(dtypes) > 1 or (exact and fast):
        given = dtypes if len(dtypes) > 1 else ("exact", "fast")
        raise UsageError(f"{' and '.join(given)} exclude each other")
    dtype = dtypes[0]
    folder = open_model_folder(model_dir or models_folder() / "one-peace")
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    int8 = dtype == "int8"
    precision = resolve_dtype("float32" if int8 else dtype)
    model = LazyModel(FolderWeights(folder), device=chosen, dtype=precision, int8=int8)
    return OnePeaceEncoder(model, folder.revision, exact=exact, fast=fast, idle_s=idle_s)


class OnePeaceEncoder:
    """ONE-PEACE behind searchkit's Encoder contract."""

    audio_rate_hz = RATE_HZ

    def __init__(
        self,
        model: LazyModel,
        revision: str,
        *,
        exact: bool = False,
        fast: bool = False,
        idle_s: float | None = None,
    ) -> None:
        config = model.config
        if config.kind != "one_peace_retrieval":
            raise EncoderError(
                f"{model.source.name} is a model for {config.task.num_classes} classes, not for search",
                hint="`searchkit classify` and `searchkit ground` use such models",
            )
        self.model = model
        self.exact = exact
        self.merged_share = MERGED_SHARE if fast else 0.0
        self.idle_s = idle_s
        self.modalities = frozenset(map(Modality.stored, config.modalities))
        self.inputs = ModelInputs(config, model.source.tokenizer)
        self._used_at: dict[str, float] = {}
        self._lock = threading.Lock()
        details: list[object] = [("dtype", str(model.dtype), describe_int8() if model.int8 else False)]
        if fast:
            details.append(("merged", self.merged_share))
        preprocessing = self.inputs.identity(*details, batch=exact)
        self.space = Space("one-peace", revision, preprocessing, config.encoder.embed_dim)

    def encode(self, samples: Sequence[Sample]) -> FloatArray:
        """Embed samples of any mix of modalities, in order: (N, dim) float32 unit rows.

        Sounds are cut to the model's longest duration (15 or 20 s), texts to its longest length (70 tokens).

        Raises:
            ModalityUnsupported: the checkpoint lacks a sample's modality.
            EncoderError: a sample cannot be embedded.
        """
        rows = np.zeros((len(samples), self.space.dim), dtype=np.float32)
        places: dict[Modality, list[int]] = {}
        for place, sample in enumerate(samples):
            places.setdefault(sample.modality, []).append(place)
        with self._lock:
            for modality, chosen in places.items():
                if modality not in self.modalities:
                    raise ModalityUnsupported(f"{self.model.source.name} cannot embed {modality.value}")
                if len(chosen) >= _MANY_SAMPLES:
                    self.model.pack(modality.value)
                self._encode(modality.value, {place: samples[place] for place in chosen}, rows)
                self._note_use(modality.value)
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

    def _encode(self, modality: str, samples: dict[int, Sample], rows: FloatArray) -> None:
        ready = {place: self.inputs.ready(sample) for place, sample in samples.items()}
        lengths = {place: self.inputs.length(modality, value) for place, value in ready.items()}
        for batch in self._batches(list(samples), lengths):
            inputs: dict[str, Any] = dict(self.inputs.batch(modality, [ready[place] for place in batch]))
            if modality == "audio":
                inputs["isolate"] = not self.exact
            rows[batch] = self._run(modality, **inputs)

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
            # Where tokens are merged, padding would take part: only equal lengths go together.
            longest = lengths[current[0]] * (1 if self.merged_share else 1.25) if current else 0
            if fits and length <= longest + (0 if self.merged_share else 2):
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
            model.encoder_wrapper.fusion_model.merged_share = 0.0 if modality == "text" else self.merged_share
            vectors = model(modality, **moved).float()
            unit = torch.nn.functional.normalize(vectors, dim=1).cpu().numpy()
        if not np.isfinite(unit).all():
            raise EncoderError(f"{modality}: the model gave values that are not finite in {dtype}")
        return np.asarray(unit, dtype=np.float32)
