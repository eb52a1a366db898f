"""The page: an allow-list of the repository's files, served as a static site."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

_FOLDERS = frozenset({"components", "services", "workers", "runtime", "vendor"})
_TOP_LEVEL = frozenset(
    {".html", ".py", ".css", ".js", ".mjs", ".toml", ".json", ".svg", ".png", ".ico", ".txt"}
)
_NEVER = frozenset({"package.json", "package-lock.json", "pyproject.toml"})

#: A machine's MIME table may lack these or have them wrong, and then a browser refuses to run
#: the script, or to compile the module while it loads.
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".py": "text/x-python; charset=utf-8",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
    ".wasm": "application/wasm",
    ".whl": "application/zip",
}


class Site(StaticFiles):
    """Serves the page's files and nothing else: no state, no server, no dotfiles.

    Files are revalidated at every use (`no-cache` with an ETag), so that what is edited is what
    runs, and what has not changed is not sent again.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; a WebSocket finds nothing here."""
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(
                PlainTextResponse("Not Found", 404)
            )
        else:
            await super().__call__(scope, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file at `path`, a path without `..` relative to the site's root."""
        name = PurePosixPath("index.html" if path == "." else path)
        # Other methods are refused for every path alike.
        if scope["method"] in ("GET", "HEAD") and not is_public(name):
            raise HTTPException(404)
        response = await super().get_response(os.fspath(name), scope)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        if name.suffix in _MEDIA_TYPES and response.status_code != 304:
            response.headers["Content-Type"] = _MEDIA_TYPES[name.suffix]
        return response


def is_public(name: PurePosixPath) -> bool:
    """Tell whether a file of the repository belongs to the page."""
    if any(part.startswith(".") or part == "__pycache__" for part in name.parts):
        return False
    if len(name.parts) > 1:
        return name.parts[0] in _FOLDERS
    return name.suffix in _TOP_LEVEL and name.name not in _NEVER
