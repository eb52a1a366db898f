"""runtime/socket.js and runtime/event_stream.js: in order, at once when idle, together if many."""

import js
import pytest
from pyodide.code import run_js
from pyodide.ffi import to_js

from services.browser import BatchedSocket, BrowserPlatform, PlainSocket, _module
from services.strict_json import loads


class Recorder:
    """Listens to a socket or a stream, and keeps what each crossing brought."""

    def __init__(self):
        self.batches = []
        self.others = []

    def received(self, items):
        self.batches.append(list(items))

    def __getattr__(self, name):
        return lambda *values: self.others.append((name, *values))

    @property
    def items(self):
        return [item for batch in self.batches for item in batch]


@pytest.fixture
def server():
    """Sockets without a network: what comes in is up to the test."""
    own = js.window.WebSocket
    fake = run_js(
        """(class {
            static OPEN = 1;
            readyState = 1; bufferedAmount = 0; sent = [];
            constructor(url) { this.url = url; globalThis.fakeSocket = this; }
            send(frame) { this.sent.push(frame); }
            close() {}
            deliver(...frames) { for (const data of frames) this.onmessage?.({ data }); }
            drop() { this.onclose?.({ code: 1006, reason: "cut" }); }
        })"""
    )
    js.window.WebSocket = fake
    yield lambda: js.window.fakeSocket
    js.window.WebSocket = own
    del js.window.fakeSocket


def open_socket(listener):
    return BrowserPlatform().open_websocket("ws://localhost/", listener)


def objects(*numbers):
    return [{"n": n} for n in numbers]


async def test_the_first_is_delivered_at_once_and_what_follows_in_one_batch(server, until):
    listener = Recorder()
    socket = open_socket(listener)
    assert isinstance(socket, BatchedSocket)
    server().deliver('{"n":1}')
    assert listener.batches == [['{"n":1}']]
    server().deliver('{"n":2}', '{"n":3}', '{"n":4}')
    assert len(listener.batches) == 1
    await until(lambda: len(listener.items) == 4)
    assert listener.batches == [['{"n":1}'], objects(2, 3, 4)]
    # Idle again: at once.
    await until(lambda: server().deliver("{}") or "{}" in listener.items)
    socket.close(1000, "")


async def test_ten_thousand_stay_in_order_in_a_few_batches(server, until):
    listener = Recorder()
    socket = open_socket(listener)
    run_js('for (let n = 0; n < 10000; n++) fakeSocket.deliver(`{"n":${n}}`)')
    await until(lambda: len(listener.items) == 10_000)
    assert listener.items[1:] == objects(*range(1, 10_000))
    assert len(listener.batches) <= 10_000 / 64 + 12
    assert max(map(len, listener.batches)) == 64
    socket.close(1000, "")


async def test_texts_without_an_end_do_not_add_up(server, until):
    listener = Recorder()
    socket = open_socket(listener)
    deep = ['{"a":' + "[" * 1000 + "{}"] * 20
    server().deliver("{}", *deep)
    await until(lambda: len(listener.items) == 21)
    assert listener.items == ["{}", *deep]
    socket.close(1000, "")


@pytest.mark.parametrize(
    "odd",
    [
        "{",
        "}",
        "{}}",
        '{"a":1},{"b":2}',
        "[1]",
        '{"a":NaN}',
        '{"a":[{}',
        "{}]},{}",
        "{" * 600 + "}",
    ],
)
async def test_one_that_is_not_what_it_looks_like_spoils_no_other(server, until, odd):
    listener = Recorder()
    socket = open_socket(listener)
    server().deliver('{"n":0}', '{"n":1}', odd, '{"n":2}')
    await until(lambda: len(listener.items) == 4)
    assert [loaded(item) for item in listener.items] == [*objects(0, 1), odd, *objects(2)]
    socket.close(1000, "")


def loaded(item):
    try:
        return loads(item) if isinstance(item, str) and item.startswith('{"n"') else item
    except ValueError:
        return item


async def test_long_frames_keep_their_place_and_their_characters(server, until):
    listener = Recorder()
    socket = open_socket(listener)
    long = '{"text":"' + "é😀" * 50_000 + '"}'
    server().deliver('{"n":0}', '{"n":1}', long, '{"n":2}', "é" * 1023)
    await until(lambda: len(listener.items) == 5)
    assert listener.items == ['{"n":0}', '{"n":1}', long, '{"n":2}', "é" * 1023]
    socket.close(1000, "")


async def test_binary_frames_and_strange_text_keep_their_place(server, until):
    listener = Recorder()
    socket = open_socket(listener)
    run_js(
        """const bytes = new Uint8Array([0, 255, 7]).buffer;
        fakeSocket.deliver("a", "b", bytes, "c", "d\\u001ee", "", "f", new ArrayBuffer(0))"""
    )
    await until(lambda: len(listener.items) == 8)
    assert listener.items == ["a", "b", b"\x00\xff\x07", "c", "d\x1ee", "", "f", b""]
    socket.close(1000, "")


async def test_what_came_before_the_close_is_told_before_it(server, until, proxies):
    listener = Recorder()
    open_socket(listener)
    server().deliver("1", "2", "3")
    server().drop()
    assert listener.items == ["1", "2", "3"]
    assert listener.others == [("closed", 1006, "cut")]
    server().deliver("4")
    await until(lambda: True)
    assert listener.items == ["1", "2", "3"]
    await proxies.settled()


async def test_a_handler_may_close_in_the_middle(server, until, proxies):
    class Closing(Recorder):
        def received(self, items):
            super().received(items)
            if "2" in items:
                socket.close(1000, "enough")

    listener = Closing()
    socket = open_socket(listener)
    run_js("""fakeSocket.deliver("1", "2", new ArrayBuffer(1), "3")""")
    await until(lambda: "2" in listener.items)
    server().drop()
    assert listener.items == ["1", "2"]
    assert listener.others == []
    await proxies.settled()


async def test_frames_are_sent_and_what_is_held_back_is_counted(server):
    socket = open_socket(Recorder())
    socket.send("text")
    socket.send(b"\x00\x01")
    assert server().sent[0] == "text"
    assert server().sent[1].to_bytes() == b"\x00\x01"
    server().bufferedAmount = 12
    assert socket.buffered == 12
    server().readyState = 2
    socket.send("too late")
    assert server().sent.length == 2
    socket.close(1000, "")


async def test_a_page_without_the_module_takes_frames_one_by_one(until, proxies):
    listener = Recorder()
    platform = BrowserPlatform()
    socket = PlainSocket(platform.resolve("./ws", websocket=True), listener, platform._guard)
    await until(lambda: ("opened",) in listener.others)
    for _ in range(3):
        socket.send('{"type": "ping"}')
    await until(lambda: len(listener.batches) == 3)
    assert all(len(batch) == 1 for batch in listener.batches)
    socket.send("no JSON")
    await until(lambda: len(listener.others) == 2)
    assert listener.others[1][:2] == ("closed", 4400)
    await proxies.settled()


# Event streams


@pytest.fixture
def stream():
    """Open a stream over a made-up answer, given the pieces of its body."""
    own = js.window.fetch

    async def open_stream(*pieces, status=200, headers=None, listener=None):
        listener = listener or Recorder()
        make = run_js(
            """((pieces, status, headers) => async () => {
                const encoder = new TextEncoder();
                const body = new ReadableStream({ start(controller) {
                    for (const piece of pieces) {
                        const text = typeof piece === "string";
                        controller.enqueue(text ? encoder.encode(piece) : piece);
                    }
                    controller.close();
                }});
                // 204 may have no body.
                return new Response(status === 204 ? null : body, { status, headers });
            })"""
        )
        headers = {"Content-Type": "text/event-stream", **(headers or {})}
        headers = to_js(headers, dict_converter=js.Object.fromEntries)
        js.window.fetch = make(to_js(list(pieces)), status, headers)
        BrowserPlatform().open_event_stream(
            "http://localhost/",
            listener,
            with_credentials=False,
            last_event_id="",
            token=None,
        )
        return listener

    yield open_stream
    js.window.fetch = own


def closed(listener):
    return listener.others and listener.others[-1][0] == "closed"


async def test_events_of_one_piece_cross_together(stream, until, proxies):
    listener = await stream(
        'id: 1\ndata: {"a":1}\n\nevent: x\ndata: {\ndata: }\n\nid: 2\ndata: {}\n\n',
        "data: plain\n\ndata: {}\n\ndata: {]}\n\n",
    )
    await until(lambda: closed(listener))
    assert listener.batches == [
        [("message", {"a": 1}, "1"), ("x", {}, "1"), ("message", {}, "2")],
        [("message", "plain", "2")],
        [("message", "{}", "2")],
        [("message", "{]}", "2")],
    ]
    assert listener.others[-1] == ("closed", None, "the stream ended", None)
    await proxies.settled()


async def test_separators_in_the_data_break_nothing(stream, until):
    listener = await stream(
        "data: a\n\ndata: b\u001ec\u001fd\n\nevent: x\u001f\ndata: e\n\ndata: f\n\n"
    )
    await until(lambda: closed(listener))
    assert [event[:2] for event in listener.items] == [
        ("message", "a"),
        ("message", "b\u001ec\u001fd"),
        ("x\u001f", "e"),
        ("message", "f"),
    ]


async def test_characters_and_line_ends_may_be_torn_apart(stream, until):
    body = "\ufeffdata: é😀\r\n\r\nid: 7\rdata: b\r\r".encode()
    pieces = [js.Uint8Array.new(to_js([byte])) for byte in body]
    listener = await stream(*pieces)
    await until(lambda: closed(listener))
    assert listener.items == [("message", "é😀", ""), ("message", "b", "7")]


async def test_an_id_alone_and_a_reconnection_time_are_told(stream, until):
    listener = await stream(
        "id: 1\n\n", "data: a\n\nid: 2\n\n", "retry: 2500\n\n", "retry: soon\n\n"
    )
    await until(lambda: closed(listener))
    others = [call for call in listener.others if call[0] not in ("alive", "closed", "opened")]
    assert others == [("positioned", "1"), ("positioned", "2"), ("retry_in", 2.5)]
    assert listener.items == [("message", "a", "1")]


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (204, {}, (204, "expected HTTP 200 and text/event-stream, came HTTP 204", None)),
        (
            503,
            {"Retry-After": "7"},
            (503, "expected HTTP 200 and text/event-stream, came HTTP 503", 7),
        ),
        (
            200,
            {"Content-Type": "text/html"},
            (200, "expected HTTP 200 and text/event-stream, came text/html", None),
        ),
    ],
)
async def test_refusals_say_what_was_expected_and_what_came(
    stream, until, status, headers, expected
):
    listener = await stream("x", status=status, headers=headers)
    await until(lambda: closed(listener))
    assert listener.others == [("closed", *expected)]


async def test_the_module_is_named_in_the_configuration():
    assert _module("socket") is not None
    assert _module("nothing") is None
