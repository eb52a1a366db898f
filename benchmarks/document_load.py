"""Fifty who type in one document at once: what that costs the gateway, and another server."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.report import Round
from tests.support.gateway import ROOT, Gateway
from tests.support.y_websocket import YWebsocketServer

HERE = Path(__file__).parent / "documents"

CLIENTS, RATE, SECONDS = 50, 10, 5

SERVERS = ["Python", "@y/websocket-server"]


@contextmanager
def serving(name: str) -> Iterator[tuple[str, int]]:
    """Start a server; return the URL of one document, and the process."""
    if name == "Python":
        with tempfile.TemporaryDirectory() as folder, Gateway(Path(folder) / "data") as gateway:
            yield f"{gateway.websocket_url}/documents/load", gateway.pid
        return
    with YWebsocketServer() as server:
        yield f"{server.url}load", server.pid


def measure(name: str) -> Round:
    """Let all type for some seconds; nobody may be left out."""
    with serving(name) as (url, pid):
        command = ["node", str(HERE / "load.mjs"), url, str(CLIENTS), str(RATE), str(SECONDS)]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as load:
            assert load.stdin is not None
            assert load.stdout is not None
            assert load.stdout.readline().strip() == "ready"
            before = processor_seconds(pid)
            load.stdin.write("go\n")
            load.stdin.flush()
            outcome = json.loads(load.stdout.readline())
            after = processor_seconds(pid)
        text = document_length(url) if name == "Python" else outcome["sent"]
    assert outcome["ended"] == CLIENTS, outcome
    assert text == outcome["sent"], (text, outcome)
    return {
        "sent": [outcome["sent"] / outcome["seconds"]],
        "received": [outcome["updates"] / outcome["seconds"]],
        "bytes": [outcome["received"] / outcome["sent"]],
        "drained": [1000 * outcome["drained"]],
        "processor": [1e6 * (after - before) / outcome["sent"]],
    }


def document_length(url: str) -> int:
    """Return how many characters the gateway has."""
    address = url.replace("ws://", "http://").replace("/ws/", "/api/")
    return len(httpx.get(address).json()["content"])


def processor_seconds(pid: int) -> float:
    """Return what a process has used of its processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
