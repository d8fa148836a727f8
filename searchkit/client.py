"""A library behind ``searchkit serve``, with the verbs of ``Library``; it knows HTTP and opens no catalog."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from searchkit.answers import (
    duplicates_of,
    error_of,
    explanation_of,
    failure_of,
    index_report_of,
    result_of,
    run_of,
    saved_of,
    status_of,
    verify_report_of,
)
from searchkit.catalog.assets import FileError
from searchkit.catalog.runs import RunRow
from searchkit.catalog.saved import SavedRow
from searchkit.catalog.tables import RunState
from searchkit.duplicates import DuplicateGroup
from searchkit.errors import DecodeError, DependencyMissing, LibraryError, QueryError, ServerError, UsageError
from searchkit.query.calibrate import CUTOFF
from searchkit.query.explain import Explanation
from searchkit.searching import SearchOptions, check_query
from searchkit.status import LibraryStatus
from searchkit.types import AudioSample, ImageSample, Modality, Result, Results, Sample, TextSample, strings

if TYPE_CHECKING:
    from searchkit.indexer import IndexReport, Progress, VerifyReport
    from searchkit.query import Filter, Query
    from searchkit.types import FloatArray

__all__ = ["Client"]

_PAGE = 200
_TIMEOUT_S = 120.0
_POLL_S = 0.25
_EMBED_INPUTS = 256
_EMBED_CHARS = 16 << 20


class Client:
    """Searches a library over HTTP; files that a query names are sent along.

    ::

        with sk.Client("http://127.0.0.1:8765") as library:
            for result in library.search(sk.audio("bark.wav") + 0.5 * sk.text("in the snow"), to="image"):
                print(result.match, result.path)

    Its verbs take and give what those of ``Library`` do, and raise the same errors. A ``Client`` may be used
    from several threads.

    Args:
        url: the server's address.
        token: what the server asks for on any address but loopback.
        timeout_s: how long an answer may take.

    Raises:
        DependencyMissing: httpx2 is not installed.
        UsageError: the address is none of HTTP.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8765", *, token: str | None = None, timeout_s: float = _TIMEOUT_S
    ) -> None:
        try:
            import httpx2
        except ModuleNotFoundError as error:
            raise DependencyMissing("httpx2", "client") from error
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"{url!r} is no address of a server", hint="such as http://127.0.0.1:8765")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout_s)
        self._failures: tuple[type[Exception], ...] = (httpx2.HTTPError,)

    def search(
        self,
        query: Query | str,
        *,
        to: str | Modality | Sequence[str | Modality] | None = None,
        k: int = 10,
        where: Filter | str | None = None,
        spans: bool = False,
        diverse: bool = False,
        fusion: str = "calibrated",
        hybrid: bool = False,
        centred: bool | None = None,
        prompts: str | Sequence[str] = (),
        cutoff: float = CUTOFF,
    ) -> Results:
        """As ``Library.search``; files of the query that are not here are looked for in the library.

        Raises:
            QueryError: the query does not parse, is empty, or names a file that is nowhere.
            DecodeError: the server cannot read a file that was sent.
            ServerError: the server does not answer, or asks for a token.
        """
        check_query(query)
        SearchOptions(k=k, fusion=fusion, cutoff=cutoff)  # which refuses what is wrong, without asking
        asked: dict[str, Any] = {
            "to": _modalities(to),
            "where": None if where is None else str(where),
            "k": min(k, _PAGE),
            "spans": spans,
            "diverse": diverse,
            "fusion": fusion,
            "hybrid": hybrid,
            "centred": centred,
            "prompts": list(strings(prompts)),
            "cutoff": cutoff,
        }
        answer = self._first_page(query, asked)
        found = [result_of(row) for row in answer["results"]]
        while len(found) < k and answer["next_cursor"]:
            answer = self._send("POST", "/v1/search", json={"cursor": answer["next_cursor"]})
            found += [result_of(row) for row in answer["results"]]
        return Results(str(query), answer["space"], tuple(found[:k]), cutoff)

    def explain(
        self,
        query: Query | str,
        path: str | Path,
        *,
        to: str | Modality | Sequence[str | Modality] | None = None,
        where: Filter | str | None = None,
        hybrid: bool = False,
        centred: bool | None = None,
        prompts: str | Sequence[str] = (),
    ) -> Explanation:
        """As ``Library.explain``, for queries of words, ids and files of the library.

        Raises:
            UsageError: the library holds no such file.
            QueryError: the query does not parse, is empty, or names a file that the library does not hold.
        """
        check_query(query)
        body = {
            "query": str(query),
            "path": str(path),
            "to": _modalities(to),
            "where": None if where is None else str(where),
            "hybrid": hybrid,
            "centred": centred,
            "prompts": list(strings(prompts)),
        }
        return explanation_of(self._send("POST", "/v1/explain", json=body))

    def duplicates(
        self,
        *,
        to: str | Modality | Sequence[str | Modality] | None = None,
        threshold: float | None = None,
        where: Filter | str | None = None,
        near: bool = True,
    ) -> list[DuplicateGroup]:
        """As ``Library.duplicates``."""
        asked = {
            "to": _modalities(to),
            "threshold": threshold,
            "where": None if where is None else str(where),
            "near": near,
            "limit": 1000,
        }
        params = {name: value for name, value in asked.items() if value is not None}
        return [duplicates_of(group) for group in self._pages("/v1/duplicates", "groups", params)]

    def embed(self, samples: str | Sequence[Sample | str]) -> FloatArray:
        """As ``Library.embed``: (N, dim) unit rows.

        Raises:
            UsageError: there is nothing to embed.
        """
        import numpy as np

        if not samples:
            raise UsageError("there is nothing to embed")
        samples = [samples] if isinstance(samples, str) else samples
        rows: list[FloatArray] = []
        for inputs in _batches([_input(sample) for sample in samples]):
            answer = self._send("POST", "/v1/embeddings", json={"input": inputs, "encoding_format": "base64"})
            rows += [np.frombuffer(base64.b64decode(row["embedding"]), dtype="<f4") for row in answer["data"]]
        stacked: FloatArray = np.stack(rows).astype(np.float32)
        return stacked

    def save_query(
        self,
        name: str,
        query: Query | str,
        *,
        to: str | Modality | Sequence[str | Modality] | None = None,
        where: Filter | str | None = None,
        prompts: str | Sequence[str] = (),
    ) -> SavedRow:
        """As ``Library.save_query``; its files are files of the library.

        Raises:
            UsageError: the name is none.
            QueryError: the query or the modalities do not parse.
        """
        body = {
            "query": str(query),
            "to": _modalities(to),
            "where": None if where is None else str(where),
            "prompts": list(strings(prompts)),
        }
        return saved_of(self._send("PUT", f"/v1/queries/{_quoted(name)}", json=body))

    def saved_queries(self) -> dict[str, SavedRow]:
        """The saved queries, by name."""
        rows = self._send("GET", "/v1/queries")["queries"]
        return {row["name"]: saved_of(row) for row in rows}

    def delete_query(self, name: str) -> None:
        """Forget a saved query.

        Raises:
            UsageError: there is none of that name.
        """
        self._send("DELETE", f"/v1/queries/{_quoted(name)}", raw=True)

    def index(
        self,
        *paths: str | Path,
        progress: Progress | None = None,
        retry_failed: bool = False,
        stop: threading.Event | None = None,
    ) -> IndexReport:
        """Have the server bring the library in line with folders that were indexed before; waits for the end.

        Args:
            paths: folders, or parts of them, on the server; none for all.
            progress: hears how far it is.
            retry_failed: read files again that could not be read.
            stop: once it is set, the run ends after the batch in hand.

        Raises:
            UsageError: a path does not lie in an indexed folder.
            LibraryLocked: a run goes on.
            ServerError: the run failed.
        """
        body = {"paths": [str(path) for path in paths], "retry_failed": retry_failed}
        after = self._send("POST", "/v1/runs", json=body)["after"]
        if progress is not None:
            progress.stage("embed", None)
        done, is_stopping = 0, False
        while True:
            time.sleep(_POLL_S)
            said = self._send("GET", "/v1/runs", params={"limit": 1})["runs"]
            run = said[0] if said and said[0]["id"] > after else None
            if run is None or run["state"] == RunState.FAILED.value:
                complaint = self._send("GET", "/v1/status")["run_complaint"]
                reason = complaint or (run["error"] if run is not None else "")
                if reason:
                    raise ServerError(reason, hint="`searchkit runs` on the server")
            if run is not None and progress is not None and (run["done"] or 0) > done:
                progress.advance(run["done"] - done, stage="embed")
                done = run["done"]
            if run is not None and run["state"] != RunState.RUNNING.value:
                return index_report_of(run_of(run), self.errors(), self.status())
            if stop is not None and stop.is_set() and not is_stopping:
                is_stopping = self._send("POST", "/v1/runs/stop", json={})["stopped"]

    def remove(self, *paths: str | Path) -> int:
        """Take files and folders out of the library; returns how many. The files themselves stay.

        Raises:
            UsageError: the library holds nothing at a path.
            LibraryLocked: a run goes on.
        """
        return int(self._send("POST", "/v1/remove", json={"paths": [str(path) for path in paths]})["removed"])

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """As ``Library.verify``."""
        return verify_report_of(self._send("POST", "/v1/verify", json={"repair": repair}))

    def status(self) -> LibraryStatus:
        """What the library holds."""
        return status_of(self._send("GET", "/v1/status"))

    def errors(self) -> list[FileError]:
        """Files that could not be read, and why."""
        return [failure_of(row) for row in self._pages("/v1/errors", "errors")]

    def tag(self, *paths: str | Path, add: str | Sequence[str] = (), remove: str | Sequence[str] = ()) -> int:
        """Put tags on files and folders of the library, and take others off; returns how many files.

        Raises:
            UsageError: a tag is empty, there are no paths, or the library holds nothing at a path.
        """
        body = {
            "paths": [str(path) for path in paths],
            "add": list(strings(add)),
            "remove": list(strings(remove)),
        }
        return int(self._send("POST", "/v1/tags", json=body)["changed"])

    def tags(self) -> dict[str, int]:
        """How many files carry each tag."""
        return dict(self._send("GET", "/v1/tags")["tags"])

    def runs(self, limit: int = 20) -> list[RunRow]:
        """The latest index runs, newest first."""
        return [run_of(row) for row in self._send("GET", "/v1/runs", params={"limit": limit})["runs"]]

    def thumbnail(self, result: Result, size_px: int = 320) -> bytes:
        """A small picture of a result, as WebP."""
        content = self._send(
            "GET", f"/v1/segments/{result.segment_id}/thumbnail", params={"size": size_px}, raw=True
        )
        return bytes(content)

    def media(self, result: Result) -> bytes:
        """The bytes of a result's file."""
        return bytes(self._send("GET", f"/v1/assets/{result.asset_id}/media", raw=True))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _first_page(self, query: Query | str, asked: dict[str, Any]) -> dict[str, Any]:
        from searchkit.query import Query, Term
        from searchkit.query.algebra import Segment, Text

        value = self._parsed(query) if isinstance(query, str) else query
        files: dict[str, Path] = {}
        terms = []
        for term in value.terms if value is not None else ():
            operand = term.operand
            if not isinstance(operand, Text | Segment) and (path := Path(operand.path)).is_file():
                # Two files may have one name in two folders.
                name = f"{len(files)}-{path.name}"
                files[name] = path
                operand = replace(operand, path=name)
            terms.append(Term(term.weight, operand))
        if not files:
            return dict(self._send("POST", "/v1/search", json={**asked, "query": str(query)}))
        form = {"request": json.dumps({**asked, "query": str(Query(terms))})}
        with ExitStack() as stack:
            sent = [("file", (name, stack.enter_context(path.open("rb")))) for name, path in files.items()]
            try:
                return dict(self._send("POST", "/v1/search", data=form, files=sent))
            except DecodeError as error:
                raise DecodeError(
                    files.get(str(error.path), error.path), error.reason, hint=error.hint
                ) from None

    def _parsed(self, source: str) -> Query | None:
        """A query's value, to see which files it names; None where only the server can say what it means."""
        from searchkit.query import parse
        from searchkit.query.patterns import SAVED

        if not source.strip():
            return parse(source)  # which says that it is empty: the server would give its newest files
        if SAVED.fullmatch(source.strip()):
            return None
        rows = self.saved_queries() if "@" in source else {}
        saved = {name: parse(row.source) for name, row in rows.items()}
        try:
            return parse(source, saved=saved)
        except QueryError:
            return None

    def _pages(self, path: str, name: str, asked: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        params: dict[str, Any] = {"limit": _PAGE, **(asked or {})}
        while True:
            page = self._send("GET", path, params=params)
            yield from page[name]
            if page["next_cursor"] is None:
                return
            params["cursor"] = page["next_cursor"]

    def _send(self, method: str, path: str, *, raw: bool = False, **content: Any) -> Any:
        if self._http.is_closed:
            raise LibraryError("this client is closed", hint="make another: searchkit.Client(URL)")
        try:
            response = self._http.request(method, path, **content)
        except self._failures as error:
            raise ServerError(
                f"no answer from {self._http.base_url}: {error}", hint="is `searchkit serve` running there?"
            ) from error
        if response.is_success:
            return response.content if raw else response.json()
        try:
            said = response.json()
        except ValueError:
            said = {}
        raise error_of(response.status_code, said)


def _modalities(to: str | Modality | Sequence[str | Modality] | None) -> list[str] | None:
    if to is None:
        return None
    return [part.strip() for name in ([to] if isinstance(to, str) else to) for part in str(name).split(",")]


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name.removeprefix("@"), safe="")


def _input(sample: Sample | str) -> str | dict[str, Any]:
    """A sample as ``/v1/embeddings`` takes it; nothing is lost on the way."""
    if isinstance(sample, str):
        return {"type": "text", "text": sample}
    if isinstance(sample, TextSample):
        return {"type": "text", "text": sample.text}
    out = io.BytesIO()
    if isinstance(sample, ImageSample):
        from PIL import Image

        Image.fromarray(sample.pixels).save(out, "PNG", compress_level=1)
    elif not isinstance(sample, AudioSample):
        raise UsageError(
            f"a sample of {sample.modality} is not sent over HTTP", hint="embed it beside the model"
        )
    else:
        import soundfile

        soundfile.write(out, sample.waveform, sample.rate_hz, format="WAV", subtype="FLOAT")
    return f"data:;base64,{base64.b64encode(out.getvalue()).decode()}"


def _batches(inputs: Sequence[str | dict[str, Any]]) -> Iterator[list[str | dict[str, Any]]]:
    """So many at a time as a request may hold."""
    batch: list[str | dict[str, Any]] = []
    chars = 0
    for entry in inputs:
        size = len(entry) if isinstance(entry, str) else len(entry["text"])
        if batch and (len(batch) == _EMBED_INPUTS or chars + size > _EMBED_CHARS):
            yield batch
            batch, chars = [], 0
        batch.append(entry)
        chars += size
    if batch:
        yield batch
