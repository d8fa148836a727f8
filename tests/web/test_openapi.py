"""Requests made from the API's own description: none may end in an error of the server's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from searchkit.library import Library, open_library
from searchkit.web import create_app
from tests.media_files import write_picture, write_sound, write_text
from tests.web.conftest import BASE

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    folder = tmp_path_factory.mktemp("described")
    write_picture(folder / "media" / "a.png", 1)
    write_sound(folder / "media" / "c.wav", 3)
    write_text(folder / "media" / "d.txt", "A dog runs through the snow.")
    with open_library(folder / "library") as library:
        library.index(folder / "media")
        app = create_app(library)
        yield schemathesis.openapi.from_asgi("/openapi.json", app, headers={"host": "127.0.0.1"})
        app.state.served.close()


def test_no_request_that_the_description_allows_breaks_the_server(described: schemathesis.BaseSchema) -> None:
    tried = 0
    for found in described.exclude(path="/v1/runs", method="POST").get_all_operations():
        operation = found.ok()

        @hypothesis.settings(
            max_examples=12,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def check(case: schemathesis.Case) -> None:
            nonlocal tried
            tried += 1
            # Its own ten seconds would fail a good answer where other tests keep the machine busy.
            case.call_and_validate(headers={"host": "127.0.0.1"}, checks=CHECKS, timeout=300)

        check()
    assert tried > 200


def test_every_route_is_described_with_its_errors(small: tuple[Path, Library]) -> None:
    described = create_app(small[1]).openapi()
    paths = described["paths"]
    assert {"/v1/search", "/v1/embeddings", "/v1/assets/{asset_id}/media", "/metrics", "/readyz"} <= set(
        paths
    )
    for operations in paths.values():
        for operation in operations.values():
            assert operation["summary"]
            assert operation["description"] or operation["summary"]
            assert "application/problem+json" in operation["responses"]["401"]["content"]
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    body = paths["/v1/search"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}
    assert body["application/json"]["examples"]
    assert BASE.startswith("http://127.0.0.1")


def test_every_body_of_json_is_shown_by_example(small: tuple[Path, Library]) -> None:
    described = create_app(small[1]).openapi()
    schemas = described["components"]["schemas"]

    def shown(media: dict[str, Any]) -> bool:
        schema = media.get("schema", {})
        schema = schema.get("items", schema)
        schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        return any(key in where for where in (media, schema) for key in ("example", "examples"))

    for path, operations in described["paths"].items():
        for operation in operations.values():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for body in bodies:
                for kind, media in body.get("content", {}).items():
                    assert "json" not in kind or shown(media) or media == {}, (path, kind)


def test_the_documentation_names_every_resource(small: tuple[Path, Library], repository: Path) -> None:
    told = (repository / "docs" / "web.md").read_text(encoding="utf-8")
    for path in create_app(small[1]).openapi()["paths"]:
        resource = "/".join(path.split("/")[:3]).removesuffix("/session")
        assert resource in told, path
