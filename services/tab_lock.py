"""One at a time, over all tabs of this origin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .platform import Platform

SPREAD = 1.0
"""Seconds over which those whose patience ends come one after another."""


class TabLock:
    """A Web Lock to be entered: `async with lock.held():`. Within a tab, too, it is one at a time.

    A tab that is frozen while it holds the lock would keep all others from it. So whoever waits
    takes it away, once one tab has had it for `patience` seconds: more than what is done under it
    can take. How long the waiting was before that does not count.

    Where tabs cannot share, it keeps apart what this tab does.
    """

    def __init__(self, platform: Platform, name: str, *, patience: float) -> None:
        self._platform = platform
        self._name = name
        self._since = f"{name}:since"
        self._patience = patience
        self._local = asyncio.Lock()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Wait for the lock, and let it go at the end."""
        async with self._local:
            if not self._platform.can_share:
                yield
                return
            acquired = asyncio.Event()
            release = self._platform.hold_lock(self._name, acquired=acquired.set)
            mark = None
            try:
                while not await self._wait(acquired):
                    if self._patience_left() == 0:
                        self._mark()  # so that nobody takes it from us in the same moment
                        release()
                        release = self._platform.hold_lock(
                            self._name, acquired=acquired.set, steal=True
                        )
                mark = self._mark()
                yield
            finally:
                # Where the lock was taken away, the mark is another tab's by now.
                if mark is not None and self._platform.remembered(self._since) == mark:
                    self._platform.remember(self._since, None)
                release()

    async def _wait(self, acquired: asyncio.Event) -> bool:
        """Return True once the lock is held, False when it is time to look who has it."""
        over = asyncio.Event()
        tasks = [asyncio.ensure_future(event.wait()) for event in (acquired, over)]
        delay = (self._patience_left() or self._patience) + SPREAD * self._platform.random()
        cancel = self._platform.call_later(delay, over.set)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cancel()
            for task in tasks:
                task.cancel()
        return acquired.is_set()

    def _mark(self) -> str:
        mark = str(self._platform.time_ms())
        self._platform.remember(self._since, mark)
        return mark

    def _patience_left(self) -> float:
        """Return for how many seconds whoever has the lock may keep it; 0 if nobody knows."""
        mark = self._platform.remembered(self._since) or ""
        # Storage may hold anything.
        if not (mark.isascii() and mark.isdigit() and len(mark) <= 15):
            return 0.0
        held = (self._platform.time_ms() - int(mark)) / 1000
        # A mark from the future is from before the clock was set back.
        return self._patience - held if 0 <= held < self._patience else 0.0
