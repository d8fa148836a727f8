"""Verbs on jobs: files that wait to be embedded, and which worker has taken which for how long.

On SQLite one process works at a time; on PostgreSQL any number do, and skip what others are just taking.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, delete, func, or_, select, update

from searchkit.catalog import assets, segments
from searchkit.catalog.assets import KnownAsset, known_columns, known_from, under_column
from searchkit.catalog.dialects import clock_s, insert_if_absent
from searchkit.catalog.tables import Asset, Embedding, Job

__all__ = [
    "ClaimedJob",
    "NewJob",
    "claim_jobs",
    "clear_jobs",
    "clear_parked",
    "count_jobs",
    "drop_jobs",
    "enqueue",
    "finish_jobs",
    "held_jobs",
    "new_jobs_of_size",
    "park_jobs",
    "release_jobs",
    "release_jobs_of",
    "renew_leases",
]

CHUNK = 500

# Beyond any clock: a job that a run left which died, until a later run finds its file again.
_PARKED = 1e18

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class NewJob:
    """A file to be embedded, with the stat that the scan saw."""

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that a worker has taken.

    Attributes:
        id: its key.
        path: the file.
        size_bytes: the file's size when it was scanned.
        mtime_ns: the file's time when it was scanned.
        attempts: how often the job was taken, this time included.
        known: what the catalog knows of the file, None when it is new.
    """

    id: int
    path: str
    size_bytes: int
    mtime_ns: int
    attempts: int
    known: KnownAsset | None


def enqueue(connection: Connection, space_id: int, jobs: Sequence[NewJob]) -> None:
    """Add jobs; a file that waits already, or is just being worked on, is left as it is.

    A parked job waits again; how often it was taken counts on while its file is the same.
    """
    if jobs:
        rows = [
            {
                "space_id": space_id,
                "path": job.path,
                "size_bytes": job.size_bytes,
                "mtime_ns": job.mtime_ns,
                "lease_until": 0.0,
                "attempts": 0,
            }
            for job in jobs
        ]
        connection.execute(insert_if_absent(connection, Job), rows)
        parked = select(Job.id).where(Job.lease_until == _PARKED).limit(1)
        if connection.scalar(parked) is not None:
            same = and_(Job.size_bytes == bindparam("size"), Job.mtime_ns == bindparam("mtime"))
            statement = (
                update(Job)
                .where(Job.space_id == space_id, Job.path == bindparam("at"), Job.lease_until == _PARKED)
                .values(
                    attempts=case((same, Job.attempts), else_=0),
                    size_bytes=bindparam("size"),
                    mtime_ns=bindparam("mtime"),
                    lease_until=0.0,
                )
            )
            connection.execute(
                statement, [{"at": job.path, "size": job.size_bytes, "mtime": job.mtime_ns} for job in jobs]
            )


def claim_jobs(
    connection: Connection,
    space_id: int,
    owner: str,
    limit: int,
    lease_s: float,
    *,
    tried: bool | None = None,
) -> list[ClaimedJob]:
    """Take up to ``limit`` free jobs, oldest first; a job whose lease has run out is free.

    ``tried`` chooses those that somebody took before and did not give back, or those that nobody did.
    """
    now_s = clock_s(connection)
    chosen = Job.lease_until < now_s
    if tried is not None:
        chosen = and_(chosen, Job.attempts > 0 if tried else Job.attempts == 0)
    ids = list(
        connection.scalars(
            select(Job.id)
            .where(Job.space_id == space_id, chosen)
            .order_by(Job.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )
    if not ids:
        return []
    connection.execute(
        update(Job)
        .where(Job.id.in_(ids))
        .values(owner=owner, lease_until=now_s + lease_s, attempts=Job.attempts + 1)
    )
    rows = connection.execute(
        select(
            Job.id.label("job_id"),
            Job.path.label("job_path"),
            Job.size_bytes.label("job_size"),
            Job.mtime_ns.label("job_mtime"),
            Job.attempts,
            *known_columns(),
        )
        .outerjoin(Asset, Asset.path == Job.path)
        .outerjoin(Embedding, and_(Embedding.asset_id == Asset.id, Embedding.space_id == space_id))
        .where(Job.id.in_(ids))
        .order_by(Job.id)
    )
    return [
        ClaimedJob(
            row.job_id,
            row.job_path,
            row.job_size,
            row.job_mtime,
            row.attempts,
            None if row.id is None else known_from(row),
        )
        for row in rows
    ]


def renew_leases(connection: Connection, owner: str, lease_s: float) -> None:
    """Keep what an owner has taken for another while."""
    connection.execute(
        update(Job).where(Job.owner == owner).values(lease_until=clock_s(connection) + lease_s)
    )


def release_jobs(connection: Connection, space_id: int, owner: str) -> None:
    """Give back what an owner has taken and not finished, without what is half recorded of it."""
    _release(connection, space_id, Job.owner == owner)


def release_jobs_of(connection: Connection, space_id: int, owners: str) -> None:
    """Give back what dead owners had taken, whose names begin so; that they were taken counts."""
    _release(connection, space_id, Job.owner.startswith(owners, autoescape=True), counts=True)


def _release(
    connection: Connection, space_id: int, whose: ColumnElement[bool], *, counts: bool = False
) -> None:
    taken = list(connection.scalars(select(Job.path).where(whose)))
    halves = list(assets.ids_of(connection, taken).values())
    segments.mark_assets_deleting(connection, halves, space_id, only_pending=True)
    connection.execute(
        update(Job).where(whose).values(owner=None, lease_until=0.0, attempts=Job.attempts - int(not counts))
    )


def held_jobs(connection: Connection, ids: Sequence[int], owner: str) -> set[int]:
    """The jobs among ``ids`` that are still the owner's, kept so until the transaction ends."""
    held: set[int] = set()
    for part in _chunks(ids):
        statement = select(Job.id).where(Job.id.in_(part), Job.owner == owner).with_for_update()
        held.update(connection.scalars(statement))
    return held


def finish_jobs(connection: Connection, ids: Sequence[int], owner: str) -> set[int]:
    """Remove jobs that are done; returns those that were still the owner's.

    What became of the others is for the worker to say that has taken them over.
    """
    finished: set[int] = set()
    for part in _chunks(ids):
        statement = delete(Job).where(Job.id.in_(part), Job.owner == owner).returning(Job.id)
        finished.update(connection.scalars(statement))
    return finished


def drop_jobs(connection: Connection, space_id: int, paths: Iterable[str]) -> None:
    """Remove jobs that nobody has taken, because there is nothing to embed after all."""
    for part in _chunks(list(paths)):
        connection.execute(
            delete(Job).where(Job.space_id == space_id, Job.path.in_(part), Job.lease_until == 0.0)
        )


def clear_jobs(connection: Connection, space_id: int, scopes: Sequence[str]) -> None:
    """Remove jobs at or below paths that nobody has taken."""
    free = and_(Job.lease_until < clock_s(connection), Job.attempts == 0)
    connection.execute(delete(Job).where(Job.space_id == space_id, free, _inside(scopes)))


def park_jobs(connection: Connection, *, died: bool) -> int:
    """Put aside the jobs that a run had in hand when it died, and remove all others; how many are put aside.

    Only where no other worker can be at the queue. Where the last run did not die, what it could not give
    back (the disk was full) does not count as tried.
    """
    if not died:
        connection.execute(update(Job).where(Job.owner.is_not(None)).values(attempts=Job.attempts - 1))
    connection.execute(delete(Job).where(Job.attempts <= 0))
    return connection.execute(update(Job).values(owner=None, lease_until=_PARKED)).rowcount


def clear_parked(connection: Connection, space_id: int, scopes: Sequence[str]) -> None:
    """Remove parked jobs at or below paths in which all files were looked for."""
    parked = Job.lease_until == _PARKED
    connection.execute(delete(Job).where(Job.space_id == space_id, parked, _inside(scopes)))


def _inside(scopes: Sequence[str]) -> ColumnElement[bool]:
    return or_(*(under_column(Job.path, scope) for scope in scopes))


def count_jobs(
    connection: Connection, space_id: int, *, not_of: str | None = None, free: bool = False
) -> int:
    """How many files wait or are being worked on; without those of one owner, or only those that are free."""
    waits = and_(Job.space_id == space_id, Job.lease_until < _PARKED)
    statement = select(func.count()).select_from(Job).where(waits)
    if free:
        statement = statement.where(Job.lease_until < clock_s(connection))
    if not_of is not None:
        statement = statement.where(or_(Job.owner.is_(None), Job.owner != not_of))
    return connection.scalar(statement) or 0


def new_jobs_of_size(connection: Connection, space_id: int, sizes_bytes: Iterable[int]) -> list[NewJob]:
    """Jobs of files that the catalog does not know, of given sizes, in order of path."""
    found: list[NewJob] = []
    for part in _chunks(sorted(set(sizes_bytes))):
        rows = connection.execute(
            select(Job.path, Job.size_bytes, Job.mtime_ns)
            .outerjoin(Asset, Asset.path == Job.path)
            .where(
                Job.space_id == space_id, Job.size_bytes.in_(part), Job.lease_until == 0.0, Asset.id.is_(None)
            )
        )
        found.extend(NewJob(row.path, row.size_bytes, row.mtime_ns) for row in rows)
    return sorted(found, key=lambda job: job.path)


def _chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
