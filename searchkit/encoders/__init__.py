"""Encoders by name: a frozen table with lazy imports; nothing heavy is loaded before an encoder is opened."""

from searchkit.encoders.spec import ENCODERS, EncoderInfo, model_folders, open_encoder, resolve_info

__all__ = ["ENCODERS", "EncoderInfo", "model_folders", "open_encoder", "resolve_info"]
