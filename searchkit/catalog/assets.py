"""Verbs on roots, assets and their embeddings: what is known of the files, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from searchkit.catalog.dialects import insert_if_absent
from searchkit.catalog.tables import Asset, Embedding, EmbeddingState, Root, Segment
from searchkit.catalog.tags import tags_of
from searchkit.catalog.types import encode_path, lies_below
from searchkit.errors import UsageError
from searchkit.types import Modality

__all__ = [
    "AssetRow",
    "FileError",
    "KnownAsset",
    "asset_at",
    "count_by_modality",
    "delete_assets",
    "delete_empty_roots",
    "ensure_root",
    "existing",
    "failures",
    "ids_of",
    "ids_under",
    "ids_under_all",
    "insert_assets",
    "known_assets",
    "known_columns",
    "known_from",
    "known_rows",
    "move_asset",
    "roots",
    "set_embeddings",
    "under",
    "under_column",
    "update_assets",
]

_FETCH_ROWS = 5000
_RAW = Text().with_variant(Text(collation="C"), "postgresql")

CHUNK = 500
"""Ids in one statement; databases bound the number of parameters."""


@dataclass(frozen=True, slots=True)
class KnownAsset:
    """What the catalog knows of a file, with what became of it in one space (None: never tried there)."""

    id: int
    path: str
    size_bytes: int
    mtime_ns: int
    content_hash: str | None
    state: EmbeddingState | None
    embedded_hash: str | None
    recipe: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class FileError:
    """A file that could not be indexed: its path, why, and when it was last tried."""

    path: str
    reason: str
    at: datetime


def under(path: str) -> ColumnElement[bool]:
    """Matches an asset that is at ``path`` or below it."""
    return under_column(Asset.path, path)


def under_column(column: Any, path: str) -> ColumnElement[bool]:
    """Matches a row whose path column is ``path`` or lies below it."""
    prefix = encode_path(path.rstrip("/"))
    raw = type_coerce(column, _RAW)
    # The range [prefix/, prefix0) is the folder's content: "0" is the character after "/".
    return or_(column == path, and_(raw >= f"{prefix}/", raw < f"{prefix}0"))


def roots(connection: Connection) -> list[tuple[str, int]]:
    """The paths that were asked to be indexed, with their keys, sorted by path."""
    return sorted((row.path, row.id) for row in connection.execute(select(Root.path, Root.id)))


def ensure_root(connection: Connection, path: str) -> int:
    """The root that covers a path, made when none does; roots below a new one are merged into it."""
    rows = dict(roots(connection))
    covering = [root for root in rows if lies_below(path, root)]
    if covering:
        return rows[min(covering, key=len)]
    connection.execute(insert_if_absent(connection, Root).values(path=path, added_at=datetime.now(UTC)))
    root_id = int(connection.scalars(select(Root.id).where(Root.path == path)).one())
    below = [rows[root] for root in rows if lies_below(root, path)]
    if below:
        connection.execute(update(Asset).where(Asset.root_id.in_(below)).values(root_id=root_id))
        connection.execute(delete(Root).where(Root.id.in_(below)))
    return root_id


def known_columns() -> tuple[Any, ...]:
    """What ``known_from`` reads, of ``assets`` outer joined with ``embeddings``."""
    return (
        Asset.id,
        Asset.path,
        Asset.size_bytes,
        Asset.mtime_ns,
        Asset.content_hash,
        Embedding.state,
        Embedding.content_hash.label("embedded_hash"),
        Embedding.recipe,
        Embedding.error,
    )


def known_from(row: Any) -> KnownAsset:
    """A row of ``known_columns`` as a value."""
    return KnownAsset(
        row.id,
        row.path,
        row.size_bytes,
        row.mtime_ns,
        row.content_hash,
        None if row.state is None else EmbeddingState(row.state),
        row.embedded_hash,
        row.recipe,
        row.error,
    )


def known_assets(connection: Connection, space_id: int, scopes: Sequence[str]) -> dict[str, KnownAsset]:
    """Assets at or below the given paths, by path, with their state in a space."""
    if not scopes:
        return {}
    statement = _known(space_id).where(or_(*(under(scope) for scope in scopes)))
    return {row.path: known_from(row) for row in connection.execute(statement)}


def known_rows(connection: Connection, space_id: int, scope: str) -> Iterator[tuple[str, Any]]:
    """Assets at or below a path: the path as it is stored, by which they are in order, and their row.

    They are read while they are asked for, so that their number does not matter.
    """
    raw = type_coerce(Asset.path, _RAW)
    statement = _known(space_id).add_columns(raw.label("raw_path")).where(under(scope)).order_by(raw)
    for row in connection.execute(statement, execution_options={"yield_per": _FETCH_ROWS}):
        yield row.raw_path, row


def _known(space_id: int) -> Any:
    return select(*known_columns()).outerjoin(
        Embedding, and_(Embedding.asset_id == Asset.id, Embedding.space_id == space_id)
    )


@dataclass(frozen=True, slots=True)
class AssetRow:
    """An asset with all that filters ask for."""

    id: int
    path: str
    modality: str | None
    mime: str | None
    size_bytes: int
    mtime_ns: int
    content_hash: str | None
    date: str
    width_px: int | None
    height_px: int | None
    duration_s: float | None
    rate_hz: int | None
    channels: int | None
    latitude: float | None
    longitude: float | None
    facts: dict[str, Any]
    added_at: datetime
    tags: tuple[str, ...]


def asset_at(connection: Connection, path: str) -> AssetRow | None:
    """The asset at a path, None when there is none."""
    columns = [getattr(Asset, name) for name in AssetRow.__slots__ if name != "tags"]
    row = connection.execute(select(*columns).where(Asset.path == path)).first()
    if row is None:
        return None
    tags = tags_of(connection, [row.id]).get(row.id, [])
    return AssetRow(**row._asdict(), tags=tuple(tags))


def ids_under(connection: Connection, path: str) -> list[int]:
    """Keys of the assets at or below a path."""
    return list(connection.scalars(select(Asset.id).where(under(path))))


def ids_under_all(connection: Connection, paths: Sequence[str]) -> list[int]:
    """Keys of the assets at or below some paths, ascending.

    Raises:
        UsageError: there is none at one of them.
    """
    chosen: set[int] = set()
    for path in paths:
        found = ids_under(connection, path)
        if not found:
            raise UsageError(
                f"the library holds nothing at {path}", hint="`searchkit status` lists its folders"
            )
        chosen.update(found)
    return sorted(chosen)


def delete_empty_roots(connection: Connection) -> None:
    """Forget roots that hold no asset."""
    connection.execute(delete(Root).where(~select(Asset.id).where(Asset.root_id == Root.id).exists()))


def insert_assets(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Add assets; each row holds all columns but id and added_at. Returns their keys, in order."""
    if not rows:
        return []
    now = datetime.now(UTC)
    inserted = connection.execute(
        insert(Asset).returning(Asset.id, sort_by_parameter_order=True),
        [{**row, "added_at": now} for row in rows],
    )
    return list(inserted.scalars())


def ids_of(connection: Connection, paths: Sequence[str]) -> dict[str, int]:
    """Keys of the assets at the given paths; unknown paths are left out."""
    found: dict[str, int] = {}
    for start in range(0, len(paths), CHUNK):
        part = paths[start : start + CHUNK]
        rows = connection.execute(select(Asset.path, Asset.id).where(Asset.path.in_(part)))
        found.update((row.path, row.id) for row in rows)
    return found


def existing(connection: Connection, asset_ids: Sequence[int]) -> set[int]:
    """The keys among those given that assets have."""
    found: set[int] = set()
    for start in range(0, len(asset_ids), CHUNK):
        part = asset_ids[start : start + CHUNK]
        found.update(connection.scalars(select(Asset.id).where(Asset.id.in_(part))))
    return found


def update_assets(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set columns of assets; each row holds ``id`` and the same columns as the others."""
    if not rows:
        return
    columns = Asset.__table__.c
    values = {name: bindparam(f"to_{name}", type_=columns[name].type) for name in rows[0] if name != "id"}
    statement = update(Asset).where(Asset.id == bindparam("to_id")).values(values)
    connection.execute(statement, [{f"to_{name}": value for name, value in row.items()} for row in rows])


def move_asset(connection: Connection, asset_id: int, *, root_id: int, path: str, mtime_ns: int) -> None:
    """Give an asset a new path; its id, tags and vectors stay."""
    update_assets(connection, [{"id": asset_id, "root_id": root_id, "path": path, "mtime_ns": mtime_ns}])


def set_embeddings(connection: Connection, space_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record what became of assets in a space: rows of asset_id, state, content_hash, recipe, error."""
    ids = [row["asset_id"] for row in rows]
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        connection.execute(
            delete(Embedding).where(Embedding.asset_id.in_(part), Embedding.space_id == space_id)
        )
    if rows:
        now = datetime.now(UTC)
        connection.execute(
            insert(Embedding), [{**row, "space_id": space_id, "updated_at": now} for row in rows]
        )


def failures(connection: Connection, space_id: int | None = None) -> list[FileError]:
    """Files whose last try failed, by path; of one space or of all."""
    statement = (
        select(Asset.path, Embedding.error, Embedding.updated_at)
        .join(Asset, Asset.id == Embedding.asset_id)
        .where(Embedding.state == EmbeddingState.FAILED.value)
        .order_by(Asset.path)
    )
    if space_id is not None:
        statement = statement.where(Embedding.space_id == space_id)
    return [FileError(row.path, row.error or "", row.updated_at) for row in connection.execute(statement)]


def delete_assets(connection: Connection, asset_ids: Iterable[int]) -> None:
    """Remove assets that have no segments left; their tags and embeddings go with them."""
    ids = list(asset_ids)
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        connection.execute(
            delete(Asset).where(
                Asset.id.in_(part), ~select(Segment.id).where(Segment.asset_id == Asset.id).exists()
            )
        )


def count_by_modality(connection: Connection) -> dict[Modality, int]:
    """How many assets there are of each modality."""
    rows = connection.execute(
        select(Asset.modality, func.count()).where(Asset.modality.is_not(None)).group_by(Asset.modality)
    )
    return {Modality.stored(str(modality)): count for modality, count in rows}
