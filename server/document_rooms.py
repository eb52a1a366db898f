"""The documents that are open: loaded when somebody comes, let go of a while after the last."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from server import frames
from server.document_room import Limits, Member, Room
from server.document_store import DocumentStore, DocumentStoreError
from server.frames import CloseError
from server.metrics import Metrics
from server.replica import Replica, SpoiltError

logger = logging.getLogger(__name__)

#: Seconds that a document stays loaded without a client: many come back soon.
_LINGER = 30


class Rooms:
    """A room for each document that somebody has open, or had a moment ago."""

    def __init__(
        self, store: DocumentStore, limits: Limits, metrics: Metrics, *, linger: float = _LINGER
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._linger = linger
        self._rooms: dict[str, Room] = {}
        self._loading: dict[str, asyncio.Task[Room]] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self.limits = limits

    @property
    def open_count(self) -> int:
        """How many documents clients have open."""
        return sum(bool(room.members) for room in self._rooms.values())

    @property
    def client_count(self) -> int:
        """How many clients have one open."""
        return sum(len(room.members) for room in self._rooms.values())

    async def join(self, document_id: str, member: Member) -> Room:
        """Let a client into a document's room; raises `CloseError`."""
        try:
            room = self._rooms.get(document_id) or await self._load(document_id)
        except (DocumentStoreError, SpoiltError) as error:
            _log_failed(document_id, error)
            raise CloseError(frames.TRY_AGAIN_LATER, "the document cannot be read") from None
        room.join(member)
        if leaving := self._leaving.pop(document_id, None):
            leaving.cancel()
        return room

    def leave(self, room: Room, member: Member) -> None:
        """Let a client out."""
        room.leave(member)
        if not room.members and self._rooms.get(room.document_id) is room:
            self._leaving[room.document_id] = asyncio.create_task(self._unload(room))

    async def content(self, document_id: str) -> str:
        """Return a document's text; raises `DocumentStoreError`, `SpoiltError`."""
        if room := self._rooms.get(document_id):
            await room.settle()
            return room.content
        stored = await self._store.load(document_id)
        return Replica(stored.updates).text if stored.updates else ""

    async def close(self) -> None:
        """Store what has come, and let go of everything."""
        for task in self._leaving.values():
            task.cancel()
        for room in tuple(self._rooms.values()):
            await room.settle()
            with contextlib.suppress(DocumentStoreError):
                await room.squash()
        self._store.close()

    async def _load(self, document_id: str) -> Room:
        """Return a document's room, loaded once for all who wait for it."""
        loading = self._loading.get(document_id)
        if loading is None:
            loading = asyncio.create_task(self._make(document_id))
            self._loading[document_id] = loading
            loading.add_done_callback(lambda _: self._loading.pop(document_id))
        return await asyncio.shield(loading)

    async def _make(self, document_id: str) -> Room:
        stored = await self._store.load(document_id)
        room = Room(
            document_id,
            stored,
            store=self._store,
            limits=self.limits,
            metrics=self._metrics,
            on_failed=self._forget,
        )
        self._rooms[document_id] = room
        # Whoever it was made for may have gone meanwhile.
        self._leaving[document_id] = asyncio.create_task(self._unload(room))
        return room

    async def _unload(self, room: Room) -> None:
        """Let go of a room that nobody comes back to."""
        await asyncio.sleep(self._linger)
        await room.settle()
        try:
            # From here on nobody may cut it short; who comes now finds the room still there.
            await asyncio.shield(asyncio.ensure_future(room.squash()))
        except DocumentStoreError as error:
            _log_failed(room.document_id, error)
        if not room.members:
            self._forget(room)
            self._leaving.pop(room.document_id, None)

    def _forget(self, room: Room) -> None:
        if self._rooms.get(room.document_id) is room:
            del self._rooms[room.document_id]


def _log_failed(document_id: str, error: Exception) -> None:
    logger.error("A document failed", extra={"document": document_id, "error": str(error)})
