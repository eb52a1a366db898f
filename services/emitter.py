"""Handlers by type."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .tasks import Tasks

Handler = Callable[..., Any]
Unsubscribe = Callable[[], None]


class Emitter:
    """Calls the handlers of a type, in the order in which they were added.

    Plain handlers have returned when `emit` does, so they see messages in order; what an async
    one returns runs as a task. A handler that raises is reported once and stops no other.
    """

    def __init__(self, report: Callable[[BaseException], None]) -> None:
        self._report = report
        self._tasks = Tasks(report)
        # One cell per subscription: the same function added twice is two subscriptions. The tuples
        # are replaced, never changed, so an emit under way keeps the one it began with.
        self._handlers: dict[str, tuple[list[Handler], ...]] = {}

    def on(self, type: str, handler: Handler) -> Unsubscribe:
        """Call `handler` for every `type` from now on; return what ends that.

        Ending it twice does nothing more. Raises TypeError if `handler` cannot be called.
        """
        if not callable(handler):
            raise TypeError(f"on({type!r}): expected a function, came {handler!r:.80}")
        cell = [handler]
        self._handlers[type] = (*self._handlers.get(type, ()), cell)

        def unsubscribe() -> None:
            if not cell:
                return
            # Emptied, so that an emit under way skips it.
            cell.clear()
            others = tuple(other for other in self._handlers[type] if other is not cell)
            if others:
                self._handlers[type] = others
            else:
                del self._handlers[type]

        return unsubscribe

    def emit(self, type: str, *values: object) -> None:
        """Call the handlers that `type` has now; those added meanwhile wait for the next."""
        for cell in self._handlers.get(type, ()):
            if not cell:
                continue
            try:
                result = cell[0](*values)
                if result is not None and inspect.isawaitable(result):
                    self._tasks.spawn(result)
            except Exception as error:
                self._report(error)

    def has(self, type: str) -> bool:
        """Return whether anybody wants to hear of `type`."""
        return type in self._handlers

    def cancel(self) -> None:
        """Cancel the async handlers that still run."""
        self._tasks.cancel()
