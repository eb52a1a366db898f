"""What the tabs of one origin share: channels, locks, storage and a vault, made of lists."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.platform import Callback
from tests.support.fake_replica import Record


@dataclass(eq=False)
class FakeChannel:
    """One end; what it posts arrives in the loop's next rounds, in order."""

    origin: FakeOrigin
    owner: object
    name: str
    received: Callable[[str | None], None]
    is_open: bool = True

    def post(self, text: str) -> None:
        if self.is_open and self.owner not in self.origin.dead:
            self.origin.post(self.name, json.loads(text), self)

    def close(self) -> None:
        self.is_open = False
        self.origin.channels = [end for end in self.origin.channels if end is not self]


@dataclass(eq=False)
class FakeLock:
    """A lock that is waited for or held."""

    owner: object
    acquired: Callback
    lost: Callback
    shared: bool
    released: bool = False


@dataclass(eq=False)
class FakeOrigin:
    """`post` may be called by a test too: anybody's page of the origin can post anything."""

    channels: list[FakeChannel] = field(default_factory=list)
    storage: dict[str, str] = field(default_factory=dict)
    vault: str | None = None
    documents: dict[str, Record] = field(default_factory=dict)
    posted: list[tuple[str, Any]] = field(default_factory=list)
    held: dict[str, list[FakeLock]] = field(default_factory=dict)
    queues: dict[str, list[FakeLock]] = field(default_factory=dict)
    frozen: set[object] = field(default_factory=set)
    inboxes: dict[object, deque[Callback]] = field(default_factory=dict)
    dead: set[object] = field(default_factory=set)

    def post(self, name: str, value: Any, sender: FakeChannel | None = None) -> None:
        text = None if value is ... else json.dumps(value)
        self.posted.append((name, value))
        for end in self.channels:
            if end.name == name and end is not sender:
                self.later(end.owner, lambda end=end: end.is_open and end.received(text))

    def later(self, owner: object, callback: Callback) -> None:
        """Let something happen to a tab, unless it is dead; a frozen one hears of it later.

        What happens to one tab does so in order.
        """
        self.inboxes.setdefault(owner, deque()).append(callback)
        asyncio.get_running_loop().call_soon(self._happen, owner)

    def _happen(self, owner: object) -> None:
        inbox = self.inboxes[owner]
        if inbox and owner not in self.frozen:
            callback = inbox.popleft()
            if owner not in self.dead:
                callback()

    def kill(self, owner: object) -> None:
        """End a tab as a crash does."""
        self.dead.add(owner)
        self.channels = [end for end in self.channels if end.owner is not owner]
        for locks in (self.held, self.queues):
            for name in locks:
                locks[name] = [lock for lock in locks[name] if lock.owner is not owner]
        self._grant_all()

    def freeze(self, owner: object) -> None:
        """Let nothing happen to a tab; it keeps what it holds."""
        self.frozen.add(owner)

    def thaw(self, owner: object) -> None:
        """Let happen what has waited."""
        self.frozen.remove(owner)
        for _ in self.inboxes.get(owner, ()):
            asyncio.get_running_loop().call_soon(self._happen, owner)

    def request(self, name: str, lock: FakeLock, *, steal: bool) -> Callback:
        if lock.owner in self.dead:
            return lambda: None  # the test's loop still runs what the tab had begun
        if steal:
            for other in self.held.pop(name, []):
                other.released = True
                self.later(other.owner, other.lost)
            self._hold(name, lock)
        else:
            self.queues.setdefault(name, []).append(lock)
        self._grant_all()

        def release() -> None:
            lock.released = True
            for locks in (self.held, self.queues):
                locks[name] = [other for other in locks.get(name, []) if other is not lock]
            self._grant_all()

        return release

    def holders(self) -> list[str]:
        """Name the locks that are held and not shared."""
        return [name for name, locks in self.held.items() for lock in locks if not lock.shared]

    def _hold(self, name: str, lock: FakeLock) -> None:
        self.held.setdefault(name, []).append(lock)
        self.later(lock.owner, lambda: None if lock.released else lock.acquired())

    def _grant_all(self) -> None:
        for name, queue in self.queues.items():
            while queue:
                held = self.held.get(name, [])
                if held and not (queue[0].shared and all(lock.shared for lock in held)):
                    break
                self._hold(name, queue.pop(0))
