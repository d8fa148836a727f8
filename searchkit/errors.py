"""Every exception that searchkit raises on purpose, in one tree.

::

    SearchkitError
    ├── UsageError                 the call's arguments do not fit together
    ├── QueryError                 a query cannot be answered as asked
    │   ├── QuerySyntaxError       the text of a query does not parse (.column)
    │   └── InvalidFilter          a filter names an unknown field or a bad value
    ├── LibraryError               the library as a whole
    │   ├── LibraryNotFound        there is no library at that place
    │   ├── LibraryLocked          another process is writing to it
    │   ├── LibraryTooNew          written by a later version of searchkit
    │   └── CatalogCorrupt         the catalog file is damaged
    ├── DecodeError                one file cannot be read (.path, .reason)
    ├── EncoderError               a model, or what was given to it
    │   ├── ModelNotFound          no such model, or its files are missing
    │   ├── ModelCorrupt           a model file is not what it should be
    │   ├── ModalityUnsupported    the model cannot embed that modality
    │   ├── ModelWorse             a trained model finds less than the one it came from
    │   └── SpaceMismatch          vectors of two spaces would meet
    ├── CheckpointError            a checkpoint cannot be read or converted
    ├── DownloadError              a download failed or is not what it should be
    ├── StoreError                 a vector store
    │   ├── DimensionMismatch      a vector has the wrong length
    │   ├── InvalidVector          a vector is not finite or not of unit length
    │   ├── UnknownId              no vector has that id
    │   ├── StoreLocked            another process is writing to it
    │   └── StoreCorrupt           a store file is damaged
    ├── DependencyMissing          an optional package is not installed
    ├── Unavailable                a server cannot hand something out (.status)
    ├── ServerError                a server that was asked refused or failed (.status)
    └── DiskFull                   no space is left, nothing half-written stays

Each carries ``hint``: what to type or do next ("" when there is nothing to say). Only ``cli/main.py`` turns
them into exit codes.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "CatalogCorrupt",
    "CheckpointError",
    "DecodeError",
    "DependencyMissing",
    "DimensionMismatch",
    "DiskFull",
    "DownloadError",
    "EncoderError",
    "InvalidFilter",
    "InvalidVector",
    "LibraryError",
    "LibraryLocked",
    "LibraryNotFound",
    "LibraryTooNew",
    "ModalityUnsupported",
    "ModelCorrupt",
    "ModelNotFound",
    "ModelWorse",
    "QueryError",
    "QuerySyntaxError",
    "SearchkitError",
    "ServerError",
    "SpaceMismatch",
    "StoreCorrupt",
    "StoreError",
    "StoreLocked",
    "Unavailable",
    "UnknownId",
    "UsageError",
    "reason_of",
]


class SearchkitError(Exception):
    """Base of all errors that searchkit raises on purpose."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class UsageError(SearchkitError):
    """The arguments of a call do not fit together."""


class QueryError(SearchkitError):
    """A query cannot be answered as asked."""


class QuerySyntaxError(QueryError):
    """The text of a query does not parse; ``column`` is the offending position, counted from 1."""

    def __init__(self, message: str, *, text: str, column: int, hint: str = "") -> None:
        super().__init__(f"{message}\n  {text}\n  {' ' * (column - 1)}^ column {column}", hint=hint)
        self.text = text
        self.column = column


class InvalidFilter(QueryError):
    """A filter names an unknown field, or a value that the field cannot have."""


class LibraryError(SearchkitError):
    """Something is wrong with a library as a whole."""


class LibraryNotFound(LibraryError):
    """There is no library at that place."""


class LibraryLocked(LibraryError):
    """Another process is writing to the library."""


class LibraryTooNew(LibraryError):
    """The library was written by a later version of searchkit."""


class CatalogCorrupt(LibraryError):
    """The catalog file is damaged."""


class DecodeError(SearchkitError):
    """One file cannot be read as media."""

    def __init__(self, path: Path | str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{path}: {reason}", hint=hint)
        self.path = Path(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type[DecodeError], tuple[Path, str]]:
        return type(self), (self.path, self.reason)


class EncoderError(SearchkitError):
    """A model failed, or was given something that it cannot embed."""


class ModelNotFound(EncoderError):
    """There is no such model, or a file of it is missing."""


class ModelCorrupt(EncoderError):
    """A model file is not what its manifest says."""


class ModalityUnsupported(EncoderError):
    """The model cannot embed that modality."""


class ModelWorse(EncoderError):
    """A trained model finds less, among what it was not trained on, than the model that it came from."""


class SpaceMismatch(EncoderError):
    """Vectors of two spaces would meet."""


class CheckpointError(SearchkitError):
    """A checkpoint cannot be read, is refused, or does not fit its config."""


class DownloadError(SearchkitError):
    """A download failed, or what arrived is not what was expected."""


class StoreError(SearchkitError):
    """A vector store refused or failed."""


class DimensionMismatch(StoreError):
    """A vector has another length than the store's."""


class InvalidVector(StoreError):
    """A vector is not finite, or not of unit length."""


class UnknownId(StoreError):
    """No vector has that id."""


class StoreLocked(StoreError):
    """Another process is writing to the store."""


class StoreCorrupt(StoreError):
    """A file of the store is damaged."""


class DependencyMissing(SearchkitError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed", hint=f"pip install 'searchkit[{extra}]'")
        self.package = package
        self.extra = extra


class Unavailable(SearchkitError):
    """A server cannot hand something out; ``status`` says why in HTTP's terms."""

    def __init__(self, message: str, *, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ServerError(SearchkitError):
    """A server that was asked refused or failed; ``status`` is HTTP's, 0 when it did not answer."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class DiskFull(SearchkitError):
    """No space is left on the device; nothing half-written was kept."""


def reason_of(error: OSError) -> str:
    """What the system says of an error, as the end of a sentence."""
    return (error.strerror or str(error)).lower()
