"""Stands in for main.py: a tab with both connections, shared with the others or its own."""

from itertools import pairwise

from js import window

from services.platform import default_platform
from services.shared_connection import SharedConnection
from services.shared_events import SharedEvents
from services.sse_client import SSEClient
from services.tab_sync import TabSync
from services.websocket_client import WebSocketClient

platform = default_platform()
arrivals = []
if window.location.search == "?alone":
    socket = WebSocketClient("./ws", platform=platform)
    events = SSEClient("./api/events", platform=platform)
    window.leads = lambda: False
else:
    tabs = TabSync(platform=platform)
    socket = SharedConnection("./ws", tabs=tabs, platform=platform)
    events = SharedEvents("./api/events", tabs=tabs, platform=platform)
    window.leads = lambda: tabs.is_leader

socket.on("notification", lambda _: arrivals.append(platform.time_ms()))
events.on("activity", lambda _: None)


def longest_gap():
    """Return the longest time between two messages, in milliseconds."""
    return max((b - a for a, b in pairwise(arrivals)), default=0)


window.longestGap = longest_gap
window.arrived = lambda: len(arrivals)
window.forget = arrivals.clear
events.connect()
await socket.connect()
window.isReady = True
