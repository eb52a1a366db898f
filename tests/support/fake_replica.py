"""Documents made of pycrdt, the CRDT the gateway uses: real convergence without a browser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pycrdt import Doc, Text, TransactionEvent, merge_updates

from services.errors import InvalidEdit, InvalidFrame, StorageFailed
from services.replica import Edit, Kept, Person, ReplicaListener
from services.y_messages import number, read_number, read_vector, with_length

CLIENTS = iter(range(1, 2**31))


class FakeReplica:
    """Implements `services.replica.Replica`; what it tells, it tells at once."""

    def __init__(self, listener: ReplicaListener) -> None:
        self.client_id = next(CLIENTS)
        self.number = self.client_id
        self.is_destroyed = False
        #: Whether to tell of edits as under load: not at once, but at the latest in the end.
        self.holds_back = False
        self._listener = listener
        self._doc: Doc[Text] = Doc(client_id=self.client_id)
        self._doc["content"] = self._content = Text()
        self._applying = False
        self._edited: list[bytes] = []
        self._expected: dict[int, int] = {}
        self._subscription = self._doc.observe(self._changed)
        self._clock = 0
        self._state: Any = None
        # By client: clock and state
        self.others: dict[int, tuple[int, Any]] = {}

    @property
    def text(self) -> str:
        return str(self._content)

    @property
    def lacks_updates(self) -> bool:
        has = read_vector(self._doc.get_state())
        return any(clock > has.get(client, 0) for client, clock in self._expected.items())

    def edit(self, edits: Sequence[Edit]) -> None:
        text = self.text
        for position, count, inserted in edits:
            if not 0 <= position <= position + count <= len(text):
                raise InvalidEdit(f"expected a place in {len(text)} characters, came {position}")
            text = text[:position] + inserted + text[position + count :]
        with self._doc.transaction():
            for position, count, inserted in edits:
                now = self.text
                start = len(now[:position].encode())
                end = len(now[: position + count].encode())
                if count:
                    del self._content[start:end]
                if inserted:
                    self._content.insert(start, inserted)
        if not self.holds_back:
            self._tell()

    def vector(self) -> bytes:
        assert not self.is_destroyed
        return self._doc.get_state()

    def update_since(self, vector: bytes | None = None) -> bytes:
        try:
            return self._doc.get_update(vector or b"\0")
        except ValueError as error:
            raise InvalidFrame(f"state vector: {error}") from None

    def apply(self, updates: Sequence[bytes]) -> list[str]:
        assert not self.is_destroyed
        faults = []
        self._applying = True
        try:
            for update in updates:
                try:
                    self._doc.apply_update(update)
                    client, clock = beginning(update)
                    self._expected[client] = max(clock, self._expected.get(client, 0))
                except ValueError as error:
                    faults.append(str(error))
        finally:
            self._applying = False
        return faults

    def set_user(self, user: dict[str, Any] | None) -> None:
        self._state = None if user is None else {"user": user}
        self._listener.presence(self.presence())

    def presence(self, *, of_all: bool = False) -> bytes:
        self._clock += 1
        entries = {self.client_id: (self._clock, self._state)}
        if of_all:
            entries |= self.others
        return number(len(entries)) + b"".join(
            number(client) + number(clock) + with_length(json.dumps(state).encode())
            for client, (clock, state) in entries.items()
        )

    def apply_presence(self, update: bytes) -> None:
        assert not self.is_destroyed
        entries = entries_of(update)
        before = self._people()
        for client, (clock, state) in entries.items():
            known, present = self.others.get(client, (0, None))
            is_end = clock == known and state is None and present is not None
            if client != self.client_id and (clock > known or is_end):
                self.others[client] = (clock, state)
        if self._people() != before:
            self._listener.people(self._people())

    def forget_people(self) -> None:
        self.others.clear()
        self._listener.people([])

    def destroy(self) -> None:
        assert not self.is_destroyed
        self._tell()
        self.is_destroyed = True
        self._doc.unobserve(self._subscription)

    def _tell(self) -> None:
        updates, self._edited = self._edited, []
        if updates:
            self._listener.edited(updates)

    def _people(self) -> list[Person]:
        return [
            Person(client, _user_of(state), client % 8)
            for client, (_, state) in self.others.items()
            if state is not None
        ]

    def _changed(self, event: TransactionEvent) -> None:
        if not self._applying and event.update != b"\0\0":
            self._edited.append(event.update)  # told when pycrdt is done with it


def beginning(update: bytes) -> tuple[int, int]:
    """Return the first client of an update and what it builds on: an update's first numbers."""
    clients, at = read_number(update, 0)
    if not clients:
        return 0, 0
    _, at = read_number(update, at)
    client, at = read_number(update, at)
    return client, read_number(update, at)[0]


def _user_of(state: Any) -> dict[str, Any]:
    user = state.get("user") if isinstance(state, dict) else None
    return user if isinstance(user, dict) else {}


def entries_of(update: bytes) -> dict[int, tuple[int, Any]]:
    """Read an awareness update. Raises InvalidFrame."""
    count, at = read_number(update, 0)
    entries = {}
    for _ in range(count):
        client, at = read_number(update, at)
        clock, at = read_number(update, at)
        length, at = read_number(update, at)
        try:
            entries[client] = (clock, json.loads(update[at : at + length]))
        except ValueError as error:
            raise InvalidFrame(f"awareness: {error}") from None
        at += length
    return entries


@dataclass
class Record:
    """What a browser keeps of one document."""

    updates: list[bytes] = field(default_factory=list)
    unsent: int = 0


class FakeDocumentStore:
    """Implements `services.replica.DocumentStore`; what is appended is written at once."""

    def __init__(self, record: Record, failed: Callable[[StorageFailed], None]) -> None:
        self._record = record
        self.fail = failed
        self.is_closed = False
        self.fault = ""

    async def load(self) -> Kept:
        await asyncio.sleep(0)
        updates = self._record.updates
        merged = [merge_updates(*updates)] if updates else []
        return Kept(merged, self._record.unsent, self.fault)

    def append(self, update: bytes, *, unsent: int = 0) -> None:
        assert not self.is_closed
        self._record.updates.append(update)
        self._record.unsent += unsent

    def sent(self, count: int) -> None:
        assert not self.is_closed
        self._record.unsent = max(0, self._record.unsent - count)

    async def flush(self) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        self.is_closed = True
