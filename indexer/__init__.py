"""The indexer: brings a library in line with folders on disk. It prints nothing and asks nobody."""

from searchkit.indexer.progress import NO_PROGRESS, Progress
from searchkit.indexer.report import FileFailure, IndexReport
from searchkit.indexer.run import index, remove
from searchkit.indexer.verify import VerifyReport, verify

__all__ = [
    "NO_PROGRESS",
    "FileFailure",
    "IndexReport",
    "Progress",
    "VerifyReport",
    "index",
    "remove",
    "verify",
]
