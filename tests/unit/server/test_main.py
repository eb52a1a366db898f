from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.support.gateway import DEADLINE, ROOT, Gateway


def run(**env: str) -> tuple[int, str, str]:
    """Run a gateway that cannot start; return its exit status and its two outputs."""
    process = subprocess.run(
        [sys.executable, "-m", "server"],
        cwd=ROOT,
        env=os.environ | {"HOST": "127.0.0.1", "PORT": "0"} | env,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    return process.returncode, process.stdout, process.stderr


def test_it_serves_the_page(gateway: Gateway) -> None:
    assert gateway.url == f"http://127.0.0.1:{gateway.port}/"
    response = gateway.get("runtime/interpreter.mjs")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/javascript")
    assert gateway.get("server/__main__.py").status_code == 404


def test_a_folder_that_another_gateway_uses(tmp_path: Path) -> None:
    with Gateway(tmp_path / "data"):
        status, out, err = run(PORT="0", DATA_DIR=str(tmp_path / "data"))
    assert (status, out) == (1, "")
    assert "another gateway uses it" in err
    assert len(err.splitlines()) == 1


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, out, err = run(PORT=str(port), DATA_DIR=str(tmp_path))
    expected = (
        f"Port {port} on 127.0.0.1 is taken. Choose another: PORT={port + 1} make run"
        " (beside another gateway, with a DATA_DIR of its own)\n"
    )
    assert (status, out, err) == (1, "", expected)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a b"])
def test_a_host_that_is_not_ours(tmp_path: Path, host: str) -> None:
    status, out, err = run(HOST=host, DATA_DIR=str(tmp_path))
    assert (status, out) == (1, "")
    assert err.startswith(f"Cannot listen on HOST={host} (")
    assert err.count("\n") == 1


def test_a_data_dir_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, out, err = run(DATA_DIR=str(tmp_path / "file" / "data"))
    assert (status, out) == (1, "")
    assert err.startswith(f"Cannot keep the event log in {tmp_path}/file/data (Not a directory). ")
    assert err.count("\n") == 1


def test_a_variable_that_makes_no_sense() -> None:
    status, out, err = run(PORT="http")
    assert (status, out) == (1, "")
    assert err == "PORT must be a whole number from 0 to 65535, but is 'http'.\n"


@pytest.mark.anyio
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_gracefully_with_clients_open(
    start_gateway: Callable[..., Gateway], signal_number: signal.Signals
) -> None:
    gateway = start_gateway()
    async with (
        connect(gateway.websocket_url, proxy=None) as websocket,
        httpx.AsyncClient(timeout=DEADLINE) as http,
        http.stream("GET", gateway.events_url) as stream,
    ):
        gateway.wait_for_clients(websockets=1, event_streams=1)
        stopping = asyncio.create_task(asyncio.to_thread(gateway.stop, signal_number))
        with pytest.raises(ConnectionClosed) as caught:
            await websocket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
        # A clean end: a connection cut in the middle would raise here.
        assert [line async for line in stream.aiter_lines()] == [": open", ""]
        assert await stopping < 3
    assert gateway.status == 0
    assert {record["level"] for record in gateway.log} == {"info"}


def test_it_stops_even_if_a_client_does_not_read(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(CLIENT_QUEUE="5")
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        gateway.wait_for_clients(event_streams=1)
        while gateway.health()["event_streams"]:
            gateway.post_activity(target="x" * 200_000)
        assert gateway.stop() < 5


def test_addresses_and_tokens_stay_out_of_the_log(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    gateway.get("healthz?token=secret")
    gateway.post("api/notifications?token=secret", json={"title": "secret"})
    gateway.post("api/notifications?token=secret", json={"secret": "secret"})
    asyncio.run(_connect(gateway.websocket_url + "?token=secret"))
    gateway.stop()
    assert "secret" not in gateway.stderr


async def _connect(url: str) -> None:
    async with connect(url, proxy=None) as websocket:
        await websocket.send("secret")
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
