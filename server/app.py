"""The application: what each URL leads to."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, Router, WebSocketRoute

from server import event_stream, websocket
from server.api import Api
from server.event_log import EventLogError, SQLiteEventLog
from server.event_stream import EventStreamEndpoint
from server.hosts import HostCheck
from server.hub import Feed
from server.rate_limit import RateLimiter
from server.settings import Settings
from server.site import Site
from server.validation import ValidationError
from server.websocket import WebSocketEndpoint

logger = logging.getLogger(__name__)


def create_app(settings: Settings) -> Starlette:
    """Build the gateway; raises `EventLogError` if its log cannot be opened."""
    log = SQLiteEventLog(settings.data_dir / "events.db", horizon=settings.replay_horizon)
    queue_limit = settings.client_queue
    notifications = Feed("notification", log, websocket.encode_event, queue_limit=queue_limit)
    activities = Feed("activity", log, event_stream.encode_event, queue_limit=queue_limit)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await notifications.open()
        await activities.open()
        try:
            yield
        finally:
            log.close()

    api = Api(
        notifications,
        activities,
        rate_limiter=RateLimiter(settings.rate_limit, settings.rate_burst),
        body_limit=settings.body_limit,
        allowed_origins=settings.allowed_origins,
    )
    sockets = WebSocketEndpoint(notifications, allowed_origins=settings.allowed_origins)
    streams = EventStreamEndpoint(activities, comment_interval=settings.sse_comment_interval)
    # A router of its own, so that what it does not know is not looked for among the files.
    api_routes = Router(
        [
            Route("/events", streams, methods=["GET"]),
            Route("/notifications", api.notifications, methods=["POST"]),
            Route("/activities", api.activities, methods=["GET", "POST"]),
        ],
        redirect_slashes=False,
    )
    cross_origin = Middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_credentials=True,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Last-Event-ID"],
        expose_headers=["Last-Event-ID", "Retry-After"],
    )
    # The name it was told to listen on is its own.
    hosts = Middleware(HostCheck, allowed={settings.host.lower(), *settings.allowed_hosts})
    return Starlette(
        routes=[
            Route("/healthz", api.health, methods=["GET"]),
            WebSocketRoute("/ws", sockets.connect),
            Mount("/api", app=api_routes),
            Mount("/", app=Site(directory=settings.site_dir)),
        ],
        middleware=[hosts, cross_origin] if settings.allowed_origins else [hosts],
        exception_handlers={
            HTTPException: _http_error,
            ValidationError: _validation_error,
            EventLogError: _log_error,
            ClientDisconnect: _client_disconnect,
        },
        lifespan=lifespan,
    )


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if request.url.path.startswith("/api/"):
        body = {"error": {"message": error.detail}}
        return JSONResponse(body, error.status_code, headers=error.headers)
    return PlainTextResponse(error.detail, error.status_code, headers=error.headers)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    body = {
        "message": str(error),
        "field": error.field,
        "expected": error.expected,
        "got": error.got,
    }
    return JSONResponse({"error": body}, 422)


async def _log_error(_: Request, error: Exception) -> Response:
    logger.error("The event log failed: %s", error)
    return JSONResponse({"error": {"message": "The event log is out of order"}}, 503)


async def _client_disconnect(_: Request, _error: Exception) -> Response:
    # Nobody is left to read it.
    return Response(status_code=400)
