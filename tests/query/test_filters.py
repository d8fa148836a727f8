"""Filters are read as SQL by a real SQLite file and as Python over its rows; both must agree."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select

from searchkit.catalog.engine import open_engine
from searchkit.catalog.tables import Asset, AssetTag, Base, Root
from searchkit.errors import InvalidFilter
from searchkit.query import parse_filter
from searchkit.query.filter_fields import FIELDS
from searchkit.query.filters import AllOf, AnyOf, Comparison, Not

TAGS = ("private", "trip", "trip to sea", "Größe", "a*b", "AND")
FOLDERS = ("2019", "2020", "My Photos", "[x]", "back\\slash", "caf\udce9", "été", "a.b")
FILES = (
    "dog.jpg",
    "DOG.JPG",
    "IMG_1.jpg",
    "a b.wav",
    "no_extension",
    "x*y.txt",
    "cat?.png",
    "d\udcffg.jpg",
    "1\n2.jpg",
)
MIMES = (
    "image/jpeg",
    "image/png",
    "audio/wav",
    "audio/x-caf",
    "video/mp4",
    "text/plain",
    "video/quicktime",
    None,
)
DATES = (
    "2019-12-31T23:59:59",
    "2020-01-01T00:00:00",
    "2020-02-29T12:30:00",
    "2020-02-29T12:30:01",
    "2021-06-01T00:00:00",
)
STAMPS = tuple(datetime.fromisoformat(date).replace(tzinfo=UTC) for date in DATES)
NUMBERS = (0, 1, 2, 999, 1000, 1001, 44100)

small = st.one_of(st.none(), st.sampled_from(NUMBERS))
real = st.one_of(st.none(), st.sampled_from((-60.5, 0.0, 0.1, 9.99, 10.0, 1e9)))
assets = st.fixed_dictionaries(
    {
        "folders": st.lists(st.sampled_from(FOLDERS), max_size=3),
        "file": st.sampled_from(FILES),
        "mime": st.sampled_from(MIMES),
        "size_bytes": st.sampled_from(NUMBERS),
        "date": st.sampled_from(DATES),
        "added_at": st.sampled_from(STAMPS),
        "width_px": small,
        "height_px": small,
        "duration_s": real,
        "rate_hz": small,
        "channels": small,
        "latitude": real,
        "longitude": real,
        "tags": st.frozensets(st.sampled_from(TAGS), max_size=3),
    }
)

_glob_pieces = st.sampled_from(
    ("*", "**", "**/", "?", "/", "dog", "2019", ".jpg", "My", " ", "\\*", "\\", "é", "\udce9", "x", "[", ".")
)
globs = (
    st.lists(_glob_pieces, min_size=1, max_size=6)
    .map("".join)
    # The folder that a path starts from anyway is no pattern.
    .filter(lambda glob: glob.count("*") <= 8 and glob != "./")
)
dates = st.sampled_from(
    ("2019", "2020", "2020-02", "2020-02-29", "2020-02-29T12:30", "2020-02-29 12:30:00", "2020-01-01")
)
VALUES = {
    "path": globs,
    "folder": st.one_of(globs, st.sampled_from(FOLDERS)),
    "name": st.one_of(globs.filter(lambda glob: "/" not in glob), st.sampled_from(FILES)),
    "type": st.sampled_from(("jpg", "image", "wav", "caf", "mov", "text", "image/png", "txt", ".PNG")),
    "modality": st.sampled_from(("image", "AUDIO", "video", "text")),
    "date": dates,
    "added": dates,
    "tag": st.one_of(st.sampled_from(TAGS), st.sampled_from(("t*", "*", "?ND", "trip to*", "a\\*b"))),
    "has": st.sampled_from(("tag", "gps", "width_px", "duration_s", "type", "modality")),
    "size_bytes": st.sampled_from(("1000", "1kB", "0", "0.5MiB", "44100")),
}  # fmt: skip
number_values = st.one_of(
    st.sampled_from(NUMBERS).map(str), st.sampled_from(("-60.5", "0.1", "10", "1e9", "9.99"))
)


@st.composite
def comparisons(draw):
    field = draw(st.sampled_from(list(FIELDS.values())))
    operators = ("=", "!=", "<", "<=", ">", ">=") if field.ordered else ("=", "!=")
    operator = draw(st.sampled_from(operators))
    several = 3 if operator in ("=", "!=") else 1
    values = draw(st.lists(VALUES.get(field.name, number_values), min_size=1, max_size=several))
    return Comparison(field.name, operator, tuple(values))


filters = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: AllOf(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
    ),
    max_leaves=5,
)


def add(connection: Connection, id: int, asset: dict) -> None:
    tags, folders, file = asset.pop("tags"), asset.pop("folders"), asset.pop("file")
    mime = asset["mime"]
    values = {
        **asset,
        "id": id,
        "root_id": 1,
        "path": "/" + "/".join([*folders, str(id), file]),
        "modality": mime.split("/")[0] if mime else None,
        "mtime_ns": 0,
        "facts": {},
    }
    connection.execute(insert(Asset).values(**values))
    for tag in sorted(tags):
        connection.execute(insert(AssetTag).values(asset_id=id, tag=tag))


def tags_of(connection: Connection, id: int) -> list[str]:
    return list(connection.scalars(select(AssetTag.tag).where(AssetTag.asset_id == id)))


def agree(connection: Connection, condition) -> list[int]:
    by_sql = list(connection.scalars(select(Asset.id).where(condition.sql()).order_by(Asset.id)))
    rows = connection.execute(select(*Asset.__table__.columns).order_by(Asset.id)).all()
    by_python = [row.id for row in rows if condition.matches(row, tags_of(connection, row.id))]
    assert by_sql == by_python, str(condition)
    return by_sql


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    engine = open_engine(tmp_path_factory.mktemp("filters") / "catalog.sqlite")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(Root).values(id=1, path="/", added_at=STAMPS[0]))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@settings(max_examples=60)
@given(st.lists(assets, min_size=1, max_size=6), st.lists(filters, min_size=1, max_size=6))
def test_sql_and_python_pick_the_same_assets(catalog, rows, conditions):
    with catalog.begin_nested() if catalog.in_transaction() else catalog.begin() as transaction:
        for id, asset in enumerate(rows, start=1):
            add(catalog, id, dict(asset))
        for condition in conditions:
            found = agree(catalog, condition)
            rest = agree(catalog, Not(condition))
            assert sorted(found + rest) == list(range(1, len(rows) + 1)), "logic must be two-valued"
        transaction.rollback()


@given(filters)
def test_its_own_source_text_gives_the_filter_back(condition):
    assert parse_filter(str(condition)) == condition
    assert hash(parse_filter(str(condition))) == hash(condition)


PHOTO = {
    "folders": ["2019", "My Photos"],
    "file": "Dog.jpg",
    "mime": "image/jpeg",
    "size_bytes": 2_000_000,
    "date": "2020-02-29T12:30:00",
    "added_at": STAMPS[3],
    "width_px": 2000,
    "height_px": 1000,
    "duration_s": None,
    "rate_hz": None,
    "channels": None,
    "latitude": 60.2,
    "longitude": 24.9,
    "tags": ["private"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("path:2019/** AND type:jpg AND date>=2020-01-01 AND width_px>1000", True),
        ("path:2019/** AND type:jpg AND NOT tag:private", False),
        ("type:jpg width_px>1000", True),
        ("type:png OR tag:private", True),
        ("type:png,jpg", True),
        ("type:png OR type:jpg AND width_px<1000", False),
        ("(type:png OR type:jpg) AND NOT width_px<1000", True),
        ("not (type:png or type:jpg)", False),
        ("path:**/dog.jpg", True),
        ("path:dog.jpg", True),
        ("path:*.jpg", True),
        ("path:2019/*.jpg", False),
        ("path:2019/*/*/*.jpg", True),
        ("path:/2019/**", True),
        ("path:/*.jpg", False),
        ("path:/**.jpg", True),
        ("path:019/**", False),
        ('path:"my photos/"', True),
        ("path:2019/", True),
        ("path:d?g.jpg", True),
        ("folder:2019", True),
        ('folder:"2019/My Photos"', True),
        ("folder:dog.jpg", False),
        ("name:dog.*", True),
        ("name:dog", False),
        ("type:image", True),
        ("type:image/jpeg", True),
        ("modality:image", True),
        ("date:2020", True),
        ("date=2020-02-29", True),
        ("date:2020-02-29T12:30", True),
        ("date>2020-02-29", False),
        ("date<=2020-02-29", True),
        ("date<2020", False),
        ("date!=2020", False),
        ("added>=2020 AND added<2021", True),
        ("size_bytes>1MB AND size_bytes<=2MB", True),
        ("size_bytes>2MB", False),
        ("duration_s<10", False),
        ("duration_s>=10", False),
        ("NOT duration_s<10", True),
        ("duration_s!=10", True),
        ("has:duration_s", False),
        ("has:gps AND has:tag", True),
        ("latitude>60 AND longitude<30", True),
        ("tag:priv*", True),
        ("tag:Private", False),
        ("TYPE : jpg", True),
    ],
)
def test_means(catalog, source, expected):
    with catalog.begin_nested() if catalog.in_transaction() else catalog.begin() as transaction:
        add(catalog, 1, dict(PHOTO))
        assert agree(catalog, parse_filter(source)) == [1] * expected
        transaction.rollback()


@pytest.mark.parametrize(
    ("file", "odd"), [("d\udcffg.jpg", "a byte that is no UTF-8"), ("d\\g.jpg", "a backslash")]
)
def test_a_question_mark_is_one_character_however_it_is_stored(catalog, file, odd):
    with catalog.begin_nested() if catalog.in_transaction() else catalog.begin() as transaction:
        add(catalog, 1, {**PHOTO, "file": file})
        found = {
            glob: agree(catalog, parse_filter(f"name:{glob}")) for glob in ("d?g.jpg", "d??g.jpg", "?g.jpg")
        }
        assert found == {"d?g.jpg": [1], "d??g.jpg": [], "?g.jpg": []}, odd
        transaction.rollback()


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("widht_px>1000", "'widht_px'", "did you mean width_px?"),
        ("width>1000", "'width'", "did you mean width_px?"),
        ("size>1000", "'size'", "did you mean size_bytes?"),
        ("ext:jpg", "'ext'", "did you mean type?"),
        ("nonsense_of_all_kinds:1", "column 1", "fields: path"),
        ("type:jpg AND colour:red", "column 14", "fields:"),
        ("type>jpg", "no order", "type:VALUE"),
        ("width_px>wide", "needs a number, got 'wide'", "width_px>1000"),
        ("width_px>10MB", "needs a number", "width_px>1000"),
        ("size_bytes>10XB", "needs a number", "size_bytes>10MB"),
        ("width_px>1,2", "one value", "width_px>1000"),
        ("date>=yesterday", "2020-06-30", "date>="),
        ("date>=2020-13", "2020-06-30", "date>="),
        ("date:9999", "2020-06-30", "date>="),
        ("modality:sound", "'sound'", "text, image, audio, video"),
        ("modality:imge", "'imge'", "did you mean modality:image?"),
        ("has:widht_px", "widht_px", "has:width_px"),
        ("name:a/b", "no folders", "path:"),
        ("type:", "a value is missing after type:", "quote"),
        ('path:""', "needs a pattern", "path:"),
        ('path:"a', "never closed", '"'),
        ("", "a comparison is missing", "type:jpg"),
        ("type:jpg AND", "a comparison is missing", "type:jpg"),
        ("AND type:jpg", "a comparison is missing", "type:jpg"),
        ("dogs", "a comparison is missing", "type:jpg"),
        ("(type:jpg", "never closed", ")"),
        ("type:jpg)", "ends before this", "AND"),
        ("path:" + "a*" * 9, "wildcards", "AND"),
        ("(" * 60 + "type:jpg" + ")" * 60, "brackets", ""),
        ("NOT " * 2000 + "type:jpg", "brackets", ""),
    ],
)
def test_errors_are_one_line_and_say_what_to_type(source, message, hint):
    with pytest.raises(InvalidFilter) as caught:
        parse_filter(source)
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value)


@given(st.text('ab "\\()<>=:!,AND OR NOT*/date2020-type', max_size=40))
def test_any_source_parses_or_is_refused(source):
    try:
        condition = parse_filter(source)
    except InvalidFilter:
        return
    assert parse_filter(str(condition)) == condition
