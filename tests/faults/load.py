"""Who publishes, who kills, and what the gateway's log says of it afterwards."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.support.gateway import Gateway

#: Seconds a condition may take to come true before a test gives up.
DEADLINE = 30


async def until(condition: Callable[[], object], *, deadline: float = DEADLINE) -> None:
    """Return once `condition()` is true; fail the test if it is not in `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        await asyncio.sleep(0.005)


def log_of(data_dir: Path, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (id, payload) of the events of a type in the gateway's log, in its order."""
    uri = f"file:{data_dir / 'events.db'}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as db:
        rows = db.execute("SELECT id, payload FROM events WHERE type = ? ORDER BY id", (kind,))
        return [(str(event_id), json.loads(payload)) for event_id, payload in rows]


class Publisher:
    """Posts bodies to a gateway one after the other, in a thread, while it may be killed.

    A POST that got no answer may be in the log or not; it is sent again, so it may be there
    twice. `created` has the ids that were answered with 201. Any other answer is a failure.
    """

    def __init__(self, gateway: Gateway, path: str, bodies: Iterator[dict[str, Any]]) -> None:
        self._port = gateway.port
        self._path = path
        self._bodies = bodies
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher")
        self.created: list[str] = []
        self.unanswered = 0
        self._refusal = ""

    def __enter__(self) -> Publisher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        assert not self._refusal, self._refusal

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)) as http_:
            for body in self._bodies:
                while not self._stopped.is_set() and not self._post(http_, json.dumps(body)):
                    self.unanswered += 1
                    http_.close()
                    time.sleep(0.01)
                if self._stopped.is_set():
                    return

    def _post(self, http_: http.client.HTTPConnection, body: str) -> bool:
        try:
            http_.request("POST", self._path, body, {"Content-Type": "application/json"})
            answer = http_.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            return False
        if answer.status != 201:
            self._refusal = f"{answer.status} {text!r}"
            self._stopped.set()
            return False
        self.created.append(json.loads(text)["id"])
        return True


@contextmanager
def killing(gateway: Gateway, progress: Callable[[], int], at: list[int]) -> Iterator[list[int]]:
    """Kill the gateway, and start it again, whenever `progress()` reaches a number of `at`.

    Yields the numbers at which it was done.
    """
    killed: list[int] = []
    stopped = threading.Event()

    def run() -> None:
        for number in sorted(at):
            while progress() < number:
                if stopped.wait(0.002):
                    return
            gateway.kill()
            gateway.start()
            killed.append(number)

    thread = threading.Thread(target=run, name="killer")
    thread.start()
    try:
        yield killed
    finally:
        stopped.set()
        thread.join()


def kill_points(seed: int, count: int, *, among: int) -> list[int]:
    """Return `count` numbers of events at which to kill, not at the very start or end."""
    return random.Random(f"kill {seed}").sample(range(among // 20, among * 9 // 10), count)
