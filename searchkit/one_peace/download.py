"""Downloads a large file over HTTP: resumable, checked, and either whole or not there at all."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from searchkit.durable import disk_full_guard, fsync_folder, write_text
from searchkit.errors import DiskFull, DownloadError

__all__ = ["download"]

_BLOCK_BYTES = 1 << 20
_TIMEOUT_S = 60
Progress = Callable[[int, int], None]


def download(
    url: str,
    target: Path,
    *,
    sha256: str = "",
    progress: Progress | None = None,
    attempts: int = 5,
    wait_s: float = 2.0,
) -> str:
    """Download a file, going on where an earlier try stopped.

    What arrived so far lies beside the target as `.NAME.part`; the target appears when it is complete and
    checked. The checksum is recorded as `NAME.sha256` and checked where one is recorded already.

    Args:
        url: http or https.
        target: where the file goes; if it is there with its recorded checksum, nothing is fetched.
        sha256: the expected checksum, "" where none is known.
        progress: called with bytes done and bytes in all (0 where unknown).
        attempts: how often a broken connection is taken up again without any byte arriving.
        wait_s: pause before a new attempt, doubled each time.

    Returns:
        The file's sha256.

    Raises:
        DownloadError: the server refuses, the connection keeps breaking, or the content is wrong.
        DiskFull: there is no space; what arrived stays for the next try.
    """
    record = target.with_name(f"{target.name}.sha256")
    recorded = record.read_text().split()[0] if record.is_file() else ""
    if target.is_file() and recorded and sha256 in ("", recorded):
        return recorded
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with disk_full_guard(target):
        _fetch(url, part, progress, attempts, wait_s)
        found = _digest(part)
        expected = sha256 or recorded
        if expected and found != expected:
            part.unlink()
            part.with_suffix(".json").unlink(missing_ok=True)
            raise DownloadError(
                f"{url}: the file that arrived has sha256 {found}, expected {expected}",
                hint="run the same command again; if it repeats, do not use this source",
            )
        part.replace(target)
        part.with_suffix(".json").unlink(missing_ok=True)
        write_text(record, f"{found}  {target.name}\n")
        fsync_folder(target.parent)
    return found


def _fetch(url: str, part: Path, progress: Progress | None, attempts: int, wait_s: float) -> None:
    failures = 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        try:
            _fetch_rest(url, part, progress)
            return
        except (urllib.error.HTTPError, ValueError) as error:
            raise DownloadError(f"{url}: {error}", hint="check the address and try later") from error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            arrived = part.stat().st_size if part.is_file() else 0
            failures = 0 if arrived > before else failures + 1
            if failures >= attempts:
                raise DownloadError(
                    f"{url}: the connection broke after {arrived} bytes: {error}",
                    hint="run the same command again; it goes on where it stopped",
                ) from error
            time.sleep(wait_s * 2 ** max(0, failures - 1))


def _fetch_rest(url: str, part: Path, progress: Progress | None) -> None:
    """Ask for what is missing; start anew where the server's file changed or it cannot resume."""
    facts_path = part.with_suffix(".json")
    facts: dict[str, Any] = json.loads(facts_path.read_text()) if facts_path.is_file() else {}
    have = part.stat().st_size if part.is_file() and facts else 0
    headers = {"User-Agent": "searchkit", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if facts.get("tag"):
            headers["If-Range"] = facts["tag"]
    try:
        # The scheme is checked here: urllib would open local files as well.
        if not url.startswith(("http://", "https://")):
            raise ValueError("only http and https addresses can be downloaded")
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have == facts.get("total"):
            return
        if error.code == 416:
            part.unlink()
            raise ConnectionResetError("the file on the server is shorter than what is here") from error
        if error.code >= 500:
            raise urllib.error.URLError(str(error)) from error
        raise
    with response:
        resumed = response.status == 206
        length = int(response.headers.get("Content-Length") or 0)
        done = have if resumed else 0
        total = done + length if length else 0
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink()
            raise ConnectionResetError("the server sent another part than was asked for")
        free = shutil.disk_usage(part.parent).free
        if length > free:
            raise DiskFull(
                f"{length} bytes are to come, {part.parent} has room for {free}",
                hint="free some space, then run the same command again",
            )
        if not resumed:
            write_text(facts_path, json.dumps({"tag": tag, "total": total}))
        with part.open("ab" if resumed else "wb") as file:
            while block := response.read1(_BLOCK_BYTES):
                file.write(block)
                # What has arrived outlives a kill, however little it was.
                file.flush()
                done += len(block)
                if progress is not None:
                    progress(done, total)
    if total and done < total:
        raise ConnectionResetError(f"{done} of {total} bytes arrived")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
