"""Event listeners that somebody owns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyodide.ffi import create_proxy  # type: ignore[import-not-found]


class Listeners:
    """Event listeners on one JavaScript object, taken off and destroyed together.

    `guard` calls a handler with its event and reports what it raises.
    """

    def __init__(self, target: Any, guard: Callable[..., Any]) -> None:
        self._target = target
        self._guard = guard
        self._proxies: list[tuple[str, Any]] = []

    def add(self, event: str, handler: Callable[[Any], None]) -> None:
        """Call `handler` for every `event`."""
        proxy = create_proxy(lambda value: self._guard(handler, value))
        self._proxies.append((event, proxy))
        self._target.addEventListener(event, proxy)

    def clear(self) -> None:
        """Take all off. A handler may do this itself: its own call goes on to its end."""
        while self._proxies:
            event, proxy = self._proxies.pop()
            self._target.removeEventListener(event, proxy)
            proxy.destroy()
