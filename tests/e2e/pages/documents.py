"""Stands in for main.py: one document, opened and edited as the test says. Answers are JSON."""

import asyncio
import json

from js import window
from pyodide.ffi import create_proxy

from services.document import DocumentSession
from services.y_messages import read_vector

quick = {"reconnect_interval": 0.05, "reconnect_interval_max": 0.3, "max_reconnect_attempts": None}
session = None
seen = []
changed = asyncio.Event()


async def join(document_id, options):
    """Join a document."""
    global session
    session = DocumentSession(document_id, **quick | json.loads(options))
    for name in ("error", "collaborator-joined", "collaborator-left", "synced", "disconnected"):
        session.on(name, lambda payload, name=name: seen.append([name, payload]))
    session.on("change", lambda _: changed.set())
    await session.join()


def edit(edits):
    """Make edits, each for itself."""
    for one in json.loads(edits):
        session.edit([tuple(one)])


def look():
    """Tell how it stands."""
    return json.dumps(
        {
            "text": session.text,
            "state": session.state,
            "synced": session.synced,
            "unsynced": session.unsynced_changes,
            "readOnly": session.read_only,
            "isKept": session.is_kept,
            "collaborators": [other.name for other in session.collaborators],
            "lastClose": session.last_close,
        }
    )


def client():
    """Return the Yjs client's id: of two that type in one place, the lower goes first."""
    return session._replica.client_id


async def play(text, client, clock, edits):
    """Wait for the text, and for so many characters of a client; then make edits.

    One can write and delete again: so the text alone does not tell what has come.
    """
    while session.text != text or clock != seen_of(client):
        changed.clear()
        await changed.wait()
    edit(edits)


def seen_of(client):
    """Return how many characters of a client have come, also deleted ones."""
    return read_vector(session._replica.vector()).get(client, 0)


async def flush():
    """Return once everything is in the browser's storage."""
    await session.flush()


for name, function in {
    "join": join,
    "edit": edit,
    "look": look,
    "client": client,
    "play": play,
    "flush": flush,
    "leave": lambda: session.leave(),
    "pause": lambda: session.pause(),
    "unpause": lambda: session.unpause(),
    "seen": lambda: json.dumps(seen),
}.items():
    setattr(window, f"doc_{name}", create_proxy(function))
window.ready = True
