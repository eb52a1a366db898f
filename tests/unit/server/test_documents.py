from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Callable
from urllib.parse import quote

import pytest
from pycrdt import Array, Doc, Map, Text
from websockets.exceptions import ConnectionClosed, InvalidStatus

from server import document_frames, lib0
from server.document_frames import EMPTY_UPDATE, Presence
from server.documents import MAX_DOCUMENT_FRAME
from tests.support.gateway import Gateway, wait_until
from tests.unit.server.yjs import QUERY_AWARENESS, Client, content, join

pytestmark = pytest.mark.anyio


def name() -> str:
    return f"doc-{random.getrandbits(60)}"


async def test_what_the_gateway_says_first(gateway: Gateway) -> None:
    async with join(gateway, name()) as client:
        assert await client.read() == "step1"
        await client.ask()
        assert await client.read() == "step2"
        assert client.update == EMPTY_UPDATE


async def test_two_clients_edit_together(gateway: Gateway) -> None:
    document = name()
    async with join(gateway, document) as one, join(gateway, document) as two:
        await one.sync()
        await two.sync()
        await one.insert(0, "Hé👩‍👩‍👧")
        await two.read_until(lambda: two.content == "Hé👩‍👩‍👧")
        await two.insert(0, "[")
        await one.read_until(lambda: one.content == "[Hé👩‍👩‍👧")
        await one.delete(0, 1)
        await one.sync()
        await two.sync()
        assert one.content == two.content == content(gateway, document) == "Hé👩‍👩‍👧"
        assert gateway.health()["documents"] >= 1


async def test_what_a_client_wrote_alone_is_asked_for(gateway: Gateway) -> None:
    document = name()
    doc: Doc[Text] = Doc()
    doc.get("content", type=Text).insert(0, "offline")
    async with join(gateway, document, doc) as client:
        assert await client.read() == "step1"
        await client.sync()
    assert content(gateway, document) == "offline"


async def test_an_answer_means_stored_and_costs_little(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway()
    async with join(gateway, "a") as one, join(gateway, "a") as two:
        await one.sync()
        await two.sync()
        await one.insert(0, "x" * 1000)
        await one.delete(3, 500)
        await one.sync()
        # Nothing is told again, though there are deletions.
        assert one.update == EMPTY_UPDATE
        await two.insert(0, "y")
        await two.sync()
        assert two.update == EMPTY_UPDATE
        text = two.content
        gateway.kill()
    gateway.start()
    assert content(gateway, "a") == text
    async with join(gateway, "a") as three:
        await three.sync()
        assert three.content == text


async def test_a_client_that_lost_something_is_told_in_full(gateway: Gateway) -> None:
    document = name()
    async with join(gateway, document) as one, join(gateway, document) as two:
        await one.sync()
        await two.sync()
        await one.insert(0, "lost")
        await one.sync()
        await two.sync()
        await two.socket.send(document_frames.sync_step_1(b"\0"))
        await two.read()
        assert two.update != EMPTY_UPDATE


IDS = [
    "a/b/c",
    "/a",
    "a/",
    "a.b",
    "...",
    "\"'`",
    "ü 大阪 👩‍👩‍👧",
    "a?b#c%d",
    "x" * 200,
    "\u2028",
    "👩" * 200,
]


@pytest.mark.parametrize("document", IDS)
async def test_any_text_is_an_id(gateway: Gateway, document: str) -> None:
    async with join(gateway, document) as client:
        await client.insert(0, document)
        await client.sync()
    assert content(gateway, document) == document


async def test_a_slash_may_come_as_it_is(gateway: Gateway) -> None:
    async with join(gateway, "p/q") as client:
        await client.insert(0, "slash")
        await client.sync()
    assert gateway.get("api/documents/p/q").json() == {"id": "p/q", "content": "slash"}


@pytest.mark.parametrize("document", ["", "x" * 201, "a\0", "a\n", "\x7f", "\x85"])
async def test_no_id(gateway: Gateway, document: str) -> None:
    async with join(gateway, document) as client:
        code, reason = await client.closed()
        assert (code, reason[:22]) == (4400, "expected a document id")
    response = gateway.get(f"api/documents/{quote(document, safe='')}")
    assert response.status_code in (404, 422)


async def test_reading_makes_nothing(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    for n in range(50):
        assert content(gateway, f"doc-{n}") == ""
        async with join(gateway, f"doc-{n}") as client:
            await client.sync()
    gateway.stop()
    with contextlib.closing(sqlite3.connect(gateway.data_dir / "documents.db")) as database:
        for table in ("documents", "updates"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_another_origin(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus) as error:
        async with join(gateway, "x", additional_headers={"Origin": "https://evil.example"}):
            pass
    assert error.value.response.status_code == 403


# Presence


async def test_presence(gateway: Gateway) -> None:
    document = name()
    async with join(gateway, document) as one:
        await one.sync()
        await one.say(1, 1, {"user": {"name": "Ada"}})
        # An echo: a sign of life.
        await one.read_until(lambda: 1 in one.states)
        async with join(gateway, document) as two:
            await two.read_until(lambda: 1 in two.states)
            assert two.states[1] == Presence(1, 1, '{"user": {"name": "Ada"}}')
            await two.say(2, 1, {"n": 1})
            await one.read_until(lambda: 2 in one.states)
            await two.socket.send(QUERY_AWARENESS)
            two.states.clear()
            await two.read_until(lambda: len(two.states) == 2)
        await one.read_until(lambda: one.states[2].state == "null")
        await one.say(1, 2, "null")
        await one.read_until(lambda: one.states[1].state == "null")


async def test_a_flood_of_presence_reaches_others_as_a_trickle(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(RATE_LIMIT="100000", RATE_BURST="100000")
    async with join(gateway, "a") as one, join(gateway, "a") as two:
        await two.sync()
        loop = asyncio.get_running_loop()
        started = loop.time()
        for n in range(5000):
            await one.say(1, n, {"n": n})
        await two.read_until(lambda: 1 in two.states and two.states[1].clock == 4999)
        # One every 30 ms at most, and some for good measure.
        assert two.kinds.count("awareness") <= (loop.time() - started) / 0.03 + 3


# What is refused


def text_update(text: bytes = b"a") -> bytes:
    return b"\1\1\1\0\4\1\7content" + lib0.sized(text) + b"\0"


def value_update(value: bytes, root: bytes = b"content") -> bytes:
    return b"\1\1\1\0\x08\1" + lib0.sized(root) + b"\1" + value + b"\0"


def sync(update: bytes) -> bytes:
    return document_frames.update(update)


def presence(state: str) -> bytes:
    return document_frames.awareness([Presence(1, 1, state)])


GARBAGE = {
    "nothing": b"",
    "an unknown message": b"\7",
    "auth": b"\2\0\0",
    "a large number": b"\xff" * 20,
    "an unknown step": b"\0\3\0",
    "trailing bytes": document_frames.sync_step_1(b"\0") + b"\0",
    "trailing bytes after a query": b"\3\0",
    "a truncated message": b"\0\2\5\0",
    "no vector": b"\0\0\0",
    "a vector that is none": document_frames.sync_step_1(b"\5\1"),
    "a vector with trailing bytes": document_frames.sync_step_1(b"\0\0"),
    "a vector of millions": document_frames.sync_step_1(b"\xff\xff\xff\x7f\1\1"),
    "an update that is none": sync(b"\1\1\1"),
    "an empty update": sync(b""),
    "an update with trailing bytes": sync(text_update() + b"\0"),
    "an update of millions": sync(b"\xff\xff\xff\x7f\1\1\0"),
    "a text that is no UTF-8": sync(text_update(b"\xff\xfe")),
    "a large client": sync(b"\1\1" + b"\xff" * 7 + b"\x7f\0\4\1\7content\1a\0"),
    "a large clock": sync(b"\1\1\1\xff\xff\xff\xff\x0f\4\1\7content\1a\0"),
    "deep values": sync(value_update(b"\x75\1" * 200_000 + b"\x7f")),
    "deep values elsewhere": sync(value_update(b"\x76\1\1a" * 5000 + b"\x7f", b"other")),
    "an embed": sync(b"\1\1\1\0\5\1\7content\2{}\0"),
    "a value in the text": sync(value_update(b"\x7f")),
    "binary in the text": sync(b"\1\1\1\0\3\1\7content\1a\0"),
    "a type in a type": sync(b"\1\1\1\0\7\1\7content\0\0"),
    "a subdocument": sync(b"\1\1\1\0\x09\1\7content\1a\x76\0\0"),
    "a value that waits": sync(b"\1\1\1\0\x88\5\5\1\x7f\0"),
    "awareness that is none": b"\1\1\5",
    "awareness with trailing bytes": b"\1\2\0\0",
    "no JSON": presence("{"),
    "NaN": presence('{"a":NaN}'),
    "no object": presence("5"),
    "deep JSON": presence("[" * 5000),
    "a large state": presence('"' + "x" * 10_000 + '"'),
    "a state that is no UTF-8": b"\1\5\1\1\1\1\xff",
}


@pytest.mark.parametrize("frame", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_harms_nobody_else(gateway: Gateway, frame: bytes) -> None:
    document = name()
    async with join(gateway, document) as witness, join(gateway, document) as client:
        await witness.insert(0, "safe")
        await witness.sync()
        await client.sync()
        await client.socket.send(frame)
        code, reason = await client.closed()
        assert code == 4400
        assert reason.startswith("expected"), reason
        await witness.insert(4, "!")
        await witness.sync()
        assert witness.content == content(gateway, document) == "safe!"
        assert "update" not in witness.kinds
    assert "Traceback" not in gateway.stderr


async def test_a_frame_too_large(gateway: Gateway) -> None:
    async with join(gateway, name()) as client:
        await client.socket.send(sync(text_update(b"x" * MAX_DOCUMENT_FRAME)))
        assert (await client.closed())[0] == 1009


async def test_much_that_was_written_offline_comes_in_one_frame(gateway: Gateway) -> None:
    document = name()
    text = "a long time without a network\n" * 100_000
    async with join(gateway, document) as client:
        await client.socket.send(sync(text_update(text.encode())))
        await client.sync()
    assert content(gateway, document) == text


@pytest.mark.parametrize("text", ["x", "{}", "[]", '{"type":"resume"}'])
async def test_other_text_frames(gateway: Gateway, text: str) -> None:
    async with join(gateway, name()) as client:
        await client.send_text("ping")
        await client.read_until(lambda: client.kinds[-1] == "pong" if client.kinds else False)
        await client.socket.send(text)
        assert (await client.closed())[0] == 4400


async def test_plain_values_beside_the_text(gateway: Gateway) -> None:
    document = name()
    async with join(gateway, document) as one, join(gateway, document) as two:
        await two.sync()
        meta = one.doc.get("meta", type=Map)
        items = one.doc.get("items", type=Array)

        def change() -> None:
            meta["title"] = {"deep": [1, 2.5, "x", None, True]}

        await one.edit(change)
        await one.edit(lambda: items.append("item"))
        await one.insert(0, "text")
        await one.sync()
        await two.sync()
        assert two.doc.get("meta", type=Map).to_py() == {
            "title": {"deep": [1.0, 2.5, "x", None, True]}
        }
        assert two.doc.get("items", type=Array).to_py() == ["item"]
        assert content(gateway, document) == "text"


async def test_an_update_that_comes_before_its_predecessor(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway()
    doc: Doc[Text] = Doc()
    text = doc.get("content", type=Text)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    for letter in "abc":
        text += letter
    async with join(gateway, "a") as client:
        await client.sync()
        await client.socket.send(sync(updates[2]))
        await client.socket.send(sync(updates[1]))
        await client.sync()
        gateway.kill()
    gateway.start()
    assert content(gateway, "a") == ""
    async with join(gateway, "a") as client, join(gateway, "a") as two:
        await client.sync()
        await two.sync()
        await client.socket.send(sync(updates[0]))
        await two.read_until(lambda: two.content == "abc")
        await client.sync()
        assert content(gateway, "a") == "abc"


# Limits


async def test_a_document_that_is_full(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(DOCUMENT_SIZE="5000")
    async with join(gateway, "a") as one, join(gateway, "a") as two:
        await one.insert(0, "x" * 4000)
        await one.sync()
        await two.sync()
        await two.insert(0, "y" * 2000)
        assert await two.closed() == (4413, "expected a document of at most 5000 bytes")
        # Letters by the hundred: the bytes that came are more than those that stay.
        for _ in range(100):
            await one.insert(len(one.content), "z")
        await one.delete(0, 4000)
        await one.sync()
        assert content(gateway, "a") == "z" * 100
        assert "update" not in one.kinds


async def test_too_many_clients(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(DOCUMENT_CLIENTS="2")
    async with join(gateway, "a") as one, join(gateway, "a") as two, join(gateway, "a") as three:
        await one.sync()
        await two.sync()
        assert await three.closed() == (1013, "expected at most 2 clients of one document")
        async with join(gateway, "b") as other:
            await other.sync()


async def test_too_many_new_documents(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(NEW_DOCUMENTS="2")
    for n in range(3):
        async with join(gateway, str(n)) as client:
            await client.insert(0, "x")
            if n < 2:
                await client.sync()
            else:
                assert await client.closed() == (1013, "expected fewer new documents a minute")
    async with join(gateway, "0") as client:
        await client.insert(0, "x")
        await client.sync()


async def test_who_is_past_its_rate_is_held_back_and_loses_nothing(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(RATE_LIMIT="200", RATE_BURST="20")
    async with join(gateway, "a") as one, join(gateway, "a") as two:
        started = asyncio.get_running_loop().time()
        for n in range(100):
            await one.insert(n, "x")
        await one.sync()
        assert asyncio.get_running_loop().time() - started >= 0.4
        # The other one has a rate of its own.
        await two.sync()
        assert two.content == "x" * 100


async def test_one_that_does_not_read_holds_up_nobody(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(
        RATE_LIMIT="100000", RATE_BURST="100000", CLIENT_QUEUE="50", DOCUMENT_SIZE="50000000"
    )
    async with (
        join(gateway, "a") as writer,
        join(gateway, "a") as reader,
        join(gateway, "a", max_queue=1) as slow,
    ):
        await reader.sync()
        await slow.sync()
        reading = asyncio.create_task(reader.read_until(lambda: len(reader.content) == 15_000_000))
        for n in range(150):
            await writer.insert(0, chr(97 + n % 26) * 100_000)
            await writer.sync()
        await reading
        assert (await slow.closed())[0] == 1013
        assert gateway.health()["documents"] == 1
    async with join(gateway, "a") as again:
        await again.sync()
        assert again.content == writer.content


# Who may


async def test_auth_comes_first(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    async with join(locked, "a") as client:
        await client.ask()
        assert await client.closed() == (4401, "expected auth as the first frame")
    async with join(locked, "a") as client:
        await client.send_text("auth", {"token": "bad"})
        assert await client.closed() == (4401, "token not valid")
    async with join(locked, "a") as client:
        await client.send_text("auth", {"token": token})
        assert await client.read() == "auth-ok"
        await client.sync()
        await client.send_text("auth", {"token": token})
        await client.read_until(lambda: client.kinds[-1] == "auth-ok")
        locked.post("api/logout")
        assert await client.closed() == (4401, "session ended")
    assert locked.get("api/documents/a").status_code == 401


async def test_a_token_in_the_handshake(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    header = {"Authorization": f"Bearer {token}"}
    async with join(locked, "a", additional_headers=header) as client:
        assert await client.read() == "step1"
        await client.sync()
        assert content(locked, "a") == client.content
    async with join(locked, "a", additional_headers={"Authorization": "Bearer x"}) as client:
        assert await client.closed() == (4401, "token not valid")


async def test_an_expired_token(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret", ACCESS_TOKEN_TTL="1")
    token = gateway.login("ada", "secret")
    async with join(gateway, "a") as client:
        await client.send_text("auth", {"token": token})
        assert await client.closed() == (4401, "token expired")


async def test_guests_who_may_only_read(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(READ_ONLY_GUESTS="1", ACCOUNTS="ada:secret")
    token = gateway.login("ada", "secret")
    async with join(gateway, "a") as ada, join(gateway, "a") as guest:
        await ada.send_text("auth", {"token": token})
        await ada.read_until(lambda: "auth-ok" in ada.kinds)
        await ada.insert(0, "read me")
        await ada.sync()
        assert await guest.read() == "denied"
        await guest.sync()
        assert guest.content == "read me"
        await guest.say(7, 1, {"user": {}})
        await ada.read_until(lambda: 7 in ada.states)
        await guest.insert(0, "no: ")
        await guest.read_until(lambda: guest.kinds.count("denied") >= 2)
        await guest.sync()
        assert content(gateway, "a") == "read me"
        await guest.send_text("auth", {"token": token})
        # What was dropped is asked for again.
        await guest.read_until(lambda: guest.kinds[-2:] == ["auth-ok", "step1"])
        await ada.read_until(lambda: ada.content == "no: read me")


# The end


async def test_a_restart(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    async with join(gateway, "a") as one, join(gateway, "a") as two:
        await two.sync()
        for n in range(200):
            await one.insert(n, "x")
        stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
        await read_all(two)
        assert two.socket.close_code == 1012
        assert await stopping < 4
    assert gateway.status == 0
    gateway.start()
    assert content(gateway, "a") == two.content == "x" * 200


async def test_documents_are_counted(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    async with join(gateway, "a") as one, join(gateway, "a") as two, join(gateway, "b") as three:
        for client in (one, two, three):
            await client.sync()
        await one.insert(0, "x")
        await one.sync()
        assert gateway.health()["documents"] == 2
        lines = gateway.get("metrics").text.splitlines()
        assert "gateway_documents 2.0" in lines
        assert "gateway_document_clients 3.0" in lines
        assert "gateway_document_updates_total 1.0" in lines
        assert 'gateway_connections_total{kind="document"} 3.0' in lines
    wait_until(lambda: gateway.health()["documents"] == 0)


async def test_a_document_that_cannot_be_read(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    for document in ("a", "b"):
        async with join(gateway, document) as client:
            await client.insert(0, document)
            await client.sync()
    gateway.stop()
    path = gateway.data_dir / "documents.db"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE updates SET data = x'0101' WHERE position = 1")
    gateway.start()
    async with join(gateway, "a") as client:
        assert await client.closed() == (1013, "the document cannot be read")
    assert gateway.get("api/documents/a").status_code == 503
    assert content(gateway, "b") == "b"
    assert [r["document"] for r in gateway.log if r["message"] == "A document failed"] == ["a"]
    assert "Traceback" not in gateway.stderr


async def read_all(client: Client) -> None:
    try:
        while True:
            await client.read()
    except ConnectionClosed:
        pass


@pytest.mark.parametrize("seed", range(3))
async def test_kill_9_loses_nothing_that_anyone_was_shown(
    start_gateway: Callable[..., Gateway], seed: int
) -> None:
    rng = random.Random(seed)
    gateway = start_gateway(RATE_LIMIT="100000", RATE_BURST="100000")
    for _ in range(3):
        async with join(gateway, "a") as writer, join(gateway, "a") as watcher:
            await writer.sync()
            await watcher.sync()
            reading = asyncio.create_task(read_all(watcher))
            goal = len(watcher.content) + rng.randrange(20, 400)
            with_writer = asyncio.create_task(_write(writer, rng))
            while len(watcher.content) < goal:
                await asyncio.sleep(0)
            gateway.kill()
            await reading
            await with_writer
        gateway.start()
        stored = content(gateway, "a")
        # Letters are only ever added, each of them behind the last.
        assert stored[: len(watcher.content)] == watcher.content


async def _write(client: Client, rng: random.Random) -> None:
    try:
        while True:
            await client.insert(len(client.content), rng.choice("abcdef"))
            await asyncio.sleep(0)
    except ConnectionClosed:
        pass
