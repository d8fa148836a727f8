"""A library behind ``searchkit serve``, with the verbs of ``Library``; it knows HTTP and opens no catalog."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from searchkit import errors
from searchkit.errors import DependencyMissing, QueryError, SearchkitError, ServerError, UsageError
from searchkit.types import Modality, Result, Results, Span

if TYPE_CHECKING:
    from searchkit.query import Filter, Query
    from searchkit.types import FloatArray

__all__ = ["Client"]

_PAGE = 200
_TIMEOUT_S = 120.0


class Client:
    """Searches a library over HTTP; files that a query names are sent along.

    ::

        with sk.Client("http://127.0.0.1:8765") as library:
            for result in library.search(sk.audio("bark.wav") + 0.5 * sk.text("in the snow"), to="image"):
                print(result.match, result.path)

    Args:
        url: the server's address.
        token: what the server asks for on any address but loopback.
        timeout_s: how long an answer may take.

    Raises:
        DependencyMissing: httpx2 is not installed.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8765", *, token: str | None = None, timeout_s: float = _TIMEOUT_S
    ) -> None:
        try:
            import httpx2
        except ModuleNotFoundError as error:
            raise DependencyMissing("httpx2", "client") from error
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
    ) -> Results:
        """As ``Library.search``; files of the query that are not here are looked for in the library.

        Raises:
            QueryError: the query does not parse, is empty, or names a file that is nowhere.
            DecodeError: the server cannot read a file that was sent.
            ServerError: the server does not answer, or asks for a token.
        """
        if k < 1:
            raise QueryError(f"k must be at least 1, got {k}", hint="-k 10")
        names = [to] if isinstance(to, str) else to
        asked: dict[str, Any] = {
            "to": None
            if names is None
            else [part.strip() for name in names for part in str(name).split(",")],
            "where": None if where is None else str(where),
            "k": min(k, _PAGE),
            "spans": spans,
            "diverse": diverse,
        }
        answer = self._first_page(query, asked)
        found = [_result(row) for row in answer["results"]]
        while len(found) < k and answer["next_cursor"]:
            answer = self._send("POST", "/v1/search", json={"cursor": answer["next_cursor"]})
            found += [_result(row) for row in answer["results"]]
        return Results(str(query), answer["space"], tuple(found[:k]))

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Embed words: (N, dim) unit rows.

        Raises:
            QueryError: a text is empty.
        """
        import numpy as np

        if not texts:
            raise UsageError("there is nothing to embed")
        body = {"input": list(texts), "encoding_format": "base64"}
        rows = self._send("POST", "/v1/embeddings", json=body)["data"]
        stacked: FloatArray = np.stack(
            [
                np.frombuffer(base64.b64decode(row["embedding"]), dtype="<f4").astype(np.float32)
                for row in rows
            ]
        )
        return stacked

    def status(self) -> dict[str, Any]:
        """What the library holds; as ``LibraryStatus.to_dict``."""
        return dict(self._send("GET", "/v1/status"))

    def errors(self) -> list[dict[str, Any]]:
        """Files that could not be read, and why."""
        return list(self._pages("/v1/errors", "errors"))

    def tag(self, *paths: str | Path, add: Sequence[str] = (), remove: Sequence[str] = ()) -> int:
        """Put tags on files and folders of the library, and take others off; returns how many files.

        Raises:
            UsageError: a tag is empty, there are no paths, or the library holds nothing at a path.
        """
        body = {"paths": [str(path) for path in paths], "add": list(add), "remove": list(remove)}
        return int(self._send("POST", "/v1/tags", json=body)["changed"])

    def tags(self) -> dict[str, int]:
        """How many files carry each tag."""
        return dict(self._send("GET", "/v1/tags")["tags"])

    def index(self, *paths: str | Path, retry_failed: bool = False) -> None:
        """Begin a run on the server over everything that was indexed before, or parts of it; see ``runs``.

        Raises:
            UsageError: a path does not lie in an indexed folder.
            LibraryLocked: a run goes on.
        """
        body = {"paths": [str(path) for path in paths], "retry_failed": retry_failed}
        self._send("POST", "/v1/runs", json=body)

    def runs(self, limit: int = 20) -> list[dict[str, Any]]:
        """The latest index runs, newest first; of one that goes on, how far it is."""
        return list(self._send("GET", "/v1/runs", params={"limit": limit}))

    def explain(self, query: Query | str, asset_id: int) -> dict[str, Any]:
        """Why a file ranks where it does; as ``Explanation.to_dict``."""
        return dict(self._send("POST", "/v1/explain", json={"query": str(query), "asset_id": asset_id}))

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
        from searchkit.query import Query, Term, parse
        from searchkit.query.algebra import Segment, Text

        value = parse(query) if isinstance(query, str) else query
        files: dict[str, Path] = {}
        terms = []
        for term in value.terms:
            operand = term.operand
            if not isinstance(operand, Text | Segment) and (path := Path(operand.path)).is_file():
                # Two files may have one name in two folders.
                name = f"{len(files)}-{path.name}"
                files[name] = path
                operand = replace(operand, path=name)
            terms.append(Term(term.weight, operand))
        asked = {**asked, "query": str(Query(terms))}
        if not files:
            return dict(self._send("POST", "/v1/search", json=asked))
        with ExitStack() as stack:
            sent = [("file", (name, stack.enter_context(path.open("rb")))) for name, path in files.items()]
            form = {"request": json.dumps(asked)}
            return dict(self._send("POST", "/v1/search", data=form, files=sent))

    def _pages(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        params: dict[str, Any] = {"limit": _PAGE}
        while True:
            page = self._send("GET", path, params=params)
            yield from page[name]
            if page["next_cursor"] is None:
                return
            params["cursor"] = page["next_cursor"]

    def _send(self, method: str, path: str, *, raw: bool = False, **content: Any) -> Any:
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
        raise _error(response.status_code, said)


def _error(status: int, said: Mapping[str, Any]) -> SearchkitError:
    """The exception that the server raised, where it can be made from words alone."""
    message, hint = str(said.get("detail", f"the server answered {status}")), str(said.get("hint", ""))
    kind = getattr(errors, str(said.get("code", "")), None)
    if isinstance(kind, type) and issubclass(kind, SearchkitError):
        if kind is errors.DecodeError:
            path, _, reason = message.partition(": ")
            return errors.DecodeError(path, reason, hint=hint)
        if kind is errors.QuerySyntaxError:
            return QueryError(message, hint=hint)
        if kind not in (DependencyMissing, errors.Unavailable):
            return kind(message, hint=hint)
    return ServerError(message, hint=hint, status=status)


def _result(row: Mapping[str, Any]) -> Result:
    span = None
    if row["start_s"] is not None and row["end_s"] is not None:
        span = Span(row["start_s"], row["end_s"])
    return Result(
        rank=row["rank"],
        path=Path(row["path"]),
        modality=Modality(row["modality"]),
        score=row["score"] or 0.0,
        span=span,
        asset_id=row["asset_id"],
        segment_id=row["segment_id"],
        text=row["text"],
        match=row.get("match"),
        z=row.get("z"),
        copies=tuple(Path(copy) for copy in row.get("copies", ())),
    )
