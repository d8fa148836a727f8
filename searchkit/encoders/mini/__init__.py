"""The built-in encoder: text, images and sounds in one space, on any CPU, with files that ship here."""

from searchkit.encoders.mini.encoder import MiniEncoder, load

__all__ = ["MiniEncoder", "load"]
