"""Which tabs there are, and which of them leads: told by Web Locks, which no tab can forge.

Each tab holds a lock that bears its id. The browser lets it go with the tab, however that ends, so
who holds one is there: no heartbeat, no timeout. Every tab waits for the locks of all others, and
gets one in the moment in which its owner is gone.

One lock is the leadership. Who holds it holds another one, so that the others can see who it is.
Messages only give a hint that it is worth looking at the locks again.
"""

from __future__ import annotations

from collections.abc import Callable

from .platform import Cancel, Platform
from .tasks import Tasks

LOOK_AGAIN = 0.05
"""Seconds until another look, where locks were about to change hands."""


class Presence:
    """The other tabs of a group, and its leader.

    `name` is the group's. `changed` is told of tabs that came and went, `led` of a leader that
    changed; `hint` is called when the others should look.
    """

    def __init__(
        self,
        platform: Platform,
        name: str,
        tab_id: str,
        *,
        changed: Callable[[list[str], list[str]], None],
        led: Callable[[], None],
        hint: Callable[[], None],
    ) -> None:
        self._platform = platform
        self._prefix = f"realtime:{name}:tab:"
        self._leadership = f"realtime:{name}:leader"
        self._mark = f"realtime:{name}:leads:"
        self._tab_id = tab_id
        self._changed = changed
        self._led = led
        self._hint = hint
        self._tasks = Tasks(platform.report)
        self._held: list[Cancel] = []
        self._unmark: Cancel | None = None
        self._unlead: Cancel | None = None
        self._look_later: Cancel | None = None
        self._watched: dict[str, Cancel] = {}
        self._looking = False
        self._look_again = False
        self._present = False
        self.leader: str | None = None
        """The id of the tab that leads, as far as this one has seen."""

    @property
    def is_leader(self) -> bool:
        """Whether this tab leads."""
        return self._unmark is not None

    @property
    def others(self) -> list[str]:
        """The ids of the other tabs."""
        return list(self._watched)

    def enter(self) -> None:
        """Be present, and a candidate for the leadership."""
        if self._present:
            return
        self._present = True
        own = self._prefix + self._tab_id
        self._held.append(self._platform.hold_lock(own, acquired=self._entered))
        self._queue()

    def leave(self) -> None:
        """Be gone, at once."""
        if not self._present:
            return
        self._present = False
        self._tasks.cancel()
        self._looking = False
        if self._look_later is not None:
            self._look_later()
            self._look_later = None
        self._resign()
        for cancel in [*self._held, *self._watched.values()]:
            cancel()
        self._held.clear()
        gone = list(self._watched)
        self._watched.clear()
        self._follow(None)
        if gone:
            self._changed([], gone)

    def look(self) -> None:
        """See who is there and who leads, soon."""
        if not self._present:
            return
        if self._looking:
            self._look_again = True
            return
        self._looking = True
        self._tasks.spawn(self._look())

    def depose(self, leader: str | None) -> None:
        """Take the leadership from a tab that does not answer, unless another one has it by now.

        The tab may be frozen, and believe that it leads until it wakes. If it was frozen when it
        was elected it does not even know: then `leader` is None, and nobody holds a mark.
        """
        self._tasks.spawn(self._depose(leader))

    async def _depose(self, leader: str | None) -> None:
        marks = self._named(await self._platform.held_locks(), self._mark)
        still = leader in marks if leader is not None else not marks
        if not self._present or self.is_leader or not still:
            self.look()
            return
        if self._unlead is not None:
            self._unlead()
        if leader is not None:
            self._take_mark(leader)
        self._queue(steal=True)

    def _take_mark(self, leader: str) -> None:
        def taken() -> None:
            held.pop()()

        held = [self._platform.hold_lock(self._mark + leader, acquired=taken, steal=True)]

    def _entered(self) -> None:
        self._hint()
        self.look()

    def _queue(self, *, steal: bool = False) -> None:
        self._unlead = self._platform.hold_lock(
            self._leadership, acquired=self._elected, lost=self._deposed, steal=steal
        )

    def _elected(self) -> None:
        mark = self._mark + self._tab_id
        self._unmark = self._platform.hold_lock(mark, acquired=self._hint)
        self._follow(self._tab_id)

    def _deposed(self) -> None:
        if not self._present:
            return
        self._resign()
        self._queue()
        if self.leader == self._tab_id:
            self._follow(None)
        self.look()

    def _resign(self) -> None:
        # The mark first: whoever is elected next must not find it.
        for cancel in (self._unmark, self._unlead):
            if cancel is not None:
                cancel()
        self._unmark = self._unlead = None

    async def _look(self) -> None:
        try:
            while True:
                self._look_again = False
                names = await self._platform.held_locks()
                if not self._present:
                    return
                self._see(names)
                if not self._look_again:
                    return
        finally:
            self._looking = False

    def _see(self, names: list[str]) -> None:
        there = self._named(names, self._prefix)
        there.discard(self._tab_id)
        came = sorted(there.difference(self._watched))
        went = sorted(set(self._watched).difference(there))
        for tab_id in went:
            self._watched.pop(tab_id)()
        if self.leader in went:
            self._follow(None)
        for tab_id in came:
            self._watch(tab_id)
        if came or went:
            self._changed(came, went)
        if self.is_leader:
            return
        marks = self._named(names, self._mark) & there
        # Where two are there, leadership is changing hands: the other one is the newer.
        newer = sorted(marks - {self.leader}) or sorted(marks)
        self._follow(newer[0] if newer else None)
        if len(marks) != 1 and self._look_later is None:
            self._look_later = self._platform.call_later(LOOK_AGAIN, self._look_now)

    def _look_now(self) -> None:
        self._look_later = None
        self.look()

    def _follow(self, leader: str | None) -> None:
        if leader != self.leader:
            self.leader = leader
            self._led()

    def _watch(self, tab_id: str) -> None:
        def gone() -> None:
            cancel = self._watched.pop(tab_id, None)
            if cancel is not None:
                cancel()
                if tab_id == self.leader:
                    self._follow(None)  # also if it comes back and leads again at once
                self._changed([], [tab_id])
                self.look()

        self._watched[tab_id] = self._platform.hold_lock(
            self._prefix + tab_id, acquired=gone, shared=True
        )

    @staticmethod
    def _named(names: list[str], prefix: str) -> set[str]:
        return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
