"""A document that many edit at once, on many pages, with or without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from .close_codes import NORMAL_CLOSURE
from .collaborators import Collaborator, Collaborators
from .describe import describe
from .document_connection import DocumentConnection
from .document_tabs import DocumentTabs, FromTab
from .emitter import Emitter, Handler, Unsubscribe
from .entrusted import Entrusted
from .errors import ConfigurationError, Disconnected, StorageFailed
from .platform import Cancel, Platform, default_platform
from .replica import DocumentStore, Edit, Person, Replica
from .socket_client import settle
from .socket_protocol import State
from .tasks import Tasks
from .tokens import Token
from .websocket_options import WebSocketOptions

LONGEST_ID = 200
"""Characters of a document's id."""


class DocumentSession:
    """This page's part in one document: its text, who else is there, and how safe changes are.

    Everybody's changes meet in a CRDT (Yjs), so none is lost and all end with the same text,
    whoever was away for however long. Changes go to the server at `url` + id (the y-websocket
    protocol; any Yjs server does), to the other tabs of this browser directly, and into this
    browser's storage, from where they reach the server after a reload too.

    `url` may be relative to the page. `token` is text or a provider (see ``tokens``); it is sent
    in a frame, never in the URL. `user` is what others are told of this one: a dict with `id` and
    `name`; None comes unseen. What is kept here is kept for `owner`: another owner does not see
    it. `keep=False` keeps nothing here, `share=False` tells other tabs nothing. The times and
    limits are those of `WebSocketClient`.

    Events, for `on`: `synced` {}: all that the server had is here, and it has all of ours;
    `change` {}: the text may have changed; `collaborator-joined`, `collaborator-left`
    {userId, name, clientId, hue}; `status` {}: some property other than the text has changed;
    `error` {error}; and those of a connection: `connected`, `disconnected`, `reconnect-failed`.

    Raises ConfigurationError if an option is wrong.
    """

    def __init__(
        self,
        document_id: str,
        *,
        url: str = "./ws/documents/",
        token: Token = None,
        user: dict[str, Any] | None = None,
        owner: str = "guest",
        keep: bool = True,
        share: bool = True,
        reconnect_interval: float = 1,
        reconnect_interval_max: float = 30,
        heartbeat_interval: float | None = 30,
        heartbeat_timeout: float = 10,
        connect_timeout: float = 10,
        max_reconnect_attempts: int | None = 10,
        high_water: int = 1024 * 1024,
        platform: Platform | None = None,
    ) -> None:
        self._limits = WebSocketOptions(
            reconnect_interval=reconnect_interval,
            reconnect_interval_max=reconnect_interval_max,
            heartbeat_interval=heartbeat_interval,
            heartbeat_timeout=heartbeat_timeout,
            connect_timeout=connect_timeout,
            max_reconnect_attempts=max_reconnect_attempts,
            high_water=high_water,
        )
        self._platform = platform or default_platform()
        self.document_id = checked_id(document_id)
        self._url = self._platform.resolve(url + quote(document_id, safe=""), websocket=True)
        # Kept and shared apart: of each server, and of each owner.
        self._name = json.dumps([self._url, owner])
        self._token = token
        self._user = checked_user(user)
        self._keep = keep
        self._share = share
        self._emitter = Emitter(self._platform.report)
        self._tasks = Tasks(self._platform.report)
        self._collaborators = Collaborators()
        self._replica: Replica | None = None
        self._store: DocumentStore | None = None
        self._tabs: DocumentTabs | None = None
        self._connection: DocumentConnection | None = None
        self._entrusted = Entrusted(self._platform, self._send_overdue)
        self._unwatch: Cancel | None = None
        self._is_joining = self._has_left = False
        self._has_storage_failed = False
        self._was_synced = False
        self._last_status: tuple[object, ...] = ()
        self._waiters: set[asyncio.Future[None]] = set()

    # What it is like now

    @property
    def replica_number(self) -> int | None:
        """What a `<text-editor replica=…>` needs; None unless joined."""
        return None if self._replica is None else self._replica.number

    @property
    def text(self) -> str:
        """The text; "" unless joined."""
        return "" if self._replica is None else self._replica.text

    @property
    def state(self) -> State:
        """Where the connection stands: that of a `WebSocketClient`."""
        return State.CLOSED if self._connection is None else self._connection.state

    @property
    def last_close(self) -> tuple[int | None, str] | None:
        """Code (None where an attempt got no answer) and reason of the last close."""
        return None if self._connection is None else self._connection.last_close

    @property
    def unsynced_changes(self) -> int:
        """Changes made in this browser that the server has not confirmed."""
        return 0 if self._connection is None else self._connection.exchange.unsynced

    @property
    def synced(self) -> bool:
        """Whether all that the server had is here, and it has all of ours."""
        connection = self._connection if self._replica is not None else None
        return connection is not None and connection.exchange.is_in_step

    @property
    def read_only(self) -> bool:
        """Whether the server takes no changes from here."""
        return self._connection is not None and self._connection.exchange.denial is not None

    @property
    def is_kept(self) -> bool:
        """Whether this browser keeps the document, so that changes outlive the page."""
        return self._store is not None

    @property
    def is_shared(self) -> bool:
        """Whether other tabs of this browser are told of changes."""
        return self._tabs is not None and self._tabs.is_open

    @property
    def collaborators(self) -> list[Collaborator]:
        """Who else is there."""
        return self._collaborators.present

    def on(self, type: str, handler: Handler) -> Unsubscribe:
        """Call `handler`, plain or async, for every such event; return what ends it."""
        return self._emitter.on(type, handler)

    # Coming and going

    async def join(self) -> None:
        """Return when there is something to edit: what this browser keeps is there.

        Connecting goes on from there by itself. Raises ConfigurationError where the page lacks what
        a document needs, and Disconnected if `leave` was called meanwhile or before.
        """
        if self._has_left or self._is_joining:
            raise Disconnected(NORMAL_CLOSURE, "expected a session that has not been joined")
        self._is_joining = True
        replica = await self._platform.open_replica(self)
        try:
            store, unsent = await self._load(replica)
        except BaseException:
            replica.destroy()  # also if nobody waits for it any more
            raise
        self._replica = replica
        self._store = store
        self._connection = DocumentConnection(
            self._url,
            replica,
            self._limits,
            token=self._token,
            platform=self._platform,
            received=self._received,
            confirmed=self._confirmed,
            settled=self._settled,
        )
        self._connection.exchange.unsynced = unsent
        for type_ in ("connected", "disconnected", "reconnect-failed", "error"):
            self._connection.on(type_, lambda payload, type_=type_: self._emit(type_, payload))
        if self._share:
            self._tabs = DocumentTabs(
                self._platform,
                self._name,
                replica,
                received=self._told_by_tab,
                circumstances=self._circumstances,
                failed=self._failed,
            )
        replica.set_user(self._user)
        self._unwatch = self._platform.watch(self)
        self._connection.begin()

    def leave(self) -> None:
        """Withdraw from the document and end everything. What is kept stays kept."""
        if self._has_left:
            return
        self._has_left = True
        if self._unwatch is not None:
            self._unwatch()
        self._withdraw()
        replica, self._replica = self._replica, None
        if replica is not None:
            # First: with it comes what it had not told yet, for all those below.
            replica.destroy()
        if self._connection is not None:
            self._connection.disconnect()
        if self._tabs is not None:
            self._tabs.close()
        if self._store is not None:
            self._store.close()
        self._store = self._tabs = None
        self._entrusted.forget()
        self._emitter.cancel()
        self._tasks.cancel()
        for waiter in tuple(self._waiters):
            settle(waiter, None, Disconnected(NORMAL_CLOSURE, "left"))

    def connect(self) -> None:
        """Try again to connect: at once, also after the server refused."""
        if self._connection is not None and not self._has_left:
            self._connection.begin()

    def pause(self, reason: str = "paused") -> None:
        """Drop the connection, as if there were no network, until `unpause`."""
        if self._connection is not None:
            self._connection.pause(reason)

    def unpause(self) -> None:
        """Connect again."""
        if self._connection is not None:
            self._connection.unpause()

    async def authenticate(self) -> None:
        """Ask for the token again, and tell it the server, ahead of the end of the last one."""
        if self._connection is not None:
            await self._connection.authenticate()

    async def wait_synced(self) -> None:
        """Return when all that the server had is here, and it has all of ours.

        Raises Disconnected if `leave` is called meanwhile.
        """
        if self._has_left:
            raise Disconnected(NORMAL_CLOSURE, "left")
        while not self.synced:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    async def flush(self) -> None:
        """Return when all changes are in this browser's storage. Raises StorageFailed."""
        if self._store is None:
            raise StorageFailed("expected a browser that keeps the document, came none")
        await self._store.flush()

    # Changing it

    def edit(self, edits: Sequence[Edit]) -> None:
        """Make many edits at once, each (position, characters to delete, text to insert).

        They are made one after another: a position counts in code points, in the text as the edits
        before it left it. Others see all of them or none. Raises InvalidEdit, and changes nothing,
        if one of them does not fit, and Disconnected unless joined.
        """
        if self._replica is None:
            raise Disconnected(NORMAL_CLOSURE, "expected a session that is joined")
        self._replica.edit(edits)

    def insert(self, position: int, text: str) -> None:
        """Insert text at a position. Raises as `edit`."""
        self.edit([(position, 0, text)])

    def delete(self, position: int, count: int) -> None:
        """Delete so many characters from a position on. Raises as `edit`."""
        self.edit([(position, count, "")])

    def set_user(self, user: dict[str, Any] | None) -> None:
        """Tell the others something else of this one. Raises ConfigurationError."""
        self._user = checked_user(user)
        if self._replica is not None:
            self._replica.set_user(self._user)

    # As the listener of the replica

    def edited(self, updates: list[bytes]) -> None:
        """Send, tell and keep what has changed here."""
        if self._connection is None:
            return
        if self._store is not None:
            # Before the connection counts them: so what is kept never counts too few.
            for update in updates:
                self._store.append(update, unsent=1)
        # What is built upon another tab's changes is worth nothing without them.
        self._connection.changed([*self._entrusted.take(), *updates], len(updates))
        if self._tabs is not None:
            self._tabs.changed(updates)
        self._emit("change", {})

    def presence(self, update: bytes) -> None:
        """Say who is here and where."""
        if self._connection is not None:
            self._connection.present(update)
        if self._tabs is not None:
            self._tabs.present(update)

    def people(self, people: list[Person]) -> None:
        """Take note of who is there."""
        if self._has_left:
            return
        joined, left = self._collaborators.update(people)
        for other in left:
            self._emit("collaborator-left", other.as_payload())
        for other in joined:
            self._emit("collaborator-joined", other.as_payload())
        self._tell_status()

    # As a watcher of the platform

    def online(self) -> None:
        """The connection watches for itself, also in those below."""

    def offline(self) -> None:
        """Nothing to do."""

    def visible(self) -> None:
        """Nothing to do."""

    def hidden(self) -> None:
        """Nothing to do."""

    def left(self, kept: bool) -> None:
        """Be gone for the others at once; the page may come back."""
        del kept
        self._withdraw()

    def returned(self) -> None:
        """Be there again, and hear what the other tabs did meanwhile."""
        if self._replica is not None:
            self._replica.set_user(self._user)
            if self._tabs is not None:
                self._tabs.join()

    # How it goes

    async def _load(self, replica: Replica) -> tuple[DocumentStore | None, int]:
        store: DocumentStore | None = None
        try:
            if self._keep:
                store = await self._platform.open_document_store(self._name, self._storage_failed)
                kept = await store.load()
            if self._has_left:
                raise Disconnected(NORMAL_CLOSURE, "left")
        except StorageFailed as error:
            if store is not None:
                store.close()
            if self._has_left:
                raise Disconnected(NORMAL_CLOSURE, "left") from None
            self._failed(str(error))
            return None, 0
        except BaseException:
            if store is not None:
                store.close()
            raise
        if store is None:
            return None, 0
        faults = replica.apply(kept.updates)
        for fault in [kept.fault, *faults] if kept.fault else faults:
            self._failed(f"in this browser's storage: {fault}")
        return None if self._has_storage_failed else store, kept.unsent

    def _withdraw(self) -> None:
        if self._replica is not None:
            self._replica.set_user(None)
            # Not when the replica gets to it: the page may be gone by then.
            self.presence(self._replica.presence())

    def _received(self, updates: list[bytes]) -> None:
        self._entrusted.arrived(updates)
        if self._store is not None:
            for update in updates:
                self._store.append(update)
        self._emit("change", {})

    def _told_by_tab(self, told: FromTab) -> None:
        if self._store is not None and not told.is_kept:
            self._store.append(told.update)
        if told.is_sent:
            self._entrusted.add(told.update)
        elif self._connection is not None:
            self._connection.changed([*self._entrusted.take(), told.update], told.changes)
        self._emit("change", {})
        self._settled()

    def _send_overdue(self, updates: list[bytes]) -> None:
        if self._connection is not None:
            self._connection.changed(updates, 0)

    def _circumstances(self) -> tuple[bool, bool]:
        connection = self._connection
        is_sent = connection is not None and connection.is_connected and not self.read_only
        return is_sent, self._store is not None

    def _confirmed(self, count: int) -> None:
        if count and self._store is not None:
            self._store.sent(count)

    def _storage_failed(self, error: StorageFailed) -> None:
        self._has_storage_failed = True
        if self._store is not None:
            self._store.close()
            self._store = None
        self._failed(str(error))
        self._tell_status()

    def _failed(self, error: str) -> None:
        self._emit("error", {"error": error})

    def _emit(self, type_: str, payload: dict[str, Any]) -> None:
        if not self._has_left:
            self._emitter.emit(type_, payload)

    def _settled(self) -> None:
        self._tell_status()
        is_synced, self._was_synced = self.synced, self._was_synced
        if is_synced and not self._was_synced:
            for waiter in tuple(self._waiters):
                settle(waiter, None, None)
            self._emit("synced", {})
        self._was_synced = is_synced

    def _tell_status(self) -> None:
        status = (
            self.state,
            self.unsynced_changes,
            self.synced,
            self.read_only,
            self.is_kept,
            self.last_close,
            tuple(self.collaborators),
        )
        if status != self._last_status:
            self._last_status = status
            self._emit("status", {})


def checked_id(document_id: object) -> str:
    """Return a document's id if it can be one. Raises ConfigurationError."""
    # WHATWG URL, "double-dot URL path segment": also "%2e%2e" is one, so these two have no URL.
    if (
        isinstance(document_id, str)
        and 0 < len(document_id) <= LONGEST_ID
        and document_id not in (".", "..")
        and all(c >= " " and c != "\x7f" and not "\ud800" <= c <= "\udfff" for c in document_id)
    ):
        return document_id
    expected = f"1 to {LONGEST_ID} characters other than control characters, no '.' nor '..'"
    raise ConfigurationError(f"document_id: expected {expected}, came {describe(document_id)}")


def checked_user(user: object) -> dict[str, Any] | None:
    """Return what is told of a user if it can be told. Raises ConfigurationError."""
    if user is None:
        return None
    if not isinstance(user, dict) or not isinstance(user.get("name"), str):
        raise ConfigurationError(f"user: expected a dict with a name, came {describe(user)}")
    try:
        json.dumps(user, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError("user: expected what can be JSON, came something else") from None
    return user
