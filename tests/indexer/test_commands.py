"""The commands that write to a library and look after it, as a person types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import searchkit as sk
from searchkit.cli.main import run
from tests.media_files import write_folder, write_text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_folder(tmp_path / "media")


def test_a_dry_run_lists_what_would_be_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["index", str(folder)])
    (folder / "picture0.png").unlink()
    (folder / "picture1.png").rename(folder / "moved.png")
    write_text(folder / "new.txt", "New.")
    write_text(folder / "texts" / "dog.txt", "Changed.")
    capsys.readouterr()
    assert run(["index", str(folder), "--dry-run"]) == 0
    listed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["new", "media/new.txt"] in listed
    assert ["changed", "media/texts/dog.txt"] in listed
    assert ["moved", "media/moved.png", "(from", "media/picture1.png)"] in listed
    assert ["gone", "media/picture0.png"] in listed
    assert listed[-1][:2] == ["would", "be:"]
    assert run(["index", str(folder), "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert {
        "action": "moved",
        "path": str(folder / "moved.png"),
        "old_path": str(folder / "picture1.png"),
    } in plan
    run(["index", str(folder), "--json"])
    done = json.loads(capsys.readouterr().out)
    assert [done[name] for name in ("new", "changed", "moved", "gone")] == [1, 1, 1, 1]


def test_how_the_first_run_works_is_not_kept_for_later_ones(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHKIT_DECODE_TIMEOUT_S", "61")
    place = tmp_path / "library"
    assert run(["index", str(folder), "--library", str(place), "--jobs", "1", "--batch-size", "5"]) == 0
    monkeypatch.delenv("SEARCHKIT_DECODE_TIMEOUT_S")
    with sk.open_library(place) as library:
        settings = library.settings
    assert (settings.jobs, settings.batch_size, settings.decode_timeout_s) == (0, 16, 60.0)
    (place / "library.toml").write_text("jobs = 3\n" + (place / "library.toml").read_text())
    with sk.open_library(place) as library:
        assert library.settings.jobs == 3
    with sk.open_library(place, jobs=1) as library:
        assert library.settings.jobs == 1


def test_excluded_files_stay_out_and_leave(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["index", str(folder), "--exclude", "*.wav", "--exclude", "/texts/", "--json"])
    assert json.loads(capsys.readouterr().out)["new"] == 5
    run(["index", str(folder), "--exclude", "*.png", "--json"])
    done = json.loads(capsys.readouterr().out)
    assert (done["new"], done["gone"], done["same"]) == (3, 4, 1)
    assert run(["index", str(folder / "picture0.png"), "--exclude", "*.png"]) == 2
    assert "passed over" in capsys.readouterr().err


def test_the_history_of_runs_and_their_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", str(folder)]) == 0
    assert run(["index", str(folder)]) == 0
    capsys.readouterr()
    assert run(["runs", "--stages"]) == 0
    shown = capsys.readouterr().out
    assert "8 new, 1 failed, 1 skipped" in shown
    assert "8 same, 1 failed, 1 skipped" in shown
    for stage in ("scan", "decode", "encode", "record"):
        assert stage in shown
    assert run(["runs", "--json", "-n", "1"]) == 0
    (latest,) = json.loads(capsys.readouterr().out)["runs"]
    assert (latest["state"], latest["counts"]["same"]) == ("done", 8)


def test_what_happens_is_logged_as_json_lines(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    run(["index", str(folder), "--log-json", str(log)])
    run(["index", str(folder), "--log-json", str(log)])
    events = [json.loads(line) for line in log.read_text().splitlines()]
    names = [event["event"] for event in events]
    assert names.count("began") == names.count("planned") == names.count("ended") == 2
    (failed,) = [event for event in events if event["event"] == "failed"]
    assert failed["path"] == str(folder / "broken.jpg")
    assert events[-1]["state"] == "done"


def test_errors_are_listed_and_tried_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["index", str(folder)])
    capsys.readouterr()
    assert run(["errors"]) == run(["status", "--errors"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith("media/broken.jpg: ")
    assert run(["index", "--retry-failed", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["failed"] == 1


def test_ctrl_c_finishes_the_batch_and_says_what_remains(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    for number in range(3000):
        write_text(folder / f"{number}.txt", f"Note {number}.")
    environment = {**os.environ, "SEARCHKIT_LIBRARY": str(tmp_path / "library")}
    command = [sys.executable, "-m", "searchkit", "index", str(folder)]
    running = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    # Each wait here is for something that must come; the test's time limit ends one in vain.
    assert any("embed" in line for line in running.stderr)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate()
    assert running.returncode == 130, said
    assert "files remain" in said
    report = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=True)
    done = json.loads(report.stdout)
    assert done["new"] + done["same"] == 3000
    assert done["segments"] == done["new"]


@pytest.mark.parametrize("name", ["manifest.json", "log-"])
def test_damaged_vectors_are_embedded_again_when_asked_to(tmp_path: Path, name: str) -> None:
    folder = write_folder(tmp_path / "media")
    with sk.open_library(tmp_path / "library") as library:
        library.index(folder)
        expected = [(result.path, result.score) for result in library.search("a dog", k=50)]
    damaged = [path for path in (tmp_path / "library" / "vectors").rglob("*") if name in path.name]
    assert damaged
    for path in damaged:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    with sk.open_library(tmp_path / "library") as library:
        assert not library.verify().clean
        repaired = library.verify(repair=True)
        assert repaired.embed_again
        library.index()
        assert library.verify().clean
        assert [(result.path, result.score) for result in library.search("a dog", k=50)] == expected
