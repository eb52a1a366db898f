"""The part of the adapter in ``browser`` that reaches other tabs: channels, locks and a vault."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import js  # type: ignore[import-not-found]
from pyodide.ffi import JsException, create_proxy, to_js  # type: ignore[import-not-found]

from .platform import Callback


class PlainChannel:
    """A `BroadcastChannel`, where there is no ``runtime/channel.js``: JSON values cross as such."""

    def __init__(
        self, name: str, received: Callable[[str | None], None], guard: Callable[..., Any]
    ) -> None:
        self._channel = js.BroadcastChannel.new(name)
        self._received = received
        self._proxy = create_proxy(lambda event: guard(self._hear, event))
        self._channel.addEventListener("message", self._proxy)
        self._channel.addEventListener("messageerror", self._proxy)

    def post(self, text: str) -> None:
        """Hand the value that `text` is to every other channel of this name."""
        if self._proxy is not None:
            self._channel.postMessage(js.JSON.parse(text))

    def close(self) -> None:
        """Hear and say nothing more."""
        if self._proxy is not None:
            self._channel.close()
            self._channel.removeEventListener("message", self._proxy)
            self._channel.removeEventListener("messageerror", self._proxy)
            self._proxy.destroy()
            self._proxy = None

    def _hear(self, event: Any) -> None:
        try:
            text = js.JSON.stringify(event.data)
        except JsException:  # a cycle, a BigInt, or too deep
            text = None
        self._received(text if isinstance(text, str) else None)


class ScriptedChannel:
    """The same over ``runtime/channel.js``: each message crosses once, as text."""

    def __init__(
        self,
        module: Any,
        name: str,
        received: Callable[[str | None], None],
        guard: Callable[..., Any],
    ) -> None:
        self._proxy = create_proxy(lambda text: guard(received, text))
        self._channel = module.open(name, self._proxy)
        self._post = self._channel.post

    def post(self, text: str) -> None:
        """Hand the value that `text` is to every other channel of this name."""
        if self._proxy is not None:
            self._post(text)

    def close(self) -> None:
        """Hear and say nothing more."""
        if self._proxy is not None:
            self._channel.close()
            self._proxy.destroy()
            self._proxy = None


class BrowserLock:
    """One Web Lock: waited for, then held until `release`, or until somebody steals it."""

    def __init__(
        self,
        name: str,
        acquired: Callback,
        lost: Callback,
        guard: Callable[..., Any],
        *,
        shared: bool,
        steal: bool,
    ) -> None:
        self._acquired = acquired
        self._lost = lost
        self._guard = guard
        self._wanted = True
        # JavaScript's own promise: a page that is frozen in the next moment has settled it by then.
        self._holding = js.Promise.withResolvers()
        options: dict[str, Any] = {"mode": "shared" if shared else "exclusive"}
        self._abort = None
        if steal:
            options["steal"] = True  # which the specification does not allow together with a signal
        else:
            self._abort = js.AbortController.new()
            options["signal"] = self._abort.signal
        # Kept: asyncio itself holds tasks only weakly.
        self._task = asyncio.ensure_future(self._request(name, options))

    def release(self) -> None:
        """Let it go, or wait no longer."""
        self._wanted = False
        self._holding.resolve()
        if self._abort is not None:
            self._abort.abort()

    async def _request(self, name: str, options: dict[str, Any]) -> None:
        proxy = create_proxy(self._hold)
        js_options = to_js(options, dict_converter=js.Object.fromEntries)
        try:
            await js.navigator.locks.request(name, js_options, proxy)
        except JsException:
            if self._wanted:  # stolen, or the page may not have locks
                self._guard(self._lost)
        finally:
            proxy.destroy()

    def _hold(self, _lock: Any) -> Any:
        if self._wanted:
            self._guard(self._acquired)
        # Web Locks: the lock is released when the promise that its callback returns settles.
        return self._holding.promise


async def held_locks() -> list[str]:
    """Return the names of the locks that any tab of this origin holds, and does not share."""
    text = js.JSON.stringify((await js.navigator.locks.query()).held)
    return [lock["name"] for lock in json.loads(text) if lock["mode"] == "exclusive"]


class TitleObserver:
    """Tells of every change of the document's title."""

    def __init__(self, changed: Callback, guard: Callable[..., Any]) -> None:
        self._proxy = create_proxy(lambda *_: guard(changed))
        self._observer = js.MutationObserver.new(self._proxy)
        options = {"childList": True, "subtree": True, "characterData": True}
        if js.document.head is not None:
            self._observer.observe(
                js.document.head, to_js(options, dict_converter=js.Object.fromEntries)
            )

    def end(self) -> None:
        """Tell no more."""
        if self._proxy is not None:
            self._observer.disconnect()
            self._proxy.destroy()
            self._proxy = None


def remembered(key: str) -> str | None:
    """Return what the origin's local storage keeps under `key`, or None."""
    try:
        value = js.globalThis.localStorage.getItem(key)
    except (AttributeError, JsException):  # a worker, or storage is denied
        return None
    return value if isinstance(value, str) else None


def remember(key: str, value: str | None) -> None:
    """Keep `value` there, or with None forget what is kept, if the browser lets us."""
    with contextlib.suppress(AttributeError, JsException):
        if value is None:
            js.globalThis.localStorage.removeItem(key)
        else:
            js.globalThis.localStorage.setItem(key, value)
