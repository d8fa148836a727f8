"""Keeps a library in line with folders while it is told to: what the system reports as changed is indexed.

It sorts out which folders to look at again; looking, embedding and recording are those of any other run.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from searchkit.catalog import assets
from searchkit.catalog.types import lies_below
from searchkit.errors import DependencyMissing, LibraryError, LibraryLocked, SearchkitError, UsageError
from searchkit.indexer.decode import Decoder
from searchkit.indexer.planner import Scope
from searchkit.indexer.progress import NO_PROGRESS, Progress
from searchkit.indexer.report import FileFailure, IndexReport
from searchkit.indexer.rules import IGNORE_FILE, is_of_library
from searchkit.indexer.run import index_scopes, make_scopes, open_decoder
from searchkit.indexer.scan import outermost
from searchkit.indexer.source import is_url, require
from searchkit.library import Library
from searchkit.types import strings

__all__ = ["changed_scopes", "watch"]

_MANY = 500
_RETRY_S = 2.0
_UNHEARD_S = 60.0
_LISTEN_S = 0.5
_NOTHING = ("same", "skipped", "failed")


def watch(
    library: Library,
    paths: Sequence[str | Path],
    *,
    on_report: Callable[[IndexReport], None],
    stop: threading.Event,
    progress: Progress = NO_PROGRESS,
    exclude: str | Sequence[str] = (),
    quiet_s: float = 0.4,
    debounce_s: float = 4.0,
    rescan_s: float = 3600.0,
    on_ready: Callable[[], None] = lambda: None,
    on_trouble: Callable[[SearchkitError], None] = lambda trouble: None,
) -> None:
    """Index folders, then index what changes in them, until ``stop`` is set.

    Changes are gathered until nothing else has changed for a moment, so that files that come together are
    embedded together, and a move is seen whole. One set of decoders serves all runs.

    Systems do not report every change (network drives, a queue that overflows). Therefore everything is
    looked at again now and then, when a report could not be read, and every minute where nothing is reported
    at all. A folder that is not there or empty, as while its disk is not mounted, keeps what was indexed of
    it, and is watched again once there is something in it.

    Args:
        library: where to.
        paths: files and folders; empty means everything that was indexed before.
        on_report: hears what came of the first run, and of each later one that found something to do.
        stop: ends it, after the batch in hand.
        progress: hears how far each run is.
        exclude: patterns of files to pass over.
        quiet_s: how long nothing else may change before what has changed is looked at.
        debounce_s: how long changes are gathered at most.
        rescan_s: after how long everything is looked at again.
        on_ready: called when changes are being listened for.
        on_trouble: hears what keeps it from looking; it goes on trying.

    Raises:
        DependencyMissing: the extra ``watch`` is not installed.
        UsageError: a path does not exist, or nothing is to be watched.
        LibraryLocked: another process is writing to the library when it begins.
    """
    try:
        import watchfiles  # noqa: F401
    except ModuleNotFoundError as error:
        raise DependencyMissing("watchfiles", "watch") from error
    given = [os.path.abspath(Path(path).expanduser()) for path in paths]  # noqa: PTH100
    require(*given)
    with library.catalog.read() as connection:
        known = [path for path, _ in assets.roots(connection)]
    folders = outermost(given or [path for path in known if not is_url(path)])
    if not folders:
        raise UsageError("there is nothing to watch", hint="searchkit watch FOLDER")
    with open_decoder(library) as decoder:
        watching = _Watching(
            library, folders, strings(exclude), decoder, progress, stop, on_report, on_trouble
        )
        while not stop.is_set():
            watching.listen(on_ready, quiet_s=quiet_s, debounce_s=debounce_s, rescan_s=rescan_s)


@dataclass(slots=True)
class _Watching:
    library: Library
    folders: Sequence[str]
    exclude: Sequence[str]
    decoder: Decoder
    progress: Progress
    stop: threading.Event
    on_report: Callable[[IndexReport], None]
    on_trouble: Callable[[SearchkitError], None]
    begun: bool = False
    told: set[str] = field(default_factory=set)
    failed: set[FileFailure] = field(default_factory=set)

    def listen(
        self, on_ready: Callable[[], None], *, quiet_s: float, debounce_s: float, rescan_s: float
    ) -> None:
        """Look at everything, then at what changes, until everything has to be looked at again."""
        present = self._present()
        if not present:
            self.stop.wait(_RETRY_S)
            return
        heard = True
        with contextlib.closing(_changes(present, self.stop, quiet_s, debounce_s)) as changes:
            try:
                # Before everything is looked at, so that what changes meanwhile is not missed.
                next(changes, None)
            except LibraryError as trouble:
                self._tell(trouble)
                heard = False
            if not self.begun:
                on_ready()
            try:
                scopes = make_scopes(self.library, present, self.exclude)
                self._look(scopes)
                if heard and present == self.folders:
                    self.told.clear()
                self.begun = True
                self._follow(changes, scopes, present, time.monotonic() + rescan_s)
            except (LibraryError, UsageError) as trouble:
                if not self.begun:
                    raise
                self._tell(trouble)
                self.stop.wait(_RETRY_S)
        if not heard:
            self.stop.wait(_UNHEARD_S)

    def _follow(
        self, changes: Iterable[set[str]], scopes: Sequence[Scope], present: Sequence[str], ends: float
    ) -> None:
        waiting: set[str] = set()
        checks = time.monotonic() + _RETRY_S
        for changed in changes:
            waiting.update(changed)
            chosen = changed_scopes(waiting, scopes, str(self.library.folder))
            if any(scope.path in present and not _is_there(scope.path) for scope in chosen):
                return
            try:
                if chosen and not self.stop.is_set():
                    self._look(chosen)
                waiting.clear()
            except LibraryLocked:
                self.stop.wait(_RETRY_S)  # somebody else is indexing; what changed is looked at afterwards
                continue
            now = time.monotonic()
            if now > ends:
                return
            if now > checks:
                checks = now + _RETRY_S
                if self._present() != present:
                    return

    def _look(self, scopes: Sequence[Scope]) -> None:
        report = index_scopes(
            self.library,
            scopes,
            progress=self.progress,
            exclude=self.exclude,
            stop=self.stop,
            decoder=self.decoder,
        )
        failed = set(report.errors) - self.failed
        self.failed |= failed
        done = any(count for name, count in report.counts().items() if name not in _NOTHING)
        if not self.begun or done or failed:
            self.on_report(report)

    def _present(self) -> list[str]:
        """The folders that have something in them, and the files that are there."""
        present = [folder for folder in self.folders if _is_there(folder)]
        away = [folder for folder in self.folders if folder not in present]
        if away:
            self._tell(
                LibraryError(
                    f"{', '.join(away)}: not there, or empty; what was indexed of it stays",
                    hint="it is watched again once there is something in it",
                )
            )
        return present

    def _tell(self, trouble: SearchkitError) -> None:
        if str(trouble) not in self.told:
            self.told.add(str(trouble))
            self.on_trouble(trouble)


def _is_there(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in entries)  # a disk that is not mounted leaves an empty folder behind
    except NotADirectoryError:
        return True
    except OSError:
        return False


def _changes(
    folders: Sequence[str], stop: threading.Event, quiet_s: float, debounce_s: float
) -> Generator[set[str], None, None]:
    """What has changed, an empty set when nothing has for a while; ends when reports may have been missed.

    Raises:
        LibraryError: the system does not report changes.
    """
    from watchfiles._rust_notify import WatchfilesRustInternalError

    try:
        try:
            yield from _listen(folders, stop, quiet_s, debounce_s)
        except PermissionError:
            # Not from the start: it hides that a limit is reached, too.
            yield from _listen(folders, stop, quiet_s, debounce_s, pass_closed=True)
    except WatchfilesRustInternalError:
        stop.wait(_LISTEN_S)  # a name that is not UTF-8 ends it, whatever else was reported
    except FileNotFoundError:
        stop.wait(_LISTEN_S)  # it went just now
    except OSError as error:
        raise LibraryError(
            f"the system does not report changes ({str(error).partition(' about ')[0].rstrip('.')}): "
            "everything is looked at each minute",
            hint="where Linux says that a limit is reached: sysctl fs.inotify.max_user_watches=1048576",
        ) from error


def _listen(
    folders: Sequence[str],
    stop: threading.Event,
    quiet_s: float,
    debounce_s: float,
    *,
    pass_closed: bool = False,
) -> Iterator[set[str]]:
    import watchfiles

    for changed in watchfiles.watch(
        *folders,
        watch_filter=None,
        debounce=int(debounce_s * 1000),
        step=int(quiet_s * 1000),
        stop_event=stop,
        yield_on_timeout=True,
        rust_timeout=int(_LISTEN_S * 1000),
        raise_interrupt=False,
        ignore_permission_denied=pass_closed,
    ):
        yield {path for _, path in changed}


def changed_scopes(paths: Iterable[str], watched: Sequence[Scope], library: str) -> list[Scope]:
    """What to look at again after some paths have changed.

    Args:
        paths: what was reported as changed; it may be gone by now.
        watched: all that is being watched.
        library: the library's own folder; what changes in its own files does not count.
    """
    chosen: list[str] = []
    for path in paths:
        inside = path.removeprefix(library + "/")
        if path == library or (inside != path and is_of_library(inside.split("/", 1)[0])):
            continue
        # Rules that have changed concern the whole folder that they lie in.
        chosen.append(os.path.dirname(path) if os.path.basename(path) == IGNORE_FILE else path)  # noqa: PTH119, PTH120
    if len(chosen) > _MANY:
        chosen = [os.path.dirname(path) for path in chosen]  # noqa: PTH120
    if len(set(chosen)) > _MANY:
        chosen = [scope.path for scope in watched]
    scopes = []
    for path in outermost(chosen):
        within = next((s for s in watched if lies_below(path, s.path)), None)
        if within is not None:
            # A watched folder that is empty all at once may have been unmounted: it is not taken for deleted.
            scopes.append(Scope(path, within.root, may_be_gone=path != within.path))
    return scopes
