"""`GET /api/datasets…`: which datasets there are, their rows, and the rows that appear.

Nothing is kept for a client. Rows are made when it can take them, from where it stands up to
the head: one that is slow is behind, and costs no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from server import datasets, validation
from server.access_tokens import Identity
from server.connections import Connections
from server.datasets import DATASETS, Dataset, Production
from server.event_stream import (
    CAUGHT_UP,
    Stream,
    StreamEndpoint,
    encode,
    encode_reset,
    last_event_id,
)
from server.guard import IDENTITY
from server.metrics import Metrics

#: Seconds between two looks for new rows, at least.
_PACE = 0.1


class DatasetApi:
    """The endpoints that answer at once."""

    def __init__(self, production: Production) -> None:
        self._production = production

    async def names(self, _: Request) -> Response:
        """`GET /api/datasets`: what there is."""
        count = self._production.count()
        listed = [
            {"name": dataset.name, "fields": dataset.fields, "rows": count}
            for dataset in DATASETS.values()
        ]
        return JSONResponse(listed, headers={"Cache-Control": "no-store"})

    async def rows(self, request: Request) -> Response:
        """`GET /api/datasets/{name}?after=-1&limit=…`: its rows, oldest first.

        Raises `HTTPException` 404 and `ValidationError`.
        """
        dataset = _named(request)
        head = self._production.head()
        start = validation.after(request.query_params.get("after")) + 1
        limit = validation.limit(
            request.query_params.get("limit"), default=head + 1, maximum=validation.MAX_INTEGER
        )
        start = max(start, head + 1 - limit)
        # A HEAD's body is dropped, so nothing is made for it.
        stop = start if request.method == "HEAD" else head + 1
        return StreamingResponse(
            array(dataset, start, stop),
            media_type="application/json",
            headers={"Cache-Control": "no-store", "X-Dataset-Head": str(head)},
        )


async def array(dataset: Dataset, start: int, stop: int) -> AsyncIterator[bytes]:
    """Yield the JSON array of rows in pieces; between them, others have their turn."""
    opening = "["
    for rows in dataset.chunks(start, stop):
        yield (opening + datasets.encode(rows)[1:-1]).encode()
        opening = ","
        # To a client that takes everything at once, sending would never let go of the loop.
        await asyncio.sleep(0)
    yield b"[]" if opening == "[" else b"]"


class DatasetStreamEndpoint(StreamEndpoint):
    """Serves the rows that appear as event streams."""

    kind = "dataset-stream"

    def __init__(
        self,
        production: Production,
        *,
        connections: Connections,
        metrics: Metrics,
        comment_interval: float,
    ) -> None:
        super().__init__(
            connections=connections, metrics=metrics, comment_interval=comment_interval
        )
        self._production = production
        #: Those that are open.
        self.streams: set[DatasetStream] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream of a dataset from its request to its end.

        Raises `HTTPException` 404.
        """
        request = Request(scope, receive)
        after = last_event_id(request) or request.query_params.get("after")
        stream = DatasetStream(
            _named(request), self._production, self._metrics, scope["state"].get(IDENTITY)
        )
        start = None if after else stream.start
        self.streams.add(stream)
        try:
            await self.serve(stream, stream.frames(after), start, request, send)
        finally:
            self.streams.discard(stream)


class DatasetStream(Stream):
    """One client's stream of a dataset's rows."""

    def __init__(
        self,
        dataset: Dataset,
        production: Production,
        metrics: Metrics,
        identity: Identity | None,
    ) -> None:
        super().__init__(identity)
        self._dataset = dataset
        self._production = production
        self._metrics = metrics
        self._ending = asyncio.Event()
        self._revoked = False
        #: The id of the last row when it began.
        self.start = production.head()
        #: The id of the last row that was sent, or that the client has.
        self.position = self.start

    def revoke(self, reason: str) -> None:
        """End at once: the client may no longer be here."""
        self.reason = reason
        self._revoked = True
        self._ending.set()

    def start_draining(self) -> None:
        """Send the rows that there are, and end."""
        self.reason = "restarting"
        self._ending.set()

    async def frames(self, after: str | None) -> AsyncIterator[bytes]:
        """Yield what the client is sent: the rows after the id `after`, then those that appear."""
        # A proxy may hold the headers back until there is a body to go with them.
        yield b": open\n\n"
        if after:
            position = _position(after)
            if position is None or position > self.start:
                self._metrics.resets["unknown-id"].inc()
                yield encode_reset("unknown-id", self.start)
            else:
                self.position = position
                for frame in self._events(self.start):
                    yield frame
                    await asyncio.sleep(0)
                if self._revoked:
                    return  # it is not true that it has caught up
                yield CAUGHT_UP
        while not self._revoked:
            # Asked before the rows are made: those that there are now go out in any case.
            is_last = self._ending.is_set()
            for frame in self._events(self._production.head()):
                yield frame
                await asyncio.sleep(0)
            if is_last:
                return
            await self._wait()

    def _events(self, head: int) -> Iterator[bytes]:
        """Yield events with the rows up to the id `head`, each made when it is asked for."""
        for rows in self._dataset.chunks(self.position + 1, head + 1):
            if self._revoked:
                return
            self.position += len(rows)
            data = datasets.encode({"rows": rows})
            yield encode(data, event="rows", event_id=str(self.position))
            self.sent += 1

    async def _wait(self) -> None:
        """Return once there may be new rows, or the stream ends."""
        seconds = self._production.seconds_until(self.position + 1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if seconds is None else max(_PACE, seconds)):
                await self._ending.wait()


def _named(request: Request) -> Dataset:
    """Return the dataset that the path names; raises `HTTPException` 404."""
    name = request.path_params["name"]
    if name not in DATASETS:
        raise HTTPException(404, f"Expected one of {', '.join(DATASETS)}, but got {name[:40]!r}")
    return DATASETS[name]


def _position(wire_id: str) -> int | None:
    """Return the position that an id on the wire stands for; "-1" is before all rows."""
    try:
        return validation.after(wire_id)
    except validation.ValidationError:
        return None
