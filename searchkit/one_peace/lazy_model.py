"""A model whose branches are read from disk when they are first needed and can be dropped again."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from searchkit.errors import CheckpointError, ModalityUnsupported
from searchkit.one_peace.adapter import Adapter
from searchkit.one_peace.branches import HEADS, SHARED, branch_of
from searchkit.one_peace.build import Model, build_model
from searchkit.one_peace.few_bits import FewBitLinear
from searchkit.one_peace.precision import faster, unpack_convolution
from searchkit.one_peace.quantised import check_int8
from searchkit.one_peace.upgrade import fit_weights
from searchkit.one_peace.weights import FolderWeights, WeightSource

__all__ = ["LazyModel"]


class LazyModel:
    """Loads what a modality needs: its own branch, the shared attention and the heads.

    Args:
        source: where the weights are.
        device: where to run.
        dtype: floating-point type of the weights; the stored type is memory-mapped, others are copies.
        int8: round most of the trunk's matrices to int8 as they are loaded; with float32 on a CPU only.
        few_bits: keep the trunk's matrices in the few bits in which a quantized folder stores them.
    """

    def __init__(
        self,
        source: WeightSource,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        int8: bool = False,
        few_bits: bool = True,
    ) -> None:
        self.source = source
        self._few_bits = few_bits and not int8
        self.config = source.config
        self.device = torch.device(device)
        self.dtype = dtype
        self.int8 = int8
        if int8:
            check_int8(self.device)
        self._replaced: dict[str, nn.Module] = {}
        self._packed: set[str] = set()
        self._model: Model = build_model(self.config, device="meta").eval()
        self._model.requires_grad_(False)
        self._loaded: set[str] = set()
        self._lock = threading.RLock()

    @property
    def loaded(self) -> frozenset[str]:
        """Names of the branches in memory."""
        return frozenset(self._loaded)

    @contextmanager
    def using(self, *modalities: str) -> Iterator[Model]:
        """The model with these modalities' branches in memory, held until the block ends.

        Raises:
            ModalityUnsupported: the checkpoint lacks one.
            CheckpointError: a weight is missing or does not fit the configuration.
        """
        unknown = [name for name in modalities if name not in self.config.modalities]
        if unknown:
            raise ModalityUnsupported(
                f"{self.source.name} has no {unknown[0]} branch, only {', '.join(self.config.modalities)}",
                hint="use a checkpoint that was trained with that modality",
            )
        with self._lock:
            for branch in (SHARED, HEADS, *modalities):
                if branch not in self._loaded:
                    self._load(branch)
            yield self._model

    def drop(self, *branches: str) -> None:
        """Free branches; without a name, all of them. They load again when they are needed."""
        with self._lock:
            chosen = branches or tuple(self._loaded)
            for path in [path for path in self._replaced if self._branch(path) in chosen]:
                self._model.set_submodule(path, self._replaced.pop(path))
            for path, module in self._model.named_modules():
                if self._branch(path) in chosen:
                    unpack_convolution(module)
            self._packed -= set(chosen)
            for key, parameter in self._parameters(chosen):
                self._assign(key, torch.empty_like(parameter, device="meta"))
            self._loaded -= set(chosen)

    def pack(self, *modalities: str) -> None:
        """Rearrange the matrices that these modalities use, for many products to come.

        It takes the time and the memory of a copy, and is undone when a branch is dropped. On other devices
        than a CPU nothing happens.
        """
        if self.device.type != "cpu":
            return
        with self.using(*modalities):
            for branch in {SHARED, HEADS, *modalities} - self._packed:
                self._replace(branch, int8=False)

    def _branch(self, path: str) -> str:
        return branch_of(f"{path}.weight", self.config.modalities)

    def _parameters(self, branches: tuple[str, ...]) -> list[tuple[str, nn.Parameter]]:
        names = self.config.modalities
        return [(k, p) for k, p in self._model.named_parameters() if branch_of(k, names) in branches]

    def _load(self, branch: str) -> None:
        shapes = {key: tuple(parameter.shape) for key, parameter in self._parameters((branch,))}
        kept = self._keep_few_bits(branch) if self._few_bits else frozenset[str]()
        if kept and isinstance(self.source, FolderWeights):
            fitted = fit_weights(self.source.branch(branch, but=kept), shapes)
        else:
            fitted = fit_weights(self.source.branch(branch), shapes) if shapes else {}
        for key, shape in shapes.items():
            if key in kept:
                continue
            value = fitted.get(key)
            if value is None:
                value = self._default(key, shape)
            elif tuple(value.shape) != shape:
                found = tuple(value.shape)
                raise CheckpointError(f"{self.source.name}: {key} is {found}, its configuration says {shape}")
            self._assign(key, value.to(device=self.device, dtype=self.dtype))
        if self.int8:
            self._replace(branch, int8=True)
        for module in self._model.modules():
            if isinstance(module, Adapter):
                module.clear_cache()
        self._loaded.add(branch)

    def _keep_few_bits(self, branch: str) -> frozenset[str]:
        """Put layers of few bits in the place of the trunk's in a branch; the names of their weights."""
        stored = self.source.few_bits(branch) if isinstance(self.source, FolderWeights) else {}
        kept = set()
        for key, weight in stored.items():
            path = key.removesuffix(".weight")
            if ".fusion_model." not in path or not path.startswith("encoder_wrapper"):
                continue
            module = self._model.get_submodule(path)
            if isinstance(module, nn.Linear) and tuple(module.weight.shape) == weight.shape:
                self._model.set_submodule(path, FewBitLinear(module, weight.to(self.device)))
                self._replaced[path] = module
                kept.add(key)
        return frozenset(kept)

    def _replace(self, branch: str, *, int8: bool) -> None:
        """Put faster layers in the place of a branch's; what they were made from is freed."""
        for path, module in list(self._model.named_modules()):
            if self._branch(path) == branch:
                replacement = faster(path, module, int8=int8)
                if replacement is not None:
                    self._model.set_submodule(path, replacement)
                    self._replaced[path] = module.to("meta")
        self._packed.add(branch)

    def _default(self, key: str, shape: tuple[int, ...]) -> Tensor:
        """Values for what published files may lack without harm.

        Raises:
            CheckpointError: it is not among these.
        """
        if key == "logit_scale":
            return torch.tensor(math.log(self.config.logit_scale_init))
        if key.endswith("mask_embedding"):
            return torch.zeros(shape)
        raise CheckpointError(
            f"{self.source.name}: {key} is missing, so this is no {self.config.kind} checkpoint",
            hint="check model_type, or convert the checkpoint again",
        )

    def _assign(self, key: str, value: Tensor) -> None:
        path, _, name = key.rpartition(".")
        self._model.get_submodule(path).register_parameter(name, nn.Parameter(value, requires_grad=False))
