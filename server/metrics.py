"""`GET /metrics`: what the gateway counts, in Prometheus' text format.

A registry of its own for each gateway, and only label values from closed sets: no client can
make the number of series grow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response

OTHER = "other"

_CLIENT_FRAMES = ("auth", "resume", "ping", "notification", "activity")
_SERVER_FRAMES = ("notification", "pong", "ack", "nack", "reset", "auth-ok")
_CLOSE_CODES = (1000, 1001, 1005, 1006, 1007, 1009, 1011, 1012, 1013, 4400, 4401, 4403, 4413)

#: Seconds. An append takes some 16 µs, and a fan-out to a thousand clients some milliseconds.
_BUCKETS = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5, 1)


class Metrics:
    """The gateway's counters. What has one label is a `Family`: `family["value"].inc()`."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.connections = Family(
            "gateway_connections",
            "Connections accepted",
            "kind",
            ("websocket", "event-stream", "dataset-stream", "document"),
            registry,
        )
        self.closes = Family(
            "gateway_websocket_closes",
            "WebSockets closed, by the code that closed them",
            "code",
            [str(code) for code in _CLOSE_CODES],
            registry,
        )
        self.frames_received = Family(
            "gateway_frames_received", "Frames from clients", "type", _CLIENT_FRAMES, registry
        )
        self.frames_sent = Family(
            "gateway_frames_sent", "Frames to clients", "type", _SERVER_FRAMES, registry
        )
        self.published = Family(
            "gateway_events_published",
            "Events put into the log and handed to every client",
            "type",
            ("notification", "activity"),
            registry,
        )
        self.replayed = Family(
            "gateway_events_replayed",
            "Events sent again to clients that resumed",
            "type",
            ("notification", "activity"),
            registry,
        )
        self.resets = Family(
            "gateway_resets",
            "Clients that were told to load their state anew",
            "reason",
            ("expired", "unknown-id"),
            registry,
        )
        self.logins = Family(
            "gateway_logins",
            "Attempts to log in",
            "outcome",
            ("success", "failure", "limited", "busy"),
            registry,
        )
        self.refreshes = Family(
            "gateway_refreshes",
            "Refresh tokens that came",
            "outcome",
            ("success", "refused", "reused"),
            registry,
        )
        self.duplicates = Counter(
            "gateway_duplicate_frames",
            "Frames acknowledged without being applied again",
            registry=registry,
        )
        self.slow_clients = Family(
            "gateway_slow_clients",
            "Clients let go because too much waited for them",
            "kind",
            ("websocket", "event-stream", "document"),
            registry,
        )
        self.rate_limited = Family(
            "gateway_rate_limited",
            "Requests refused and frames held back for their rate",
            "kind",
            ("post", "frame"),
            registry,
        )
        self.document_updates = Counter(
            "gateway_document_updates",
            "Updates of documents that were stored; those that came together are one",
            registry=registry,
        )
        self.document_bytes = Counter(
            "gateway_document_bytes", "Bytes of these updates", registry=registry
        )
        self.document_squashes = Counter(
            "gateway_document_squashes",
            "Documents whose updates were replaced by one",
            registry=registry,
        )
        self.publish_seconds = Histogram(
            "gateway_publish_seconds",
            "From a payload to its place in every client's queue",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.append_seconds = Histogram(
            "gateway_log_append_seconds",
            "The event log's part of it",
            buckets=_BUCKETS,
            registry=registry,
        )

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that is read when somebody asks."""
        Gauge(name, text, registry=self._registry).set_function(read)

    async def endpoint(self, _: Request) -> Response:
        """`GET /metrics`."""
        return Response(
            generate_latest(self._registry),
            media_type=None,
            headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, "Cache-Control": "no-store"},
        )


class Family:
    """Counters that differ in one label; values beyond the known ones count as `other`."""

    def __init__(
        self, name: str, text: str, label: str, values: Collection[str], registry: CollectorRegistry
    ) -> None:
        family = Counter(name, text, [label], registry=registry)
        self._other = family.labels(OTHER)
        self._known = {value: family.labels(value) for value in values}

    def __getitem__(self, value: str) -> Counter:
        return self._known.get(value, self._other)
