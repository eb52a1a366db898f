from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from server import logs
from server.logs import JSONFormatter, TextFormatter
from tests.support.gateway import Gateway
from tests.unit.server.sockets import client, nothing_comes, send
from tests.unit.server.test_event_stream import events, stream


def record(message: str = "Hello", **fields: object) -> logging.LogRecord:
    logger = logging.Logger("server.test")
    return logger.makeRecord("server.test", logging.INFO, "", 0, message, (), None, extra=fields)


def test_a_line_of_json() -> None:
    made = record(client="127.0.0.1:5", code=1000, user=None)
    made.created = 1_700_000_000.25
    assert json.loads(JSONFormatter().format(made)) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "logger": "server.test",
        "message": "Hello",
        "client": "127.0.0.1:5",
        "code": 1000,
    }


def test_a_line_of_text() -> None:
    made = record(client="127.0.0.1:5", user="Ada Lovelace", reason="")
    made.created = 1_700_000_000.25
    time = datetime.fromtimestamp(made.created).strftime("%H:%M:%S")
    expected = f'{time} INFO Hello client=127.0.0.1:5 user="Ada Lovelace" reason=""'
    assert TextFormatter().format(made) == expected


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x1b[31m", "\x85", "\u2028", "\0"])
def test_what_a_client_says_begins_no_line_of_its_own(
    formatter: logging.Formatter, end: str
) -> None:
    line = formatter.format(record(user=f"a{end}b", client='"x" y=1'))
    assert end not in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
def test_an_error_with_its_traceback(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("mine")
    except ValueError:
        made = record()
        made.exc_info = sys.exc_info()
    text = formatter.format(made)
    assert "ValueError: mine" in text
    if isinstance(formatter, JSONFormatter):
        assert "Traceback" in json.loads(text)["exception"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn").setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.error").filters.clear()


@pytest.mark.usefixtures("_root_logger")
@pytest.mark.parametrize(
    ("log_format", "stream", "is_json"),
    [
        (None, io.StringIO(), True),
        (None, Terminal(), False),
        ("text", io.StringIO(), False),
        ("json", Terminal(), True),
    ],
)
def test_people_get_text_and_programs_json(
    log_format: logs.LogFormat | None, stream: io.StringIO, is_json: bool
) -> None:
    logs.configure(log_format, stream)
    logging.getLogger("server.x").info("Hello")
    logging.getLogger("uvicorn.error").info("GET /?token=secret")
    logging.getLogger("uvicorn.error").error("Invalid UTF-8 sequence received from client.")
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("{") == is_json
    assert "Hello" in line


@pytest.mark.anyio
async def test_connections_open_and_close(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    async with client(gateway) as socket:
        await nothing_comes(socket)
        await nothing_comes(socket)
        await send(socket, "resume", {"after": None})
        gateway.post_notification()
        await socket.recv()
    with stream(gateway, "?lastEventId=0") as response:
        gateway.post_activity()
        next(events(response))
    gateway.wait_for_clients()
    gateway.stop()
    assert all({"time", "level", "logger", "message"} <= r.keys() for r in gateway.log)
    socket_opened, socket_closed, stream_opened, stream_closed = gateway.log
    assert socket_opened["message"] == "WebSocket opened"
    assert socket_closed["message"] == "WebSocket closed"
    assert socket_closed["client"] == socket_opened["client"]
    assert socket_closed["client"].startswith("127.0.0.1:")
    assert (socket_closed["code"], socket_closed["received"], socket_closed["sent"]) == (1000, 3, 3)
    assert 0 <= socket_closed["seconds"] < 60
    assert stream_opened["message"] == "Event stream opened"
    assert stream_closed["message"] == "Event stream closed"
    assert (stream_closed["reason"], stream_closed["sent"]) == ("", 1)


def test_as_text(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(LOG_FORMAT="text")
    with stream(gateway):
        gateway.wait_for_clients(event_streams=1)
    gateway.stop()
    assert " INFO Event stream opened client=127.0.0.1:" in gateway.stderr
