"""The browser, as ``platform`` describes it. The one module that imports ``js``.

JavaScript keeps a Python function that it was given until the function's proxy is destroyed, so
each has an owner here: a timer, a socket, a stream, or whoever got the function that cancels.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import js  # type: ignore[import-not-found]
from pyodide.ffi import (  # type: ignore[import-not-found]
    JsException,
    create_once_callable,
    create_proxy,
    to_js,
)

from .describe import describe
from .errors import ConfigurationError, ConnectionFailed, RequestTimeout
from .platform import (
    Callback,
    Cancel,
    EventStreamListener,
    HTTPAnswer,
    Socket,
    SocketListener,
)

# HTML §8.7: a longer timeout overflows a 32-bit integer and fires at once.
LONGEST_TIMEOUT_MS = 2**31 - 1


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

    def open_websocket(self, url: str, listener: SocketListener) -> Socket:
        """Start to open a socket."""
        try:
            return BrowserSocket(js.WebSocket.new(url), listener, self._guard)
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
        module = _event_stream_module()

        def closed(status: int | None, reason: str, retry_after: float | None) -> None:
            release()
            listener.closed(status, reason, retry_after)

        calls: dict[str, Callable[..., None]] = {
            "opened": listener.opened,
            "alive": listener.alive,
            "received": listener.received,
            "closed": closed,
        }
        proxies = {name: create_proxy(self._guarded(call)) for name, call in calls.items()}

        def release() -> None:
            while proxies:
                proxies.popitem()[1].destroy()

        options = {
            "withCredentials": with_credentials,
            "lastEventId": last_event_id,
            "token": token or "",
        }
        close = module.open(url, _object(options), _object(proxies))

        def cancel() -> None:
            if proxies:
                close()
                release()

        return cancel

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        body: str | None = None,
        timeout: float,  # noqa: ASYNC109 - the browser's own covers the body too
    ) -> HTTPAnswer:
        """Send an HTTP request."""
        options: dict[str, Any] = {
            "method": method,
            "credentials": "same-origin",
            "signal": js.AbortSignal.timeout(int(timeout * 1000)),
        }
        if body is not None:
            options["body"] = body
            options["headers"] = {"Content-Type": "application/json"}
        try:
            response = await js.fetch(url, _object(options))
            return HTTPAnswer(int(response.status), str(await response.text()))
        except JsException as error:
            if error.name == "TimeoutError":
                raise RequestTimeout(f"{method} {url}: no answer in {timeout:g} s") from None
            raise ConnectionFailed(f"{method} {url}: {error.message}") from error

    def on_online(self, callback: Callback) -> Cancel:
        """Call `callback` whenever the browser finds a network."""
        return self._listen(js.globalThis, "online", callback)

    def on_offline(self, callback: Callback) -> Cancel:
        """Call `callback` whenever the browser loses its network."""
        return self._listen(js.globalThis, "offline", callback)

    def on_visible(self, callback: Callback) -> Cancel:
        """Call `callback` whenever the page comes into view; in a worker, never."""
        document = self._document
        if document is None:
            return _nothing

        def changed() -> None:
            if document.visibilityState == "visible":
                callback()

        return self._listen(document, "visibilitychange", changed)

    def report(self, error: BaseException) -> None:
        """Show an exception with its traceback in the console."""
        js.console.error("".join(traceback.format_exception(error)))

    def _listen(self, target: Any, event: str, callback: Callback) -> Cancel:
        listeners = Listeners(target, self._guard)
        listeners.add(event, lambda _event: callback())
        return listeners.clear

    def _guarded(self, function: Callable[..., None]) -> Callable[..., None]:
        return lambda *values: self._guard(function, *values)

    def _guard(self, function: Callable[..., None], *values: Any) -> None:
        # JavaScript would only say "PythonError" where it called us.
        try:
            function(*values)
        except Exception as error:
            self.report(error)


class Listeners:
    """Event listeners on one JavaScript object, taken off and destroyed together.

    `guard` calls a handler with its event and reports what it raises.
    """

    def __init__(self, target: Any, guard: Callable[..., None]) -> None:
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


class BrowserSocket:
    """A `WebSocket` of the browser. Closed, it holds no proxies and tells nothing more."""

    def __init__(self, socket: Any, listener: SocketListener, guard: Callable[..., None]) -> None:
        self._socket = socket
        self._listener = listener
        socket.binaryType = "arraybuffer"
        # "error" says nothing that "close", which follows it, does not.
        self._listeners = Listeners(socket, guard)
        self._listeners.add("open", self._opened)
        self._listeners.add("message", self._received)
        self._listeners.add("close", self._closed)

    def send(self, text: str) -> None:
        """Hand a text frame to the browser."""
        if self._socket.readyState == js.WebSocket.OPEN:
            self._socket.send(text)

    def close(self, code: int, reason: str) -> None:
        """Close, and hear nothing more of it."""
        self._listeners.clear()
        self._socket.close(code, reason)

    def _opened(self, event: Any) -> None:
        del event
        self._listener.opened()

    def _received(self, event: Any) -> None:
        data = event.data
        self._listener.received(data if isinstance(data, str) else data.to_bytes())

    def _closed(self, event: Any) -> None:
        self._listeners.clear()
        self._listener.closed(int(event.code), str(event.reason))


def _event_stream_module() -> Any:
    try:
        from pyscript.js_modules import event_stream  # type: ignore[import-not-found]
    except ImportError as error:
        raise ConfigurationError(
            'pyscript.toml: expected "./runtime/event_stream.js" = "event_stream" in'
            " [js_modules.main], came none"
        ) from error
    return event_stream


def _object(values: dict[str, Any]) -> Any:
    return to_js(values, dict_converter=js.Object.fromEntries)


def _nothing() -> None:
    """Cancel what never happens."""
