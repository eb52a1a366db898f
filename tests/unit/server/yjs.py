"""A client of `/ws/documents`, as the gateway's tests need one: pycrdt over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import quote

from pycrdt import Doc, Text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from server import document_frames, lib0
from server.document_frames import EMPTY_UPDATE, Presence
from tests.support.gateway import DEADLINE, Gateway

QUERY_AWARENESS = b"\3"


class Client:
    """A document, and what came about it. `read` deals with the next frame."""

    def __init__(self, socket: ClientConnection, doc: Doc[Text] | None = None) -> None:
        self.socket = socket
        self.doc: Doc[Text] = Doc() if doc is None else doc
        self.text = self.doc.get("content", type=Text)
        #: Every frame so far: "step1", "step2", "update", "awareness", "denied", or a text's type.
        self.kinds: list[str] = []
        #: The last update that came, in whichever frame.
        self.update = b""
        #: The last that was said of each client, and how often anything was.
        self.states: dict[int, Presence] = {}

    @property
    def content(self) -> str:
        return str(self.text)

    async def read(self) -> str:
        data = await self.socket.recv()
        if isinstance(data, str):
            self.kinds.append(json.loads(data)["type"])
            return self.kinds[-1]
        reader = lib0.Reader(data)
        kind = reader.number()
        if kind == 0:
            step, body = reader.number(), reader.bytes()
            if step:
                self.update = body
                self.doc.apply_update(body)
            elif (answer := self.doc.get_update(body)) != EMPTY_UPDATE:
                await self.socket.send(document_frames.sync_step_2(answer))
            self.kinds.append(("step1", "step2", "update")[step])
        elif kind == 1:
            for entry in document_frames._parse_awareness(reader.bytes()):
                self.states[entry.client_id] = entry
            self.kinds.append("awareness")
        else:
            assert (kind, reader.number(), reader.text()) == (2, 0, "read-only")
            self.kinds.append("denied")
        reader.end()
        return self.kinds[-1]

    async def read_until(self, condition: Any) -> None:
        while not condition():
            await self.read()

    async def ask(self) -> None:
        await self.socket.send(document_frames.sync_step_1(self.doc.get_state()))

    async def sync(self) -> Self:
        """Return when the gateway has stored all that was sent, and told all that it has."""
        await self.ask()
        while await self.read() != "step2":
            pass
        return self

    async def insert(self, position: int, text: str) -> None:
        await self.edit(lambda: self.text.insert(position, text))

    async def delete(self, start: int, stop: int) -> None:
        def delete() -> None:
            del self.text[start:stop]

        await self.edit(delete)

    async def edit(self, change: Any) -> bytes:
        """Change the document, and send the update."""
        before = self.doc.get_state()
        news: list[bytes] = []
        subscription = self.doc.observe(lambda event: news.append(event.update))
        change()
        self.doc.unobserve(subscription)
        assert self.doc.get_state() != before or news
        for update in news:
            await self.socket.send(document_frames.update(update))
        return b"".join(news)

    async def say(self, client_id: int, clock: int, state: Any) -> None:
        text = state if isinstance(state, str) else json.dumps(state)
        await self.socket.send(document_frames.awareness([Presence(client_id, clock, text)]))

    async def send_text(self, kind: str, payload: Any = None) -> None:
        await self.socket.send(json.dumps({"type": kind, "payload": payload}))

    async def closed(self) -> tuple[int, str]:
        """Read to the end, and return the close code and reason that the gateway gave."""
        try:
            while True:
                await self.socket.recv()
        except ConnectionClosed:
            pass
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def join(
    gateway: Gateway, document: str, doc: Doc[Text] | None = None, **options: Any
) -> AsyncIterator[Client]:
    """Connect to a document, whose id is encoded as JavaScript's `encodeURIComponent` does."""
    url = f"{gateway.websocket_url}/documents/{quote(document, safe='')}"
    options = {"proxy": None, "compression": None, "max_size": None} | options
    async with asyncio.timeout(DEADLINE * 3), connect(url, **options) as socket:
        yield Client(socket, doc)


def content(gateway: Gateway, document: str) -> str:
    response = gateway.get(f"api/documents/{quote(document, safe='')}")
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["id"] == document
    text: str = response.json()["content"]
    return text
