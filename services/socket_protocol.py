"""When to connect, to ping, to retry and to give up: no sockets, no clock, no tasks.

Every event goes in as a method with the time in seconds, and comes out as a list of actions to
carry out in order. `deadline` says when `timer` wants to be called. What the frames say is for an
`Exchange` to know: messages (``websocket_session``), or a document (``document_exchange``).

    closed ── connect ──> authorizing ──> connecting ──> open
      ^                        ^              │           │
      │                        └── waiting <──┴───────────┘   lost: tried again after a backoff
      ├── disconnect, code 1000
      │         failed    <── max_reconnect_attempts;  leaves it by itself when online or visible
      └──       refused   <── code 4400–4499;          leaves it by `connect` only
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, StrEnum
from typing import Generic, Protocol, TypeVar

from .actions import (
    AskProviders,
    Attempted,
    Close,
    Emit,
    Finished,
    Measure,
    OpenSocket,
    WebSocketAction,
)
from .backoff import Backoff
from .close_codes import HEARTBEAT_TIMEOUT, NORMAL_CLOSURE, UNAUTHORIZED, is_final
from .errors import (
    ConnectionFailed,
    ConnectTimeout,
    Disconnected,
    InvalidTransition,
    RealtimeError,
)
from .platform import Frame
from .reconnecting import Reconnecting
from .websocket_options import WebSocketOptions

Actions = list[WebSocketAction]

LATE = 2.0
"""Seconds after which a timer was not merely delayed: the machine slept or the page was frozen."""

DRAIN_INTERVAL = 0.05
"""Seconds between looks at a socket that held too much. A browser has no event for it."""


BACKLOG = 64 * 1024
"""Bytes in a socket that are watched as they go out: an answer can only come behind them."""


class State(StrEnum):
    """Where a connection stands; `waiting` is for the next attempt, a network or `unpause`."""

    CLOSED = "closed"
    AUTHORIZING = "authorizing"
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    FAILED = "failed"
    REFUSED = "refused"


class Exchange(Protocol):
    """What goes over a connection and outlives it."""

    answers: int
    """Frames that answered one of ours: what we send arrives."""
    round_trip: float | None
    """Seconds from the last ping to its answer."""
    is_admitted: bool
    """Whether the server has accepted a token on this connection."""

    @property
    def announces(self) -> bool:
        """Whether the URL is to announce a `resume`."""

    @property
    def is_congested(self) -> bool:
        """Whether the socket holds too much for more to be handed to it."""

    @property
    def deadline(self) -> float | None:
        """When `timer` wants to be called, or None."""

    def timer(self, now: float, *, is_open: bool) -> Actions:
        """Do what is due."""

    def greeting(self, now: float, token: str | None) -> Actions:
        """Return the first frames after open."""

    def authenticate(self, token: str) -> Actions:
        """Return a frame that says again who we are."""

    def ping(self, now: float) -> Actions:
        """Return a frame that the server answers."""

    def received(self, now: float, frames: Sequence[Frame]) -> Actions:
        """Take frames, whatever they hold, oldest first."""

    def buffered(self, amount: int) -> Actions:
        """Go on if the socket, which holds `amount` bytes, has room again."""

    def lost(self) -> None:
        """Hear that the connection is gone."""

    def refused(self) -> None:
        """Hear that the server did not accept the token, and acted upon nothing after it."""

    def close(self, error: RealtimeError, *, forget: bool) -> Actions:
        """Fail what waits for an answer; `forget` also what waits to be sent."""


ExchangeT = TypeVar("ExchangeT", bound=Exchange)


class Due(Enum):
    """What a deadline is for."""

    CONNECT = "connect"
    RETRY = "retry"
    PING = "ping"
    PONG = "pong"
    DRAIN = "drain"


class SocketProtocol(Reconnecting[WebSocketAction], Generic[ExchangeT]):
    """The state machine of one client. An event its state cannot have is an InvalidTransition.

    `session` is what outlives a connection. `asks` says whether there is a URL or a token to ask
    for at each attempt. `random` returns a number in [0, 1).
    """

    def __init__(
        self,
        options: WebSocketOptions,
        session: ExchangeT,
        *,
        asks: bool = False,
        random: Callable[[], float],
    ) -> None:
        super().__init__(
            Backoff(options.reconnect_interval, options.reconnect_interval_max, random)
        )
        self.state = State.CLOSED
        self.last_close: tuple[int | None, str] | None = None
        self._options = options
        self._asks = asks
        self.session = session
        self._deadlines: dict[Due, float] = {}
        self._token: str | None = None
        self._token_refused = False
        self._second_chance = True
        self._pinged_at = 0.0
        self._backlog = 0

    @property
    def deadline(self) -> float | None:
        """When `timer` wants to be called, or None."""
        times = list(self._deadlines.values())
        if self.session.deadline is not None:
            times.append(self.session.deadline)
        return min(times, default=None)

    @property
    def is_active(self) -> bool:
        """Whether the network and the page's visibility matter to it."""
        return self.state not in (State.CLOSED, State.REFUSED)

    # What the application asks for

    def connect(self, now: float) -> Actions:
        """Connect at once, or join the attempt that is under way or comes after `unpause`."""
        if self.state is State.OPEN:
            return [Attempted(None)]
        if self.state in (State.AUTHORIZING, State.CONNECTING):
            return []
        if self.state is not State.WAITING:
            self._backoff.reset()
            self._token_refused = False
        if not self._circumstances.allow_connections:
            self._enter(State.WAITING)
            return []
        return self._attempt(now)

    def disconnect(self, now: float) -> Actions:
        """Close with 1000 and forget what waits to be sent."""
        code, reason = NORMAL_CLOSURE, "Client disconnect"
        actions: Actions = []
        if self.state in (State.AUTHORIZING, State.CONNECTING, State.OPEN):
            actions.append(Close(code, reason))
        if self.state is State.OPEN:
            actions += self._lost(now, code, reason)
        self._enter(State.CLOSED)
        self._backoff.reset()
        error = Disconnected(code, reason)
        failed = self.session.close(error, forget=True)
        return [*actions, Attempted(error), *failed, Finished(None)]

    def authenticate(self, token: str) -> Actions:
        """Go on under a newer token, if connected: the server counts from now on by that."""
        return self.session.authenticate(token) if self.state is State.OPEN else []

    def ping(self, now: float) -> Actions:
        """Measure the round trip, if connected; an answer that does not come ends the connection.

        Does nothing while a ping is under way.
        """
        return self._ping(now) if self.state is State.OPEN else []

    # What the shell reports

    def provided(self, now: float, token: str | None) -> Actions:
        """Go on with the attempt; None connects without `auth`."""
        del now  # the attempt keeps the deadline it began with
        self._expect("provided", State.AUTHORIZING)
        self._token = token
        self.state = State.CONNECTING
        return [OpenSocket(self.session.announces)]

    def provider_failed(self, now: float, error: RealtimeError) -> Actions:
        """Count a failed attempt."""
        self._expect("provider_failed", State.AUTHORIZING)
        return self._attempt_failed(now, error)

    def opened(self, now: float) -> Actions:
        """Say who we are and what we saw last, then send what waits, then tell the handlers."""
        self._expect("opened", State.CONNECTING)
        self._enter(State.OPEN)
        self._backoff.up(now)
        self._circumstances.online = True
        self._second_chance = True
        if self._options.heartbeat_interval is not None:
            self._deadlines[Due.PING] = now + self._options.heartbeat_interval
        greeting = self.session.greeting(now, self._token)
        self._token = None
        return [*greeting, Emit("connected", {}), Attempted(None)]

    def received(self, now: float, frames: Sequence[Frame]) -> Actions:
        """Take frames, whatever they hold, oldest first."""
        self._expect("received", State.OPEN)
        self._second_chance = True
        answers = self.session.answers
        actions = self.session.received(now, frames)
        self._alive(now, answered=self.session.answers > answers)
        return actions

    def buffered(self, now: float, amount: int) -> Actions:
        """Hand over more if the socket, which holds `amount` bytes, has room; else look later."""
        self._expect("buffered", State.OPEN)
        actions = self.session.buffered(amount)
        self._deadlines.pop(Due.DRAIN, None)
        if self.session.is_congested or amount > BACKLOG:
            self._deadlines[Due.DRAIN] = now + DRAIN_INTERVAL
        if Due.PONG in self._deadlines and amount < self._backlog:
            # The way out is slow, not dead: on a dead one nothing moves.
            latest = now + self._options.heartbeat_timeout
            self._deadlines[Due.PONG] = max(latest, self._deadlines[Due.PONG])
        self._backlog = amount
        return actions

    def closed(self, now: float, code: int, reason: str) -> Actions:
        """Decide what becomes of a connection that the other side or the network ended."""
        self._expect("closed", State.CONNECTING, State.OPEN)
        error = ConnectionFailed(f"connection failed: {code} {reason}".rstrip(), code, reason)
        if self.state is State.OPEN:
            actions = self._lost(now, code, reason)
        else:
            self.last_close = (code, reason)
            actions = [_error(error)]
        if code == UNAUTHORIZED:
            self.session.refused()
            if self._asks and not self._token_refused:
                self._token_refused = True
                return actions + self._attempt(now)
            if self._asks and self.session.is_admitted:
                # The last token was good for a while: this one may be too, but there is no hurry.
                return [*actions, Attempted(error), *self._retry(now)]
        if not is_final(code):
            return [*actions, Attempted(error), *self._retry(now)]
        self._enter(State.CLOSED if code == NORMAL_CLOSURE else State.REFUSED)
        ended = Disconnected(code, reason)
        failed = self.session.close(ended, forget=False)
        finished = Finished(ended if self.state is State.REFUSED else None)
        return [*actions, Attempted(error), *failed, finished]

    def timer(self, now: float, late: float = 0.0) -> Actions:
        """Do what is due. `late` is by how much the timer was, by the worse of two clocks."""
        actions = self.session.timer(now, is_open=self.state is State.OPEN)
        for due in Due:  # one may clear another: look again each time
            if self._deadlines.get(due, now + 1) <= now:
                del self._deadlines[due]
                actions += self._on_due(due, now, late)
        return actions

    # How it decides

    def _expect(self, event: str, *states: State) -> None:
        if self.state not in states:
            raise InvalidTransition(event, self.state, *states)

    def _enter(self, state: State) -> None:
        self.state = state
        self._deadlines.clear()

    def _attempt(self, now: float) -> Actions:
        self._enter(State.AUTHORIZING if self._asks else State.CONNECTING)
        self._token = None
        self._deadlines[Due.CONNECT] = now + self._options.connect_timeout
        return [
            AskProviders(self._token_refused) if self._asks else OpenSocket(self.session.announces)
        ]

    def _attempt_failed(self, now: float, error: RealtimeError) -> Actions:
        self.last_close = (None, str(error))
        return [_error(error), Attempted(error), *self._retry(now)]

    def _retry(self, now: float) -> Actions:
        limit = self._options.max_reconnect_attempts
        if limit is not None and self._backoff.attempts >= limit:
            self._enter(State.FAILED)
            return [Emit("reconnect-failed", {})]
        self._enter(State.WAITING)
        if self._circumstances.allow_attempts:
            pause = self._circumstances.pause(self._backoff.next_delay())
            self._deadlines[Due.RETRY] = now + pause
        return []

    def _postpone(self, now: float) -> None:
        at = self._deadlines.pop(Due.RETRY, None)
        if at is not None and self._circumstances.allow_attempts:
            self._deadlines[Due.RETRY] = now + self._circumstances.pause(at - now)

    def _let_go(self, now: float, reason: str) -> Actions:
        if self.state not in (State.WAITING, State.AUTHORIZING, State.CONNECTING, State.OPEN):
            return []
        actions: Actions = []
        if self.state is not State.WAITING:
            actions.append(Close(NORMAL_CLOSURE, reason))
        if self.state is State.OPEN:
            actions += self._lost(now, NORMAL_CLOSURE, reason)
        self._enter(State.WAITING)
        return actions

    def _lost(self, now: float, code: int, reason: str) -> Actions:
        self.last_close = (code, reason)
        self.session.lost()
        if self._backoff.down(now):
            self._token_refused = False
        return [Emit("disconnected", {"code": code, "reason": reason})]

    def _wake(self, now: float) -> Actions:
        if self.state is State.OPEN:
            return [] if self._options.heartbeat_interval is None else self._ping(now)
        if self.state is State.FAILED:
            self._backoff.reset()
        wants_to = self.state in (State.WAITING, State.FAILED)
        return self._attempt(now) if wants_to and self._circumstances.allow_attempts else []

    def _on_due(self, due: Due, now: float, late: float) -> Actions:
        if due is Due.RETRY:
            return self._attempt(now)
        if due is Due.CONNECT:
            waited = self._options.connect_timeout
            error = ConnectTimeout(f"connection failed: no answer in {waited:g} s")
            return [Close(NORMAL_CLOSURE, "connect timeout"), *self._attempt_failed(now, error)]
        if due is Due.DRAIN:
            return [Measure()]
        if due is Due.PING:
            interval = self._options.heartbeat_interval
            if interval is not None:
                self._deadlines[Due.PING] = now + interval
            return self._ping(now)
        if late > LATE and self._second_chance:
            # We were away, so the answer may lie unread behind this timer. Once in each silence.
            self._second_chance = False
            return self._ping(now)
        code, reason = HEARTBEAT_TIMEOUT, "heartbeat timeout"
        return [Close(code, reason), *self._lost(now, code, reason), *self._retry(now)]

    def _ping(self, now: float) -> Actions:
        if Due.PONG in self._deadlines:
            return []
        self._pinged_at = now
        self._deadlines[Due.PONG] = now + self._options.heartbeat_timeout
        return self.session.ping(now)

    def _alive(self, now: float, *, answered: bool) -> None:
        """Take note of frames: any is a sign of life, also one that nobody understands.

        But only an answer shows that what we send arrives. From a server that is known to answer,
        other frames put the deadline off by no more than another interval: the answer may wait
        behind a long replay.
        """
        if Due.PONG not in self._deadlines:
            return
        if answered or self.session.round_trip is None:
            del self._deadlines[Due.PONG]
            return
        timeout = self._options.heartbeat_timeout
        latest = self._pinged_at + timeout + (self._options.heartbeat_interval or 0.0)
        self._deadlines[Due.PONG] = min(now + timeout, latest)


def _error(error: RealtimeError) -> Emit:
    return Emit("error", {"error": str(error)})
