"""What a document session needs of a CRDT and of a place to keep it, as protocols.

``browser_documents`` implements them over Yjs and IndexedDB, the tests over pycrdt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

Edit = tuple[int, int, str]
"""Position, how many characters to delete there, and the text to insert there."""


class Person(NamedTuple):
    """Somebody else at the document, as their own page says: all of it is data of strangers."""

    client_id: int
    user: dict[str, Any]
    """What stands under ``user`` in their awareness state; {} where that is no object."""
    hue: int
    """Which of the eight colours is theirs, 0–7: the same for one person on every page."""


class ReplicaListener(Protocol):
    """Hears of one replica. Nothing is heard after `Replica.destroy`."""

    def edited(self, updates: list[bytes]) -> None:
        """Take what this page has changed, by an editor or by `Replica.edit`, oldest first."""

    def presence(self, update: bytes) -> None:
        """Take this page's own presence (an awareness update), to be told to all others."""

    def people(self, people: list[Person]) -> None:
        """Take who else is there now, whenever that or what they say of themselves changes."""


class Replica(Protocol):
    """This page's copy of one document: a Yjs document with a `Y.Text` named ``content``.

    Updates and state vectors are those of Yjs, in its first encoding. Positions and lengths are in
    Unicode code points, as everywhere in Python.
    """

    @property
    def number(self) -> int:
        """What a ``<text-editor replica=…>`` of this page knows it by."""

    @property
    def client_id(self) -> int:
        """What Yjs knows this replica by."""

    @property
    def text(self) -> str:
        """The text. Half of a surrogate pair, which a stranger may have put there, is U+FFFD."""

    @property
    def lacks_updates(self) -> bool:
        """Whether an update has come whose predecessors have not."""

    def edit(self, edits: Sequence[Edit]) -> None:
        """Make all edits, one after another, in one transaction. They become one update.

        Raises InvalidEdit, and changes nothing, if a position lies outside the text.
        """

    def vector(self) -> bytes:
        """Return the state vector: what this replica has."""

    def update_since(self, vector: bytes | None = None) -> bytes:
        """Return, as one update, what a replica with that state vector lacks; None lacks all.

        Raises InvalidFrame if it is no state vector.
        """

    def apply(self, updates: Sequence[bytes]) -> list[str]:
        """Apply updates of others, in one transaction.

        Those that are none change nothing; return what was wrong with them, one text for each.
        """

    def set_user(self, user: dict[str, Any] | None) -> None:
        """Say who this is, to be told to all others; None withdraws from the document's people."""

    def presence(self, *, of_all: bool = False) -> bytes:
        """Return an awareness update of this page, or of everybody it knows of.

        Its clock is a new one: whoever was told that this page is gone takes it for news.
        """

    def apply_presence(self, update: bytes) -> None:
        """Take an awareness update of others. Raises InvalidFrame if it is none.

        What it says of this page itself is left out.
        """

    def forget_people(self) -> None:
        """Take everybody else for gone, until they are heard of again."""

    def destroy(self) -> None:
        """Withdraw, and end every timer and listener."""


class Kept(NamedTuple):
    """What a store holds of a document."""

    updates: list[bytes]
    unsent: int
    """How many of this browser's changes the server has not confirmed."""
    fault: str = ""
    """What could not be read, in words."""


class DocumentStore(Protocol):
    """Keeps one document in this browser, for all its tabs, across reloads.

    What goes wrong after it was opened is told to the `failed` it was opened with, once.
    """

    async def load(self) -> Kept:
        """Return what is kept. Raises StorageFailed."""

    def append(self, update: bytes, *, unsent: int = 0) -> None:
        """Keep an update more; `unsent` is how many changes it holds that the server lacks.

        They are written in order and squashed now and then, so that what is kept stays small.
        """

    def sent(self, count: int) -> None:
        """Note that the server has so many of the unsent changes."""

    async def flush(self) -> None:
        """Return when all that was appended is written. Raises StorageFailed."""

    def close(self) -> None:
        """Write what is appended, and let go of the store."""
