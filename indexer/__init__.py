"""The indexer: brings a library in line with folders on disk. It prints nothing and asks nobody."""

import logging

from searchkit.indexer.progress import NO_PROGRESS, Progress
from searchkit.indexer.ray_cluster import RayOptions
from searchkit.indexer.report import FileFailure, IndexReport, PlannedFile
from searchkit.indexer.run import index, remove
from searchkit.indexer.verify import VerifyReport, verify
from searchkit.indexer.watch import watch

logging.getLogger("searchkit").addHandler(logging.NullHandler())

__all__ = [
    "NO_PROGRESS",
    "FileFailure",
    "IndexReport",
    "PlannedFile",
    "Progress",
    "RayOptions",
    "VerifyReport",
    "index",
    "remove",
    "verify",
    "watch",
]
