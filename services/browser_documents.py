"""The part of the adapter in ``browser`` that keeps documents: Yjs and IndexedDB."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from pyodide.ffi import JsException, to_js  # type: ignore[import-not-found]

from .browser_listeners import Proxies
from .describe import describe
from .errors import ConnectionFailed, InvalidEdit, InvalidFrame, StorageFailed
from .replica import DocumentStore, Edit, Kept, Person, Replica, ReplicaListener
from .strict_json import loads


async def open_replica(
    module: Any, listener: ReplicaListener, guard: Callable[..., Any]
) -> Replica:
    """Make a replica with ``runtime/documents.js``. Raises ConnectionFailed if Yjs is not there."""

    def edited(buffer: Any, lengths: Any) -> None:
        data = buffer.to_bytes()
        listener.edited([data] if lengths is None else _parts(data, lengths.to_py()))

    def people(text: str) -> None:
        listener.people([Person(client, user, hue) for client, hue, user in loads(text)])

    try:
        make = await module.prepare()
    except JsException as error:
        raise ConnectionFailed(f"vendor/collaboration.js: {error.message}") from error
    proxies = Proxies(
        guard,
        edited=edited,
        presence=lambda buffer: listener.presence(buffer.to_bytes()),
        people=people,
    )
    return BrowserReplica(make(proxies.handed_over()), proxies)


class BrowserReplica:
    """A Yjs document with a text. Destroyed, it holds no proxies and tells nothing more."""

    def __init__(self, replica: Any, proxies: Proxies) -> None:
        self._replica = replica
        self._proxies = proxies
        self._number = int(replica.number)
        # Looked up once: each step of a lookup crosses over.
        self._edit = replica.edit
        self._edit_one = replica.editOne
        self._apply = replica.apply

    @property
    def number(self) -> int:
        """What an editor of this page knows it by."""
        return self._number

    @property
    def client_id(self) -> int:
        """What Yjs knows this replica by; another one after somebody else has used it."""
        return int(self._replica.clientId())

    @property
    def text(self) -> str:
        """The text."""
        return str(self._replica.text())

    @property
    def lacks_updates(self) -> bool:
        """Whether an update has come whose predecessors have not."""
        return bool(self._replica.lacksUpdates())

    def edit(self, edits: Sequence[Edit]) -> None:
        """Make all edits in one transaction, in one crossing."""
        if not edits:
            return
        refused = self._edit_one(*edits[0]) if _is_one(edits) else self._edit(*_packed(edits))
        if refused is not None:
            index, length = map(int, refused)
            position, count, _ = edits[index]
            if position > length:
                raise InvalidEdit(f"edit {index}: expected a position ≤ {length}, came {position}")
            raise InvalidEdit(
                f"edit {index}: expected to delete at most {length - position} characters"
                f" at {position}, came {count}"
            )

    def vector(self) -> bytes:
        """Return the state vector."""
        return bytes(self._replica.vector().to_bytes())

    def update_since(self, vector: bytes | None = None) -> bytes:
        """Return what a replica with that state vector lacks."""
        arguments = () if vector is None else (to_js(vector),)
        update = self._replica.updateSince(*arguments)
        if update is None:
            raise InvalidFrame(f"expected a state vector of Yjs, came {describe(vector)}")
        return bytes(update.to_bytes())

    def apply(self, updates: Sequence[bytes]) -> list[str]:
        """Apply updates of others, in one crossing."""
        if not updates:
            return []
        if len(updates) == 1:
            faults = self._apply(to_js(updates[0]))
        else:
            lengths = array("I", map(len, updates))
            faults = self._apply(to_js(b"".join(updates)), to_js(lengths))
        return [] if faults is None else [str(fault) for fault in faults]

    def set_user(self, user: dict[str, Any] | None) -> None:
        """Say who this is."""
        self._replica.setUser(json.dumps(user, allow_nan=False))

    def presence(self, *, of_all: bool = False) -> bytes:
        """Return an awareness update of this page, or of everybody it knows of."""
        return bytes(self._replica.presence(of_all).to_bytes())

    def apply_presence(self, update: bytes) -> None:
        """Take an awareness update of others."""
        if (fault := self._replica.applyPresence(to_js(update))) is not None:
            raise InvalidFrame(str(fault))

    def forget_people(self) -> None:
        """Take everybody else for gone."""
        self._replica.forgetPeople()

    def destroy(self) -> None:
        """Withdraw, and end every timer and listener."""
        if self._proxies:
            self._replica.destroy()
            self._proxies.destroy()


async def open_store(
    module: Any,
    name: str,
    failed: Callable[[StorageFailed], None],
    guard: Callable[..., Any],
) -> DocumentStore:
    """Open a store with ``runtime/document_store.js``."""

    def abandon(opening: asyncio.Future[Any]) -> None:
        if opening.exception() is None:
            opening.result().close()
        else:
            proxies.destroy()

    proxies = Proxies(
        guard,
        failed=lambda reason: failed(StorageFailed(f"{name}: {reason}")),
        closed=lambda: proxies.destroy(),
    )
    opening = asyncio.ensure_future(module.openStore(name, proxies.handed_over()))
    try:
        store = await asyncio.shield(opening)
    except JsException as error:
        proxies.destroy()
        raise _failure(name, error) from error
    except asyncio.CancelledError:
        opening.add_done_callback(abandon)
        raise
    return BrowserDocumentStore(name, store)


class BrowserDocumentStore:
    """One document in IndexedDB.

    A record that cannot be read is left out by `load`, and the store goes on. After any failure
    nothing is kept any more, and `load` and `flush` raise.
    """

    def __init__(self, name: str, store: Any) -> None:
        self._name = name
        self._store = store

    async def load(self) -> Kept:
        """Return what is kept."""
        try:
            updates, unsent, fault = await self._store.load()
        except JsException as error:
            raise _failure(self._name, error) from error
        return Kept([update.to_bytes() for update in updates], int(unsent), str(fault))

    def append(self, update: bytes, *, unsent: int = 0) -> None:
        """Keep an update more."""
        self._store.append(to_js(update), unsent)

    def sent(self, count: int) -> None:
        """Note that the server has so many of the unsent changes."""
        self._store.sent(count)

    async def flush(self) -> None:
        """Return when all that was appended is written."""
        try:
            await self._store.flush()
        except JsException as error:
            raise _failure(self._name, error) from error

    def close(self) -> None:
        """Write what is appended, and let go of the store."""
        self._store.close()


def _failure(name: str, error: Any) -> StorageFailed:
    return StorageFailed(f"{name}: {error.name}: {error.message}")


def _parts(data: bytes, lengths: list[int]) -> list[bytes]:
    parts = []
    at = 0
    for length in lengths:
        parts.append(data[at : at + length])
        at += length
    return parts


def _is_one(edits: Sequence[Edit]) -> bool:
    """Return whether this is one plain edit: it can cross as it is, in half the time."""
    if len(edits) != 1 or type(edits[0]) is not tuple or len(edits[0]) != 3:
        return False
    position, count, text = edits[0]
    return (
        type(position) is type(count) is int
        and 0 <= position < 2**53
        and 0 <= count < 2**53
        and type(text) is str
        and text.isascii()
    )


def _packed(edits: Sequence[Edit]) -> tuple[Any, str]:
    """Return positions, counts and lengths as one array, and the texts as one text.

    All of it is checked but whether it fits the text. Raises InvalidEdit.
    """
    try:
        positions, counts, texts = (list(map(itemgetter(n), edits)) for n in range(3))
        inserted = "".join(texts)
        numbers = [*positions, *counts, *map(len, texts)]
        if (
            {*map(type, positions), *map(type, counts)} == {int}
            and min(numbers) >= 0
            and {*map(len, edits)} == {3}
            and (inserted.isascii() or inserted.encode())
        ):
            return to_js(array("d", numbers)), inserted
    except (TypeError, LookupError, OverflowError, UnicodeEncodeError):
        pass
    raise InvalidEdit(_fault(edits))


def _fault(edits: Sequence[Any]) -> str:
    for index, edit in enumerate(edits):
        if not isinstance(edit, tuple | list) or len(edit) != 3:
            return f"edit {index}: expected (position, count, text), came {describe(edit)}"
        *numbers, text = edit
        for name, number in zip(("position", "count"), numbers, strict=True):
            if type(number) is not int or not 0 <= number < 2**53:
                return f"edit {index}: {name}: expected a whole number, came {describe(number)}"
        if not isinstance(text, str):
            return f"edit {index}: text: expected text, came {describe(text)}"
        if any("\ud800" <= character <= "\udfff" for character in text):
            return f"edit {index}: text: expected whole characters, came half of a surrogate pair"
    return "expected edits, each (position, count, text), came something else"
