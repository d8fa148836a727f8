"""Walking folders: what is listed, what is passed over, what is reported."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from searchkit.catalog.types import encode_path
from searchkit.errors import UsageError
from searchkit.indexer.scan import Found, Unreadable, outermost, walk


def names(folder: Path, **options: object) -> list[str]:
    return [
        os.path.relpath(seen.path, folder) for seen in walk(str(folder), **options) if isinstance(seen, Found)
    ]


def unreadable(folder: Path) -> dict[str, Unreadable]:
    return {Path(seen.path).name: seen for seen in walk(str(folder)) if isinstance(seen, Unreadable)}


def make(folder: Path, *files: str) -> None:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_files_come_in_the_order_of_the_catalog_with_their_stat(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", "a/2.jpg", "a/1.jpg", "a.jpg", "a-.jpg", "c/d/3.jpg", "a/\udcff.jpg", "a/é.jpg")
    listed = names(tmp_path)
    assert len(listed) == 8
    assert listed == sorted(listed, key=encode_path)
    (found,) = walk(str(tmp_path / "b.jpg"))
    assert isinstance(found, Found)
    assert (found.size_bytes, found.mtime_ns) == (1, (tmp_path / "b.jpg").stat().st_mtime_ns)


def test_hidden_and_system_files_and_the_library_are_passed_over(tmp_path: Path) -> None:
    hidden = (".hidden.jpg", ".git/x.jpg", "@eaDir/x.jpg", "Thumbs.db", "__MACOSX/x.jpg")
    make(tmp_path, *hidden, "library/library.toml", "library/vectors/1", "yes.jpg")
    assert names(tmp_path, libraries=[str(tmp_path / "library")]) == ["yes.jpg"]


def test_of_any_library_only_the_media_that_lie_in_its_folder_are_listed(tmp_path: Path) -> None:
    own = ("catalog.sqlite", "catalog.sqlite-wal", "library.toml", "vectors/mini.text/manifest.json")
    make(tmp_path, *(f"there/{name}" for name in own), "there/photo.jpg", "there/sub/x.txt")
    make(tmp_path, "other/library.toml", "other/vectors/1.txt")
    listed = ["other/library.toml", "other/vectors/1.txt", "there/photo.jpg", "there/sub/x.txt"]
    assert names(tmp_path) == listed
    assert not list(walk(str(tmp_path / "there" / own[-1]), root=str(tmp_path)))


def test_ignore_files_hold_below_their_folder_and_the_deeper_one_decides(tmp_path: Path) -> None:
    make(
        tmp_path,
        "1.tmp",
        "a/2.tmp",
        "a/3.jpg",
        "a/keep/4.tmp",
        "private/5.jpg",
        "a/private/6.jpg",
        "b/only.jpg",
    )
    (tmp_path / ".searchkitignore").write_text("# comment\n*.tmp\nprivate/\n/only.jpg\n")
    (tmp_path / "a" / "keep" / ".searchkitignore").write_text("!*.tmp\n")
    assert names(tmp_path) == ["a/3.jpg", "a/keep/4.tmp", "b/only.jpg"]


def test_excluded_patterns_are_relative_to_the_root(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "a/b/2.jpg", "b/3.jpg", "b/4.png")
    assert names(tmp_path, exclude=["/b/", "*.png"]) == ["a/1.jpg", "a/b/2.jpg"]
    below = walk(str(tmp_path / "b"), root=str(tmp_path), exclude=["/b/"])
    assert list(below) == []
    with pytest.raises(UsageError, match="exclude"):
        names(tmp_path, exclude=["[z-a]\\"])


def test_below_a_root_its_rules_hold(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "a/2.tmp", "a/.hidden/3.jpg")
    (tmp_path / ".searchkitignore").write_text("*.tmp\n")
    inside = [Path(seen.path).name for seen in walk(str(tmp_path / "a"), root=str(tmp_path))]
    assert inside == ["1.jpg"]
    for name in ("a/2.tmp", "a/.hidden/3.jpg", "a/.hidden"):
        assert list(walk(str(tmp_path / name), root=str(tmp_path))) == []


def test_links_to_files_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    make(tmp_path, "folder/real.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "folder" / "real.jpg")
    (tmp_path / "folder" / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    assert names(tmp_path) == ["folder/real.jpg", "link.jpg"]
    assert {name: entry.is_there for name, entry in unreadable(tmp_path).items()} == {
        "dangling.jpg": False,
        "self.jpg": False,
    }


def test_what_is_no_regular_file_is_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert names(tmp_path) == []
    assert "regular" in unreadable(tmp_path)["pipe.wav"].reason


def test_overlapping_paths_are_walked_once() -> None:
    assert outermost(["/a/b", "/a", "/a.b", "/a/b/c", "/ab", "/a"]) == ["/a", "/a.b", "/ab"]


def test_names_that_are_not_utf8_are_listed(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9\n.jpg"
    with open(path, "wb") as file:
        file.write(b"x")
    (found,) = walk(str(tmp_path))
    assert os.fsencode(found.path) == path


@pytest.fixture
def nest(tmp_path: Path) -> Iterator[Callable[[str, int, str], None]]:
    """Makes folders in folders, too many for any path or any recursion; and removes them again."""

    def make_nest(name: str, depth: int, file: str) -> None:
        here = os.open(tmp_path, os.O_RDONLY)
        for _ in range(depth):
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.close(here)

    yield make_nest
    subprocess.run(["rm", "-rf", str(tmp_path)], check=True)


def test_folders_nested_deeper_than_any_path_are_reported_not_fatal(
    tmp_path: Path, nest: Callable[[str, int, str], None]
) -> None:
    nest("n" * 200, 25, "deep.jpg")
    make(tmp_path, "beside.jpg")
    assert names(tmp_path) == ["beside.jpg"]
    (closed,) = unreadable(tmp_path).values()
    assert closed.is_folder
    assert "too long" in closed.reason


def test_a_thousand_folders_deep_is_no_recursion_error(
    tmp_path: Path, nest: Callable[[str, int, str], None]
) -> None:
    nest("d", 1500, "deep.jpg")
    assert [Path(name).name for name in names(tmp_path)] == ["deep.jpg"]
