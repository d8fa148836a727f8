"""Walking folders: what is listed, what is passed over, what is reported."""

from __future__ import annotations

import os
from pathlib import Path

from searchkit.indexer.scan import scan


def names(folder: Path, **options: object) -> list[str]:
    return [os.path.relpath(found.path, folder) for found in scan([str(folder)], **options).found]


def test_files_come_in_the_order_of_the_walk_with_their_stat(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/2.jpg", "a/1.jpg", "c/d/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"xyz")
    assert names(tmp_path) == ["b.jpg", "a/1.jpg", "a/2.jpg", "c/d/3.jpg"]
    (found,) = scan([str(tmp_path / "b.jpg")]).found
    assert (found.size_bytes, found.mtime_ns) == (3, (tmp_path / "b.jpg").stat().st_mtime_ns)


def test_hidden_and_system_files_and_the_library_are_passed_over(tmp_path: Path) -> None:
    for name in (
        ".hidden.jpg",
        ".git/x.jpg",
        "@eaDir/x.jpg",
        "Thumbs.db",
        "library/catalog.sqlite",
        "yes.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert names(tmp_path, skip=[tmp_path / "library"]) == ["yes.jpg"]


def test_links_to_files_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "real.jpg").write_bytes(b"x")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "folder" / "real.jpg")
    (tmp_path / "folder" / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    result = scan([str(tmp_path)])
    assert [Path(found.path).name for found in result.found] == ["link.jpg", "real.jpg"]
    assert [Path(entry.path).name for entry in result.unreadable] == ["dangling.jpg"]


def test_what_is_no_regular_file_is_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    result = scan([str(tmp_path)])
    assert (result.found, [Path(entry.path).name for entry in result.unreadable]) == ([], ["pipe.wav"])
    assert "regular" in result.unreadable[0].reason


def test_overlapping_paths_list_a_file_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(b"x")
    found = scan([str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "1.jpg")]).found
    assert len(found) == 1


def test_names_that_are_not_utf8_are_listed(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9\n.jpg"
    with open(path, "wb") as file:
        file.write(b"x")
    (found,) = scan([str(tmp_path)]).found
    assert os.fsencode(found.path) == path
