"""What a Qdrant spec says: where the server is, and how its collections are made and searched."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from searchkit.errors import UsageError

__all__ = ["QdrantSettings", "parse_spec"]

_QUANTIZATIONS = ("none", "scalar", "binary")


@dataclass(frozen=True, slots=True)
class QdrantSettings:
    """Read from ``qdrant://HOST[:PORT][/PREFIX][?NAME=VALUE&...]``; the names are those below.

    Attributes:
        folder: local mode's files; empty for a server.
        host: the server's name or address.
        port: of REST.
        tls: https, and TLS for gRPC.
        prefix: what collection names begin with, so that several libraries can share a server.
        grpc: exchange over gRPC.
        grpc_port: of gRPC.
        shards: how many shards a new collection has.
        replicas: on how many nodes each shard lies.
        write_consistency: how many replicas must have a write before it is done.
        quantization: "scalar" (int8), "binary" (for 1,024 dimensions and more) or "none"; candidates are
            rescored from the float16 rows.
        oversampling: so many times k candidates are rescored.
        ef: how wide the graph is searched.
        batch_rows: rows sent at once.
        timeout_s: how long one exchange may take.
        tries: how often an exchange is tried when the server is busy or does not answer.
    """

    folder: str = ""
    host: str = ""
    port: int = 6333
    tls: bool = False
    prefix: str = ""
    grpc: bool = False
    grpc_port: int = 6334
    shards: int = 1
    replicas: int = 1
    write_consistency: int = 1
    quantization: str = "scalar"
    oversampling: float = 3.0
    ef: int = 256
    batch_rows: int = 256
    timeout_s: int = 30
    tries: int = 6

    @property
    def local(self) -> bool:
        """Whether it is local mode."""
        return bool(self.folder)

    @property
    def place(self) -> str:
        """The spec without its options, for messages."""
        return self.folder or f"{'qdrants' if self.tls else 'qdrant'}://{self.host}:{self.port}"

    def __post_init__(self) -> None:
        if self.quantization not in _QUANTIZATIONS:
            raise UsageError(
                f"no quantization is called {self.quantization!r}", hint=f"one of {', '.join(_QUANTIZATIONS)}"
            )
        for name in ("shards", "replicas", "write_consistency", "batch_rows", "timeout_s", "tries", "ef"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.write_consistency > self.replicas:
            raise UsageError(
                f"write_consistency {self.write_consistency} is more than the {self.replicas} replicas"
            )


def parse_spec(spec: str) -> QdrantSettings:
    """Settings of a spec.

    Raises:
        UsageError: the spec is malformed, or has an unknown or bad option.
    """
    scheme, _, rest = spec.partition(":")
    if scheme == "qdrant+local":
        return QdrantSettings(folder=str(Path(rest).expanduser().resolve()))
    parts = urlsplit(spec)
    try:
        port = parts.port or 6333
    except ValueError as error:
        raise UsageError(f"{spec!r} has no valid port") from error
    if not parts.hostname or parts.username:
        raise UsageError(
            f"{spec!r} must be written as qdrant://HOST:PORT",
            hint="put an API key into the environment variable SEARCHKIT_QDRANT_API_KEY",
        )
    return QdrantSettings(
        host=parts.hostname,
        port=port,
        tls=scheme == "qdrants",
        prefix=parts.path.strip("/").replace("/", "-"),
        **{name: _option(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True)},
    )


_FIXED = ("folder", "host", "port", "tls", "prefix")
_OPTIONS: dict[str, object] = {
    field.name: field.default for field in dataclasses.fields(QdrantSettings) if field.name not in _FIXED
}


def _option(name: str, value: str) -> Any:
    if name not in _OPTIONS:
        raise UsageError(f"Qdrant has no option {name!r}", hint=f"options: {', '.join(_OPTIONS)}")
    kind = type(_OPTIONS[name])
    if kind is bool:
        if value.lower() not in ("0", "1", "false", "true"):
            raise UsageError(f"{name} must be true or false, got {value!r}")
        return value.lower() in ("1", "true")
    try:
        return float(value) if kind is float else int(value) if kind is int else value
    except ValueError:
        raise UsageError(f"{name} must be a number, got {value!r}") from None
