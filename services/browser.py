"""The browser, as ``platform`` describes it. The one module that imports ``js``.

JavaScript keeps a Python function that it was given until the function's proxy is destroyed, so
each has an owner here: a timer, a socket, a stream, or whoever got the function that cancels.
"""

from __future__ import annotations

import contextlib
import importlib
import traceback
from collections.abc import Callable
from typing import Any

import js  # type: ignore[import-not-found]
from pyodide.ffi import (  # type: ignore[import-not-found]
    JsException,
    create_once_callable,
    to_js,
)

from . import browser_documents, browser_tabs, browser_workers
from .browser_listeners import Listeners, Proxies, js_object
from .describe import describe
from .errors import ConfigurationError, ConnectionFailed, RequestTimeout, StorageFailed
from .platform import (
    Callback,
    Cancel,
    Channel,
    EventStreamListener,
    HTTPAnswer,
    Socket,
    SocketListener,
    StreamEvent,
    Watcher,
    Worker,
    WorkerListener,
)
from .replica import DocumentStore, Replica, ReplicaListener
from .strict_json import loads_brief_objects

# HTML §8.7: a longer timeout overflows a 32-bit integer and fires at once.
LONGEST_TIMEOUT_MS = 2**31 - 1

OPEN = 1
"""`WebSocket.readyState` of a socket that can send: HTML, the WebSocket interface."""

# Looked up once: they are asked for every message, and each step of a lookup crosses over.
_now = js.performance.now
_time_ms = js.Date.now


class BrowserPlatform:
    """A window or a worker. `base` is what relative URLs are relative to.

    A window has its document's base; in a worker, whose own URL may be a blob, hand one in.
    """

    def __init__(self, base: str | None = None) -> None:
        self._document = getattr(js, "document", None)
        self._base = base or str(
            js.location.href if self._document is None else self._document.baseURI
        )

    def now(self) -> float:
        """Return a monotonic time."""
        return float(_now()) / 1000

    def time_ms(self) -> int:
        """Return the wall clock."""
        return int(_time_ms())

    def random(self) -> float:
        """Return a random number in [0, 1)."""
        return float(js.Math.random())

    def call_later(self, delay: float, callback: Callback) -> Cancel:
        """Call `callback` once."""
        done = False

        def fire() -> None:
            nonlocal done
            done = True
            self._guard(callback)

        def cancel() -> None:
            nonlocal done
            if not done:
                done = True
                js.clearTimeout(timer)
                once.destroy()

        once = create_once_callable(fire)
        timer = js.setTimeout(once, min(delay * 1000, LONGEST_TIMEOUT_MS))
        return cancel

    def resolve(self, url: str, *, websocket: bool = False) -> str:
        """Return `url` made absolute."""
        try:
            absolute = js.URL.new(url, self._base)
        except JsException:
            raise ConfigurationError(f"url: expected a URL, came {describe(url)}") from None
        if websocket:
            if absolute.protocol in ("http:", "https:"):
                absolute.protocol = absolute.protocol.replace("http", "ws")
            # RFC 6455 §3: "Fragment identifiers are meaningless in the context of WebSocket URIs
            # and MUST NOT be used on these URIs."
            absolute.hash = ""
        expected = ("ws:", "wss:") if websocket else ("http:", "https:")
        if absolute.protocol not in expected:
            raise ConfigurationError(
                f"url: expected {' or '.join(expected)}, came {describe(absolute.protocol)}"
            )
        return str(absolute.href)

    def open_websocket(
        self, url: str, listener: SocketListener, *, background: bool = False
    ) -> Socket:
        """Start to open a socket."""
        try:
            if (module := _module("socket")) is not None:
                return BatchedSocket(module, url, listener, self._guard, background=background)
            return PlainSocket(url, listener, self._guard)
        except JsException as error:
            raise ConnectionFailed(f"{error.name}: {error.message}") from error

    def open_event_stream(
        self,
        url: str,
        listener: EventStreamListener,
        *,
        with_credentials: bool,
        last_event_id: str,
        token: str | None,
    ) -> Cancel:
        """Start to open one event stream."""
        module = _module("event_stream")
        if module is None:
            raise ConfigurationError(
                'pyscript.toml: expected "./runtime/event_stream.js" = "event_stream" in'
                " [js_modules.main], came none"
            )

        def event(name: str, data: str, id_: str) -> None:
            listener.received([StreamEvent(name, data, id_)])

        def events(buffer: Any, fields: Any) -> bool:
            names_and_ids = fields.to_py()
            try:
                objects = loads_brief_objects(buffer.to_bytes())
            except ValueError:
                return False
            listener.received(
                [
                    StreamEvent(name, data, id_)
                    for name, data, id_ in zip(
                        names_and_ids[::2], objects, names_and_ids[1::2], strict=True
                    )
                ]
            )
            return True

        def closed(status: int | None, reason: str, retry_after: float | None) -> None:
            proxies.destroy()
            listener.closed(status, reason, retry_after)

        proxies = Proxies(
            self._guard,
            opened=listener.opened,
            alive=listener.alive,
            event=event,
            events=events,
            positioned=listener.positioned,
            retry_in=listener.retry_in,
            closed=closed,
        )
        options = {
            "withCredentials": with_credentials,
            "lastEventId": last_event_id,
            "token": token or "",
        }
        close = module.open(url, js_object(options), proxies.handed_over())

        def cancel() -> None:
            if proxies:
                close()
                proxies.destroy()

        return cancel

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        body: str | None = None,
        token: str | None = None,
        with_credentials: bool = False,
        timeout: float,  # noqa: ASYNC109 - the browser's own covers the body too
    ) -> HTTPAnswer:
        """Send an HTTP request."""
        headers: dict[str, str] = {}
        options: dict[str, Any] = {
            "method": method,
            "credentials": "include" if with_credentials else "same-origin",
            "headers": headers,
            "signal": js.AbortSignal.timeout(int(timeout * 1000)),
        }
        if body is not None:
            options["body"] = body
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            response = await js.fetch(url, js_object(options))
            return HTTPAnswer(int(response.status), str(await response.text()))
        except JsException as error:
            if error.name == "TimeoutError":
                raise RequestTimeout(f"{method} {url}: no answer in {timeout:g} s") from None
            raise ConnectionFailed(f"{method} {url}: {error.message}") from error

    @property
    def is_visible(self) -> bool:
        """Whether the page is in view; in a worker, always."""
        return self._document is None or str(self._document.visibilityState) == "visible"

    def watch(self, watcher: Watcher) -> Cancel:
        """Tell `watcher` of every change from now on."""
        window = Listeners(js.globalThis, self._guard)
        window.add("online", lambda _event: watcher.online())
        window.add("offline", lambda _event: watcher.offline())
        if self._document is None:
            return window.clear
        window.add("pagehide", lambda event: watcher.left(bool(event.persisted)))
        window.add("pageshow", lambda event: watcher.returned() if event.persisted else None)
        document = Listeners(self._document, self._guard)
        document.add(
            "visibilitychange",
            lambda _event: watcher.visible() if self.is_visible else watcher.hidden(),
        )

        def clear() -> None:
            window.clear()
            document.clear()

        return clear

    def stored(self, key: str) -> str | None:
        """Return what this tab keeps under `key`; a worker keeps nothing."""
        try:
            value = js.globalThis.sessionStorage.getItem(key)
        except (AttributeError, JsException):  # a worker, or storage is denied
            return None
        return value if isinstance(value, str) else None

    def store(self, key: str, value: str) -> None:
        """Keep `value` under `key` for this tab, if the browser lets us."""
        with contextlib.suppress(AttributeError, JsException):
            js.globalThis.sessionStorage.setItem(key, value)

    def remembered(self, key: str) -> str | None:
        """Return what all tabs keep under `key`."""
        return browser_tabs.remembered(key)

    def remember(self, key: str, value: str | None) -> None:
        """Keep `value` under `key` for all tabs, or forget it."""
        browser_tabs.remember(key, value)

    @property
    def title(self) -> str:
        """The page's title."""
        return "" if self._document is None else str(self._document.title)

    def watch_title(self, changed: Callback) -> Cancel:
        """Tell of every change of the title."""
        if self._document is None:
            return lambda: None
        return browser_tabs.TitleObserver(changed, self._guard).end

    @property
    def can_share(self) -> bool:
        """Whether there are channels and locks."""
        locks = getattr(getattr(js, "navigator", None), "locks", None)
        return locks is not None and getattr(js, "BroadcastChannel", None) is not None

    def open_channel(self, name: str, received: Callable[[str | None], None]) -> Channel | None:
        """Open an end of a channel."""
        if getattr(js, "BroadcastChannel", None) is None:
            return None
        if (module := _module("channel")) is not None:
            return browser_tabs.ScriptedChannel(module, name, received, self._guard)
        return browser_tabs.PlainChannel(name, received, self._guard)

    def hold_lock(
        self,
        name: str,
        *,
        acquired: Callback,
        lost: Callback = lambda: None,
        shared: bool = False,
        steal: bool = False,
    ) -> Cancel:
        """Wait for a lock."""
        return browser_tabs.BrowserLock(
            name, acquired, lost, self._guard, shared=shared, steal=steal
        ).release

    async def held_locks(self) -> list[str]:
        """Return the names of the origin's locks that are held."""
        return await browser_tabs.held_locks()

    async def token_in_vault(self) -> str | None:
        """Return what is in the vault."""
        module = _module("token_vault")
        value = None if module is None else await module.get()
        return value if isinstance(value, str) else None

    async def put_token_in_vault(self, text: str | None) -> None:
        """Put `text` into the vault."""
        if (module := _module("token_vault")) is not None:
            await module.put(text)

    @property
    def processors(self) -> int:
        """How many things the machine can do at once."""
        return max(1, int(getattr(js.navigator, "hardwareConcurrency", None) or 1))

    def open_worker(self, listener: WorkerListener) -> Worker:
        """Start a Python worker."""
        return browser_workers.BrowserWorker(listener, self.resolve, self._guard)

    async def open_replica(self, listener: ReplicaListener) -> Replica:
        """Make an empty replica of a document."""
        module = _module("documents")
        if module is None:
            raise ConfigurationError(
                'pyscript.toml: expected "./runtime/documents.js" = "documents" in'
                " [js_modules.main], came none"
            )
        return await browser_documents.open_replica(module, listener, self._guard)

    async def open_document_store(
        self, name: str, failed: Callable[[StorageFailed], None]
    ) -> DocumentStore:
        """Open what this browser keeps of a document."""
        module = _module("documents")
        if module is None:
            raise StorageFailed("documents: expected runtime/documents.js, came none")
        return await browser_documents.open_store(module, name, failed, self._guard)

    def mark(self, name: str) -> None:
        """Note this moment in the browser's timeline."""
        js.performance.mark(name)

    def report(self, error: BaseException) -> None:
        """Show an exception with its traceback in the console."""
        js.console.error("".join(traceback.format_exception(error)))

    def _guard(self, function: Callable[..., Any], *values: Any) -> Any:
        # JavaScript would only say "PythonError" where it called us.
        try:
            return function(*values)
        except Exception as error:
            self.report(error)
            return None


class PlainSocket:
    """A `WebSocket` of the browser, frame by frame: where there is no ``runtime/socket.js``.

    Closed, it holds no proxies and tells nothing more.
    """

    def __init__(self, url: str, listener: SocketListener, guard: Callable[..., Any]) -> None:
        self._socket = js.WebSocket.new(url)
        self._socket.binaryType = "arraybuffer"
        self._listener = listener
        self._listeners = Listeners(self._socket, guard)
        # "error" says nothing that "close", which follows it, does not.
        self._listeners.add("open", lambda _event: listener.opened())
        self._listeners.add("message", self._received)
        self._listeners.add("close", self._closed)

    @property
    def buffered(self) -> int:
        """Bytes that were handed over and have not gone to the network yet."""
        return int(self._socket.bufferedAmount)

    def send(self, frame: str | bytes) -> None:
        """Hand a frame to the browser."""
        if self._socket.readyState == OPEN:
            self._socket.send(frame if isinstance(frame, str) else to_js(frame))

    def close(self, code: int, reason: str) -> None:
        """Close, and hear nothing more of it."""
        self._listeners.clear()
        self._socket.close(code, reason)

    def _received(self, event: Any) -> None:
        data = event.data
        self._listener.received([data if isinstance(data, str) else data.to_bytes()])

    def _closed(self, event: Any) -> None:
        self._listeners.clear()
        self._listener.closed(int(event.code), str(event.reason))


class BatchedSocket:
    """The same over ``runtime/socket.js``, which hands over many frames at once under load."""

    def __init__(
        self,
        module: Any,
        url: str,
        listener: SocketListener,
        guard: Callable[..., Any],
        *,
        background: bool,
    ) -> None:
        self._proxies = Proxies(
            guard,
            opened=listener.opened,
            text=lambda frame: listener.received([frame]),
            long_text=lambda buffer: listener.received([buffer.to_bytes().decode()]),
            objects=self._objects,
            binary=lambda buffer: listener.received([buffer.to_bytes()]),
            closed=self._closed_by_server,
        )
        self._listener = listener
        try:
            self._socket = module.open(url, self._proxies.handed_over(), background)
        except JsException:
            self._proxies.destroy()
            raise

    @property
    def buffered(self) -> int:
        """Bytes that were handed over and have not gone to the network yet."""
        return int(self._socket.buffered())

    def send(self, frame: str | bytes) -> None:
        """Hand a frame to the browser."""
        self._socket.send(frame if isinstance(frame, str) else to_js(frame))

    def close(self, code: int, reason: str) -> None:
        """Close, and hear nothing more of it."""
        try:
            self._socket.close(code, reason)
        finally:
            self._proxies.destroy()

    def _objects(self, buffer: Any) -> bool:
        try:
            frames = loads_brief_objects(buffer.to_bytes())
        except ValueError:
            return False  # one of them is not what it looks like: they come again, one by one
        self._listener.received(frames)
        return True

    def _closed_by_server(self, code: int, reason: str) -> None:
        self._proxies.destroy()
        self._listener.closed(code, reason)


def _module(name: str) -> Any:
    """Return a module of ``runtime/`` that the page's configuration names, or None."""
    try:
        return getattr(importlib.import_module("pyscript.js_modules"), name)
    except (ImportError, AttributeError):
        return None
