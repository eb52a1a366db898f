"""The script of every Python worker: binds `Host` to the worker's port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyodide_js  # type: ignore[import-not-found]
from pyodide.ffi import create_proxy, to_js  # type: ignore[import-not-found]
from pyscript.js_modules import worker_port  # type: ignore[import-not-found]

from workers.host import Host
from workers.source import PyodideSource


class Port:
    """The worker's end of the wire, as `Host` wants it."""

    def __init__(self) -> None:
        # Kept for the worker's life, as the host is.
        self._receive = create_proxy(self._received)
        self._port = worker_port.open(self._receive, pyodide_js.setInterruptBuffer)
        self.host = Host(self, PyodideSource())

    def post(self, header: str, buffers: Sequence[bytes]) -> None:
        """Send a message."""
        self._port.post(header, to_js(list(buffers)))

    def busy(self, stop: str, interruptible: bool) -> None:
        """Give signs of life, and raise KeyboardInterrupt when told to stop."""
        self._port.busy(stop, interruptible)

    def idle(self) -> None:
        """Be quiet."""
        self._port.idle()

    def _received(self, header: object, buffers: Any) -> None:
        self.host.received(header, [buffer.to_bytes() for buffer in buffers])


port = Port()
port.host.begin()
