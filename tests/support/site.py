"""The gateway with some more files laid over its site, served from a thread."""

from __future__ import annotations

import mimetypes
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

type_of = mimetypes.guess_type
App = Callable[[Any, Any, Any], Awaitable[None]]


def overlaid(app: App, files: dict[str, bytes]) -> App:
    """Return an ASGI application that answers the given paths itself and hands on the rest."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        body = files.get(scope.get("path", ""))
        if scope["type"] != "http" or body is None:
            await app(scope, receive, send)
            return
        kind = type_of(scope["path"])[0] or "application/octet-stream"
        headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return serve


@contextmanager
def serving(app: App) -> Iterator[str]:
    """Serve an application on a free port of this machine; gives the URL of its root."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(10)
