"""`/ws/documents/{id}`: one collaborative document, in the protocol of y-websocket.

docs/protocol.md describes it. Binary frames are y-protocols' (see `document_frames`); text frames
are ours, for tokens.
"""

from __future__ import annotations

import asyncio
import time
import unicodedata
from typing import Any, NamedTuple

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from server import document_frames, document_updates, frames
from server.access_tokens import InvalidTokenError
from server.authenticator import bearer
from server.client_socket import ClientSocket, SocketEndpoint
from server.document_frames import EMPTY_UPDATE, Awareness, SyncStep1, Update
from server.document_room import Member, Room
from server.document_rooms import Rooms
from server.document_updates import Inspection
from server.frames import MAX_FRAME, CloseError
from server.lib0 import MalformedError
from server.rate_limit import RateLimiter, client_key

#: What comes before the id in a path.
PATH = "/ws/documents/"

#: The longest id, in characters.
MAX_ID = 200

#: The largest frame a client may send, in bytes: whoever was offline tells everything in one.
#: Below uvicorn's own limit (see __main__), so that the client learns why it is closed.
MAX_DOCUMENT_FRAME = 7 * MAX_FRAME

#: Bytes that count as a frame of their own, and structs.
_BYTES_PER_FRAME = 16 * 1024
_STRUCTS_PER_FRAME = 50

_DENIAL = document_frames.permission_denied("read-only")

#: Seconds between the signs of life for a client that is held back.
_SIGN_OF_LIFE = 5


class Rate(NamedTuple):
    """What one connection may send: frames a second, and at once."""

    limit: float
    burst: int


class DocumentEndpoint(SocketEndpoint):
    """Lets clients into the rooms of documents.

    `new_documents` counts, by address, those that clients begin.
    """

    kind = "document"
    name = "Document"

    def __init__(
        self,
        rooms: Rooms,
        *,
        rate: Rate,
        new_documents: RateLimiter,
        read_only_guests: bool,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.rooms = rooms
        self.rate = rate
        self.new_documents = new_documents
        self.read_only_guests = read_only_guests

    async def connect(self, websocket: WebSocket) -> None:
        """Serve one connection from its handshake to its end."""
        if not await self.is_refused(websocket):
            # Not the route's parameter: its pattern leaves a line end out.
            document_id = websocket.scope["path"].removeprefix(PATH)
            await self.serve(
                websocket,
                lambda: DocumentConnection(self, websocket, document_id),
                document=document_id[:MAX_ID],
            )


class DocumentConnection(ClientSocket):
    """One client of a document."""

    def __init__(self, endpoint: DocumentEndpoint, websocket: WebSocket, document_id: str) -> None:
        super().__init__(websocket, endpoint.authenticator)
        self._endpoint = endpoint
        self._document_id = document_id
        self._client_key = client_key(websocket)
        self._rate = RateLimiter(*endpoint.rate)
        self._member = Member(endpoint.rooms.limits, self.end)
        self._room: asyncio.Future[Room] = asyncio.get_running_loop().create_future()
        self._is_sending = False
        self._heard = time.monotonic()

    @property
    def may_write(self) -> bool:
        """Whether the client may change the document."""
        return self.identity is not None or not self._endpoint.read_only_guests

    def is_delivered(self) -> bool:
        """Tell whether nothing waits to be stored, answered or sent."""
        is_settled = self._room.done() and self._room.result().is_settled
        return is_settled and not self._is_sending and not self._member.outbox

    async def deliver(self) -> None:
        """Enter the room once the client is admitted, and send what waits for it."""
        if not is_document_id(self._document_id):
            reason = f"expected a document id of 1 to {MAX_ID} characters, none of them control"
            raise CloseError(frames.BAD_FRAME, reason)
        self._read_header()
        await self.admission.wait()
        if not self.may_write:
            self._deny()
        room = await self._endpoint.rooms.join(self._document_id, self._member)
        try:
            self._room.set_result(room)
            while True:
                frame = await self._member.outbox.take(room.presence)
                self._is_sending = True
                await self.send_bytes(frame)
                self._is_sending = False
        finally:
            self._endpoint.rooms.leave(room, self._member)

    async def answer(self) -> None:
        """Deal with the client's frames one after another, until it goes or sends one that is none.

        A client past its rate is not read meanwhile, and TCP holds it back.
        """
        while (message := await self.websocket.receive())["type"] == "websocket.receive":
            self.is_answering = True
            self.received += 1
            await self._keep_to_the_rate()
            self.check_end()
            try:
                await self._handle(message)
            except MalformedError as error:
                raise CloseError(frames.BAD_FRAME, str(error)) from None
            self.is_answering = False
            # Frames that came together are all there: others want their turn in between.
            await asyncio.sleep(0)
        raise WebSocketDisconnect(message["code"])

    def _read_header(self) -> None:
        """Let in a client that shows its token with the handshake, as no browser can."""
        try:
            token = bearer(self.websocket.headers)
        except InvalidTokenError as error:
            raise CloseError(frames.UNAUTHORIZED, str(error)) from None
        if token is not None:
            # Without `auth-ok`: such a client may not know text frames.
            self.admission.show(token)
            self.admission.admit()

    async def _keep_to_the_rate(self) -> None:
        asked_for, self._member.asked_for = self._member.asked_for, 0
        self._rate.charge("", asked_for / _BYTES_PER_FRAME)
        if wait := self._rate.take(""):
            self._endpoint.metrics.rate_limited["frame"].inc()
            while wait:
                await asyncio.sleep(min(wait, _SIGN_OF_LIFE))
                if self.admission.is_admitted and time.monotonic() - self._heard >= _SIGN_OF_LIFE:
                    # It takes us for dead if it hears nothing for 30 s. This says nothing.
                    self._heard = time.monotonic()
                    self._member.outbox.frame(document_frames.awareness(()))
                wait = self._rate.take("")

    async def _handle(self, message: Message) -> None:
        data = message.get("bytes")
        if data is None:
            await self._handle_text(message)
            return
        self.admission.check()
        if len(data) > MAX_DOCUMENT_FRAME:
            reason = f"expected at most {MAX_DOCUMENT_FRAME} bytes"
            raise CloseError(frames.MESSAGE_TOO_BIG, reason)
        self._rate.charge("", len(data) / _BYTES_PER_FRAME)
        room = await asyncio.shield(self._room)
        match document_frames.parse(data):
            case SyncStep1(vector):
                room.question(self._member, vector, document_updates.state_vector(vector))
            case Update(update):
                await self._change(room, update)
            case Awareness(entries):
                room.hear(self._member, entries)
            case _:
                room.tell_states(self._member)

    async def _handle_text(self, message: Message) -> None:
        frame = frames.parse(message)
        if frame.type == "auth":
            could_write = self.may_write
            payload = self.admission.authenticate(frame.payload)
            # That was the guest. It must not come behind `auth-ok`.
            self._member.outbox.forget(_DENIAL)
            await self.send_text(frames.encode("auth-ok", payload))
            self.admission.admit()
            if self._room.done() and not could_write:
                # What it has changed so far was dropped.
                self._room.result().ask(self._member)
            return
        self.admission.check()
        if frame.type != "ping":
            raise CloseError(frames.BAD_FRAME, "expected auth or ping, or a binary frame")
        await self.send_text(frames.encode("pong", {}))

    async def _change(self, room: Room, update: bytes) -> None:
        inspection = Inspection(update)
        for _ in inspection:
            # A long one. Others may go on meanwhile, the next frame of this client does not.
            await asyncio.sleep(0)
        self._rate.charge("", inspection.size / _STRUCTS_PER_FRAME)
        if update == EMPTY_UPDATE:
            return
        if not self.may_write:
            self._deny()
            return
        if room.is_new and self._endpoint.new_documents.take(self._client_key):
            raise CloseError(frames.TRY_AGAIN_LATER, "expected fewer new documents a minute")
        if inspection.is_mixed:
            # The whole text is looked at then.
            self._rate.charge("", room.size / _BYTES_PER_FRAME)
        room.change(self._member, update, is_mixed=inspection.is_mixed)

    def _deny(self) -> None:
        self._member.outbox.frame(_DENIAL)


def is_document_id(text: str) -> bool:
    """Tell whether a document may be called so."""
    return 0 < len(text) <= MAX_ID and not any(unicodedata.category(c) == "Cc" for c in text)
