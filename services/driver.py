"""Runs a sans-I/O protocol: its actions in order, its one timer, its news of the browser."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from .platform import Cancel, Platform

ActionT = TypeVar("ActionT")
ActionCovT = TypeVar("ActionCovT", covariant=True)


class TimedProtocol(Protocol[ActionCovT]):
    """What a driver needs to know of a protocol."""

    @property
    def deadline(self) -> float | None:
        """When `timer` wants to be called."""

    @property
    def is_active(self) -> bool:
        """Whether the network and the page's visibility matter to it."""

    def timer(self, now: float, late: float = 0.0) -> Iterable[ActionCovT]:
        """Do what is due."""

    def online(self, now: float) -> Iterable[ActionCovT]:
        """Hear that there is a network."""

    def offline(self, now: float) -> Iterable[ActionCovT]:
        """Hear that there is none."""

    def visible(self, now: float) -> Iterable[ActionCovT]:
        """Hear that somebody looks."""

    def hidden(self, now: float) -> Iterable[ActionCovT]:
        """Hear that nobody looks."""

    def unwatched(self) -> None:
        """Hear that no more news of the browser will come."""

    def leave(self, now: float) -> Iterable[ActionCovT]:
        """Let go of the network."""

    def come_back(self, now: float) -> Iterable[ActionCovT]:
        """Take it up again."""


class Driver(Generic[ActionT]):
    """Carries out actions with `perform`, one at a time, in the order of the events.

    An action may cause new events (a handler that sends, or disconnects): their actions come
    after those that are under way, never in between. `settled` is called after each run.
    """

    def __init__(
        self,
        platform: Platform,
        protocol: TimedProtocol[ActionT],
        perform: Callable[[ActionT], None],
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self._platform = platform
        self._protocol = protocol
        self._perform = perform
        self._settled = settled
        self._actions: deque[ActionT] = deque()
        self._running = False
        self._timer: tuple[float, Cancel] | None = None
        self._unwatch: Cancel | None = None

    def run(self, actions: Iterable[ActionT]) -> None:
        """Carry out `actions`; one that raises is reported and stops no other."""
        self._actions.extend(actions)
        if self._running:
            return
        self._running = True
        try:
            while self._actions:
                try:
                    self._perform(self._actions.popleft())
                except Exception as error:
                    self._platform.report(error)
        finally:
            self._running = False
        self._set_timer()
        self._watch()
        self._settled()

    def _set_timer(self) -> None:
        deadline = self._protocol.deadline
        if self._timer is not None:
            if self._timer[0] == deadline:
                return
            self._timer[1]()
            self._timer = None
        if deadline is None:
            return
        delay = max(0.0, deadline - self._platform.now())
        due_ms = self._platform.time_ms() + delay * 1000
        cancel = self._platform.call_later(delay, lambda: self._fire(deadline, due_ms))
        self._timer = (deadline, cancel)

    def _fire(self, deadline: float, due_ms: float) -> None:
        self._timer = None
        now = self._platform.now()
        # performance.now() stands still in some browsers while the machine sleeps, and the wall
        # clock jumps when somebody sets it: the worse of the two is the careful guess.
        late = max(now - deadline, (self._platform.time_ms() - due_ms) / 1000)
        self.run(self._protocol.timer(now, late))

    def _watch(self) -> None:
        if not self._protocol.is_active:
            if self._unwatch is not None:
                self._unwatch()
                self._unwatch = None
                self._protocol.unwatched()
        elif self._unwatch is None:
            self._unwatch = self._platform.watch(self)
            if not self._platform.is_visible:
                self.hidden()

    # As a watcher of the platform

    def online(self) -> None:
        """Pass it on, as those below."""
        self.run(self._protocol.online(self._platform.now()))

    def offline(self) -> None:
        """Pass it on."""
        self.run(self._protocol.offline(self._platform.now()))

    def visible(self) -> None:
        """Pass it on."""
        self.run(self._protocol.visible(self._platform.now()))

    def hidden(self) -> None:
        """Pass it on."""
        self.run(self._protocol.hidden(self._platform.now()))

    def left(self, kept: bool) -> None:
        """Let go before the page is frozen: a browser keeps no page that holds a connection."""
        if kept:
            self.run(self._protocol.leave(self._platform.now()))

    def returned(self) -> None:
        """Connect again, since the page is shown again."""
        self.run(self._protocol.come_back(self._platform.now()))
