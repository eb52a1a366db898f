"""The workers of ``browser``: a `PyWorker` each, with a stop sign."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import js  # type: ignore[import-not-found]
from pyodide.ffi import (  # type: ignore[import-not-found]
    JsException,
    create_once_callable,
    create_proxy,
    to_js,
)

from .browser_listeners import Listeners
from .errors import ConfigurationError
from .platform import WorkerListener
from .worker_files import FILES, PORT, START


class BrowserWorker:
    """A Pyodide worker. Terminated, it holds no proxies, no URL and tells nothing more."""

    def __init__(
        self,
        listener: WorkerListener,
        resolve: Callable[[str], str],
        guard: Callable[..., Any],
    ) -> None:
        try:
            from pyscript import PyWorker, config  # type: ignore[import-not-found]
        except ImportError as error:
            raise ConfigurationError(
                f"worker: expected a page with PyScript, came none ({error})"
            ) from error
        self._listener = listener
        self._guard = guard
        self._sign = ""
        self._is_over = False
        options: dict[str, Any] = {"type": "pyodide", "config": _config(resolve)}
        # Without it a worker fetches the interpreter from a CDN, whatever its configuration says.
        if interpreter := config.get("interpreter"):
            options["version"] = resolve(str(interpreter))
        self._worker = PyWorker(resolve(START), **options)
        self._port: Any = None
        self._listeners = Listeners(self._worker, guard)
        self._listeners.add("message", self._connected)
        self._listeners.add("error", self._broke)
        self._received = create_proxy(partial(guard, self._heard))
        # A file that is not there is told so; PyScript keeps these two until one is called.
        self._worker.ready.then(create_once_callable(_nothing), create_once_callable(self._refused))

    def post(self, header: str, buffers: Sequence[bytes]) -> None:
        """Send a message; there is none before the worker's first."""
        views = to_js([to_js(buffer) for buffer in buffers])
        transferred = to_js([view.buffer for view in views])
        self._port.postMessage(to_js([header, views]), transferred)

    def stop_sign(self) -> str:
        """Return the URL."""
        if not self._sign:
            self._sign = str(js.URL.createObjectURL(js.Blob.new()))
        return self._sign

    def raise_stop_sign(self) -> None:
        """Take away what is there."""
        if self._sign:
            js.URL.revokeObjectURL(self._sign)
            self._sign = ""

    def terminate(self) -> None:
        """End the worker."""
        if self._is_over:
            return
        self._is_over = True
        self._worker.terminate()
        self._listeners.clear()
        if self._port is not None:
            self._port.onmessage = None
            self._port.close()
        self._received.destroy()
        self.raise_stop_sign()

    def _connected(self, event: Any) -> None:
        # The first message of ours brings the end of a channel; PyScript's own are none of them.
        if self._port is None and (port := getattr(event.data, "realtimePort", None)) is not None:
            self._port = port
            port.onmessage = self._received

    def _heard(self, event: Any) -> None:
        header, buffers = None, []
        # What has another shape is no message, whatever it is: the listener says so.
        with contextlib.suppress(TypeError, ValueError, AttributeError, JsException):
            header, views = event.data
            buffers = [view.to_bytes() for view in views]
        self._listener.received(header, buffers)

    def _broke(self, event: Any) -> None:
        self._failed(str(getattr(event, "message", "") or "its script could not run"))

    def _refused(self, error: Any) -> None:
        self._failed(str(getattr(error, "message", error)))

    def _failed(self, reason: str) -> None:
        if not self._is_over:
            self.terminate()
            self._guard(self._listener.failed, reason)


def _nothing(_: object) -> None:
    """Do nothing."""


def _config(resolve: Callable[[str], str]) -> dict[str, Any]:
    return {
        # Or PyScript would want SharedArrayBuffer, and so special headers, for `window`.
        "sync_main_only": True,
        "files": {resolve(name): name for name in FILES},
        "js_modules": {"worker": {resolve(PORT): "worker_port"}},
    }
