"""Stands in for main.py: a tab that shares its connections, and tells the test what came."""

import json

from js import window

from services.platform import default_platform
from services.shared_connection import SharedConnection
from services.shared_events import SharedEvents
from services.tab_sync import TabSync

platform = default_platform()
tabs = TabSync(platform=platform)
quick = {"reconnect_interval": 0.02, "reconnect_interval_max": 0.2}
socket = SharedConnection(
    "./ws", tabs=tabs, platform=platform, max_reconnect_attempts=None, **quick
)
events = SharedEvents("./api/events", tabs=tabs, platform=platform, **quick)

heard = {"notification": [], "activity": [], "reset": [], "error": []}
socket.on("*", lambda message: heard["notification"].append(message["id"]))
events.on("activity", lambda activity: heard["activity"].append(activity["id"]))
for client in (socket, events):
    client.on("reset", heard["reset"].append)
tabs.on("error", lambda event, _: heard["error"].append(event["error"]))


def look():
    """Return what the test wants to know of this tab."""
    return json.dumps(
        {
            "id": tabs.tab_id,
            "tabs": [tab.id for tab in tabs.tabs],
            "leader": tabs.leader,
            "leads": tabs.is_leader,
            "socket": socket.state,
            "events": events.state,
        }
    )


window.look = look
window.hear = lambda: json.dumps(heard)
window.post = lambda title: socket.send("notification", {"title": title}, reliable=True)
window.waiting = lambda: socket.stats.queued + socket.stats.unacknowledged
events.connect()
await socket.connect()
# Only now does each client know where the log stands.
window.ready = True
