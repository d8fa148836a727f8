"""Verbs on spaces and their collections; rows come into being when they are first needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Connection, select, update

from searchkit.catalog.dialects import insert_if_absent
from searchkit.catalog.tables import Collection, SpaceRow
from searchkit.types import FloatArray, Modality, Space

__all__ = [
    "CollectionRef",
    "collections_of",
    "ensure_collection",
    "ensure_space",
    "find_space",
    "set_moments",
    "spaces",
]


@dataclass(frozen=True, slots=True)
class CollectionRef:
    """A collection's row.

    Attributes:
        id: its key in the catalog.
        name: its name in the store.
        modality: what its segments are to the person who searches.
        encoded_as: what the encoder saw: VIDEO segments are encoded as IMAGE (frames) or AUDIO (sound).
        mean: (dim,) float32, or None before the first run has ended.
        variance: (dim,) float32, of each dimension; None likewise, or until the next run after an upgrade.
        mean_rows: how many rows both come from.
    """

    id: int
    name: str
    modality: Modality
    encoded_as: Modality
    mean: FloatArray | None
    variance: FloatArray | None
    mean_rows: int


def spaces(connection: Connection) -> list[tuple[int, Space]]:
    """All spaces, oldest first, with their keys."""
    rows = connection.execute(
        select(
            SpaceRow.id, SpaceRow.encoder, SpaceRow.revision, SpaceRow.preprocessing, SpaceRow.dim
        ).order_by(SpaceRow.id)
    )
    return [(row.id, Space(row.encoder, row.revision, row.preprocessing, row.dim)) for row in rows]


def find_space(connection: Connection, space: Space) -> int | None:
    """The key of a space, None when the library has no vectors of it."""
    return connection.scalar(select(SpaceRow.id).where(SpaceRow.fingerprint == space.fingerprint))


def ensure_space(connection: Connection, space: Space) -> int:
    """The key of a space, made when it is new."""
    found = find_space(connection, space)
    if found is not None:
        return found
    # Another machine may make it meanwhile.
    connection.execute(
        insert_if_absent(connection, SpaceRow).values(
            fingerprint=space.fingerprint,
            encoder=space.encoder,
            revision=space.revision,
            preprocessing=space.preprocessing,
            dim=space.dim,
            created_at=datetime.now(UTC),
        )
    )
    made = find_space(connection, space)
    assert made is not None
    return made


def collections_of(connection: Connection, space_id: int) -> list[CollectionRef]:
    """The collections of a space, in the order they were made."""
    rows = connection.execute(
        select(
            Collection.id,
            Collection.name,
            Collection.modality,
            Collection.encoded_as,
            Collection.mean,
            Collection.variance,
            Collection.mean_rows,
        )
        .where(Collection.space_id == space_id)
        .order_by(Collection.id)
    )
    return [
        CollectionRef(
            id=row.id,
            name=row.name,
            modality=Modality.stored(row.modality),
            encoded_as=Modality.stored(row.encoded_as),
            mean=_vector(row.mean),
            variance=_vector(row.variance),
            mean_rows=row.mean_rows,
        )
        for row in rows
    ]


def ensure_collection(
    connection: Connection, space_id: int, space: Space, modality: Modality, encoded_as: Modality
) -> CollectionRef:
    """The collection of a modality in a space, made when it is new."""
    found = _find_collection(connection, space_id, modality, encoded_as)
    if found is not None:
        return found
    suffix = modality.value if modality == encoded_as else f"{modality.value}-{encoded_as.value}"
    connection.execute(
        insert_if_absent(connection, Collection).values(
            space_id=space_id, modality=modality.value, encoded_as=encoded_as.value, name=f"{space}.{suffix}"
        )
    )
    made = _find_collection(connection, space_id, modality, encoded_as)
    assert made is not None
    return made


def _find_collection(
    connection: Connection, space_id: int, modality: Modality, encoded_as: Modality
) -> CollectionRef | None:
    wanted = (modality, encoded_as)
    found = (
        collection
        for collection in collections_of(connection, space_id)
        if (collection.modality, collection.encoded_as) == wanted
    )
    return next(found, None)


def set_moments(
    connection: Connection, collection_id: int, mean: FloatArray, variance: FloatArray, rows: int
) -> None:
    """Keep mean and variance (dim,) of a collection's dimensions, and how many rows they come from."""
    connection.execute(
        update(Collection)
        .where(Collection.id == collection_id)
        .values(mean=mean.astype("<f4").tobytes(), variance=variance.astype("<f4").tobytes(), mean_rows=rows)
    )


def _vector(stored: bytes | None) -> FloatArray | None:
    return None if stored is None else np.frombuffer(stored, dtype="<f4").astype(np.float32)
