"""The clients in Python, beside those of clients.js and with the same handlers."""

import asyncio
import gc
import json
from functools import partial

import pyodide_js
from js import location, performance, window
from pyodide.ffi import create_proxy, to_js
from pyscript import WebSocket

from services.sse_client import SSEClient
from services.websocket_client import WebSocketClient

FEED = f"ws://{location.host}/feed"
mark, now = performance.mark, performance.now


class Tally:
    """What the handlers of every client do."""

    def __init__(self):
        self.count = 0
        self.last = None
        self.begun = self.ended = 0.0

    def subscribe(self, client):
        """Put the handlers on a client, by type."""
        for handler in (self.notification, self.probe, self.begin, self.end):
            client.on(handler.__name__, handler)

    def notification(self, payload):
        self.count += 1
        self.last = payload

    def probe(self, _payload):
        mark("handled")

    def begin(self, _payload):
        self.begun = now()

    def end(self, _payload):
        self.ended = now()

    def read(self):
        """Return the figures as JSON."""
        last = self.last and self.last["id"]
        return json.dumps([self.count, last, self.ended - self.begun])


class Handlers(dict):
    """Where the user of a bare socket keeps handlers."""

    def on(self, type, handler):
        self.setdefault(type, []).append(handler)


running = set()  # nobody else keeps what JavaScript has only a proxy of


def websocket_client(tally, **options):
    client = WebSocketClient("./feed", **options)
    tally.subscribe(client)
    running.update((client, asyncio.ensure_future(client.connect())))
    return client.disconnect


def sse_client(tally):
    client = SSEClient("./feed.events")
    tally.subscribe(client)
    client.connect()
    return client.disconnect


def pyscript_websocket(tally):
    handlers = Handlers()
    tally.subscribe(handlers)

    def received(event):
        message = json.loads(event.data)
        for handler in handlers.get(message["type"], ()):
            handler(message["payload"])

    socket = WebSocket(url=FEED)
    socket.onmessage = received
    return socket.close


def held():
    """Collect the garbage; return the numbers of Python objects, proxies and bytes of memory."""
    gc.collect()
    window.gc()
    module = pyodide_js._module
    proxies = module.pyproxy_alloc_map.size
    return json.dumps([len(gc.get_objects()), proxies, module.HEAP8.length])


def offer(name, start):
    """Let the page start a client under a name."""

    def started():
        tally = Tally()
        stop = start(tally)

        def stopped():
            stop()
            running.clear()

        handle = {"read": create_proxy(tally.read), "stop": create_proxy(stopped)}
        return to_js(handle, dict_converter=window.Object.fromEntries)

    setattr(window.clients, name, create_proxy(started))


offer("Python", websocket_client)
offer("Python, background", partial(websocket_client, background=True))
offer("pyscript.WebSocket", pyscript_websocket)
offer("SSEClient", sse_client)
window.collect = create_proxy(lambda: gc.collect())
window.countProxies = create_proxy(lambda: pyodide_js._module.enable_pyproxy_allocation_tracing())
window.held = create_proxy(held)
window.ready = True
