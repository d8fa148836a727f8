"""Index runs that a server starts: another process does the work, so that searches keep being answered."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from searchkit.catalog import assets, runs
from searchkit.errors import LibraryLocked, UsageError
from searchkit.library import Library

__all__ = ["IndexRuns"]

_PATIENCE_S = 10.0
_INTERRUPTED = 130
_SAID_BYTES = 4000


class IndexRuns:
    """Starts and stops ``searchkit index`` for one library; one run at a time."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._process: subprocess.Popen[bytes] | None = None
        self._after = 0
        self._said: IO[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def is_running(self) -> bool:
        """Whether a run that was started here goes on."""
        return self._process is not None and self._process.poll() is None

    @property
    def complaint(self) -> str:
        """What the run that was started here said when it failed; empty when it did not."""
        process = self._process
        ended_well = (None, 0, -signal.SIGINT, _INTERRUPTED)
        if process is None or self._said is None or process.poll() in ended_well:
            return ""
        self._said.seek(0)
        return self._said.read(_SAID_BYTES).decode(errors="replace").strip()

    def start(self, paths: Sequence[str], *, retry_failed: bool = False) -> int:
        """Begin a run over folders that were indexed before, or parts of them; no path means all.

        Returns:
            The newest run before it.

        Raises:
            UsageError: a path does not lie in an indexed folder, or nothing was indexed yet.
            LibraryLocked: a run goes on.
        """
        with self._library.catalog.read() as connection:
            roots = [Path(path) for path, _ in assets.roots(connection)]
        if not roots:
            raise UsageError("nothing was indexed yet", hint="searchkit index FOLDER")
        for path in paths:
            # A query over HTTP must not make the server read folders that nobody indexed.
            chosen = Path(os.path.abspath(path))  # noqa: PTH100 - resolves "..", not links
            if not any(chosen == root or chosen.is_relative_to(root) for root in roots):
                raise UsageError(
                    f"{path} does not lie in an indexed folder",
                    hint=f"on the server: searchkit index '{path}'",
                )
        with self._lock:
            self.settle()
            if self.is_running:
                raise LibraryLocked("an index run goes on", hint="wait for it, or stop it")
            if self._said is not None:
                self._said.close()
            with self._library.catalog.read() as connection:
                latest = runs.recent_runs(connection, 1)
            self._after = latest[0].id if latest else 0
            self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
            self._process = subprocess.Popen(
                self._command(paths, retry_failed=retry_failed),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                start_new_session=True,
            )
            return self._after

    def settle(self) -> None:
        """Wait for the process of a run that is over: until it ends, it holds the library."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        with self._library.catalog.read() as connection:
            if not runs.has_ended(connection, process.pid, after=self._after):
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)

    def stop(self) -> bool:
        """Ask the run that was started here to end after the batch in hand; whether there was one."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return False
            self._process.send_signal(signal.SIGINT)
            return True

    def close(self) -> None:
        """End the run that was started here, if there is one; what it recorded stays."""
        if self.stop() and self._process is not None:
            try:
                self._process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._said is not None:
            self._said.close()
            self._said = None

    def _command(self, paths: Sequence[str], *, retry_failed: bool) -> list[str]:
        settings = self._library.settings
        command = [sys.executable, "-m", "searchkit", "index", "--json"]
        command += ["--library", str(self._library.folder), "--model", settings.model]
        if settings.model_dir is not None:
            command += ["--model-dir", str(settings.model_dir)]
        if retry_failed:
            command.append("--retry-failed")
        nice = ["nice", "-n", "10"] if os.name == "posix" and Path("/usr/bin/nice").exists() else []
        return [*nice, *command, "--", *paths]
