"""When to connect, to ping, to retry, to resend and to give up: no sockets, no clock, no tasks.

Every event goes in as a method with the time in seconds, and comes out as a list of actions to
carry out in order. `deadline` says when `timer` wants to be called.

    closed ── connect ──> authorizing ──> connecting ──> open
      ^                        ^              │           │
      │                        └── waiting <──┴───────────┘   lost: tried again after a backoff
      ├── disconnect, code 1000
      │         failed    <── max_reconnect_attempts;  leaves it by itself when online or visible
      └──       refused   <── code 4400–4499;          leaves it by `connect` only
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, StrEnum

from .actions import Answered, AskToken, Attempted, Close, Emit, Finished, OpenSocket
from .backoff import Backoff
from .close_codes import HEARTBEAT_TIMEOUT, NORMAL_CLOSURE, UNAUTHORIZED, is_final
from .errors import (
    ConnectionFailed,
    ConnectTimeout,
    Disconnected,
    InvalidTransition,
    RealtimeError,
    RequestTimeout,
)
from .messages import Id, Message
from .websocket_options import WebSocketOptions
from .websocket_session import Actions, Session

LATE = 2.0
"""Seconds after which a timer was not merely delayed: the machine slept or the page was frozen."""


class State(StrEnum):
    """Where a connection stands; `waiting` is for the next attempt or for a network."""

    CLOSED = "closed"
    AUTHORIZING = "authorizing"
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    FAILED = "failed"
    REFUSED = "refused"


class Due(Enum):
    """What a deadline is for."""

    CONNECT = "connect"
    RETRY = "retry"
    PING = "ping"
    PONG = "pong"


class WebSocketProtocol:
    """The state machine of one client. An event its state cannot have is an InvalidTransition.

    `authenticates` says whether there is a token to ask for. `random` returns a number in [0, 1),
    `time_ms` the wall clock for the timestamps of frames, `new_id` an id nobody else uses.
    """

    def __init__(
        self,
        options: WebSocketOptions,
        *,
        authenticates: bool = False,
        random: Callable[[], float],
        time_ms: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self.state = State.CLOSED
        self.last_close: tuple[int, str] | None = None
        self._options = options
        self._authenticates = authenticates
        self._session = Session(options.queue_limit, time_ms, new_id)
        self._backoff = Backoff(options.reconnect_interval, options.reconnect_interval_max, random)
        self._deadlines: dict[Due, float] = {}
        # Until an event says otherwise: a browser that has only the loopback says it is offline.
        self._online = True
        self._token: str | None = None
        self._token_refused = False
        self._second_chance = True

    @property
    def deadline(self) -> float | None:
        """When `timer` wants to be called, or None."""
        times = list(self._deadlines.values())
        if (request := self._session.outbox.deadline) is not None:
            times.append(request)
        return min(times, default=None)

    @property
    def attempts(self) -> int:
        """Reconnections since the last healthy connection, or since a person or network asked."""
        return self._backoff.attempts

    @property
    def is_active(self) -> bool:
        """Whether the network and the page's visibility matter to it."""
        return self.state not in (State.CLOSED, State.REFUSED)

    # What the application asks for

    def connect(self, now: float) -> Actions:
        """Connect at once, or join the attempt that is under way."""
        if self.state is State.OPEN:
            return [Attempted(None)]
        if self.state in (State.AUTHORIZING, State.CONNECTING):
            return []
        if self.state is not State.WAITING:
            self._backoff.reset()
            self._token_refused = False
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
        failed = self._session.close(error, forget=True)
        return [*actions, Attempted(error), *failed, Finished(None)]

    def send(self, message: Message, deadline: float | None = None) -> Actions:
        """Send now or queue. One with an id is sent again until its ack, or until `deadline`.

        Raises InvalidFrame or QueueFull, and changes nothing then.
        """
        return self._session.send(message, deadline, is_open=self.state is State.OPEN)

    def withdraw(self, message_id: Id) -> None:
        """Do not send it again: nobody waits for the answer any more."""
        self._session.outbox.remove(message_id)

    # What the shell reports

    def token_received(self, now: float, token: str | None) -> Actions:
        """Go on with the attempt; None connects without `auth`."""
        del now  # the attempt keeps the deadline it began with
        self._expect("token_received", State.AUTHORIZING)
        self._token = token
        self.state = State.CONNECTING
        return [OpenSocket()]

    def token_failed(self, now: float, error: RealtimeError) -> Actions:
        """Count a failed attempt."""
        self._expect("token_failed", State.AUTHORIZING)
        return self._attempt_failed(now, error)

    def opened(self, now: float) -> Actions:
        """Say who we are and what we saw last, then send what waits, then tell the handlers."""
        self._expect("opened", State.CONNECTING)
        self._enter(State.OPEN)
        self._backoff.up(now)
        self._online = True
        self._second_chance = True
        if self._options.heartbeat_interval is not None:
            self._deadlines[Due.PING] = now + self._options.heartbeat_interval
        greeting = self._session.greeting(self._token)
        self._token = None
        return [*greeting, Emit("connected", {}), Attempted(None)]

    def received(self, now: float, frame: str | bytes) -> Actions:
        """Take a frame, whatever it holds."""
        del now  # the next ping keeps its time
        self._expect("received", State.OPEN)
        # Any frame is a sign of life, also one that nobody understands.
        self._deadlines.pop(Due.PONG, None)
        self._second_chance = True
        return self._session.received(frame)

    def closed(self, now: float, code: int, reason: str) -> Actions:
        """Decide what becomes of a connection that the other side or the network ended."""
        self._expect("closed", State.CONNECTING, State.OPEN)
        error = ConnectionFailed(f"connection failed: {code} {reason}".rstrip(), code, reason)
        if self.state is State.OPEN:
            actions = self._lost(now, code, reason)
        else:
            self.last_close = (code, reason)
            actions = [_error(error)]
        if code == UNAUTHORIZED and self._authenticates and not self._token_refused:
            self._token_refused = True
            return actions + self._attempt(now)
        if not is_final(code):
            return [*actions, Attempted(error), *self._retry(now)]
        self._enter(State.CLOSED if code == NORMAL_CLOSURE else State.REFUSED)
        ended = Disconnected(code, reason)
        failed = self._session.close(ended, forget=False)
        finished = Finished(ended if self.state is State.REFUSED else None)
        return [*actions, Attempted(error), *failed, finished]

    def timer(self, now: float, late: float = 0.0) -> Actions:
        """Do what is due. `late` is by how much the timer was, by the worse of two clocks."""
        actions: Actions = [
            Answered(message_id, error=RequestTimeout("no answer in time"))
            for message_id in self._session.outbox.expired(now)
        ]
        for due in Due:  # one may clear another: look again each time
            if self._deadlines.get(due, now + 1) <= now:
                del self._deadlines[due]
                actions += self._on_due(due, now, late)
        return actions

    def online(self, now: float) -> Actions:
        """Use the network that came back, or see whether the socket outlived the change."""
        self._online = True
        return self._wake(now)

    def offline(self, now: float) -> Actions:
        """Stop trying until there is a network. An open socket is left to its heartbeat."""
        del now
        self._online = False
        self._deadlines.pop(Due.RETRY, None)
        return []

    def visible(self, now: float) -> Actions:
        """Somebody looks: do not keep them waiting."""
        return self._wake(now)

    # How it decides

    def _expect(self, event: str, *states: State) -> None:
        if self.state not in states:
            raise InvalidTransition(event, self.state, *states)

    def _enter(self, state: State) -> None:
        self.state = state
        self._deadlines.clear()

    def _attempt(self, now: float) -> Actions:
        self._enter(State.AUTHORIZING if self._authenticates else State.CONNECTING)
        self._token = None
        self._deadlines[Due.CONNECT] = now + self._options.connect_timeout
        return [AskToken() if self._authenticates else OpenSocket()]

    def _attempt_failed(self, now: float, error: RealtimeError) -> Actions:
        return [_error(error), Attempted(error), *self._retry(now)]

    def _retry(self, now: float) -> Actions:
        limit = self._options.max_reconnect_attempts
        if limit is not None and self._backoff.attempts >= limit:
            self._enter(State.FAILED)
            return [Emit("reconnect-failed", {})]
        self._enter(State.WAITING)
        if self._online:
            self._deadlines[Due.RETRY] = now + self._backoff.next_delay()
        return []

    def _lost(self, now: float, code: int, reason: str) -> Actions:
        self.last_close = (code, reason)
        if self._backoff.down(now):
            self._token_refused = False
        return [Emit("disconnected", {"code": code, "reason": reason})]

    def _wake(self, now: float) -> Actions:
        if self.state is State.OPEN:
            return self._ping(now)
        if self.state is State.FAILED:
            self._backoff.reset()
        wants_to = self.state in (State.WAITING, State.FAILED) and self._online
        return self._attempt(now) if wants_to else []

    def _on_due(self, due: Due, now: float, late: float) -> Actions:
        if due is Due.RETRY:
            return self._attempt(now)
        if due is Due.CONNECT:
            waited = self._options.connect_timeout
            error = ConnectTimeout(f"connection failed: no answer in {waited:g} s")
            return [Close(NORMAL_CLOSURE, "connect timeout"), *self._attempt_failed(now, error)]
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
        if self._options.heartbeat_interval is None or Due.PONG in self._deadlines:
            return []
        self._deadlines[Due.PONG] = now + self._options.heartbeat_timeout
        return self._session.ping()


def _error(error: RealtimeError) -> Emit:
    return Emit("error", {"error": str(error)})
