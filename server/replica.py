"""One document in memory: what pycrdt holds, and what it does not tell by itself.

pycrdt is yrs, in Rust. What it refuses, it refuses before it changes anything. Should it panic,
which is no `Exception` in Python, or let in what it should not have, the replica is spoilt and a
new one has to be made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pycrdt
from pycrdt import Doc, Text, TransactionEvent

from server import document_updates
from server.document_frames import EMPTY_UPDATE
from server.lib0 import MalformedError

#: The name of a document's text.
TEXT = "content"

#: The state vector of somebody who has nothing.
NOTHING = b"\0"


class SpoiltError(Exception):
    """A replica is no longer what it should be; the message says why."""


class Replica:
    """A document made of `updates`; raises `SpoiltError` if they make none."""

    def __init__(self, updates: Iterable[bytes] = ()) -> None:
        self._doc: Doc[Text] = Doc()
        self._text = self._doc.get(TEXT, type=Text)
        self._news: list[bytes] = []
        self._waiting: list[bytes] = []
        self._subscription = self._doc.observe(self._note)
        self._clocks: dict[int, int] | None = None
        self._encoded: bytes | None = None
        #: Updates that wait for others, which have not come yet. pycrdt applies them when they
        #: come, but leaves them out wherever it is asked what there is.
        self.incomplete: list[bytes] = []
        try:
            with self.transaction():
                for update in updates:
                    self.apply(update)
        except MalformedError as error:
            raise SpoiltError(str(error)) from None
        self.news()

    @property
    def text(self) -> str:
        """The document's text."""
        return str(self._text)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Apply all updates inside at once; raises `SpoiltError`."""
        with _spoiling(), self._doc.transaction():
            yield

    def apply(self, update: bytes, *, is_mixed: bool = False) -> None:
        """Apply an update, inside a transaction.

        Raises `MalformedError`, and has changed nothing then; or `SpoiltError`. One that is
        mixed must not put anything but text into the text: an editor would no longer know where
        anything stands. It must not wait for others either, since nobody could tell then.
        """
        self._clocks = self._encoded = None
        with _spoiling():
            try:
                self._doc.apply_update(update)
            except ValueError:
                raise MalformedError("expected an update of Yjs") from None
            is_complete = self._is_complete(update)
            if is_mixed and not (is_complete and self._is_text_alone()):
                raise SpoiltError("expected nothing but text in the text")
        if not is_complete:
            self._waiting.append(update)

    def news(self) -> list[bytes]:
        """Return what was new in all that was applied since the last call.

        What is complete comes as one update, without what was there already; what waits for
        others comes as it is. Raises `SpoiltError`.
        """
        self._clocks = self._encoded = None
        with _spoiling():
            self.incomplete = [u for u in self.incomplete if not self._is_complete(u)]
            # What it waited for may have come right behind it.
            waiting = [u for u in self._waiting if not self._is_complete(u)]
        waiting = [update for update in waiting if update not in self.incomplete]
        self.incomplete += waiting
        news = [update for update in self._news if update != EMPTY_UPDATE]
        self._waiting.clear()
        self._news.clear()
        return news + waiting

    def encoded(self) -> bytes:
        """Return all that is complete, as one update. It takes as long as there is of it."""
        if self._encoded is None:
            self._encoded = self._doc.get_update()
        return self._encoded

    def since(self, vector: bytes) -> bytes:
        """Return what a state vector lacks, and all deletions; raises `MalformedError`."""
        if vector == NOTHING:
            return self.encoded()
        try:
            return self._doc.get_update(vector)
        except ValueError:
            raise MalformedError("expected a state vector of Yjs") from None

    def vector(self) -> bytes:
        """Return the state vector."""
        return self._doc.get_state()

    def clocks(self) -> dict[int, int]:
        """Return the state vector, each client's clock. It is not to be changed."""
        if self._clocks is None:
            self._clocks = document_updates.state_vector(self._doc.get_state())
        return self._clocks

    def lacking(self, update: bytes) -> bytes:
        """Return what of an update is not there yet, and its deletions; raises `SpoiltError`."""
        with _spoiling():
            try:
                return pycrdt.get_update(update, self._doc.get_state())
            except ValueError:
                return update  # it cannot be applied either

    def _note(self, event: TransactionEvent) -> None:
        self._news.append(event.update)

    def _is_text_alone(self) -> bool:
        # What is not text takes up room without being shown. pycrdt counts in bytes.
        return len(self._text) == len(str(self._text).encode())

    def _is_complete(self, update: bytes) -> bool:
        """Tell whether all of an update that was applied is there."""
        lacking = self.lacking(update)
        if lacking[0]:
            return False
        return lacking == EMPTY_UPDATE or document_updates.is_covered(
            document_updates.deleted(lacking),
            by=document_updates.state_vector(self._doc.get_state()),
        )


@contextmanager
def _spoiling() -> Iterator[None]:
    """Raise `SpoiltError` for a panic, which is only a `BaseException`."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise SpoiltError("the document's library panicked") from None
