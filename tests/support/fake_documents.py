"""A server of documents for fake sockets: the y-websocket protocol, over pycrdt, step by step."""

from __future__ import annotations

from pycrdt import Doc, Text

from services import y_messages
from services.errors import InvalidFrame
from services.y_messages import (
    Awareness,
    PermissionDenied,
    SyncStep1,
    SyncStep2,
    Update,
    YMessage,
)
from tests.support.fake_platform import FakePlatform, FakeSocket
from tests.support.fake_replica import entries_of


class FakeDocumentServer:
    """Serves one document to the sockets of all platforms that it attends to.

    Nothing moves until `step`: then each connection takes what was sent to it, or hands it on.
    """

    def __init__(self, *, denies: str | None = None) -> None:
        self.denies = denies
        self.doc: Doc[Text] = Doc()
        self.doc["content"] = self._content = Text()
        self.people: dict[int, bytes] = {}
        self._platforms: list[FakePlatform] = []
        self._seen: dict[FakeSocket, int] = {}
        self._outbox: dict[FakeSocket, list[bytes]] = {}
        self.is_down = False

    @property
    def text(self) -> str:
        return str(self._content)

    def attend(self, platform: FakePlatform) -> None:
        self._platforms.append(platform)

    def ends(self) -> list[FakeSocket]:
        """Return the open sockets, accepting new ones."""
        ends = [s for p in self._platforms for s in p.sockets if not s.gone]
        for socket in ends:
            if socket not in self._seen and not self.is_down:
                self._seen[socket] = 0
                self._outbox[socket] = []
                socket.accept()
                self._say(socket, SyncStep1(self.doc.get_state()))
                if self.denies is not None:
                    self._say(socket, PermissionDenied(self.denies))
                for update in self.people.values():
                    self._say(socket, Awareness(update))
        for socket in [socket for socket in self._seen if socket.gone]:
            if socket.closed_with is not None:
                self.step(socket)  # what was sent before it was closed arrives
            del self._outbox[socket], self._seen[socket]
        return [socket for socket in ends if socket in self._seen]

    def step(self, socket: FakeSocket, *, most: int = 1_000_000) -> bool:
        """Take up to so many frames of a socket, then deliver as many to it; was there any?"""
        taken = 0
        while self._seen[socket] < len(socket.sent) and taken < most:
            frame = socket.sent[self._seen[socket]]
            self._seen[socket] += 1
            taken += 1
            self._take(socket, frame)
        waiting = self._outbox[socket]
        batch, self._outbox[socket] = waiting[:most], waiting[most:]
        if batch and not socket.gone:
            socket.deliver_raw(*batch)
        return bool(taken or batch)

    def settle(self) -> None:
        """Step until nothing moves."""
        for _ in range(1000):
            moves = [self.step(socket) for socket in self.ends()]
            if not any(moves):
                return
        raise AssertionError("the document never comes to rest")

    def cut(self, socket: FakeSocket, code: int = 1006) -> None:
        """Break a connection; what was under way is lost."""
        del self._outbox[socket], self._seen[socket]
        socket.drop(code)

    def _say(self, socket: FakeSocket, message: YMessage) -> None:
        self._outbox[socket].append(y_messages.encode(message))

    def _take(self, socket: FakeSocket, frame: str | bytes) -> None:
        if isinstance(frame, str):
            return
        match y_messages.decode(frame):
            case SyncStep1(vector):
                self._say(socket, SyncStep2(self.doc.get_update(vector)))
            case SyncStep2(update) | Update(update):
                if self.denies is not None:
                    return
                try:
                    self.doc.apply_update(update)
                except ValueError as error:
                    raise InvalidFrame(str(error)) from None
                self._tell(socket, Update(update))
            case Awareness(update):
                for client in entries_of(update):
                    self.people[client] = update
                self._tell(socket, Awareness(update))

    def _tell(self, sender: FakeSocket, message: YMessage) -> None:
        for socket in self._outbox:
            if socket is not sender:
                self._say(socket, message)
