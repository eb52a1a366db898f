"""A small gateway for fake platforms: `/ws` and the event stream as ``docs/protocol.md`` has them.

It moves only when told, and tells each client no more at once than the test wants: so a connection
can be cut when half of what waits for it has been delivered.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from services.platform import Callback, StreamEvent
from tests.support.fake_platform import FakePlatform, FakeSocket, FakeStream

EVENT = "note"


class FakeServer:
    """An ordered log of numbers, each its own id, and the frames with an id that were applied.

    `plain` is a server that knows only type, payload and timestamp. `refusals` is how many tokens
    it refuses from now on.
    """

    def __init__(self, *, plain: bool = False) -> None:
        self.plain = plain
        self.refusals = 0
        self.last = 0
        self.trimmed = 0
        self.resets = 0
        self.applied: list[Any] = []
        self.results: dict[str | int, Any] = {}
        self.tokens: list[str | None] = []
        self._platforms: list[FakePlatform] = []
        self._ends: dict[FakeSocket | FakeStream, SocketEnd | StreamEnd] = {}

    def attend(self, platform: FakePlatform) -> None:
        """Serve what this platform opens."""
        self._platforms.append(platform)

    def publish(self, count: int = 1) -> None:
        """Append to the log."""
        self.last += count

    def trim(self) -> None:
        """Keep nothing of the log but its numbers."""
        self.trimmed = self.last

    def step(self, most: int = 1_000_000) -> None:
        """Accept and read what has come, and tell each client at most so much of what waits."""
        for end in self.ends:
            end.step(most)

    def cut(self, code: int = 1006) -> None:
        """Break all connections; what was on its way is lost."""
        for end in self.ends:
            end.drop(code)

    @property
    def ends(self) -> list[SocketEnd | StreamEnd]:
        """The connections that are there; those of a tab that died are not."""
        for platform in self._platforms:
            for socket in platform.sockets:
                if socket not in self._ends:
                    self._ends[socket] = SocketEnd(self, platform, socket)
            for stream in platform.streams:
                if stream not in self._ends:
                    self._ends[stream] = StreamEnd(self, platform, stream)
        return [end for end in self._ends.values() if not end.is_gone]

    def missed(self, after: str | int | None, until: int) -> range | None:
        """Return what came after a position, or None if it cannot be told."""
        if after is None:
            return range(0)
        known = str(after).isdecimal() and self.trimmed <= int(after) <= self.last
        return range(int(after) + 1, until + 1) if known else None

    def apply(self, frame: dict[str, Any]) -> Any:
        """Do what a frame asks for, once if it has an id; return the result."""
        message_id = frame.get("id")
        if message_id is None or message_id not in self.results:
            self.applied.append(frame["payload"])
            if message_id is not None:
                self.results[message_id] = ["did", frame["payload"]]
        return None if message_id is None else self.results[message_id]


class End:
    """The server's side of one connection."""

    def __init__(
        self, server: FakeServer, platform: FakePlatform, channel: FakeSocket | FakeStream
    ) -> None:
        self.server = server
        self.platform = platform
        self.channel = channel
        self.is_dropped = False
        self.is_accepted = False
        self.told = server.last
        """The position up to which events have been put on their way."""

    @property
    def is_gone(self) -> bool:
        """Whether the client has gone, or was dropped."""
        dead = self.platform in self.platform.origin.dead
        return self.is_dropped or self.channel.gone or dead

    def tell(self, callback: Callback) -> None:
        """Let something reach the client, unless it has closed by then."""
        self.platform.origin.later(self.platform, lambda: None if self.channel.gone else callback())


class SocketEnd(End):
    """The server's side of one WebSocket."""

    channel: FakeSocket

    def __init__(self, server: FakeServer, platform: FakePlatform, socket: FakeSocket) -> None:
        super().__init__(server, platform, socket)
        self._read = 0
        self._holds = not server.plain
        self._waiting: deque[str] = deque()

    def step(self, most: int) -> None:
        """Accept, or read and tell."""
        if not self.is_accepted:
            self.is_accepted = True
            self.told = self.server.last
            self.tell(self.channel.accept)
            return
        frames = [json.loads(text) for text in self.channel.sent[self._read :]]
        self._read = len(self.channel.sent)
        for frame in frames:
            if not self.is_dropped:
                self._handle(frame)
        if self.is_dropped:
            return
        if not self._holds:
            self._put_events(range(self.told + 1, self.server.last + 1))
            self.told = self.server.last
        batch = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        if batch:
            self.tell(lambda: self.channel.deliver_raw(*batch))

    def drop(self, code: int) -> None:
        """Close; nothing that waits is sent."""
        self.is_dropped = True
        self.tell(lambda: self.channel.drop(code))

    def _handle(self, frame: dict[str, Any]) -> None:
        if self.server.plain:
            if frame["type"] not in ("auth", "resume", "ping"):
                self.server.apply(frame)
            return
        if frame["type"] == "auth":
            self.server.tokens.append(frame["payload"]["token"])
            if self.server.refusals:
                self.server.refusals -= 1
                self.drop(4401)
            else:
                self._put("auth-ok", {"expiresIn": 300})
            return
        result = None
        match frame["type"]:
            case "resume":
                self._resume(frame["payload"]["after"])
                result = {"after": str(self.told), "hold": True}
            case "ping":
                self._put("pong", {})
            case _:
                result = self.server.apply(frame)
        self._holds = False
        if "id" in frame:
            self._put("ack", {"id": frame["id"], "result": result})

    def _resume(self, after: str | None) -> None:
        missed = self.server.missed(after, self.told)
        if missed is None:
            self.server.resets += 1
            self._put("reset", {"reason": "expired", "after": str(self.told)})
        else:
            self._put_events(missed)

    def _put_events(self, numbers: range) -> None:
        for n in numbers:
            self._put(EVENT, n, **({} if self.server.plain else {"id": str(n)}))

    def _put(self, type_: str, payload: Any, **more: Any) -> None:
        frame = {"type": type_, "payload": payload, "timestamp": 1, **more}
        self._waiting.append(json.dumps(frame))


class StreamEnd(End):
    """The server's side of one event stream."""

    channel: FakeStream

    def __init__(self, server: FakeServer, platform: FakePlatform, stream: FakeStream) -> None:
        super().__init__(server, platform, stream)
        self._waiting: deque[StreamEvent | str] = deque()

    def step(self, most: int) -> None:
        """Accept, and tell."""
        if not self.is_accepted:
            self.is_accepted = True
            self._accept()
            return
        self._put_events(range(self.told + 1, self.server.last + 1))
        self.told = self.server.last
        listener, batch = self.channel.listener, []
        for _ in range(min(most, len(self._waiting))):
            if isinstance(waiting := self._waiting.popleft(), StreamEvent):
                batch.append(waiting)
                continue
            if batch:
                self.tell(lambda events=tuple(batch): listener.received(events))
            self.tell(lambda position=waiting: listener.positioned(position))
            batch = []
        if batch:
            self.tell(lambda: listener.received(batch))

    def drop(self, code: int) -> None:
        """End it; nothing that waits is sent."""
        del code
        self.is_dropped = True
        self.tell(self.channel.drop)

    def _accept(self) -> None:
        stream, server = self.channel, self.server
        self.told = server.last
        if stream.token is not None:
            server.tokens.append(stream.token)
        if stream.token is not None and server.refusals:
            server.refusals -= 1
            self.is_dropped = True
            self.tell(lambda: stream.drop(401, "Unauthorized"))
            return
        after = stream.last_event_id or None
        position = str(self.told)
        self.tell(lambda: stream.accept("" if after else position))
        missed = server.missed(after, self.told)
        if missed is None:
            server.resets += 1
            reason = json.dumps({"reason": "expired"})
            self._waiting.append(StreamEvent("reset", reason, position))
        else:
            self._put_events(missed)
        if after and not server.plain:
            self._waiting.append(position)  # where the replay ends

    def _put_events(self, numbers: range) -> None:
        self._waiting.extend(StreamEvent(EVENT, str(n), str(n)) for n in numbers)
