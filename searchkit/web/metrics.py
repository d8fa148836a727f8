"""Counters and histograms of a server in Prometheus' text format; one registry an application."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """What a server counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "searchkit_http_requests", "Requests.", ["method", "route", "status"], registry=self._registry
        )
        self.request_seconds = Histogram(
            "searchkit_http_request_seconds",
            "Time to the start of the answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.refused = Counter(
            "searchkit_http_refused", "Requests refused before a route.", ["reason"], registry=self._registry
        )
        self.search_seconds = Histogram(
            "searchkit_search_seconds", "Time of a search.", buckets=_SECONDS, registry=self._registry
        )
        self.batch_requests = Histogram(
            "searchkit_encode_batch_requests",
            "Requests encoded together.",
            buckets=_SIZES,
            registry=self._registry,
        )
        self.batch_samples = Histogram(
            "searchkit_encode_batch_samples",
            "Samples encoded together.",
            buckets=_SIZES,
            registry=self._registry,
        )
        self.uploads = Counter("searchkit_uploads", "Uploads taken.", registry=self._registry)
        self.segments = Gauge(
            "searchkit_segments", "Vectors that can be found.", ["collection"], registry=self._registry
        )
        self.assets = Gauge("searchkit_assets", "Files.", ["modality"], registry=self._registry)
        self.failed = Gauge("searchkit_failed_files", "Files that cannot be read.", registry=self._registry)

    def batch(self, requests: int, samples: int) -> None:
        """One call of the encoder."""
        self.batch_requests.observe(requests)
        self.batch_samples.observe(samples)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
