"""Verbs on words: what assets are called, kept so that searches by word and by name find them.

It splits and stores; ``word_search`` searches. Passages need no verb: the database indexes ``segments.text``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from sqlalchemy import Connection, delete, select

from searchkit.catalog.dialects import insert_if_absent
from searchkit.catalog.tables import Asset, AssetWords, Root

__all__ = ["catch_up", "fold_name", "index_assets", "split_words", "words_of"]

CHUNK = 500

_TOKEN = re.compile(r"[^\W_]+")


def split_words(text: str) -> list[str]:
    """Words as a person would search them: split at punctuation, at capitals in the middle, at digits.

    ``IMG_2034-dogInSnow.jpg`` gives IMG, 2034, dogInSnow, jpg, dog, In, Snow: what was split further is there
    whole as well.
    """
    clean = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())
    whole = _TOKEN.findall(clean)
    pieces = [piece for token in whole for piece in _pieces(token) if piece != token]
    return list(dict.fromkeys([*whole, *pieces]))


def _pieces(token: str) -> Iterable[str]:
    """Parts of a token without punctuation: ``dogInSnow``, ``HTMLFile2`` give dog In Snow, HTML File 2."""
    start = 0
    for at in range(1, len(token)):
        before, here, after = token[at - 1], token[at], token[at + 1 : at + 2]
        turns = before.isdigit() != here.isdigit()
        rises = before.islower() and here.isupper()
        ends = before.isupper() and here.isupper() and after.islower()
        if turns or rises or ends:
            yield token[start:at]
            start = at
    yield token[start:]


def fold_name(name: str) -> str:
    """A file name as names are compared: one Unicode form, without case."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode()).casefold()


def words_of(path: str, root: str, title: object) -> dict[str, str]:
    """The columns of ``asset_words`` for an asset.

    Args:
        path: where it lies.
        root: the folder that was indexed; of its own path only the last name counts.
        title: what the file calls itself, or None.
    """
    pure, top = PurePosixPath(path), PurePosixPath(root)
    below = pure.relative_to(top).parts[:-1] if pure.is_relative_to(top) else pure.parts[1:-1]
    folders = [*([top.name] if top != pure else []), *below]
    return {
        "file_name": fold_name(pure.name),
        "stem": fold_name(pure.stem),
        "name": " ".join(split_words(pure.name)),
        "folder": " ".join(split_words(" ".join(folders))),
        "title": " ".join(split_words(str(title or ""))),
    }


def index_assets(connection: Connection, asset_ids: Sequence[int]) -> None:
    """Make assets findable by what they are called now; call it when they are new, changed or moved."""
    for start in range(0, len(asset_ids), CHUNK):
        part = list(asset_ids[start : start + CHUNK])
        rows = connection.execute(
            select(Asset.id, Asset.path, Asset.facts, Root.path.label("root"))
            .join(Root, Root.id == Asset.root_id)
            .where(Asset.id.in_(part))
        ).all()
        connection.execute(delete(AssetWords).where(AssetWords.asset_id.in_(part)))
        if rows:
            connection.execute(
                insert_if_absent(connection, AssetWords),
                [
                    {"asset_id": row.id, **words_of(row.path, row.root, (row.facts or {}).get("title"))}
                    for row in rows
                ],
            )


def catch_up(connection: Connection) -> int:
    """Index the assets that an older version of searchkit recorded without words; returns how many."""
    missing = list(
        connection.scalars(
            select(Asset.id)
            .outerjoin(AssetWords, AssetWords.asset_id == Asset.id)
            .where(AssetWords.asset_id.is_(None), Asset.modality.is_not(None))
        )
    )
    index_assets(connection, missing)
    return len(missing)
