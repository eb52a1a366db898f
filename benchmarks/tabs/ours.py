"""Stands in for main.py: a tab that answers, and measures how long an answer takes."""

import asyncio
import json

from js import window
from pyodide.ffi import create_proxy

from services.tab_sync import TabSync

tabs = TabSync("benchmark")
answer = None


def ping(payload, tab_id):
    tabs.broadcast("pong", payload)


def pong(payload, tab_id):
    # The time ends in the handler, as it does for the others.
    answer.set_result(window.performance.now())


tabs.on("ping", ping)
tabs.on("pong", pong)


async def round_trips(samples):
    """Return the milliseconds of each round trip, as JSON."""
    global answer
    times = []
    for sample in range(samples):
        await asyncio.sleep(0.004 + 0.01 * window.Math.random())
        answer = asyncio.get_running_loop().create_future()
        start = window.performance.now()
        tabs.broadcast("ping", {"sample": sample, "text": "How long until you hear of this?"})
        times.append(await answer - start)
    return json.dumps(times)


window.roundTrips = create_proxy(round_trips)
window.isReady = True
