"""The names that filters know, and how the values typed after them become tests; it holds no asset."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from searchkit.catalog.types import encode_path, is_storable
from searchkit.errors import InvalidFilter
from searchkit.query.filter_readings import Compare, Either, Known, OneOf, PathLike, Tagged, Test
from searchkit.types import Modality

__all__ = ["FIELDS", "Field", "field_named"]

_MAX_WILDCARDS = 8


@dataclass(frozen=True, slots=True)
class Field:
    """A name that filters know.

    Attributes:
        name: what people type.
        about: one line for people, with an example.
        ordered: whether < and > make sense.
        test: from an operator (= < <= > >=) and a value, as typed, to a test.
        column: the column that ``has:`` asks about; None when it cannot be unknown.
    """

    name: str
    about: str
    ordered: bool
    test: Callable[[str, str], Test]
    column: str | None = None


_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)")
_BYTES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


def _number_test(column: str, units: Mapping[str, int]) -> Callable[[str, str], Test]:
    def test(relation: str, value: str) -> Test:
        found = _NUMBER.fullmatch(value)
        number = float(found[1]) if found else float("inf")
        unit = units.get(found[2].lower()) if found else None
        if found is None or unit is None or abs(number) > 1e18:
            example = "10MB" if len(units) > 1 else "1000"
            raise InvalidFilter(f"{column} needs a number, got {value!r}", hint=f"{column}>{example}")
        return Compare(column, ((_RELATIONS[relation], number * unit),))

    return test


_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?)?)?")


def _range_of_date(value: str) -> tuple[datetime, datetime]:
    """The half-open range of moments that a year, month, day, minute or second means, without a zone."""
    found = _DATE.fullmatch(value)
    try:
        if found is None or not 1 <= int(found[1]) < 9999:
            raise ValueError(value)
        year, month, day, hour, minute, second = (int(part) if part else None for part in found.groups())
        start = datetime(year or 1, month or 1, day or 1, hour or 0, minute or 0, second or 0)
    except ValueError:
        raise InvalidFilter(
            f"a date is written 2020, 2020-06, 2020-06-30 or 2020-06-30T18:00, got {value!r}",
            hint="date>=2020-06-30",
        ) from None
    if month is None:
        return start, start.replace(year=start.year + 1)
    if day is None:
        return start, (start + timedelta(days=31)).replace(day=1)
    length = (
        timedelta(days=1) if hour is None else timedelta(minutes=1) if second is None else timedelta(0, 1)
    )
    return start, start + length


def _moment_test(column: str, read: Callable[[datetime], Any]) -> Callable[[str, str], Test]:
    def test(relation: str, value: str) -> Test:
        start, stop = (read(moment) for moment in _range_of_date(value))
        bounds = {
            "=": ((operator.ge, start), (operator.lt, stop)),
            "<": ((operator.lt, start),),
            "<=": ((operator.lt, stop),),
            ">": ((operator.ge, stop),),
            ">=": ((operator.ge, start),),
        }
        return Compare(column, bounds[relation])

    return test


def _glob_regex(pattern: str) -> str:
    """``*`` and ``?`` stop at folders' ends, ``**`` does not, a backslash takes their meaning away."""
    parts: list[str] = []
    wildcards = 0
    for found in re.finditer(r"\\(.)|\*\*+/|\*\*+|\*|\?|(.)", pattern, re.DOTALL):
        token = found[0]
        if found[1] or found[2]:
            parts.append(re.escape(encode_path(found[1] or found[2])))
            continue
        wildcards += token != "?"
        if token.endswith("/"):
            parts.append("(?:.*/)?")
        elif token == "?":
            # One character of the name, which the catalog may store as an escape.
            parts.append(r"(?:\\\\|\\x[0-9a-f][0-9a-f]|[^/\\])")
        else:
            parts.append("[^/]*" if token == "*" else ".*")
    if wildcards > _MAX_WILDCARDS:
        raise InvalidFilter(
            f"the pattern {pattern!r} has more than {_MAX_WILDCARDS} wildcards", hint="join terms with AND"
        )
    return "".join(parts)


def _path_test(relation: str, value: str) -> Test:
    """A relative pattern may start at any folder, an absolute one at the top."""
    if value.startswith("~/"):
        value = str(Path(value).expanduser())
    value = value.removeprefix("./")
    if not value:
        raise InvalidFilter("path needs a pattern", hint="path:2019/** or path:*.jpg")
    value += "**" if value.endswith("/") else ""
    start = r"\A" if value.startswith("/") else r"(?:\A|/)"
    return PathLike(f"(?is){start}{_glob_regex(value)}\\Z")


def _folder_test(relation: str, value: str) -> Test:
    stripped = value.rstrip("/")
    if not stripped and not value:
        raise InvalidFilter("folder needs a name", hint="folder:2019")
    return _path_test(relation, f"{stripped}/**")


def _name_test(relation: str, value: str) -> Test:
    if not value or "/" in value:
        raise InvalidFilter(f"name takes no folders, got {value!r}", hint="path:2019/*.jpg takes folders")
    return _path_test(relation, value)


_SUBTYPES = {
    "jpg": ("image/jpeg",),
    "jpe": ("image/jpeg",),
    "tif": ("image/tiff",),
    "ico": ("image/vnd.microsoft.icon",),
    "psd": ("image/vnd.adobe.photoshop",),
    "svg": ("image/svg+xml",),
    "raw": tuple(
        f"image/x-{maker}"
        for maker in (
            *("canon-cr2", "canon-cr3", "fuji-raf", "panasonic-rw2", "olympus-orf", "nikon-nef", "sony-arw"),
            *("adobe-dng", "pentax-pef", "samsung-srw"),
        )
    ),
    "dng": ("image/x-adobe-dng",),
    "mp3": ("audio/mpeg",),
    "m4a": ("audio/mp4",),
    "aif": ("audio/aiff",),
    "wma": ("audio/x-ms-wma",),
    "mov": ("video/quicktime",),
    "avi": ("video/x-msvideo",),
    "mkv": ("video/x-matroska",),
    "mpg": ("video/mpeg",),
    "m4v": ("video/mp4",),
    "ts": ("video/mp2t",),
    "wmv": ("video/x-ms-asf",),
    "txt": ("text/plain",),
    "md": ("text/markdown",),
    "htm": ("text/html",),
    "srt": ("application/x-subrip",),
}


def _type_test(relation: str, value: str) -> Test:
    """A modality, a media type, or what its files usually end in; by content, like everything here."""
    name = value.lower().removeprefix(".")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*(/[a-z0-9.+-]+)?", name):
        raise InvalidFilter(f"no type is written {value!r}", hint="type:jpg, type:image or type:image/jpeg")
    if "/" in name:
        return OneOf("mime", (name,))
    usual = [f"{kind}/{x}{name}" for kind in (*Modality, "application") for x in ("", "x-")]
    mimes = OneOf("mime", (*usual, *_SUBTYPES.get(name, ())))
    return Either(OneOf("modality", (name,)), mimes) if Modality.named(name) else mimes


def _modality_test(relation: str, value: str) -> Test:
    if Modality.named(value.lower()) is None:
        near = difflib.get_close_matches(value.lower(), list(Modality), n=1)
        raise InvalidFilter(
            f"no modality is called {value!r}",
            hint=f"did you mean modality:{near[0]}?" if near else f"one of {', '.join(Modality)}",
        )
    return OneOf("modality", (value.lower(),))


def _tag_test(relation: str, value: str) -> Test:
    if not value:
        raise InvalidFilter("tag needs a word", hint="tag:private")
    if not is_storable(value):
        raise InvalidFilter(f"{value!r} is no text", hint="tag:private")
    if set(value) & set("*?\\"):
        parts = re.finditer(r"\\(.)|[*]+|[?]|(.)", value, re.DOTALL)
        body = "".join(
            re.escape(p[1] or p[2]) if p[1] or p[2] else "." if p[0] == "?" else ".*" for p in parts
        )
        return Tagged(f"(?s)\\A{body}\\Z")
    return Tagged(f"\\A{re.escape(value)}\\Z")


def _has_test(relation: str, value: str) -> Test:
    if value == "tag":
        return Known(None)
    known = {field.name: field.column for field in FIELDS.values() if field.column}
    known["gps"] = "latitude"
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        raise InvalidFilter(
            f"has:{value} asks for nothing that can be absent",
            hint=f"did you mean has:{near[0]}?" if near else f"has: takes tag, {', '.join(known)}",
        )
    return Known(known[value])


def _numeric(name: str, about: str, units: Mapping[str, int] | None = None) -> Field:
    return Field(name, about, True, _number_test(name, units or {"": 1}), name)


_ALL_FIELDS = (
    Field("path", "glob, from any folder on or from /: path:2019/**, path:/home/me/*.jpg", False, _path_test),
    Field("folder", "any folder above the file: folder:2019", False, _folder_test),
    Field("name", "glob on the file's name: name:IMG_*", False, _name_test),
    Field("type", "kind of file, by content: type:jpg, type:audio", False, _type_test, "mime"),
    Field("modality", "text, image, audio or video", False, _modality_test, "modality"),
    Field(
        "date",
        "when it was taken, else written: date>=2020-06, date:2019",
        True,
        _moment_test("date", lambda moment: moment.isoformat(timespec="seconds")),
    ),
    Field(
        "added",
        "when it was indexed first, UTC: added>=2024",
        True,
        _moment_test("added_at", lambda moment: moment.replace(tzinfo=UTC)),
    ),
    _numeric("size_bytes", "size of the file: size_bytes>10MB", _BYTES),
    _numeric("width_px", "width as shown: width_px>1000"),
    _numeric("height_px", "height as shown: height_px>1000"),
    _numeric("duration_s", "how long it plays: duration_s<10"),
    _numeric("rate_hz", "sample rate: rate_hz>=44100"),
    _numeric("channels", "channels of the sound: channels:2"),
    _numeric("latitude", "degrees north: latitude>60"),
    _numeric("longitude", "degrees east: longitude<0"),
    Field("tag", "a tag that was put on it: tag:private, tag:trip*", False, _tag_test),
    Field("has", "a fact that it has: has:gps, has:tag, has:duration_s", False, _has_test),
)

FIELDS: Mapping[str, Field] = MappingProxyType({field.name: field for field in _ALL_FIELDS})


def field_named(name: str) -> Field:
    """The field of a name.

    Raises:
        InvalidFilter: there is none; the nearest name is suggested.
    """
    if name.lower() in FIELDS:
        return FIELDS[name.lower()]
    stems = {field.split("_")[0]: field for field in FIELDS}
    other = {"ext": "type", "extension": "type", "filename": "name", "dir": "folder", "in": "folder"}
    candidates = {**{field: field for field in FIELDS}, **stems, **other}
    near = difflib.get_close_matches(name.lower(), candidates, n=1, cutoff=0.5)
    suggestion = f"did you mean {candidates[near[0]]}? " if near else ""
    raise InvalidFilter(f"no field is called {name!r}", hint=f"{suggestion}fields: {', '.join(FIELDS)}")
