"""Python functions that JavaScript holds, and who owns them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import js  # type: ignore[import-not-found]
from pyodide.ffi import create_proxy, to_js  # type: ignore[import-not-found]


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


class Proxies:
    """Python functions that JavaScript holds as one object, destroyed together.

    `guard` calls a function with what JavaScript hands it and reports what it raises.
    """

    def __init__(self, guard: Callable[..., Any], **functions: Callable[..., Any]) -> None:
        self._proxies = {
            name: create_proxy(partial(guard, function)) for name, function in functions.items()
        }

    def __bool__(self) -> bool:
        """Whether they are still there."""
        return bool(self._proxies)

    def handed_over(self) -> Any:
        """Return the JavaScript object."""
        return js_object(self._proxies)

    def destroy(self) -> None:
        """Take them from JavaScript. One of them may do this itself: its call goes on."""
        while self._proxies:
            self._proxies.popitem()[1].destroy()


def js_object(values: dict[str, Any]) -> Any:
    """Return a JavaScript object with those properties."""
    return to_js(values, dict_converter=js.Object.fromEntries)
