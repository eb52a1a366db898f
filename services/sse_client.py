"""Server-Sent Events that reconnect, resume, and say truly whether they are connected."""

from __future__ import annotations

from . import options
from .actions import AskProviders, Close, DeliverEvents, Emit, OpenStream, SSEAction
from .backoff import Backoff
from .connection_stats import ConnectionStats
from .driver import Driver
from .emitter import Emitter, Handler, Unsubscribe
from .platform import Platform, default_platform
from .position import StoredPosition
from .sse_protocol import SSEProtocol, State
from .stream_attempt import StreamAttempt
from .tasks import Tasks
from .tokens import Token, TokenSource
from .urls import Url, UrlSource


class SSEClient:
    """Named events from one URL, for as long as the application wants them.

    `url` may be relative to the page, and is text or a provider (see ``urls``);
    `with_credentials` sends cookies to other origins too. `token` is text or a provider (see
    ``tokens``) for an Authorization header. Times are in seconds: `reconnect_interval` and
    `reconnect_interval_max` bound the backoff, and a stream on which nothing came for
    `stall_timeout`, not even a comment, is opened again. `resume_after_reload` keeps the last id
    in the tab's session storage.

    Besides the server's events, handlers may ask for the lifecycle: `connected` {},
    `disconnected` {reason}, `error` {error, status}, `reset` {reason}: events were missed, load
    the state again. 204, and a 4xx other than 401, 408 and 429, end it.

    Raises ConfigurationError if an option is wrong.
    """

    def __init__(
        self,
        url: Url,
        *,
        with_credentials: bool = True,
        token: Token = None,
        reconnect_interval: float = 1,
        reconnect_interval_max: float = 30,
        stall_timeout: float = 45,
        resume_after_reload: bool = True,
        platform: Platform | None = None,
    ) -> None:
        base, cap = options.interval_range(reconnect_interval, reconnect_interval_max)
        stall_timeout = options.seconds("stall_timeout", stall_timeout)
        self._platform = platform or default_platform()
        self._url = UrlSource(url, self._platform)
        self._with_credentials = with_credentials
        self._tokens = TokenSource(token)
        self._protocol = SSEProtocol(
            Backoff(base, cap, self._platform.random),
            stall_timeout=stall_timeout,
            asks=bool(self._tokens) or bool(self._url),
        )
        self._driver: Driver[SSEAction] = Driver(
            self._platform, self._protocol, self._perform, self._settled
        )
        self._emitter = Emitter(self._platform.report)
        self._tasks = Tasks(self._platform.report)
        self._position: StoredPosition | None = None
        if resume_after_reload:
            self._position = StoredPosition(self._platform)
        self._attempt: StreamAttempt | None = None

    @property
    def state(self) -> State:
        """One of closed, authorizing, connecting, open, waiting, ended."""
        return self._protocol.state

    @property
    def is_connected(self) -> bool:
        """Whether events can arrive."""
        return self._protocol.state is State.OPEN

    @property
    def last_event_id(self) -> str:
        """The last id the server sent, or "": where a new stream goes on."""
        return self._protocol.last_event_id

    @property
    def attempts(self) -> int:
        """Reconnections counted since the last healthy stream."""
        return self._protocol.attempts

    @property
    def last_close(self) -> tuple[int | None, str] | None:
        """HTTP status (None where there was none) and reason of the last loss or refusal."""
        return self._protocol.last_close

    @property
    def stats(self) -> ConnectionStats:
        """The connection at this moment, in numbers."""
        protocol = self._protocol
        return ConnectionStats(
            protocol.state, protocol.attempts, protocol.last_close, protocol.received_count
        )

    def connect(self) -> None:
        """Open the stream, now or with the next of the attempts; `connected` tells when.

        Does nothing when it is open, or being opened.
        """
        self._restore_position()
        self._driver.run(self._protocol.connect(self._platform.now()))

    def disconnect(self) -> None:
        """Close the stream and cancel async handlers that still run. Handlers stay registered."""
        self._emitter.cancel()
        self._driver.run(self._protocol.disconnect(self._platform.now()))

    def start_after(self, position: str) -> None:
        """Let the next stream resume after the event of that id, as if it had come here."""
        self._protocol.last_event_id = position

    def pause(self, reason: str = "paused") -> None:
        """Drop the stream, as if there were no network, until `unpause`; then it resumes."""
        self._driver.run(self._protocol.pause(self._platform.now(), reason))

    @property
    def is_paused(self) -> bool:
        """Whether `pause` keeps it from connecting."""
        return self._protocol.is_paused

    def unpause(self) -> None:
        """Open a stream again, unless the client was closed."""
        self._driver.run(self._protocol.unpause(self._platform.now()))

    def on(self, event: str, handler: Handler) -> Unsubscribe:
        """Call `handler`, plain or async, with the data of every such event.

        Data is parsed where it is JSON, and text otherwise. Events without a name are `message`.
        Return what ends it.
        """
        return self._emitter.on(event, handler)

    def _new_attempt(self) -> StreamAttempt:
        return StreamAttempt(self._platform, self._driver, self._protocol)

    def _restore_position(self) -> None:
        # Before the first attempt, or as soon as its provider has said where it leads.
        if self._position is not None and not self._position.is_loaded and self._url.current:
            stored = str(self._position.load(self._url.current) or "")
            # HTML §9.2.6 allows no others; storage may hold anything.
            if not any(character in stored for character in "\0\r\n"):
                self._protocol.last_event_id = stored

    def _settled(self) -> None:
        if self._position is not None:
            self._position.keep(self._protocol.last_event_id)

    def _perform(self, action: SSEAction) -> None:
        match action:
            case DeliverEvents(events):
                for event, data, _ in events:
                    self._emitter.emit(event, data)
            case Emit(type_, payload):
                self._emitter.emit(type_, payload)
            case AskProviders(refused):
                if refused:
                    self._tokens.refused()
                self._attempt = self._new_attempt()
                self._attempt.ask(
                    self._protocol, self._url, self._tokens, self._tasks, self._restore_position
                )
            case OpenStream(last_event_id, token):
                self._attempt = self._new_attempt()
                self._attempt.open(
                    self._url.current,
                    with_credentials=self._with_credentials,
                    last_event_id=last_event_id,
                    token=token,
                )
            case Close():
                if self._attempt is not None:
                    self._attempt.close()
