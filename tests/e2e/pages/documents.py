"""Stands in for main.py: one document, opened and edited as the test says. Answers are JSON."""

import json

from js import window
from pyodide.ffi import create_proxy

from services.document import DocumentSession

quick = {"reconnect_interval": 0.05, "reconnect_interval_max": 0.3, "max_reconnect_attempts": None}
session = None
seen = []


async def join(document_id, options):
    """Join a document."""
    global session
    session = DocumentSession(document_id, **quick | json.loads(options))
    for name in ("error", "collaborator-joined", "collaborator-left", "synced", "disconnected"):
        session.on(name, lambda payload, name=name: seen.append([name, payload]))
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


async def flush():
    """Return once everything is in the browser's storage."""
    await session.flush()


for name, function in {
    "join": join,
    "edit": edit,
    "look": look,
    "client": client,
    "text": lambda: session.text,
    "flush": flush,
    "leave": lambda: session.leave(),
    "pause": lambda: session.pause(),
    "unpause": lambda: session.unpause(),
    "seen": lambda: json.dumps(seen),
}.items():
    setattr(window, f"doc_{name}", create_proxy(function))
window.ready = True
