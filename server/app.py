"""The application: what each URL leads to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, Router, WebSocketRoute

from server import documents, event_stream, frames, validation
from server.access_tokens import AccessTokens, load_secret
from server.account_store import AccountStore
from server.api import Api
from server.auth_database import AuthDatabase, AuthDatabaseError
from server.authenticator import Authenticator
from server.connections import Connections
from server.dataset_api import DatasetApi, DatasetStreamEndpoint
from server.datasets import Production
from server.document_api import DocumentApi
from server.document_room import Limits
from server.document_rooms import Rooms
from server.document_store import DocumentStoreError, SQLiteDocumentStore
from server.documents import DocumentEndpoint, Rate
from server.event_log import EventLogError, SQLiteEventLog
from server.event_stream import EventStreamEndpoint
from server.guard import Guard, is_api
from server.hosts import HostCheck
from server.hub import Feed
from server.login import Login, LoginAttempts
from server.metrics import Metrics
from server.passwords import PasswordPool
from server.posts import Posts
from server.rate_limit import RateLimiter
from server.replica import SpoiltError
from server.session_store import SessionStore
from server.settings import Settings
from server.site import Site
from server.validation import ValidationError
from server.websocket import Publisher, WebSocketEndpoint

logger = logging.getLogger(__name__)

#: Seconds between two looks at whether another process changed the accounts.
_WATCH_INTERVAL = 1


class Gateway:
    """Everything that a gateway consists of, put together from its settings.

    Raises `EventLogError`, `DocumentStoreError`, `AuthDatabaseError`, and for the file of the
    secret `OSError` and `ValueError`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = SQLiteEventLog(
            settings.data_dir / "events.db",
            horizon=settings.replay_horizon,
            applied_horizon=settings.applied_horizon,
        )
        # After the log, which makes sure that there is no other gateway here.
        self._database = AuthDatabase(settings.data_dir / "auth.db")
        store = SQLiteDocumentStore(settings.data_dir / "documents.db")
        self._accounts = AccountStore(self._database)
        self._accounts.ensure(settings.accounts)
        self._sessions = SessionStore(self._database, ttl=settings.refresh_token_ttl)
        secret = settings.auth_secret or load_secret(settings.data_dir / "auth.secret")
        self._tokens = AccessTokens(secret, ttl=settings.access_token_ttl)
        self._authenticator = Authenticator(
            self._tokens, self._sessions, required=settings.require_auth
        )
        self._passwords = PasswordPool()
        self._rate_limiter = RateLimiter(settings.rate_limit, settings.rate_burst)
        self.connections = Connections()
        self.metrics = metrics = Metrics()
        limit = settings.client_queue
        self._notifications = Feed(
            "notification", self._log, frames.encode_event, queue_limit=limit, metrics=metrics
        )
        self._activities = Feed(
            "activity", self._log, event_stream.encode_event, queue_limit=limit, metrics=metrics
        )
        self._production = Production(settings.dataset_rows, settings.dataset_rate)
        self._dataset_streams = DatasetStreamEndpoint(
            self._production,
            connections=self.connections,
            metrics=metrics,
            comment_interval=settings.sse_comment_interval,
        )
        self._rooms = Rooms(
            store,
            Limits(settings.document_size, settings.document_clients, settings.client_queue),
            metrics,
        )
        metrics.gauge(
            "gateway_documents",
            "Documents that clients have open",
            lambda: self._rooms.open_count,
        )
        metrics.gauge(
            "gateway_document_clients",
            "Clients that have one open",
            lambda: self._rooms.client_count,
        )
        metrics.gauge(
            "gateway_websockets",
            "WebSockets that are connected",
            lambda: len(self._notifications.subscriptions),
        )
        metrics.gauge(
            "gateway_event_streams",
            "Event streams that are connected",
            lambda: len(self._activities.subscriptions),
        )
        metrics.gauge(
            "gateway_dataset_streams",
            "Streams of new rows that are connected",
            lambda: len(self._dataset_streams.streams),
        )

    def app(self) -> Starlette:
        """Return the application."""
        settings = self._settings
        doors = Guard(Router(self._routes()), self._authenticator, settings.metrics_token)
        cross_origin = Middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_credentials=True,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Last-Event-ID"],
            expose_headers=["Last-Event-ID", "Retry-After", "WWW-Authenticate", "X-Dataset-Head"],
        )
        # The name it was told to listen on is its own.
        hosts = Middleware(HostCheck, allowed={settings.host.lower(), *settings.allowed_hosts})
        return Starlette(
            routes=[Mount("/", app=doors)],
            middleware=[hosts, cross_origin] if settings.allowed_origins else [hosts],
            exception_handlers={
                HTTPException: _http_error,
                ValidationError: _validation_error,
                EventLogError: _out_of_order("event log"),
                DocumentStoreError: _out_of_order("document store"),
                SpoiltError: _out_of_order("document"),
                AuthDatabaseError: _out_of_order("account database"),
                ClientDisconnect: _client_disconnect,
            },
            lifespan=self._lifespan,
        )

    def _routes(self) -> list[Route | Mount | WebSocketRoute]:
        settings = self._settings
        posts = Posts(
            rate_limiter=self._rate_limiter,
            metrics=self.metrics,
            body_limit=settings.body_limit,
            allowed_origins=settings.allowed_origins,
        )
        api = Api(self._notifications, self._activities, self._rooms, posts)
        login = Login(
            self._accounts,
            self._sessions,
            self._tokens,
            authenticator=self._authenticator,
            attempts=LoginAttempts(settings.login_attempts),
            pool=self._passwords,
            posts=posts,
            connections=self.connections,
            metrics=self.metrics,
            cookie_age=settings.refresh_token_ttl,
            secure_cookies=settings.secure_cookies,
        )
        sockets = WebSocketEndpoint(
            self._notifications,
            {
                "notification": Publisher(self._notifications, validation.notification),
                "activity": Publisher(self._activities, validation.activity),
            },
            authenticator=self._authenticator,
            connections=self.connections,
            rate_limiter=self._rate_limiter,
            metrics=self.metrics,
            allowed_origins=settings.allowed_origins,
        )
        streams = EventStreamEndpoint(
            self._activities,
            connections=self.connections,
            metrics=self.metrics,
            comment_interval=settings.sse_comment_interval,
        )
        datasets = DatasetApi(self._production)
        document_api = DocumentApi(self._rooms)
        document_sockets = DocumentEndpoint(
            self._rooms,
            rate=Rate(settings.rate_limit, settings.rate_burst),
            new_documents=RateLimiter(settings.new_documents / 60, settings.new_documents),
            read_only_guests=settings.read_only_guests,
            authenticator=self._authenticator,
            connections=self.connections,
            metrics=self.metrics,
            allowed_origins=settings.allowed_origins,
        )
        # A router of its own, so that what it does not know is not looked for among the files.
        api_routes = Router(
            [
                Route("/events", streams, methods=["GET"]),
                Route("/notifications", api.notifications, methods=["POST"]),
                Route("/activities", api.activities, methods=["GET", "POST"]),
                Route("/datasets", datasets.names, methods=["GET"]),
                Route("/datasets/{name}", datasets.rows, methods=["GET"]),
                Route("/datasets/{name}/events", self._dataset_streams, methods=["GET"]),
                Route("/documents/{id:path}", document_api.document, methods=["GET"]),
                Route("/login", login.login, methods=["POST"]),
                Route("/refresh", login.refresh, methods=["POST"]),
                Route("/logout", login.logout, methods=["POST"]),
            ],
            redirect_slashes=False,
        )
        return [
            Route("/healthz", api.health, methods=["GET"]),
            Route("/metrics", self.metrics.endpoint, methods=["GET"]),
            WebSocketRoute("/ws", sockets.connect),
            WebSocketRoute(documents.PATH + "{id:path}", document_sockets.connect),
            Mount("/api", app=api_routes),
            Mount("/", app=Site(directory=settings.site_dir)),
        ]

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await self._notifications.open()
        await self._activities.open()
        watch = asyncio.create_task(self._watch_accounts())
        try:
            yield
        finally:
            watch.cancel()
            await self._rooms.close()
            self.close()

    async def _watch_accounts(self) -> None:
        """End the connections of sessions that another process has ended."""
        version = None
        while True:
            with contextlib.suppress(AuthDatabaseError):
                if version != (present := self._database.version()):
                    self.connections.revoke_unless(self._sessions.is_open)
                    version = present
            await asyncio.sleep(_WATCH_INTERVAL)

    def close(self) -> None:
        """Release the files."""
        self._passwords.close()
        self._database.close()
        self._log.close()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if is_api(request.url.path):
        return _json_error({"message": error.detail}, error.status_code, error.headers)
    return PlainTextResponse(error.detail, error.status_code, headers=error.headers)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    body = {
        "message": str(error),
        "field": error.field,
        "expected": error.expected,
        "got": error.got,
    }
    return _json_error(body, 422)


def _out_of_order(what: str) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handler(_: Request, error: Exception) -> Response:
        logger.error("The %s failed", what, extra={"error": str(error)})
        return _json_error({"message": f"The {what} is out of order"}, 503)

    return handler


async def _client_disconnect(_: Request, _error: Exception) -> Response:
    # Nobody is left to read it.
    return Response(status_code=400)


def _json_error(
    body: dict[str, str], status: int, headers: Mapping[str, str] | None = None
) -> Response:
    return JSONResponse({"error": body}, status, {"Cache-Control": "no-store", **(headers or {})})
