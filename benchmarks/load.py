"""Post notifications at a steady rate. Run as a process of its own: `python -m benchmarks.load`.

It speaks just enough HTTP over a few kept-alive connections to stay far cheaper than what it
loads. The last line of its output is a JSON object: see `Outcome`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass, field

CONNECTIONS = 8


@dataclass
class Outcome:
    """What was posted: the ids that the gateway gave, and how many a second it really was."""

    ids: list[str] = field(default_factory=list)
    refused: int = 0
    started: float = 0
    """On the clock of Chromium's traces (Linux), in seconds."""
    seconds: float = 0

    @property
    def rate(self) -> float:
        return len(self.ids) / self.seconds


class Connection:
    """One kept-alive HTTP connection on which requests follow each other without waiting."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, outcome: Outcome
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._outcome = outcome

    def post(self, number: int) -> None:
        """Send a notification; do not wait for the answer."""
        body = json.dumps({"title": f"Load {number}", "message": "One of many", "type": "info"})
        self._writer.write(
            b"POST /api/notifications HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )

    async def read_answers(self, count: int) -> None:
        """Read as many answers as requests were sent."""
        for _ in range(count):
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            body = await self._reader.readexactly(length)
            if head.startswith(b"http/1.1 201"):
                self._outcome.ids.append(json.loads(body)["id"])
            else:
                self._outcome.refused += 1


async def post_steadily(port: int, rate: int, seconds: int) -> Outcome:
    """Post `rate` notifications a second, each at its own time of the schedule."""
    outcome = Outcome()
    connections = [
        Connection(*await asyncio.open_connection("127.0.0.1", port), outcome)
        for _ in range(CONNECTIONS)
    ]
    total = rate * seconds
    shares = [len(range(first, total, CONNECTIONS)) for first in range(CONNECTIONS)]
    started = outcome.started = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for connection, share in zip(connections, shares, strict=True):
            tasks.create_task(connection.read_answers(share))
        for number in range(total):
            early = started + number / rate - time.monotonic()
            if early > 0:
                await asyncio.sleep(early)
            connections[number % CONNECTIONS].post(number)
    outcome.seconds = time.monotonic() - started
    return outcome


def main() -> None:
    """Post as the command line says and print the outcome."""
    parser = argparse.ArgumentParser()
    for name in ("port", "rate", "seconds"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    outcome = asyncio.run(post_steadily(options.port, options.rate, options.seconds))
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
