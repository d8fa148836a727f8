"""A Qdrant server for tests, on loopback: REST requests checked field by field, answered by local mode.

What a request may hold is taken from qdrant-client's models, which its makers generate from the server's
OpenAPI description and which refuse unknown fields. How a real server ranks, stores and fails is not here.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from pydantic import TypeAdapter, ValidationError
from qdrant_client import QdrantClient, models


class QdrantServer:
    """Serves until ``close``.

    Attributes:
        requests: method and path of each request.
        bodies: the last body, parsed, for each kind of request.
        searches: all queries, parsed.
        failures: what to answer next instead: (status, headers) each.
    """

    def __init__(self) -> None:
        self.client = QdrantClient(":memory:")
        self.created: dict[str, models.CreateCollection] = {}
        self.requests: list[str] = []
        self.bodies: dict[str, object] = {}
        self.searches: list[models.QueryRequest] = []
        self.headers: dict[str, str] = {}
        self.failures: list[tuple[int, dict[str, str]]] = []
        self.mutex = threading.Lock()
        handler = type("Handler", (_Handler,), {"qdrant": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self.client.close()

    def answer(self, method: str, path: list[str], body: bytes) -> object:
        client = self.client
        match (method, path):
            case ("PUT", ["collections", name]):
                wanted = self._checked(models.CreateCollection, body)
                self.created[name] = wanted
                return client.create_collection(name, vectors_config=wanted.vectors)
            case ("DELETE", ["collections", name]):
                return client.delete_collection(name)
            case ("GET", ["collections", name, "exists"]):
                return {"exists": client.collection_exists(name)}
            case ("GET", ["collections", name]):
                return client.get_collection(name)
            case ("PUT", ["collections", name, "points"]):
                points = self._checked(models.PointsBatch, body).batch
                # as a server does that was told to store float16
                rows = np.array(points.vectors, dtype=np.float16).astype(float)
                return client.upsert(name, models.Batch(ids=points.ids, vectors=rows.tolist()))
            case ("POST", ["collections", name, "points", "delete"]):
                return client.delete(name, self._checked(models.PointIdsList, body))
            case ("POST", ["collections", name, "points"]):
                wanted = self._checked(models.PointRequest, body)
                return client.retrieve(name, wanted.ids, wanted.with_payload, wanted.with_vector)
            case ("POST", ["collections", name, "points", "scroll"]):
                wanted = self._checked(models.ScrollRequest, body)
                points, offset = client.scroll(
                    name, limit=wanted.limit, offset=wanted.offset, with_vectors=wanted.with_vector
                )
                return {"points": points, "next_page_offset": offset}
            case ("POST", ["collections", name, "points", "count"]):
                wanted = self._checked(models.CountRequest, body)
                return client.count(name, count_filter=wanted.filter, exact=bool(wanted.exact))
            case ("POST", ["collections", name, "points", "query", "batch"]):
                wanted = self._checked(models.QueryRequestBatch, body).searches
                assert all(each.params is not None for each in wanted)
                self.searches += wanted
                # local mode has no index that they could tune
                return client.query_batch_points(
                    name, [each.model_copy(update={"params": None}) for each in wanted]
                )
            case ("PUT", ["collections", name, "index"]):
                self._checked(models.CreateFieldIndex, body)
                return {"operation_id": 0, "status": "completed"}
            case ("POST", ["collections", name, "points", "batch"]):
                operations = self._checked(models.UpdateOperations, body).operations
                return client.batch_update_points(name, operations)
            case ("GET", ["aliases"]):
                return client.get_aliases()
            case ("POST", ["collections", "aliases"]):
                actions = self._checked(models.ChangeAliasesOperation, body).actions
                return client.update_collection_aliases(actions)
        raise ValueError(f"Not found: {method} {'/'.join(path)}")

    def _checked(self, model, body: bytes):
        parsed = TypeAdapter(model).validate_json(body, strict=False)
        self.bodies[model.__name__] = parsed
        return parsed


class _Handler(BaseHTTPRequestHandler):
    qdrant: QdrantServer
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = self.qdrant
        server.requests.append(f"{self.command} {self.path}")
        server.headers = dict(self.headers.items())
        if server.failures:
            status, headers = server.failures.pop(0)
            self._send(status, {"status": {"error": "busy"}}, headers)
            return
        path = self.path.partition("?")[0].strip("/").split("/")
        try:
            with server.mutex:
                result = server.answer(self.command, path, body)
        except ValidationError as error:
            self._send(422, {"status": {"error": str(error)}})
        except ValueError as error:
            self._send(404, {"status": {"error": str(error)}})
        else:
            self._send(200, {"result": json.loads(_ANY.dump_json(result)), "status": "ok", "time": 0.0})

    def _send(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        encoded = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    do_GET = do_PUT = do_POST = do_DELETE = _serve

    def log_message(self, *arguments: object) -> None:
        pass


_ANY: TypeAdapter[object] = TypeAdapter(object)
