"""When to open an event stream, to retry and to stop: no streams, no clock, no tasks.

Events go in as methods with the time in seconds and come out as actions, as in
``websocket_protocol``. States: closed, authorizing, connecting, open, waiting, ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, StrEnum
from typing import Any

from .actions import AskProviders, Close, DeliverEvents, Emit, OpenStream, Positioned, SSEAction
from .backoff import Backoff
from .errors import InvalidTransition, RealtimeError
from .platform import StreamEvent
from .reconnecting import Reconnecting
from .strict_json import loads

NO_CONTENT = 204
UNAUTHORIZED = 401
TRANSIENT = frozenset({401, 408, 429})
"""Refusals among the 4xx that another attempt may mend."""

LIFECYCLE = frozenset({"connected", "disconnected", "error", "reconnect-failed"})
NOT_APPLICATION = LIFECYCLE | {"reset"}

Actions = list[SSEAction]


class State(StrEnum):
    """Where a stream stands. `waiting` is for the next attempt, a network or `unpause`."""

    CLOSED = "closed"
    AUTHORIZING = "authorizing"
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    ENDED = "ended"


class Due(Enum):
    """What the deadline is for."""

    STALL = "stall"
    RETRY = "retry"


class SSEProtocol(Reconnecting[SSEAction]):
    """The state machine of one client. An event its state cannot have is an InvalidTransition.

    Without a byte for `stall_timeout` seconds, comments included, a stream counts as dead; an
    attempt has as long to open. `asks` says whether there is a URL or a token to ask for.
    """

    def __init__(self, backoff: Backoff, *, stall_timeout: float, asks: bool) -> None:
        super().__init__(backoff)
        self.state = State.CLOSED
        self.last_event_id = ""
        self.last_close: tuple[int | None, str] | None = None
        self.received_count = 0
        self._stall_timeout = stall_timeout
        self._asks = asks
        self._due: tuple[Due, float] | None = None
        self._alive_at = 0.0
        self._carried_id = False
        # HTML §9.2.6, of `retry`: "set the event stream's reconnection time to that integer".
        self._reconnection_time = 0.0
        self._token_refused = False

    @property
    def deadline(self) -> float | None:
        """When `timer` wants to be called, or None."""
        return self._due[1] if self._due else None

    @property
    def is_active(self) -> bool:
        """Whether the network and the page's visibility matter to it."""
        return self.state not in (State.CLOSED, State.ENDED)

    def connect(self, now: float) -> Actions:
        """Open a stream, unless there is one, or one is being opened or comes after `unpause`."""
        if self.state in (State.AUTHORIZING, State.CONNECTING, State.OPEN):
            return []
        if self.state is not State.WAITING:
            self._backoff.reset()
            self._token_refused = False
        if not self._circumstances.allow_connections:
            self._enter(State.WAITING)
            return []
        return self._attempt(now)

    def disconnect(self, now: float) -> Actions:
        """Close. The last event id is kept, so that `connect` goes on where this ends."""
        actions: Actions = []
        if self.state in (State.AUTHORIZING, State.CONNECTING, State.OPEN):
            actions.append(Close(1000, "Client disconnect"))
        actions += self._dropped(now, "Client disconnect")
        self._enter(State.CLOSED)
        self._backoff.reset()
        return actions

    def provided(self, now: float, token: str | None) -> Actions:
        """Go on with the attempt; None connects without an Authorization header."""
        del now  # the attempt keeps the deadline it began with
        self._expect("provided", State.AUTHORIZING)
        self.state = State.CONNECTING
        return [OpenStream(self.last_event_id, token)]

    def provider_failed(self, now: float, error: RealtimeError) -> Actions:
        """Count a failed attempt."""
        self._expect("provider_failed", State.AUTHORIZING)
        self.last_close = (None, str(error))
        return [_error(str(error), None), *self._retry(now, None)]

    def opened(self, now: float, position: str = "") -> Actions:
        """Take note that events can arrive, and tell the handlers.

        `position` is where a stream begins that was not asked to resume: with it, a stream lost
        before its first event can.
        """
        self._expect("opened", State.CONNECTING)
        self.last_event_id = self.last_event_id or position
        self._enter(State.OPEN)
        self._backoff.up(now)
        self._circumstances.online = True
        self._carried_id = False
        self._alive_at = now
        self._due = (Due.STALL, now + self._stall_timeout)
        return [Emit("connected", {})]

    def alive(self, now: float) -> Actions:
        """Bytes came. The watchdog looks at this when it wakes, so its timer stays as it is."""
        self._expect("alive", State.CONNECTING, State.OPEN)
        self._alive_at = now
        return []

    def received(self, now: float, events: Sequence[StreamEvent]) -> Actions:
        """Take events, oldest first; their data is JSON where it can be."""
        self._expect("received", State.OPEN)
        self._alive_at = now
        actions: Actions = []
        ours: list[tuple[str, object, str]] = []
        for event, data, last_event_id in events:
            self._position(last_event_id)
            if event not in NOT_APPLICATION:
                ours.append((event, _parse(data), self.last_event_id))
                self.received_count += 1
                continue
            if ours:
                actions.append(DeliverEvents(ours))
                ours = []
            actions.append(self._reset(data, last_event_id) if event == "reset" else _forged(event))
        if ours:
            actions.append(DeliverEvents(ours))
        return actions

    def positioned(self, now: float, last_event_id: str) -> Actions:
        """Take an id that came without an event."""
        self._expect("positioned", State.OPEN)
        self._alive_at = now
        self._position(last_event_id)
        return [Positioned()]

    def retry_in(self, now: float, delay: float) -> Actions:
        """Take the seconds the server wants between a loss and the next attempt."""
        self._expect("retry_in", State.OPEN)
        self._alive_at = now
        self._reconnection_time = delay
        return []

    def closed(
        self, now: float, status: int | None, reason: str, retry_after: float | None = None
    ) -> Actions:
        """Decide what becomes of a stream that ended or was refused."""
        self._expect("closed", State.CONNECTING, State.OPEN)
        # HTML §9.2.1: "Clients will reconnect if the connection is closed; a client can be told to
        # stop reconnecting using the HTTP 204 No Content response code."
        if status == NO_CONTENT:
            told = self._dropped(now, reason)
            self.last_close = (status, reason)
            self._enter(State.ENDED)
            return told
        self.last_close = (status, reason)
        actions = self._dropped(now, reason) or [_error(f"connection failed: {reason}", status)]
        if status == UNAUTHORIZED:
            if not self._asks or self._token_refused:
                self._enter(State.ENDED)
                return actions
            self._token_refused = True
            return actions + self._attempt(now)
        if status is not None and 400 <= status <= 499 and status not in TRANSIENT:
            self._enter(State.ENDED)
            return actions
        return actions + self._retry(now, retry_after)

    def timer(self, now: float, late: float = 0.0) -> Actions:
        """Do what is due. However late it is: a new stream misses nothing."""
        del late
        if self._due is None or self._due[1] > now:
            return []
        if self._due[0] is Due.RETRY:
            return self._attempt(now)
        if self._alive_at + self._stall_timeout > now:
            self._due = (Due.STALL, self._alive_at + self._stall_timeout)
            return []
        reason = f"nothing came for {self._stall_timeout:g} s"
        self.last_close = (None, reason)
        told = self._dropped(now, reason) or [_error(f"connection failed: {reason}", None)]
        return [Close(1000, reason), *told, *self._retry(now, None)]

    # How it decides

    def _expect(self, event: str, *states: State) -> None:
        if self.state not in states:
            raise InvalidTransition(event, self.state, *states)

    def _enter(self, state: State) -> None:
        self.state = state
        self._due = None

    def _attempt(self, now: float) -> Actions:
        self._enter(State.AUTHORIZING if self._asks else State.CONNECTING)
        self._alive_at = now
        self._due = (Due.STALL, now + self._stall_timeout)
        return (
            [AskProviders(self._token_refused)]
            if self._asks
            else [OpenStream(self.last_event_id, None)]
        )

    def _retry(self, now: float, retry_after: float | None) -> Actions:
        self._enter(State.WAITING)
        if self._circumstances.allow_attempts:
            wish = max(retry_after or 0.0, self._reconnection_time)
            pause = self._circumstances.pause(self._backoff.next_delay(wish))
            self._due = (Due.RETRY, now + pause)
        return []

    def _wake(self, now: float) -> Actions:
        wants_to = self.state is State.WAITING and self._circumstances.allow_attempts
        return self._attempt(now) if wants_to else []

    def _postpone(self, now: float) -> None:
        if self._due is None or self._due[0] is not Due.RETRY:
            return
        pause = self._circumstances.pause(self._due[1] - now)
        self._due = (Due.RETRY, now + pause) if self._circumstances.allow_attempts else None

    def _let_go(self, now: float, reason: str) -> Actions:
        if not self.is_active:
            return []
        actions: Actions = []
        if self.state is not State.WAITING:
            actions.append(Close(1000, reason))
        actions += self._dropped(now, reason)
        self._enter(State.WAITING)
        return actions

    def _position(self, last_event_id: str) -> None:
        # HTML §9.2.6: "Set the last event ID string of the event source to the value of the last
        # event ID buffer." It starts empty with each stream of ours, which means nothing yet.
        self._carried_id = self._carried_id or last_event_id != ""
        if self._carried_id:
            self.last_event_id = last_event_id

    def _reset(self, data: str | dict[str, Any], last_event_id: str) -> Emit:
        # What came before the reset is not to be asked for again.
        self.last_event_id = last_event_id
        payload = _parse(data)
        reason = payload.get("reason", "") if isinstance(payload, dict) else ""
        return Emit("reset", {"reason": reason})

    def _dropped(self, now: float, reason: str, status: int | None = None) -> Actions:
        """Say `disconnected` if the stream was open. Leaves the state for the caller to set."""
        if self.state is not State.OPEN:
            return []
        self.last_close = (status, reason)
        if self._backoff.down(now):
            self._token_refused = False
        return [Emit("disconnected", {"reason": reason})]


def _parse(data: str | dict[str, Any]) -> object:
    if not isinstance(data, str):
        return data
    try:
        return loads(data)
    except ValueError:
        return data


def _error(text: str, status: int | None) -> Emit:
    return Emit("error", {"error": text, "status": status})


def _forged(event: str) -> Emit:
    return _error(f"event: expected none of the client's own, came {event!r}", None)
