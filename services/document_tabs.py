"""A document among the tabs of one browser, without a server.

    {"schema": 1, "sent": bool, "kept": bool, "frame": base64}

The frames are those of ``y_messages``. `sent` says that the sender has a connection, and gives the
server itself what is in the frame; `kept`, that it keeps it in this browser. Where either is false,
whoever can does it instead.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from . import y_messages
from .describe import describe
from .errors import InvalidFrame
from .platform import Platform
from .replica import Replica
from .strict_json import loads
from .y_messages import (
    Awareness,
    PermissionDenied,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    Update,
    YMessage,
)

SCHEMA = 1
LARGEST = 64 * 1024 * 1024
"""Characters of a message."""


class FromTab(NamedTuple):
    """An update that another tab told, and what that tab does about it itself."""

    update: bytes
    changes: int
    """How many changes it is: none, if it only answers what we asked."""
    is_sent: bool
    is_kept: bool


class DocumentTabs:
    """This tab's end of the document `name`; other ends may be on the same page.

    `received` takes updates that were told and are applied, `circumstances` returns whether this
    tab sends its own to the server, and keeps them, `failed` hears what was wrong with a message.
    """

    def __init__(
        self,
        platform: Platform,
        name: str,
        replica: Replica,
        *,
        received: Callable[[FromTab], None],
        circumstances: Callable[[], tuple[bool, bool]],
        failed: Callable[[str], None],
    ) -> None:
        self._platform = platform
        self._replica = replica
        self._received = received
        self._circumstances = circumstances
        self._failed = failed
        self._channel = platform.open_channel(f"document:{name}", self._hear)
        self.join()

    @property
    def is_open(self) -> bool:
        """Whether there is a channel to other tabs."""
        return self._channel is not None

    def join(self) -> None:
        """Ask the others what they have, and who they are; say that we are here."""
        self._post(SyncStep1(self._replica.vector()))
        self._post(QueryAwareness())
        self._post(Awareness(self._replica.presence()))

    def changed(self, updates: Sequence[bytes]) -> None:
        """Tell the others what has changed here."""
        for update in updates:
            self._post(Update(update))

    def present(self, update: bytes) -> None:
        """Tell the others who is here and where."""
        self._post(Awareness(update))

    def close(self) -> None:
        """Hear and say nothing more."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _post(self, message: YMessage) -> None:
        if self._channel is None:
            return
        is_sent, is_kept = self._circumstances()
        frame = base64.b64encode(y_messages.encode(message)).decode()
        value = {"schema": SCHEMA, "sent": is_sent, "kept": is_kept, "frame": frame}
        self._channel.post(json.dumps(value))

    def _hear(self, text: str | None) -> None:
        try:
            is_sent, is_kept, message = _read(text)
            match message:
                case SyncStep1(vector):
                    mine = self._replica.vector()
                    has_more = y_messages.lacks(mine, vector)
                    self._post(SyncStep2(self._replica.update_since(vector)))
                    if has_more:
                        self._post(SyncStep1(mine))
                case SyncStep2(update) | Update(update):
                    before = self._replica.vector()
                    if faults := self._replica.apply([update]):
                        raise InvalidFrame(f"update: {faults[0]}")
                    is_change = isinstance(message, Update)
                    is_news = is_change or self._replica.vector() != before
                    # All tabs hear what one of them has asked for: a document, from each of them.
                    if is_news or not (is_sent and is_kept):
                        self._received(FromTab(update, int(is_change), is_sent, is_kept))
                case Awareness(update):
                    self._replica.apply_presence(update)
                case QueryAwareness():
                    self._post(Awareness(self._replica.presence()))
                case PermissionDenied():
                    raise InvalidFrame("frame: expected none that only a server sends, came one")
        except InvalidFrame as error:
            # Any page of this origin may say anything here.
            self._failed(f"from another tab: {error}")


def _read(text: str | None) -> tuple[bool, bool, YMessage]:
    if text is None or len(text) > LARGEST:
        came = "none" if text is None else f"{len(text)} characters"
        raise InvalidFrame(f"message: expected JSON of at most {LARGEST} characters, came {came}")
    try:
        value = loads(text)
    except ValueError:
        raise InvalidFrame(f"message: expected JSON, came {describe(text)}") from None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise InvalidFrame(f"message: expected schema {SCHEMA}, came {describe(value)}")
    is_sent, is_kept, frame = value.get("sent"), value.get("kept"), value.get("frame")
    if not isinstance(is_sent, bool) or not isinstance(is_kept, bool):
        raise InvalidFrame("message: expected true or false as sent and kept")
    if not isinstance(frame, str):
        raise InvalidFrame(f"frame: expected base64, came {describe(frame)}")
    try:
        return is_sent, is_kept, y_messages.decode(base64.b64decode(frame, validate=True))
    except (binascii.Error, ValueError) as error:
        if isinstance(error, InvalidFrame):
            raise
        raise InvalidFrame(f"frame: expected base64, came {describe(frame)}") from None
