"""The gateway's side of `/ws` for fake sockets: an ordered log, replays, frames applied once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.support.fake_platform import FakePlatform, FakeSocket


@dataclass
class FakeServer:
    """Events are numbers from 1 on, which are their ids too. `tick` does what is to be done."""

    log: list[int] = field(default_factory=list)
    applied: dict[str, Any] = field(default_factory=dict)
    order: list[Any] = field(default_factory=list)
    _connections: dict[FakeSocket, int] = field(default_factory=dict)
    _read: dict[FakeSocket, int] = field(default_factory=dict)

    def publish(self, count: int) -> None:
        self.log += range(len(self.log) + 1, len(self.log) + 1 + count)

    def sockets(self, platforms: list[FakePlatform]) -> list[FakeSocket]:
        return [s for platform in platforms for s in platform.sockets if not s.gone]

    def tick(self, platforms: list[FakePlatform]) -> None:
        """Accept, read and answer, and send what is new, over the sockets of those platforms."""
        for socket in self.sockets(platforms):
            if socket not in self._connections:
                self._connections[socket] = len(self.log)
                self._read[socket] = 0
                socket.accept()
            while not socket.gone and self._read[socket] < len(socket.frames):
                frame = socket.frames[self._read[socket]]
                self._read[socket] += 1
                self._answer(socket, frame)
            self._deliver(socket)

    def cut(self, platforms: list[FakePlatform], code: int) -> None:
        """Drop every connection, also one that is not accepted yet."""
        for socket in self.sockets(platforms):
            self._connections.pop(socket, None)
            socket.drop(code)

    def _deliver(self, socket: FakeSocket) -> None:
        start, self._connections[socket] = self._connections[socket], len(self.log)
        frames = [
            {"type": "note", "payload": number, "timestamp": 1, "id": str(number)}
            for number in self.log[start:]
        ]
        if frames:
            socket.deliver_raw(*frames)

    def _answer(self, socket: FakeSocket, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "ping":
                socket.deliver("pong", {})
            case "resume":
                position = self._connections[socket]
                after = frame["payload"]["after"]
                if after is not None:
                    self._connections[socket] = int(after)
                    self._deliver(socket)
                result = {"after": str(max(position, self._connections[socket]))}
                socket.deliver("ack", {"id": frame["id"], "result": result})
            case "ask":
                if frame["id"] not in self.applied:
                    self.applied[frame["id"]] = frame["payload"]
                    self.order.append(frame["payload"])
                socket.deliver("ack", {"id": frame["id"], "result": frame["payload"]})
