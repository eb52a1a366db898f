"""Installs packages in a worker: the site's own where it has them, else from the index (PyPI)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence


class PackageError(Exception):
    """A package that cannot be had."""


async def install(packages: Sequence[str], wheels: str) -> None:
    """Install packages, each given as a requirement or the URL of a wheel.

    At the URL `wheels` is a JSON object: the files beside it, by the names of their packages. A
    name without a version takes such a file, whatever its version. Raises PackageError.
    """
    import pyodide_js  # type: ignore[import-not-found]

    own = await _own(wheels)
    try:
        # micropip is a package itself. Quiet, or it tells the console of each that it loads.
        await pyodide_js.loadPackage(own.get("micropip", "micropip"), messageCallback=_quiet)
        import micropip  # type: ignore[import-not-found]
    except Exception as error:
        raise PackageError(f"micropip, which installs packages, cannot be had: {error}") from None
    for package in packages:
        try:
            await micropip.install(own.get(normalized(package), package))
        except Exception as error:
            raise PackageError(f"{package} cannot be had: {_first_line(error)}") from None


def normalized(name: str) -> str:
    """Return a package's name as PEP 503 compares them."""
    return re.sub(r"[-_.]+", "-", name).lower()


async def _own(url: str) -> dict[str, str]:
    """Return the URLs of the wheels that the site has, by name."""
    import js  # type: ignore[import-not-found]
    from pyodide.ffi import JsException  # type: ignore[import-not-found]

    try:
        response = await js.fetch(url)
        # Some hosts answer with a page for whatever they do not have.
        names = json.loads(str(await response.text())) if response.ok else {}
    except (JsException, ValueError):
        names = {}
    if not isinstance(names, dict):
        return {}
    return {name: str(js.URL.new(file, url).href) for name, file in names.items()}


def _quiet(_message: object) -> None:
    """Say nothing."""


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
