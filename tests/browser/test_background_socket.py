"""Sockets in a worker: runtime/socket_worker.js, against a real gateway."""

import asyncio

import js
from pyodide.code import run_js
from tests.test_batches import Recorder

from services.browser import BrowserPlatform
from services.close_codes import ABNORMAL_CLOSURE
from services.gateway_api import GatewayAPI
from services.websocket_client import WebSocketClient

# The workers of these tests, and a script that the next gets instead of its own.
run_js(
    """
    globalThis.startedWorkers = [];
    const OwnWorker = Worker;
    globalThis.Worker = class extends OwnWorker {
        constructor(url, options) {
            super(globalThis.workerScript ?? url, options);
            startedWorkers.push(this);
        }
    };
    """
)

platform = BrowserPlatform()
api = GatewayAPI("./api/")


def open_socket(listener, path="./ws"):
    return platform.open_websocket(
        platform.resolve(path, websocket=True), listener, background=True
    )


async def test_a_client_in_the_background_is_a_client_like_any_other(until, proxies):
    client = WebSocketClient("./ws", background=True)
    titles = []
    client.on("notification", lambda payload: titles.append(payload["title"]))
    async with client.connect():
        await asyncio.gather(*(api.post_notification(title=f"n{n}") for n in range(50)))
        await until(lambda: len(titles) == 50)
        assert sorted(titles, key=lambda title: int(title[1:])) == [f"n{n}" for n in range(50)]
        client.ping()
        await until(lambda: client.stats.round_trip is not None)
    assert client.state == "closed"
    await proxies.settled()


async def test_a_close_comes_after_the_frames_before_it(until, proxies):
    listener = Recorder()
    socket = open_socket(listener)
    await until(lambda: ("opened",) in listener.others)
    for _ in range(20):
        socket.send('{"type": "ping"}')
    socket.send("no JSON")
    await until(lambda: listener.others[-1][0] == "closed")
    assert listener.others[-1][1] == 4400
    assert len(listener.items) == 20
    await proxies.settled()


async def test_nothing_is_heard_after_close(until, proxies):
    listener = Recorder()
    socket = open_socket(listener)
    await until(lambda: ("opened",) in listener.others)
    socket.send('{"type": "ping"}')
    socket.close(1000, "enough")
    other = Recorder()
    socket = open_socket(other)
    await until(lambda: ("opened",) in other.others)
    assert (listener.items, listener.others) == ([], [("opened",)])
    socket.close(1000, "")
    await proxies.settled()


async def test_a_socket_that_is_refused_says_so(until, proxies):
    listener = Recorder()
    open_socket(listener, "./nothing")
    await until(lambda: listener.others)
    assert listener.others[0][:2] == ("closed", ABNORMAL_CLOSURE)
    await proxies.settled()


async def test_what_the_worker_and_its_socket_hold_is_counted(until):
    listener = Recorder()
    socket = open_socket(listener)
    await until(lambda: ("opened",) in listener.others)
    assert socket.buffered == 0
    for _ in range(3):
        socket.send('{"type":"ping"}')
    assert socket.buffered == 45
    await until(lambda: socket.buffered == 0)
    socket.close(1000, "")


async def test_a_worker_that_fails_closes_its_sockets_and_is_replaced(until, proxies):
    listener = Recorder()
    open_socket(listener)
    await until(lambda: ("opened",) in listener.others)
    assert js.startedWorkers.length == 1
    run_js("startedWorkers[0].dispatchEvent(new ErrorEvent('error', { message: 'boom' }))")
    assert listener.others[1:] == [("closed", ABNORMAL_CLOSURE, "the worker failed: boom")]
    again = Recorder()
    socket = open_socket(again)
    await until(lambda: ("opened",) in again.others)
    assert js.startedWorkers.length == 2
    socket.close(1000, "")
    await proxies.settled()


async def test_a_worker_that_cannot_be_loaded_is_a_failed_attempt(until, proxies):
    run_js("startedWorkers.at(-1).dispatchEvent(new ErrorEvent('error'))")
    run_js("globalThis.workerScript = URL.createObjectURL(new Blob(['throw Error(1)']))")
    listener = Recorder()
    open_socket(listener)
    await until(lambda: listener.others)
    assert listener.others[0][:2] == ("closed", ABNORMAL_CLOSURE)
    assert "the worker failed" in listener.others[0][2]
    run_js("delete globalThis.workerScript")
    await proxies.settled()
