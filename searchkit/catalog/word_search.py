"""Verbs that search by word or by name: full-text search in SQLite (FTS5) and in PostgreSQL.

Both stem words as English ones. Scores order one list only; they are not comparable between databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Float,
    MetaData,
    Table,
    and_,
    func,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy import Text as SqlText

from searchkit.catalog.dialects import is_shared
from searchkit.catalog.tables import Asset, AssetWords, Collection, Segment, SegmentState
from searchkit.catalog.types import BigId, encode_path
from searchkit.catalog.words import fold_name, split_words
from searchkit.types import Modality

__all__ = ["WordHit", "assets_named", "beside_texts", "described_by", "find_names", "find_passages"]

# Below this share of the best score, a hit shares only words that are everywhere.
_WORTH = 1 / 3
# What says nothing by itself; PostgreSQL's English configuration drops these, too.
_FUNCTION_WORDS = (
    "a an and are as at be by for from has have i in is it its my of on or that the their this to was were "
    "what when where which who will with you your"
)
_STOP = frozenset(_FUNCTION_WORDS.split())
_SIDECARS = 500
_RANGES = 50
_RAW = SqlText().with_variant(SqlText(collation="C"), "postgresql")

_fts = MetaData()
_NAMES = Table("asset_words_fts", _fts, Column("rowid", BigId))
_PASSAGES = Table("passages_fts", _fts, Column("rowid", BigId))


@dataclass(frozen=True, slots=True)
class WordHit:
    """An asset that was found by words.

    Attributes:
        asset_id: the asset.
        score: higher is better, within one list.
        segment_id: the passage that holds the words, None where the asset's name does.
    """

    asset_id: int
    score: float
    segment_id: int | None = None


def find_names(
    connection: Connection, text: str, modalities: Iterable[Modality], *, where: ColumnElement[bool], k: int
) -> list[WordHit]:
    """Assets whose file name, folders or title hold words of a text, best first.

    Args:
        connection: where to read.
        text: any words; more of them, and rarer ones, score higher.
        modalities: what to find.
        where: a condition over ``assets``.
        k: how many at most.
    """
    if is_shared(connection):
        document = (
            _weighted(AssetWords.name, "A")
            .op("||")(_weighted(AssetWords.title, "A"))
            .op("||")(_weighted(AssetWords.folder, "C"))
        )
        score, matches = _postgresql(document, text)
        statement = select(AssetWords.asset_id, score).join(Asset, Asset.id == AssetWords.asset_id)
    else:
        score, matches = _sqlite(_NAMES, "bm25(asset_words_fts, 4.0, 1.0, 4.0)", text)
        statement = select(_NAMES.c.rowid, score).join(Asset, Asset.id == _NAMES.c.rowid)
    wanted = Asset.modality.in_([modality.value for modality in modalities])
    rows = _best(connection, statement.where(matches, wanted, where), score, k)
    return [WordHit(int(row[0]), float(row[1])) for row in rows]


def find_passages(
    connection: Connection, text: str, space_id: int, *, where: ColumnElement[bool], k: int
) -> list[WordHit]:
    """READY passages of a space that hold words of a text, best first; arguments as in ``find_names``."""
    if is_shared(connection):
        score, matches = _postgresql(_vector(Segment.text), text)
        statement = select(Segment.asset_id, score, Segment.id)
        matches = and_(Segment.text.is_not(None), matches)
    else:
        score, matches = _sqlite(_PASSAGES, "bm25(passages_fts)", text)
        statement = select(Segment.asset_id, score, Segment.id).join(
            _PASSAGES, _PASSAGES.c.rowid == Segment.id
        )
    statement = (
        statement.join(Asset, Asset.id == Segment.asset_id)
        .join(Collection, Collection.id == Segment.collection_id)
        .where(Segment.state == SegmentState.READY.value, Collection.space_id == space_id, matches, where)
    )
    return [
        WordHit(int(row[0]), float(row[1]), int(row[2])) for row in _best(connection, statement, score, k)
    ]


def beside_texts(
    connection: Connection,
    hits: Sequence[WordHit],
    modalities: Iterable[Modality],
    *,
    where: ColumnElement[bool],
) -> list[WordHit]:
    """Assets that the texts of some hits describe, each with the score of its best text."""
    best: dict[int, float] = {}
    for hit in hits:
        best[hit.asset_id] = max(best.get(hit.asset_id, hit.score), hit.score)
    described = described_by(connection, list(best), modalities, where=where)
    found = [WordHit(key, max(best[text] for text in texts)) for key, texts in described.items()]
    return sorted(found, key=lambda hit: (-hit.score, hit.asset_id))


def described_by(
    connection: Connection,
    text_ids: Sequence[int],
    modalities: Iterable[Modality],
    *,
    where: ColumnElement[bool],
) -> dict[int, list[int]]:
    """Assets that some texts describe, with those texts: ``dog.jpg`` beside ``dog.txt`` or ``dog.jpg.txt``.

    Args:
        connection: where to read.
        text_ids: the texts; of very many only the first are looked at.
        modalities: what may be described; texts describe no texts.
        where: a condition over ``assets`` that the described ones fulfil.
    """
    wanted = [m.value for m in modalities if m is not Modality.TEXT]
    chosen = list(text_ids)[:_SIDECARS]
    if not chosen or not wanted:
        return {}
    raw = type_coerce(Asset.path, _RAW)
    texts: dict[str, list[int]] = {}
    for row in connection.execute(select(Asset.id, Asset.path).where(Asset.id.in_(chosen))):
        texts.setdefault(row.path.removesuffix(PurePosixPath(row.path).suffix), []).append(row.id)
    found: dict[int, list[int]] = {}
    stems = list(texts)
    for start in range(0, len(stems), _RANGES):
        # What begins with "stem." lies in the range [stem., stem/): "/" is the character after ".".
        near = or_(
            *(
                or_(Asset.path == stem, and_(raw >= encode_path(stem) + ".", raw < encode_path(stem) + "/"))
                for stem in stems[start : start + _RANGES]
            )
        )
        rows = connection.execute(select(Asset.id, Asset.path).where(near, Asset.modality.in_(wanted), where))
        for row in rows:
            own = row.path.removesuffix(PurePosixPath(row.path).suffix)
            beside = [*texts.get(row.path, ()), *texts.get(own, ())]
            if beside:
                found[row.id] = beside
    return found


def assets_named(connection: Connection, name: str, *, limit: int = 100) -> list[int]:
    """Assets whose file is called so, the case aside: ``dog.jpg``, ``2019/dog.jpg``, ``IMG_2034``.

    A name without its ending counts only when it has a digit or an underscore in it, as a plain word is more
    often meant as a word.
    """
    asked = fold_name(name.strip())
    folder, _, last = asked.rpartition("/")
    if not last:
        return []
    named = AssetWords.file_name == last
    if any(char.isdigit() or char == "_" for char in last):
        named = or_(named, AssetWords.stem == last)
    rows = connection.execute(
        select(Asset.id, Asset.path)
        .join(AssetWords, AssetWords.asset_id == Asset.id)
        .where(named)
        .order_by(Asset.path)
        .limit(limit)
    )
    ending = f"/{folder}/" if folder.strip("/") else ""
    return [
        row.id for row in rows if not ending or f"{fold_name(row.path).rpartition('/')[0]}/".endswith(ending)
    ]


def _asked(text: str) -> list[str]:
    words = split_words(text)
    return [word for word in words if word.casefold() not in _STOP] or words


def _weighted(column: Any, weight: str) -> ColumnElement[Any]:
    # spelled out: a bound value would be text, and a weight is one character
    return func.setweight(_vector(column), literal_column(f"'{weight}'"))


def _vector(column: object) -> ColumnElement[object]:
    # The configuration's name must be a literal, or the index on the same expression is not used.
    return func.to_tsvector(literal_column("'english'"), column)


def _postgresql(
    document: ColumnElement[object], text: str
) -> tuple[ColumnElement[float], ColumnElement[bool]]:
    wanted = " | ".join(f"'{word}'" for word in _asked(text)) or "''"
    asked = func.to_tsquery(literal_column("'english'"), literal(wanted))
    score: ColumnElement[float] = type_coerce(func.ts_rank_cd(document, asked), Float)
    return score, document.op("@@", is_comparison=True)(asked)


def _sqlite(table: Table, rank: str, text: str) -> tuple[ColumnElement[float], ColumnElement[bool]]:
    wanted = " OR ".join(f'"{word}"' for word in _asked(text)) or '""'
    # bm25 is better the lower it is.
    score: ColumnElement[float] = -literal_column(rank, Float)
    return score, literal_column(table.name).op("MATCH", is_comparison=True)(wanted)


def _best(
    connection: Connection, statement: Any, score: ColumnElement[float], k: int
) -> list[tuple[Any, ...]]:
    rows = [tuple(row) for row in connection.execute(statement.order_by(score.desc()).limit(k))]
    return [row for row in rows if row[1] >= _WORTH * rows[0][1]]
