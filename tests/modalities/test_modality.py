"""The modality type, terms of plugged-in modalities in queries, and a third party's package that adds one."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from searchkit.errors import ModalityUnsupported, QuerySyntaxError
from searchkit.modality import Plug, plug_of, register_plug
from searchkit.query import Query, parse, reading
from searchkit.query.search import parse_modalities
from searchkit.types import ArraySample, Modality


def test_a_modality_is_its_name_and_one_object() -> None:
    assert Modality("depth") is Modality("depth")
    assert Modality("image") is Modality.IMAGE
    assert pickle.loads(pickle.dumps(Modality.TEXT)) is Modality.TEXT
    assert json.dumps({"modality": Modality("depth")}) == '{"modality": "depth"}'
    assert list(Modality)[:4] == ["text", "image", "audio", "video"]
    with pytest.raises(ValueError, match="smell"):
        Modality("smell")


def test_a_library_can_hold_what_is_not_installed_any_more() -> None:
    assert Modality.stored("gone").value == "gone"
    with pytest.raises(ModalityUnsupported, match="gone"):
        plug_of("gone")


def test_pydantic_reads_and_lists_them() -> None:
    adapter = TypeAdapter(Modality)
    assert adapter.validate_python("depth") is Modality("depth")
    assert adapter.dump_json(Modality("depth")) == b'"depth"'
    assert {"text", "depth"} <= set(adapter.json_schema()["enum"])
    with pytest.raises(ValidationError):
        adapter.validate_python("smell")


@pytest.mark.parametrize(
    "source",
    ["depth:hall.png", 'text:"a hall" + 0.5*depth:"my hall.pfm"', "imu:walk.csv@3-7.5 - points:chair.ply"],
)
def test_terms_print_as_they_parse(source: str) -> None:
    assert str(parse(source)) == source
    assert parse(str(parse(source))) == parse(source)


def test_a_term_is_a_value_with_a_kind() -> None:
    query = reading("depth", "hall.png")
    assert query == Query("depth:hall.png")
    assert query.kinds == ("depth",)
    assert parse_modalities("depth,image") == (Modality("depth"), Modality.IMAGE)


def test_words_with_a_colon_stay_words() -> None:
    assert str(parse("depth: how far things are")) == 'text:"depth: how far things are"'
    with pytest.raises(QuerySyntaxError, match="smell"):
        parse("smell:rose.txt")


def test_a_name_is_taken_once() -> None:
    plug = plug_of("depth")
    with pytest.raises(ValueError, match="already"):
        register_plug(plug)
    with pytest.raises(ValueError, match="lower case"):
        Plug("Far Infrared", "a", (), plug.sniff, plug.decode, plug.prepare)


def test_an_array_sample_refuses_what_cannot_be_embedded() -> None:
    with pytest.raises(ValueError, match="finite"):
        ArraySample(Modality("depth"), np.array([np.nan], np.float32))
    with pytest.raises(ValueError, match="of its own"):
        ArraySample(Modality.IMAGE, np.ones(3, np.float32))


USE = """
import json
from pathlib import Path
import numpy as np
from searchkit.media import DecodeSettings, open_media
from searchkit.media.isolate import DecoderPool
from searchkit.modality import plug_of
from searchkit.query import parse

query = parse("text:hot - thermal:a.thermal")
settings = DecodeSettings(plugs=("thermal",))
with DecoderPool(1) as pool:
    decoded = pool.open_media(Path("a.thermal"), settings)
    values = next(iter(decoded.samples)).values.tolist()
plain = open_media(Path("a.thermal")).media_type.modality
shape = plug_of("thermal").prepare(np.array(values, np.float32), {"size_px": 32}).shape
print(json.dumps([query.kinds, decoded.media_type.modality, values, plain, shape]))
"""


def test_the_plug_of_the_documentation_adds_a_modality_when_installed(
    tmp_path: Path, repository: Path
) -> None:
    site = tmp_path / "site"
    (site / "thermal-1.0.dist-info").mkdir(parents=True)
    documented = (repository / "docs" / "new-modality.md").read_text()
    (site / "thermal_plug.py").write_text(documented.split("```python\n")[1].split("```")[0])
    (site / "thermal-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: thermal\nVersion: 1.0\n"
    )
    entry = "[searchkit.modalities]\nthermal = thermal_plug:PLUG\n"
    (site / "thermal-1.0.dist-info" / "entry_points.txt").write_text(entry)
    (tmp_path / "a.thermal").write_text("THERMAL\n20 21\n22 37\n")
    paths = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kinds, modality, values, plain, shape = json.loads(done.stdout)
    assert shape == [1, 32, 32]
    assert kinds == ["text", "thermal"]
    assert modality == "thermal"
    assert values == [[20, 21], [22, 37]]
    assert plain == "text"


def test_a_text_query_asks_no_installed_package() -> None:
    code = (
        "import sys; from searchkit.query import parse; parse('a dog - audio:b.wav'); import searchkit.types;"
        "print('importlib.metadata' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
