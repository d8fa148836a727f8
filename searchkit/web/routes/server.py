"""``/healthz``, ``/readyz`` and ``/metrics``: the server itself."""

from __future__ import annotations

from fastapi import APIRouter, Response

from searchkit.errors import Unavailable
from searchkit.web.metrics import CONTENT_TYPE
from searchkit.web.models import Health
from searchkit.web.served import ServedLibrary

__all__ = ["router"]

router = APIRouter(tags=["server"])


@router.get("/healthz")
def health() -> Health:
    """The server runs."""
    return Health(status="ok")


@router.get("/readyz")
def ready(served: ServedLibrary) -> Health:
    """The library can be read, and the encoder is loaded."""
    if not served.is_warm:
        raise Unavailable("the encoder is being loaded", status=503, hint="try again in a moment")
    served.space_id()
    return Health(status="ready")


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."}},
)
def metrics(served: ServedLibrary) -> Response:
    """Counters and histograms, for Prometheus."""
    held = served.library.status()
    for name, count in held.segments.items():
        served.metrics.segments.labels(name).set(count)
    for modality, count in held.assets.items():
        served.metrics.assets.labels(modality.value).set(count)
    served.metrics.failed.set(held.failed)
    return Response(served.metrics.text(), headers={"content-type": CONTENT_TYPE})
