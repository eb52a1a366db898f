"""Where a worker gets its file and its rows from."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from services.describe import describe
from services.operation import Job
from services.strict_json import loads
from services.worker_messages import Start
from workers.packages import install


class PyodideSource:
    """Fetches over HTTP, and installs by micropip."""

    async def load(self, start: Start) -> Mapping[str, Any]:
        """Install the packages, run the file, and return what it has defined.

        Raises PackageError, OSError for a file that is not there, and whatever the file raises.
        """
        if start.packages:
            await install(start.packages, start.wheels)
        return run(await fetch_text(start.url), start.url)


def run(text: str, url: str) -> Mapping[str, Any]:
    """Run a file as a module of its own, and return what it has defined."""
    name = url.rpartition("/")[2].partition("?")[0].removesuffix(".py") or "worker"
    module = ModuleType(name)
    module.__file__ = url
    # Tracebacks show the lines; without this, nobody would know where to find them.
    linecache.cache[url] = (len(text), None, text.splitlines(keepends=True), url)
    sys.modules.setdefault(name, module)
    # Its own future, not that of this module, whose annotations are text.
    exec(compile(text, url, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - it is what we are here for
    return module.__dict__


async def fetch_text(url: str) -> str:
    """Return a file of the site. Raises OSError."""
    import js  # type: ignore[import-not-found]
    from pyodide.ffi import JsException  # type: ignore[import-not-found]

    try:
        response = await js.fetch(url)
    except JsException as error:
        raise OSError(f"{url}: {error.message}") from None
    if not response.ok:
        raise OSError(f"{url}: HTTP {response.status}")
    return str(await response.text())


async def fetch_rows(url: str, token: str | None, job: Job) -> list[Any]:
    """Return the rows at a URL: a JSON array of objects, or one object a line (NDJSON).

    `token` goes into an Authorization header. Progress is told in bytes.

    Raises OSError if there is no answer, or a bad one; ValueError if it holds something else.
    """
    text = (await _fetch_bytes(url, token, job)).decode()
    return rows_of(text, url)


def rows_of(text: str, url: str) -> list[Any]:
    """Return the rows that a text holds. Raises ValueError."""
    try:
        text = text.removeprefix("\ufeff")
        if text.lstrip()[:1] in ("[", ""):
            rows = loads(text) if text.strip() else []
        else:
            # Not `splitlines`, which takes characters for ends that a text in JSON may have.
            rows = [loads(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise ValueError(f"{url}: expected JSON, came something else ({error})") from None
    for number, row in enumerate(rows):
        if type(row) is not dict:
            came = describe(row)
            raise ValueError(f"{url}: expected an array of objects, came {came} as item {number}")
    return rows


async def _fetch_bytes(url: str, token: str | None, job: Job) -> bytes:
    import js
    from pyodide.ffi import JsException, to_js

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    aborter = js.AbortController.new()
    options = to_js(
        {"headers": headers, "signal": aborter.signal}, dict_converter=js.Object.fromEntries
    )
    try:
        response = await js.fetch(url, options)
        if not response.ok:
            raise OSError(f"{url}: HTTP {response.status}")
        length = response.headers.get("Content-Length")
        # A length of what is compressed is not that of what comes out.
        total = int(length) if length and not response.headers.get("Content-Encoding") else None
        reader = response.body.getReader()
        parts: list[bytes] = []
        done = 0
        while not (step := await reader.read()).done:
            parts.append(step.value.to_bytes())
            done += len(parts[-1])
            job.progress(done, total, "bytes")
        return b"".join(parts)
    except JsException as error:
        raise OSError(f"{url}: {error.message}") from None
    finally:
        # Cancelled, or refused for its status, an answer would otherwise come to its end.
        aborter.abort()
