from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent
from hypothesis import example, given
from hypothesis import strategies as st

from server import dataset_api, datasets
from server.dataset_api import DatasetStream
from server.datasets import CHUNK, DATASETS, Dataset, Production
from server.event_stream import CAUGHT_UP
from server.metrics import Metrics
from tests.support.gateway import DEADLINE, Gateway, wait_until
from tests.unit.server.test_metrics import metrics

TRADES = DATASETS["trades"]
ROWS = 2500


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose datasets have `ROWS` rows and get no more."""
    data_dir = tmp_path_factory.mktemp("still") / "data"
    with Gateway(data_dir, DATASET_ROWS=str(ROWS), DATASET_RATE="0") as gateway:
        yield gateway


def made(dataset: Dataset, start: int, stop: int) -> list[Any]:
    return [dataset.row(number) for number in range(start, stop)]


@contextmanager
def stream(
    gateway: Gateway, query: str = "", *, name: str = "trades", **headers: str
) -> Iterator[httpx.Response]:
    url = f"{gateway.url}api/datasets/{name}/events{query}"
    with (
        httpx.Client(timeout=DEADLINE) as http,
        http.stream("GET", url, headers=headers) as response,
    ):
        yield response


def events(response: httpx.Response) -> Iterator[ServerSentEvent]:
    return EventSource(response).iter_sse()


def streams(gateway: Gateway) -> float:
    return metrics(gateway)["gateway_dataset_streams"]


# The list of them


def test_which_datasets_there_are(still: Gateway) -> None:
    response = still.get("api/datasets")
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == [
        {
            "name": "trades",
            "fields": ["id", "time", "symbol", "price", "quantity"],
            "rows": ROWS,
        },
        {
            "name": "sensors",
            "fields": ["id", "time", "station", "temperature", "note"],
            "rows": ROWS,
        },
    ]


@pytest.mark.parametrize("path", ["api/datasets/x", "api/datasets/x/events", "api/datasets/Trades"])
def test_a_dataset_there_is_not(still: Gateway, path: str) -> None:
    response = still.get(path)
    assert response.status_code == 404
    name = path.split("/")[2]
    message = f"Expected one of trades, sensors, but got '{name}'"
    assert response.json() == {"error": {"message": message}}


# Rows


@pytest.mark.parametrize("name", DATASETS)
def test_all_rows(still: Gateway, name: str) -> None:
    response = still.get(f"api/datasets/{name}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-dataset-head"] == str(ROWS - 1)
    assert response.json() == made(DATASETS[name], 0, ROWS)
    assert response.text == datasets.encode(response.json())
    assert still.get(f"api/datasets/{name}").content == response.content


@pytest.mark.parametrize(
    ("query", "start"),
    [
        ("?after=-1", 0),
        ("?after=0", 1),
        (f"?after={ROWS - 2}", ROWS - 1),
        (f"?after={ROWS - 1}", ROWS),
        ("?after=999999999", ROWS),
        ("?limit=1", ROWS - 1),
        ("?limit=1001", ROWS - 1001),
        ("?limit=9007199254740991", 0),
        ("?after=1000&limit=10", ROWS - 10),
        (f"?after={ROWS - 6}&limit=10", ROWS - 5),
    ],
)
def test_some_rows(still: Gateway, query: str, start: int) -> None:
    response = still.get(f"api/datasets/trades{query}")
    assert response.json() == made(TRADES, start, ROWS)
    assert response.headers["x-dataset-head"] == str(ROWS - 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("after", "-2"),
        ("after", "x"),
        ("after", ""),
        ("after", "9007199254740992"),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", ""),
        ("limit", "1.5"),
    ],
)
def test_a_parameter_out_of_range(still: Gateway, field: str, value: str) -> None:
    response = still.get("api/datasets/trades", params={field: value})
    assert response.status_code == 422
    error = response.json()["error"]
    assert (error["field"], error["got"]) == (field, repr(value))
    least = -1 if field == "after" else 1
    assert error["expected"] == f"a whole number from {least} to 9007199254740991"


def test_no_rows(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(DATASET_ROWS="0", DATASET_RATE="0")
    response = gateway.get("api/datasets/trades?after=-1&limit=5")
    assert (response.json(), response.headers["x-dataset-head"]) == ([], "-1")
    with stream(gateway) as answer:
        assert answer.headers["last-event-id"] == "-1"
    with stream(gateway, "?after=0") as answer:
        reset = next(events(answer))
        assert (reset.event, reset.id) == ("reset", "-1")


def test_as_many_as_there_are_by_default(gateway: Gateway) -> None:
    with gateway._http.stream("GET", f"{gateway.url}api/datasets/trades") as response:
        head = int(response.headers["x-dataset-head"])
        pieces = list(response.iter_raw())
    assert len(pieces) > 10
    listed = json.loads(b"".join(pieces))
    assert head >= 100_000 - 1
    assert [row["id"] for row in listed] == list(range(head + 1))


def test_head_makes_no_rows(still: Gateway) -> None:
    response = still.request("HEAD", "api/datasets/trades")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["x-dataset-head"] == str(ROWS - 1)
    assert "content-length" not in response.headers
    assert still.request("HEAD", "api/datasets/trades?limit=0").status_code == 422


def test_listed_origins_may_read_the_head(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ALLOWED_ORIGINS="https://app.example")
    headers = {"Origin": "https://app.example"}
    response = gateway.get("api/datasets/trades?limit=1", headers=headers)
    exposed = response.headers["access-control-expose-headers"]
    assert {"X-Dataset-Head", "Last-Event-ID"} <= set(exposed.split(", "))


async def turns_during(pieces: AsyncIterator[bytes]) -> tuple[int, int]:
    """Return how many pieces there were, and how many turns another task had meanwhile."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    count = 0
    async for _ in pieces:
        count += 1
    task.cancel()
    return count, turns


def test_others_have_their_turn_between_two_pieces() -> None:
    pieces, turns = asyncio.run(turns_during(dataset_api.array(TRADES, 0, 10 * CHUNK)))
    assert pieces == 11
    assert turns >= 10


# Streams, one at a time


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def open_stream(rows: int, rate: int = 0, *, clock: Clock | None = None) -> DatasetStream:
    production = Production(rows, rate, clock=clock or Clock())
    return DatasetStream(TRADES, production, Metrics(), None)


def parsed(frame: bytes) -> tuple[str, str, Any]:
    """Return id, type and data of an event."""
    id, event, data = frame.decode().removesuffix("\n\n").split("\n")
    return (
        id.removeprefix("id: "),
        event.removeprefix("event: "),
        json.loads(data.removeprefix("data: ")),
    )


def sent(frame: bytes) -> list[int]:
    """Return the numbers of the rows in an event, which are what they must be."""
    id, event, data = parsed(frame)
    assert (event, list(data)) == ("rows", ["rows"])
    numbers = [row["id"] for row in data["rows"]]
    assert 0 < len(numbers) <= CHUNK
    assert id == str(numbers[-1])
    assert data["rows"] == [TRADES.row(number) for number in numbers]
    return numbers


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.just(n), st.integers(-1, n - 1))))
@example((2000, -1))
@example((2000, 999))
@example((1, 0))
def test_what_was_missed_then_what_appears(position: tuple[int, int]) -> None:
    rows, after = position

    async def scenario() -> None:
        clock = Clock()
        stream = open_stream(rows, 10, clock=clock)
        clock.time = 0.5  # what appears after the handshake is not what was missed
        frames = stream.frames(str(after))
        assert await anext(frames) == b": open\n\n"
        got: list[int] = []
        while (frame := await anext(frames)) != CAUGHT_UP:
            got += sent(frame)
        assert got == list(range(after + 1, rows))
        got += sent(await anext(frames))
        assert got == list(range(after + 1, rows + 5))
        await frames.aclose()

    asyncio.run(scenario())


@given(st.integers(-1, 4999), st.lists(st.integers(0, 3), max_size=5))
def test_cut_off_anywhere_and_resumed_nothing_is_lost_or_doubled(
    after: int, cuts: list[int]
) -> None:
    async def scenario() -> None:
        got: list[int] = []
        for cut in [*cuts, 100]:
            frames = open_stream(5000).frames(str(got[-1] if got else after))
            await anext(frames)
            for _ in range(cut):
                if (frame := await anext(frames)) == CAUGHT_UP:
                    break
                got += sent(frame)
            await frames.aclose()
        assert got == list(range(after + 1, 5000))

    asyncio.run(scenario())


def test_rows_are_made_when_the_client_can_take_them() -> None:
    async def scenario() -> None:
        clock = Clock()
        stream = open_stream(0, 10_000, clock=clock)
        frames = stream.frames(None)
        await anext(frames)
        clock.time = 10
        assert sent(await anext(frames)) == list(range(1000))
        assert stream.position == 999
        clock.time = 10**6  # the client takes nothing, and nothing is made for it
        assert stream.position == 999
        assert sent(await anext(frames)) == list(range(1000, 2000))
        await frames.aclose()

    asyncio.run(scenario())


def test_others_have_their_turn_between_two_events() -> None:
    async def scenario() -> tuple[int, int]:
        stream = open_stream(20 * CHUNK)
        stream.start_draining()
        return await turns_during(stream.frames("-1"))

    frames, turns = asyncio.run(scenario())
    assert frames == 22
    assert turns >= 20


def test_a_stream_waits_no_less_than_its_pace() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        stream = DatasetStream(TRADES, Production(0, 10_000, clock=loop.time), Metrics(), None)
        frames = stream.frames(None)
        await anext(frames)
        times = []
        for _ in range(3):
            frame = await anext(frames)
            times.append(loop.time())
            while len(sent(frame)) == CHUNK:
                frame = await anext(frames)
        assert all(b - a > 0.05 for a, b in itertools.pairwise(times))
        await frames.aclose()

    asyncio.run(scenario())


def test_revoked_while_it_replays() -> None:
    async def scenario() -> None:
        stream = open_stream(5000)
        frames = stream.frames("-1")
        await anext(frames)
        sent(await anext(frames))
        stream.revoke("session ended")
        assert [frame async for frame in frames] == []
        assert (stream.reason, stream.sent) == ("session ended", 1)

    asyncio.run(scenario())


def test_told_to_stop_it_sends_what_there_is() -> None:
    async def scenario() -> None:
        clock = Clock()
        stream = open_stream(10, 10, clock=clock)
        frames = stream.frames("-1")
        for _ in range(3):
            await anext(frames)
        clock.time = 1
        stream.start_draining()
        assert [n async for frame in frames for n in sent(frame)] == list(range(10, 20))
        assert (stream.reason, stream.is_drained()) == ("restarting", False)

    asyncio.run(scenario())


# Streams of a gateway


def test_the_response_says_that_it_is_a_stream_at_once(still: Gateway) -> None:
    with stream(still) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["last-event-id"] == str(ROWS - 1)
        body = response.iter_bytes()
        assert next(body) == b": open\n\n"
        wait_until(lambda: streams(still) == 1)
        # Those are the streams of activities.
        assert still.health()["event_streams"] == 0
    wait_until(lambda: streams(still) == 0)


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?after=2400", {}),
        ("?lastEventId=2400", {}),
        ("", {"Last-Event-ID": "2400"}),
        ("?lastEventId=2400&after=5", {}),
        ("?lastEventId=5&after=6", {"Last-Event-ID": "2400"}),
        ("?lastEventId=&after=2400", {"Last-Event-ID": ""}),
    ],
)
def test_resuming(still: Gateway, query: str, headers: dict[str, str]) -> None:
    with stream(still, query, **headers) as response:
        assert "last-event-id" not in response.headers
        text = ""
        for piece in response.iter_text():
            text += piece
            if text.endswith(": caught up\n"):
                break
    rows = datasets.encode({"rows": made(TRADES, 2401, ROWS)})
    assert text == f": open\n\nid: 2499\nevent: rows\ndata: {rows}\n\n: caught up\n"


def test_from_the_beginning(still: Gateway) -> None:
    with stream(still, "?after=-1", name="sensors") as response:
        source = events(response)
        got = [next(source) for _ in range(3)]
    assert [event.id for event in got] == ["999", "1999", "2499"]
    rows = [row for event in got for row in event.json()["rows"]]
    assert rows == made(DATASETS["sensors"], 0, ROWS)


def test_rows_that_appear(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(DATASET_ROWS="10", DATASET_RATE="500")
    with stream(gateway) as response:
        start = int(response.headers["last-event-id"])
        source = events(response)
        got = [next(source) for _ in range(4)]
    numbers = [row["id"] for event in got for row in event.json()["rows"]]
    assert numbers == list(range(start + 1, start + 1 + len(numbers)))
    assert all(event.event == "rows" for event in got)
    # What the stream tells, the listing has, and the other way round.
    query = f"?after={start}"
    listed = gateway.get(f"api/datasets/trades{query}").json()
    assert listed[: len(numbers)] == [row for event in got for row in event.json()["rows"]]
    assert len(listed) >= len(numbers)


@pytest.mark.parametrize("bad", [str(ROWS), "999999", "x", "-2", "1.5", "9" * 40, "%ff"])
def test_an_id_that_is_no_rows(still: Gateway, bad: str) -> None:
    before = metrics(still)["gateway_resets_total{unknown-id}"]
    for parameter in ("lastEventId", "after"):
        with stream(still, f"?{parameter}={bad}") as response:
            reset = next(events(response))
            assert (reset.event, reset.json()) == ("reset", {"reason": "unknown-id"})
            assert reset.id == str(ROWS - 1)
    assert metrics(still)["gateway_resets_total{unknown-id}"] == before + 2


def test_after_a_reset_it_goes_on(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(DATASET_ROWS="10", DATASET_RATE="50")
    with stream(gateway, "?after=1000000") as response:
        source = events(response)
        start = int(next(source).id)
        assert next(source).json()["rows"][0] == TRADES.row(start + 1)


def test_a_restarted_gateway_has_the_same_rows(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(DATASET_ROWS="100", DATASET_RATE="0")
    before = gateway.get("api/datasets/sensors").content
    gateway.kill()
    gateway.start()
    assert gateway.get("api/datasets/sensors").content == before


def test_a_comment_keeps_an_idle_stream_open(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(SSE_COMMENT_INTERVAL="0.05", DATASET_RATE="0")
    with stream(gateway) as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in range(6)] == [": open", "", ": ", "", ": ", ""]


def test_head_does_not_open_a_stream(still: Gateway) -> None:
    response = still.request("HEAD", "api/datasets/trades/events")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["last-event-id"] == str(ROWS - 1)
    assert streams(still) == 0


def test_with_a_token_they_open(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    assert locked.get("api/datasets").status_code == 200
    assert len(locked.get("api/datasets/trades?limit=3").json()) == 3
    with stream(locked, Authorization=f"Bearer {token}") as response:
        assert next(events(response)).event == "rows"


def test_a_stream_ends_with_its_session(locked: Gateway) -> None:
    token = locked.login("ada", "secret")
    with stream(locked, Authorization=f"Bearer {token}") as response:
        source = events(response)
        next(source)
        locked.post("api/logout")
        assert all(event.event == "rows" for event in source)
    locked.login("ada", "secret")
    wait_until(lambda: streams(locked) == 0)


def test_a_stream_ends_when_its_token_expires(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="ada:secret", ACCESS_TOKEN_TTL="1")
    token = gateway.login("ada", "secret")
    with stream(gateway, Authorization=f"Bearer {token}") as response:
        assert all(event.event == "rows" for event in events(response))


def test_a_client_that_does_not_read_holds_nothing_up(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(DATASET_ROWS="2000000")
    with socket.create_connection(("127.0.0.1", gateway.port)) as stuck:
        stuck.sendall(
            b"GET /api/datasets/trades/events?after=-1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        )
        wait_until(lambda: streams(gateway) == 1)
        assert gateway.get("api/datasets/trades?limit=1").status_code == 200
        with stream(gateway) as response:
            assert next(events(response)).event == "rows"
        assert gateway.stop() < 5
    assert gateway.status == 0
    opened, *_, closed = gateway.log
    assert opened["path"] == closed["path"] == "/api/datasets/trades/events"
    assert closed["reason"] == "restarting"
    assert "Traceback" not in gateway.stderr


def test_streams_end_when_the_gateway_stops(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    with stream(gateway) as response:
        source = events(response)
        next(source)
        assert gateway.stop() < 4
        assert all(event.event == "rows" for event in source)
    assert gateway.log[-1]["reason"] == "restarting"
    assert "Traceback" not in gateway.stderr
