"""Pretraining of ONE-PEACE: text with pictures, then text with sounds."""

from searchkit.training.pretrain.loop import leads, pretrain
from searchkit.training.pretrain.settings import PRESETS, PretrainSettings, read_settings

__all__ = ["PRESETS", "PretrainSettings", "leads", "pretrain", "read_settings"]
