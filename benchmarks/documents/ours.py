"""Ours, beside the peers of page.js: the same edits, the same keys, the same documents."""

import asyncio
import json

from js import document, performance, window
from pyodide.ffi import create_proxy

from services.document import DocumentSession

session = None


async def opened(document_id, options):
    """Join a document with an editor, and return once it is in step with the server."""
    global session
    session = DocumentSession(document_id, url="./ws/documents/", **options.to_py())
    await session.join()
    editor = document.createElement("text-editor")
    editor.setAttribute("replica", str(session.replica_number))
    editor.setAttribute("label", "benchmark")
    document.querySelector("#editor").replaceChildren(editor)


async def join(document_id, options):
    """Return the milliseconds until a document's text is there and in an editor."""
    start = performance.now()
    await opened(document_id, options)
    await session.wait_synced()
    await asyncio.sleep(0)
    assert session.text
    return performance.now() - start


async def apply(patches, size):
    """Apply a trace, `size` edits to a call; return ms, the encoded document's size, the text."""
    edits = [tuple(patch) for patch in json.loads(patches)]
    alone = DocumentSession(
        "trace", keep=False, share=False, max_reconnect_attempts=0, url="./nowhere/"
    )
    await alone.join()
    start = performance.now()
    if size == 1:
        for position, count, text in edits:
            if count:
                alone.delete(position, count)
            if text:
                alone.insert(position, text)
    else:
        for first in range(0, len(edits), size):
            alone.edit(edits[first : first + size])
    taken = performance.now() - start
    encoded = len(alone._replica.update_since())
    text = alone.text
    alone.leave()
    return json.dumps([taken, encoded, text])


def fill(text):
    """Put a text into the open document."""
    session.edit([(0, len(session.text), text)])


async def saved():
    """Return once the server has everything."""
    await session.wait_synced()


def leave():
    """Leave the open document."""
    session.leave()


for name, function in {
    "open": opened,
    "join": join,
    "apply": apply,
    "fill": fill,
    "saved": saved,
    "leave": leave,
}.items():
    setattr(window.ours, name, create_proxy(function))
window.oursReady = True
