"""Stands in for main.py: sends numbered notifications, and keeps what it receives.

`window.numbered` says how many to send and whether the socket is in a worker; `window.heard` holds
the ids of the messages that came, `window.state` the client's numbers, both as JSON.
"""

import asyncio
import json

from js import window

from services.sse_client import SSEClient
from services.websocket_client import WebSocketClient

count, background = window.numbered.to_py()
quick = {"reconnect_interval": 0.02, "reconnect_interval_max": 0.2}
socket = WebSocketClient(
    "./ws",
    **quick,
    heartbeat_interval=0.5,
    heartbeat_timeout=0.5,
    connect_timeout=2,
    max_reconnect_attempts=None,
    background=background,
)
events = SSEClient("./api/events", **quick, stall_timeout=1.5)
heard = {"notification": [], "activity": [], "reset": []}
socket.on("*", lambda message: heard["notification"].append(message["id"]))
socket.on("reset", heard["reset"].append)
events.on("activity", lambda activity: heard["activity"].append(activity["id"]))
events.on("reset", heard["reset"].append)


async def send():
    """Send all, half as requests; return how many answers name the right event."""
    answers = []
    for n in range(count):
        payload = {"title": f"up {n}"}
        if n % 2:
            socket.send("notification", payload, reliable=True)
        else:
            answers.append(
                asyncio.ensure_future(socket.request("notification", payload, timeout=60))
            )
            await asyncio.sleep(0)
        if n % 20 == 19:
            await socket.drain()
    return [answer["id"] for answer in await asyncio.gather(*answers)]


def tell(**more):
    """Show the test where we are."""
    stats = socket.stats
    waiting = stats.queued + stats.unacknowledged
    window.state = json.dumps({"waiting": waiting, "attempts": stats.attempts, **more})


window.hear = lambda: json.dumps(heard)
events.connect()
while not events.is_connected:
    await asyncio.sleep(0.01)
await socket.connect()
# Only now does the client know where the log stands.
while socket._protocol.session.history.last is None:
    await asyncio.sleep(0.01)
tell(ready=True)
answers = await send()
while socket.stats.queued + socket.stats.unacknowledged:
    await asyncio.sleep(0.01)
tell(answers=answers)
