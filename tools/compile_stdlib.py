"""Compile the part of Pyodide's standard library that a page and its workers import at start.

Pyodide brings it as sources, which every page would compile anew: half of its start.
All of it compiled would be 2 MB more to download, so what is not imported at start
stays as it is.

Runs in Pyodide, see in_pyodide.mjs.
"""

import importlib
import io
import py_compile
import sys
import zipfile
from pathlib import Path

#: What PyScript, the page and the workers import; what these import comes with them.
ROOTS = (
    "asyncio",
    "base64",
    "bisect",
    "collections.abc",
    "contextlib",
    "dataclasses",
    "datetime",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "html",
    "importlib.metadata",
    "inspect",
    "io",
    "json",
    "linecache",
    "logging",
    "operator",
    "os",
    "pathlib",
    "random",
    "re",
    "shutil",
    "statistics",
    "string.templatelib",
    "subprocess",
    "tempfile",
    "threading",
    "traceback",
    "types",
    "typing",
    "urllib.parse",
    "weakref",
    "zipfile",
)

ARCHIVE = "/lib/python314.zip/"


def main(data: bytes) -> bytes:
    """Return the standard library, a zip archive, with the modules of the start compiled."""
    for name in ROOTS:
        importlib.import_module(name)
    # What is frozen is in the interpreter itself.
    files = {
        module.__file__
        for module in sys.modules.values()
        if getattr(module, "__file__", None) and module.__spec__.origin != "frozen"
    }
    output = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as sources,
        zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
    ):
        for name in sorted(sources.namelist()):
            if name.endswith("/"):
                continue
            content = sources.read(name)
            if ARCHIVE + name in files:
                name, content = f"{name}c", compiled(content, ARCHIVE + name)
            # Without a time of its own: the same input gives the same archive.
            target.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return output.getvalue()


def compiled(source: bytes, path: str) -> bytes:
    """Return a module's `.pyc`, whose tracebacks name `path`."""
    file, result = Path("/tmp/source.py"), Path("/tmp/source.pyc")  # noqa: S108 - Pyodide's own
    file.write_bytes(source)
    # There is no source to check it against.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(file), str(result), path, doraise=True, invalidation_mode=mode)
    return result.read_bytes()
