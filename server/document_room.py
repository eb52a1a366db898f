"""One document and everyone who has it open.

What clients send waits for the end of the loop's turn, or for some milliseconds while many write;
then it is applied, stored in one transaction, and only then passed on and answered, in that order.
So whatever anyone was shown is stored, and the answer to a `SyncStep1` means that all its sender
sent before is, too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from server import document_frames, document_updates, frames
from server.document_frames import EMPTY_UPDATE, Presence
from server.document_store import DocumentStore, DocumentStoreError, Stored
from server.frames import CloseError
from server.lib0 import MalformedError
from server.metrics import Metrics
from server.outbox import Outbox
from server.presence import States
from server.replica import Replica, SpoiltError

logger = logging.getLogger(__name__)

#: Seconds between two commits, for each client there is, and at most: one frame of a display.
#: What comes in between goes out to everybody at once, instead of one by one.
_PACE = 0.0003
_MAX_PACE = 0.016

#: Seconds between two messages about who is there.
_PRESENCE_PACE = 0.03

#: Seconds between two looks at who has not been heard of for long.
_EXPIRY_INTERVAL = 3

#: Updates that a document consists of before they become one, and the bytes it may always have.
_MAX_UPDATES = 2000
_MIN_BYTES = 64 * 1024

#: Updates that are left as they are when nobody has the document open any more.
_FEW_UPDATES = 20


class Limits(NamedTuple):
    """What a document may be."""

    #: Bytes of the document, encoded.
    size: int
    #: Clients that have it open.
    clients: int
    #: Updates that may wait for one of them.
    queue: int


class Member:
    """A client of a room, without its socket."""

    def __init__(self, limits: Limits, end: Callable[[CloseError], None]) -> None:
        self._end = end
        self.outbox = Outbox(limits.queue, limits.size)
        #: What the document had when the client was last told that it has all, or all it lacks.
        self.told: dict[int, int] | None = None
        #: Bytes it was sent because it asked for them, to be counted against its rate.
        self.asked_for = 0
        self.has_ended = False

    def end(self, code: int, reason: str) -> None:
        """Close the connection; nothing that still waits is done."""
        self.has_ended = True
        self._end(CloseError(code, reason))


class _Change(NamedTuple):
    member: Member
    update: bytes
    is_mixed: bool


class _Question(NamedTuple):
    member: Member
    vector: bytes
    clocks: dict[int, int]


class Room:
    """A document's replica, its clients and their states."""

    def __init__(
        self,
        document_id: str,
        stored: Stored,
        *,
        store: DocumentStore,
        limits: Limits,
        metrics: Metrics,
        on_failed: Callable[[Room], None],
    ) -> None:
        """Raise `SpoiltError` if what is stored makes no document."""
        self.document_id = document_id
        self._store = store
        self._limits = limits
        self._metrics = metrics
        self._on_failed = on_failed
        self._replica = Replica(stored.updates)
        self._position = stored.position
        self._stored_updates = len(stored.updates)
        self._stored_bytes = sum(map(len, stored.updates))
        #: What was stored after the last squash.
        self._squashed_bytes = len(self._replica.encoded())
        # The document is not larger than this. How large it is exactly, takes long to tell.
        self._size_bound = self._stored_bytes
        self.members: set[Member] = set()
        self._work: list[_Change | _Question] = []
        self._committing: asyncio.Task[None] | None = None
        self._states = States()
        self._changed_states: set[int] = set()
        self._presence_timer: asyncio.TimerHandle | None = None
        self._presence_told = 0.0
        self._expiry_timer: asyncio.TimerHandle | None = None
        self.has_failed = False

    @property
    def content(self) -> str:
        """The document's text."""
        return self._replica.text

    @property
    def size(self) -> int:
        """The bytes that the document has at most, encoded."""
        return self._size_bound

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever written."""
        return not self._position

    @property
    def is_settled(self) -> bool:
        """Whether everything that came is stored, passed on and answered."""
        return self._committing is None

    def join(self, member: Member) -> None:
        """Let a client in, and begin to tell it; raises `CloseError`."""
        if len(self.members) >= self._limits.clients:
            reason = f"expected at most {self._limits.clients} clients of one document"
            raise CloseError(frames.TRY_AGAIN_LATER, reason)
        self.members.add(member)
        self.ask(member)
        if self._states.present():
            self.tell_states(member)
        if self._expiry_timer is None:
            self._expiry_timer = self._later(_EXPIRY_INTERVAL, self._expire)

    def leave(self, member: Member) -> None:
        """Let a client go; the others are told at once."""
        self.members.discard(member)
        member.has_ended = True
        self._tell_changed(self._states.leave(member))
        if not self.members:
            self._stop_timers()

    def ask(self, member: Member) -> None:
        """Ask a client for what it has and the document lacks."""
        member.outbox.frame(document_frames.sync_step_1(self._replica.vector()))

    def change(self, member: Member, update: bytes, *, is_mixed: bool = False) -> None:
        """Take a client's update."""
        self._add(_Change(member, update, is_mixed))

    def question(self, member: Member, vector: bytes, clocks: dict[int, int]) -> None:
        """Take a client's `SyncStep1`: its state vector, as it came and as it was read."""
        self._add(_Question(member, vector, clocks))

    def hear(self, member: Member, entries: Iterable[Presence]) -> None:
        """Take what a client says of itself; raises `MalformedError`."""
        self._tell_changed(self._states.hear(member, entries, time.monotonic()))

    def tell_states(self, member: Member) -> None:
        """Tell a client who is there."""
        member.outbox.frame(self.presence(self._states.present()))

    def presence(self, ids: Iterable[int]) -> bytes:
        """Return the frame that tells the states of clients."""
        return document_frames.awareness(self._states.tell(ids))

    async def settle(self) -> None:
        """Return when everything that came is stored, passed on and answered."""
        while self._committing is not None:
            await asyncio.wait([self._committing])

    async def squash(self, *, above: int = _FEW_UPDATES) -> None:
        """Store the document as one update, if there are more; raises `DocumentStoreError`."""
        if self._stored_updates <= above:
            return
        updates = [self._replica.encoded(), *self._replica.incomplete]
        await self._store.squash(self.document_id, updates, until=self._position)
        self._stored_updates = len(updates)
        self._stored_bytes = self._squashed_bytes = self._size_bound = sum(map(len, updates))
        self._metrics.document_squashes.inc()

    def _add(self, work: _Change | _Question) -> None:
        if self.has_failed:
            return
        self._work.append(work)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())

    async def _commit_all(self) -> None:
        """Commit what waits until nothing does. It begins when the loop's turn is over."""
        try:
            while self._work:
                work, self._work = self._work, []
                await self._commit(work)
                # Others' frames gather meanwhile.
                await asyncio.sleep(min(_PACE * len(self.members), _MAX_PACE))
        except (DocumentStoreError, SpoiltError) as error:
            self._fail(error)
        except Exception as error:
            logger.exception("A document's room failed")
            self._fail(error)
        finally:
            self._committing = None

    async def _commit(self, work: list[_Change | _Question]) -> None:
        changes = [item for item in work if isinstance(item, _Change)]
        if changes:
            applied = await self._apply(changes)
            news = self._replica.news()
            if news:
                await self._keep(news)
                self._pass_on(news, {change.member for change in applied})
        for item in work:
            if isinstance(item, _Question) and not item.member.has_ended:
                self._reply(item)
        self._let_go_of_the_slow()
        if self._stored_updates > _MAX_UPDATES or (
            self._stored_bytes > _MIN_BYTES + 2 * self._squashed_bytes
        ):
            await self.squash()

    async def _apply(self, changes: list[_Change]) -> list[_Change]:
        """Apply updates; return those that could be. Who sent one of the others is let go."""
        if not changes:
            return []
        applied: list[_Change] = []
        change = changes[0]
        # All at once, unless the document may become too large by one of them.
        total = sum(len(change.update) for change in changes)
        is_roomy = self._size_bound + total <= self._limits.size
        try:
            for group in [changes] if is_roomy else [[change] for change in changes]:
                change = group[0]
                has_room = is_roomy or self._has_room_for(change)
                with self._replica.transaction():
                    for change in group if has_room else ():
                        if not change.member.has_ended and self._try(change):
                            applied.append(change)
            return applied
        except SpoiltError as error:
            # It is the last one's fault, or that of all of them together: then one goes at a time.
            culprit = change if not change.member.has_ended else applied[-1] if applied else None
            if culprit is None:
                raise
            logger.warning(
                "A client spoilt a document, which is loaded again",
                extra={"document": self.document_id, "error": str(error)},
            )
            culprit.member.end(frames.BAD_FRAME, str(error))
        # Nothing of this is stored yet.
        stored = await self._store.load(self.document_id)
        self._replica = Replica(stored.updates)
        return await self._apply([c for c in changes if not c.member.has_ended])

    def _has_room_for(self, change: _Change) -> bool:
        """Tell whether the document may grow so; let the client go if not."""
        lacking = self._replica.lacking(change.update)
        # Deletions come without structs. Whoever has filled the document can still delete.
        limit = self._limits.size if lacking[0] else 2 * self._limits.size
        if self._size_bound + len(lacking) > limit:
            incomplete = sum(map(len, self._replica.incomplete))
            self._size_bound = len(self._replica.encoded()) + incomplete
        has_room = self._size_bound + len(lacking) <= limit
        if not has_room:
            reason = f"expected a document of at most {self._limits.size} bytes"
            change.member.end(frames.TOO_LARGE, reason)
        return has_room

    def _try(self, change: _Change) -> bool:
        """Apply an update; tell whether it could be."""
        update = change.update
        try:
            self._replica.apply(update, is_mixed=change.is_mixed)
        except MalformedError as error:
            change.member.end(frames.BAD_FRAME, str(error))
            return False
        self._size_bound += len(update)
        return True

    async def _keep(self, news: list[bytes]) -> None:
        self._position = await self._store.append(self.document_id, news)
        size = sum(map(len, news))
        self._stored_updates += len(news)
        self._stored_bytes += size
        self._metrics.document_updates.inc(len(news))
        self._metrics.document_bytes.inc(size)

    def _pass_on(self, news: list[bytes], authors: set[Member]) -> None:
        """Let updates wait for everybody but the one who made them all."""
        author = authors.pop() if len(authors) == 1 else None
        for update in news:
            frame = document_frames.update(update)
            for member in self.members:
                if member is not author:
                    member.outbox.change(update, frame)

    def _reply(self, question: _Question) -> None:
        """Answer a `SyncStep1`.

        In full at first. Later a client that has what the document had at the last answer has
        the rest as well, or will have it before this answer: it was passed on since.
        """
        member = question.member
        told, member.told = member.told, self._replica.clocks()
        if told is not None and document_updates.is_covered(told, by=question.clocks):
            member.outbox.frame(document_frames.sync_step_2(EMPTY_UPDATE))
            return
        try:
            update = self._replica.since(question.vector)
        except MalformedError as error:
            member.end(frames.BAD_FRAME, str(error))
            return
        for incomplete in self._replica.incomplete:
            member.outbox.change(incomplete, document_frames.update(incomplete))
        member.outbox.frame(document_frames.sync_step_2(update))
        member.asked_for += len(update)

    def _let_go_of_the_slow(self) -> None:
        for member in tuple(self.members):
            if member.outbox.overrun and not member.has_ended:
                self._metrics.slow_clients["document"].inc()
                member.end(frames.TRY_AGAIN_LATER, "too slow: too many changes are waiting")

    def _tell_changed(self, ids: set[int]) -> None:
        """Tell everybody of states that changed, the next time that states are told."""
        if not ids or not self.members:
            return
        self._changed_states |= ids
        if self._presence_timer is None:
            wait = self._presence_told + _PRESENCE_PACE - time.monotonic()
            self._presence_timer = self._later(max(0, wait), self._tell_states_to_all)

    def _tell_states_to_all(self) -> None:
        """Tell everybody what changed: also who said it, which is how it knows that we live."""
        self._presence_timer = None
        self._presence_told = time.monotonic()
        ids, self._changed_states = self._changed_states, set()
        frame = self.presence(ids)
        for member in self.members:
            member.outbox.presence(ids, frame)

    def _expire(self) -> None:
        self._tell_changed(self._states.expire(time.monotonic()))
        self._expiry_timer = self._later(_EXPIRY_INTERVAL, self._expire)

    def _fail(self, error: Exception) -> None:
        """Give the room up: nobody knows what of it is stored."""
        logger.error(
            "A document cannot be kept", extra={"document": self.document_id, "error": str(error)}
        )
        self.has_failed = True
        self._work.clear()
        self._stop_timers()
        for member in tuple(self.members):
            member.end(frames.TRY_AGAIN_LATER, "the document cannot be kept")
        self._on_failed(self)

    def _stop_timers(self) -> None:
        for timer in (self._presence_timer, self._expiry_timer):
            if timer is not None:
                timer.cancel()
        self._presence_timer = self._expiry_timer = None

    @staticmethod
    def _later(seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, callback)
