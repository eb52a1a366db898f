"""Who is at a document, and what each says of itself: the states of y-protocols' awareness.

The rules are those of y-protocols/awareness.js: what is said with a higher clock counts, and what
is not renewed within 30 s is over. A standard client sends on to us whatever we tell it of others,
with the clock that it has from us. So nothing but a higher clock is taken for news; and only who
spoke for a client may say, with the clock it has, that it has gone.

No sockets and no timers: times are in seconds, of any clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from server.document_frames import Presence
from server.lib0 import MalformedError
from server.validation import parse_json

#: Seconds that a state lasts without being renewed (`outdatedTimeout`).
TIMEOUT = 30

#: How many clients one connection may speak for. Tabs of one browser pass on each other's states.
MAX_CLIENTS = 8

#: The largest state, in bytes.
MAX_STATE = 8 * 1024

_GONE = "null"


@dataclass(slots=True)
class _Client:
    clock: int
    state: str
    #: When it was last heard of.
    heard: float
    #: The connections that spoke for it, until they end.
    speakers: set[object] = field(default_factory=set)


class States:
    """The states of one document's clients. Every method that changes some returns whose."""

    def __init__(self) -> None:
        self._clients: dict[int, _Client] = {}
        self._spoken_for: dict[object, set[int]] = {}

    def present(self) -> list[int]:
        """Return who is there."""
        return [id for id, client in self._clients.items() if client.state != _GONE]

    def tell(self, ids: Iterable[int]) -> Iterator[Presence]:
        """Yield what is known of clients, for those who do not know it yet."""
        for id in ids:
            if client := self._clients.get(id):
                yield Presence(id, client.clock, client.state)

    def hear(self, speaker: object, entries: Iterable[Presence], now: float) -> set[int]:
        """Take what a connection says. Raises `MalformedError`; what stood before it counts."""
        changed = set()
        for entry in entries:
            if self._is_news(speaker, entry) and self._may_speak(speaker, entry.client_id):
                self._take(speaker, entry, now)
                changed.add(entry.client_id)
        return changed

    def leave(self, speaker: object) -> set[int]:
        """Take note that a connection ended: those that only it spoke for are gone."""
        gone = set()
        for id in self._spoken_for.pop(speaker, ()):
            client = self._clients.get(id)
            if client is None:
                continue
            client.speakers.discard(speaker)
            if not client.speakers and client.state != _GONE:
                client.state = _GONE
                gone.add(id)
        return gone

    def expire(self, now: float) -> set[int]:
        """Take note of the time: those not heard of for long are gone, and later forgotten."""
        gone = set()
        for id, client in tuple(self._clients.items()):
            if now - client.heard < TIMEOUT:
                continue
            if client.state != _GONE:
                client.state = _GONE
                client.heard = now
                gone.add(id)
            elif not client.speakers or now - client.heard >= 2 * TIMEOUT:
                # Until now, so that nobody who is late with what it was told brings it back.
                del self._clients[id]
                for speaker in client.speakers:
                    self._spoken_for[speaker].discard(id)
        return gone

    def _is_news(self, speaker: object, entry: Presence) -> bool:
        client = self._clients.get(entry.client_id)
        if client is None:
            return entry.state != _GONE
        if entry.clock != client.clock:
            return entry.clock > client.clock
        if entry.state == _GONE:
            return client.state != _GONE and speaker in client.speakers
        # A client that comes back says again what it said last, and of itself first of all.
        return client.state == _GONE and not self._spoken_for.get(speaker)

    def _may_speak(self, speaker: object, id: int) -> bool:
        spoken_for = self._spoken_for.get(speaker, ())
        return id in spoken_for or len(spoken_for) < MAX_CLIENTS

    def _take(self, speaker: object, entry: Presence, now: float) -> None:
        if len(entry.state) > MAX_STATE or len(entry.state.encode()) > MAX_STATE:
            raise MalformedError(f"expected an awareness state of at most {MAX_STATE} bytes")
        try:
            state = parse_json(entry.state)
        except (ValueError, RecursionError):
            raise MalformedError("expected JSON as an awareness state") from None
        if state is not None and not isinstance(state, dict):
            raise MalformedError("expected a JSON object or null as an awareness state")
        client = self._clients.setdefault(entry.client_id, _Client(0, _GONE, now))
        client.clock = entry.clock
        client.state = entry.state if state is not None else _GONE
        client.heard = now
        client.speakers.add(speaker)
        self._spoken_for.setdefault(speaker, set()).add(entry.client_id)
