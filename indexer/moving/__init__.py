"""Moves libraries: between stores without embedding again, and out to files that other programs read."""

from searchkit.indexer.moving.copying import CopyReport, copy_library
from searchkit.indexer.moving.exporting import ExportReport, export_library
from searchkit.indexer.moving.importing import ImportReport, import_library

__all__ = [
    "CopyReport",
    "ExportReport",
    "ImportReport",
    "copy_library",
    "export_library",
    "import_library",
]
