"""The command line as a program uses it: names, JSON, exit codes, errors."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.media_files import write_folder, write_picture


def searchkit(
    *arguments: object, library: Path | None = None, **options: object
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"SEARCHKIT_LIBRARY": str(library)} if library else {})}
    return subprocess.run(
        [sys.executable, "-m", "searchkit", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        **options,  # type: ignore[call-overload]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    place = tmp_path_factory.mktemp("cli") / "library"
    done = searchkit("index", folder, library=place)
    assert done.returncode == 0, done.stderr
    return place


def test_index_prints_counts_and_errors_as_json(tmp_path: Path, folder: Path) -> None:
    done = searchkit("index", folder, "--library", tmp_path / "library", "--json")
    report = json.loads(done.stdout)
    counts = {name: report[name] for name in ("new", "changed", "moved", "gone", "same", "failed")}
    assert counts == {"new": 8, "changed": 0, "moved": 0, "gone": 0, "same": 0, "failed": 1}
    assert report["seconds"] > 0
    assert [error["path"] for error in report["errors"]] == [str(folder / "broken.jpg")]
    assert done.returncode == 0


def test_query_prints_one_object_with_the_documented_fields(library: Path, folder: Path) -> None:
    done = searchkit("query", "a dog in the snow", "--to", "text", "--json", library=library)
    answer = json.loads(done.stdout)
    assert {"query", "space", "cutoff", "good", "results"} <= set(answer)
    first = answer["results"][0]
    names = ("rank", "path", "modality", "score", "start_s", "end_s", "asset_id", "segment_id")
    assert set(names) <= set(first)
    assert (first["rank"], first["path"]) == (1, str(folder / "texts" / "dog.txt"))
    assert (first["modality"], first["start_s"]) == ("text", None)


def test_a_query_may_be_a_sum_of_anything(library: Path, folder: Path) -> None:
    picture, sound = folder / "picture1.png", folder / "sounds" / "short.wav"
    by_flags = searchkit(
        "query", "--image", picture, "--text", "snow^0.5", "--minus-audio", sound, "--json", library=library
    )
    source = f'0.5*text:"snow" + image:"{picture}" - audio:"{sound}"'
    by_expression = searchkit("query", "--expr", source, "--json", library=library)
    flags, expression = json.loads(by_flags.stdout), json.loads(by_expression.stdout)
    assert flags["results"] == expression["results"]
    again = searchkit("query", "--expr", flags["query"], "--json", library=library)
    assert json.loads(again.stdout) == flags


def test_results_of_all_modalities_come_in_the_order_of_their_probability(library: Path) -> None:
    found = json.loads(searchkit("query", "snow", "--json", library=library).stdout)["results"]
    matches = [result["match"] for result in found]
    assert len({result["modality"] for result in found}) > 1
    assert matches == sorted(matches, reverse=True)


def test_a_person_is_told_that_even_the_best_is_unlikely(library: Path) -> None:
    done = searchkit("query", "--unlike", "1", "--cutoff", "0", library=library)
    best = float(done.stdout.split()[1].rstrip("%"))
    assert ("none is likely" in done.stderr) == (best < 20)
    hidden = searchkit("query", "snow", "--cutoff", "1", library=library)
    assert hidden.returncode == 1
    assert "no good match; --all shows" in hidden.stderr


def test_modalities_and_k_bound_the_results(library: Path) -> None:
    done = searchkit("query", "snow", "--to", "image,text", "-k", "3", "--json", library=library)
    results = json.loads(done.stdout)["results"]
    assert len(results) == 3
    assert {result["modality"] for result in results} <= {"image", "text"}


def test_paths_are_printed_one_a_line_or_with_nul(library: Path, folder: Path) -> None:
    shown = searchkit("query", "snow", "--to", "image", "--all", "--paths", library=library)
    lines = shown.stdout.splitlines()
    assert set(lines) == {str(folder / f"picture{n}.png") for n in range(4)}
    nul = searchkit("query", "snow", "--to", "image", "--all", "--paths", "-0", library=library).stdout
    assert nul.split("\0")[:-1] == lines


def test_embed_writes_unit_rows_in_the_order_given(library: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.npy"
    picture = folder / "picture0.png"
    done = searchkit("embed", "--text", "a dog", "--image", picture, "--text", "a cat", "--out", out)
    assert done.returncode == 0, done.stderr
    rows = np.load(out)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    searchkit("embed", "--image", picture, "--out", tmp_path / "one.npy")
    np.testing.assert_allclose(rows[1], np.load(tmp_path / "one.npy")[0], atol=1e-6)


def test_status_errors_and_models_tell_what_there_is(library: Path, folder: Path) -> None:
    status = json.loads(searchkit("status", "--json", library=library).stdout)
    assert status["assets"] == {"audio": 2, "image": 4, "text": 2}
    assert (status["failed"], status["roots"]) == (1, [str(folder)])
    errors = json.loads(searchkit("errors", "--json", library=library).stdout)["errors"]
    assert [error["path"] for error in errors] == [str(folder / "broken.jpg")]
    models = json.loads(searchkit("models", "list", "--json").stdout)["models"]
    assert {"mini", "one-peace"} <= {model["name"] for model in models}


def test_verify_and_remove(tmp_path: Path, folder: Path) -> None:
    place = tmp_path / "library"
    searchkit("index", folder, library=place)
    assert json.loads(searchkit("verify", "--json", library=place).stdout)["clean"] is True
    assert json.loads(searchkit("remove", folder / "texts", "--json", library=place).stdout) == {"removed": 2}
    assert searchkit("query", "snow", "--to", "text", library=place).returncode == 1


def test_a_vector_that_got_lost_is_found_and_mended(tmp_path: Path, folder: Path) -> None:
    import searchkit as sk
    from searchkit.indexer.writer import Writer

    place = tmp_path / "library"
    searchkit("index", folder, library=place)
    with sk.open_library(place) as opened, Writer(opened) as writer:
        store = writer.store(1)
        store.delete(store.ids()[:1])
        store.flush()
    broken = searchkit("verify", library=place)
    assert broken.returncode == 8
    assert "--repair" in broken.stderr
    searchkit("verify", "--repair", library=place)
    searchkit("index", library=place)
    assert searchkit("verify", library=place).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("query", "dog", "--library", "{tmp}/none"), 3, ("no library", "searchkit index")),
        (("query",), 2, ("no term", "--text")),
        (("query", "--audio", "{tmp}/none.wav"), 2, ("no such file", "none.wav")),
        (("query", "--expr", "audio: + 3"), 2, ("column",)),
        (("query", "dog", "--to", "smell"), 2, ("smell", "image")),
        (("query", "dog", "-k", "0"), 2, ("k must be",)),
        (("query", "dog", "--no-such-flag"), 2, ("--no-such-flag", "--help")),
        (("query", "dog", "--model", "minni"), 5, ("minni", "mini")),
        (("query", "dog", "--model", "mini", "--model-dir", "{tmp}"), 5, ("{tmp}",)),
        (("index", "{tmp}/none"), 2, ("none", "no such")),
        (("index", "{tmp}"), 2, ("no files",)),
        (("remove", "{tmp}/none"), 2, ("nothing",)),
        (("embed", "--out", "{tmp}/x.npy"), 2, ("nothing to embed",)),
        (("query", "--image", "{folder}/broken.jpg"), 4, ("broken.jpg",)),
        (("query", "--image", "{folder}/sounds/short.wav"), 2, ("audio",)),
        (("query", "--expr", "text:dog - text:dog"), 2, ("cancel",)),
        (("query", "id:999999"), 2, ("999999",)),
        (("status", "--library", "{tmp}/none"), 3, ("no library",)),
    ],
)
def test_bad_input_says_what_and_what_next(
    library: Path, folder: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    filled = [argument.format(tmp=tmp_path, folder=folder) for argument in arguments]
    done = searchkit(*filled, library=library)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for word in words:
        assert word.format(tmp=tmp_path) in done.stderr
    assert "->" in done.stderr


def test_a_command_that_a_hint_names_is_for_the_library_that_was_chosen(tmp_path: Path) -> None:
    chosen = tmp_path / "my library"
    hint = searchkit("errors", "--library", chosen).stderr.splitlines()[-1]
    assert hint == f"  -> searchkit index --library '{chosen}' FOLDER makes one"
    assert "--library" not in searchkit("errors", library=chosen).stderr


def test_a_damaged_or_later_catalog_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "library"
    write_picture(tmp_path / "media" / "one.png", 1)
    searchkit("index", tmp_path / "media", library=place)
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(place / "catalog.sqlite")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    later = searchkit("query", "dog", library=place)
    assert (later.returncode, "pip install" in later.stderr) == (3, True)
    (place / "catalog.sqlite").write_bytes(b"garbage" * 1000)
    damaged = searchkit("query", "dog", library=place)
    assert (damaged.returncode, "damaged" in damaged.stderr) == (3, True)


def test_a_plain_text_query_and_the_version_never_import_torch(library: Path) -> None:
    script = (
        "import sys\nfrom searchkit.cli.main import run\n"
        "code = run(['query', 'dog'])\n"
        "heavy = {'torch', 'alembic', 'faiss', 'av', 'soundfile', 'PIL', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    environment = {**os.environ, "SEARCHKIT_LIBRARY": str(library)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    version = searchkit("--version")
    assert version.stdout.startswith("searchkit ")


def test_every_command_shows_an_example() -> None:
    for command in ("index", "query", "embed", "status", "errors", "remove", "verify", "demo"):
        assert f"searchkit {command}" in searchkit(command, "--help").stdout.split("Example:", 1)[1]


def test_a_closed_pipe_is_no_error(library: Path) -> None:
    command = [sys.executable, "-m", "searchkit", "query", "snow", "--json"]
    environment = {**os.environ, "SEARCHKIT_LIBRARY": str(library)}
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, env=environment
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_an_output_that_is_full_is_told_apart_from_a_bug(library: Path) -> None:
    command = [sys.executable, "-m", "searchkit", "status", "--library", str(library)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 7
    assert "no space left" in done.stderr
    assert "bug" not in done.stderr


def test_closed_streams_are_no_error(library: Path) -> None:
    command = (
        f"{shlex.quote(sys.executable)} -m searchkit status --library {shlex.quote(str(library))} >&- 2>&-"
    )
    assert subprocess.run(command, shell=True, check=False).returncode == 0


def test_without_a_command_help_is_printed(library: Path) -> None:
    done = searchkit(library=library)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: searchkit")


def test_a_first_dry_run_and_a_refused_one_make_no_library(tmp_path: Path, folder: Path) -> None:
    new = tmp_path / "new"
    done = searchkit("index", folder, "--dry-run", "--json", library=new)
    report = json.loads(done.stdout)
    assert report["new"] == len(report["plan"]) > 0
    assert report["library"] == str(new)
    assert searchkit("index", folder, "--store", "nowhere", library=new).returncode == 2
    assert searchkit("index", library=new).returncode == 3
    for command in ("index", "watch"):
        assert searchkit(command, folder / "nowhere", library=new).returncode == 2
    assert not new.exists()


def test_a_copy_is_counted_and_explained_as_one(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    for name in ("a.png", "b.png"):
        write_picture(media / name, 1)
    assert searchkit("index", media, library=tmp_path / "library").returncode == 0
    done = searchkit("query", "a picture", "--all", library=tmp_path / "library")
    assert "(and 1 copy)" in done.stdout
    told = [
        json.loads(searchkit("explain", "a picture", file, "--json", library=tmp_path / "library").stdout)
        for file in (media / "a.png", media / "b.png")
    ]
    assert [why["rank"] for why in told] == [1, 1]
    # Which of the two stands for both is not said: they were read at the same time.
    copies = [why["copy_of"] for why in told]
    assert copies in ([None, str(media / "a.png")], [str(media / "b.png"), None])


def test_ctrl_c_says_so_wherever_it_falls(library: Path) -> None:
    # The parser of the arguments ends with 130 on an interrupt, and says nothing itself.
    program = (
        "import sys; from searchkit.cli.main import run;"
        "import searchkit.library as library\n"
        "def interrupted(*_, **__): raise KeyboardInterrupt\n"
        "library.open_library = interrupted\n"
        "sys.exit(run(['query', 'snow']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.startswith("searchkit: interrupted")
