"""What it costs to receive: our clients beside others, in one page, with the same handlers.

One page holds all of them and Python besides, so that each meets the same interpreter, the same
heap and the same garbage collector. One client is connected at a time.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

from benchmarks import report
from benchmarks.feeder import ROOT, Feeder
from benchmarks.trace import recording

#: By transport, ours first.
WEBSOCKETS = [
    "Python",
    "Python, background",
    "JavaScript",
    "partysocket",
    "pyscript.WebSocket",
    "frames only",
]
STREAMS = ["SSEClient", "EventSource"]

WARM_UP = 10_000
PROBES = 24

#: Messages in a burst, and the seconds that follow each of some bursts: long enough for every
#: client to end its work.
BURSTS = {1: [0.025] * 28, 10: [0.03] * 18, 100: [0.05] * 8, 10_000: [0.05]}

LARGEST = max(BURSTS)

#: How often the largest burst is sent while nobody records it.
STREAMS_SENT = 2

#: A main thread that ran for less than this share of this time has ended its work.
IDLE_SHARE, IDLE_TIME = 0.05, 0.1

#: Seconds in which everything sent has to have been handled.
PATIENCE = 20

#: Fewer than `trace.CATEGORIES`: ten thousand messages leave many events, and each costs time.
CATEGORIES = [
    "-*",
    "devtools.timeline",
    "disabled-by-default-devtools.timeline",
    "v8.execute",
    "blink.user_timing",
]


def measure(browser: Browser, page: Page, feeder: Feeder, name: str) -> report.Round:
    """Take every measurement of one client once."""
    with running(page, feeder, name) as client:
        client.take("notification", WARM_UP, [0])
        feeder.bursts("probe", 1, [0.01] * 20)
        client.settle()
        time.sleep(0.3)
        taken, process = recorded(browser, page, client)
        thread, everything = MainThread(process), Process(process)
        for size in (1, 10, 100):
            before = thread.rested()
            client.take("notification", size, BURSTS[size])
            spent = client.settled(thread) - before
            taken[f"thread_{size}"] = [1e6 * spent / (size * len(BURSTS[size]))]
        taken |= streamed(client, thread, everything)
    return taken


def recorded(browser: Browser, page: Page, client: Client) -> tuple[report.Round, int]:
    """Return what a trace tells, in ms and in µs a message, and the page's process."""
    probe_pauses = [random.uniform(0.02, 0.04) for _ in range(PROBES)]
    spent: dict[int, tuple[float, float]] = {}
    with recording(browser, page, CATEGORIES) as trace:
        sent = client.feeder.bursts("probe", 1, probe_pauses)
        for size, pauses in BURSTS.items():
            started = client.take("notification", size, pauses)[0]
            if size == LARGEST:
                client.settle()  # which is work too: next to nothing for so many
            spent[size] = (started, 1000 * time.monotonic())
        client.settle()
    handled = trace.moments("handled")
    taken = {"latency": [end - start for start, end in zip(sent, handled, strict=True)]}
    for name, spans in {"script": trace.script(), "tasks": trace.tasks()}.items():
        for size, (start, end) in spent.items():
            own = [span for span in spans if start <= span.start < end]
            each = 1000 / (size * len(BURSTS[size]))
            taken[f"{name}_{size}"] = [each * sum(span.duration for span in own)]
            taken[f"{name}_processor_{size}"] = [each * sum(span.processor for span in own)]
    return taken, trace.process


def streamed(client: Client, thread: MainThread, everything: Process) -> report.Round:
    """Return what large bursts cost, in µs a message, and how many arrive in a second."""
    before, before_all = thread.rested(), everything.spent
    rates = []
    for _ in range(STREAMS_SENT):
        client.stream(LARGEST)
        spent = client.settled(thread)
        rates.append(1000 * LARGEST / client.read()[2])
    each = 1e6 / (LARGEST * STREAMS_SENT)
    return {
        f"thread_{LARGEST}": [each * (spent - before)],
        "process": [each * (everything.spent - before_all)],
        "rate": rates,
    }


class Client:
    """A client that is connected."""

    def __init__(self, page: Page, feeder: Feeder) -> None:
        self.feeder = feeder
        self._page = page
        self._sent = 0

    @property
    def is_settled(self) -> bool:
        """Whether everything sent was handled, once."""
        return self.read()[0] == self._sent

    def read(self) -> tuple[int, str, float]:
        """Return how many messages it handled, the last one's id, and `end` less `begin` in ms."""
        count, last, time_ = json.loads(self._page.evaluate("running.read()"))
        return count, last, time_

    def take(self, type_: str, size: int, pauses: list[float]) -> list[float]:
        """Send bursts, and return when each was sent."""
        self._sent += size * len(pauses)
        return self.feeder.bursts(type_, size, pauses)

    def stream(self, count: int) -> None:
        """Send so many at once."""
        self._sent += count
        self.feeder.stream(count)

    def settled(self, thread: MainThread) -> float:
        """Wait for that, and return what the page's main thread has spent until then."""
        spent = thread.rested()
        while not self.is_settled:
            spent = thread.rested()
        return spent

    def settle(self) -> None:
        """Wait until everything sent was handled, once."""
        end = time.monotonic() + PATIENCE
        while not self.is_settled:
            assert time.monotonic() < end, f"sent {self._sent}, handled {self.read()[0]}"
            time.sleep(0.1)


@contextmanager
def running(page: Page, feeder: Feeder, name: str) -> Iterator[Client]:
    """Connect a client."""
    page.evaluate("(name) => { window.running = window.clients[name](); }", name)
    feeder.wait_for_receivers(1)
    time.sleep(0.1)
    yield Client(page, feeder)
    page.evaluate("running.stop()")
    feeder.wait_for_receivers(0)
    page.evaluate("() => { window.collect(); window.gc(); }")


class MainThread:
    """The main thread of a page's process, as Linux knows it."""

    def __init__(self, process: int) -> None:
        self._schedstat = Path(f"/proc/{process}/task/{process}/schedstat")

    def rested(self) -> float:
        """Wait until it has ended its work; return the seconds for which it had a processor."""
        spent = self._spent()
        while True:
            time.sleep(IDLE_TIME)
            before, spent = spent, self._spent()
            if spent - before < IDLE_SHARE * IDLE_TIME:
                return spent

    def _spent(self) -> float:
        # https://docs.kernel.org/scheduler/sched-stats.html: "time spent on the cpu (in
        # nanoseconds)".
        return int(self._schedstat.read_text().split()[0]) / 1e9


class Process:
    """All threads of a page's process together."""

    def __init__(self, process: int) -> None:
        self._stat = Path(f"/proc/{process}/stat")

    @property
    def spent(self) -> float:
        """Seconds for which they had a processor, in hundredths."""
        # proc_pid_stat(5): the 14th and 15th fields; the 2nd, in parentheses, may hold spaces.
        fields = self._stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def opened(browser: Browser, feeder: Feeder) -> Iterator[Page]:
    """Open the page with all clients, none connected."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{feeder.url}clients.html")
    page.wait_for_function("() => window.ready")
    yield page
    context.close()


def bundle_partysocket() -> None:
    """Put the npm package where the feeder finds it."""
    subprocess.run(
        [
            ROOT / "node_modules" / ".bin" / "esbuild",
            ROOT / "node_modules" / "partysocket" / "dist" / "ws.js",
            "--bundle",
            "--format=esm",
            f"--outfile={ROOT / 'build' / 'benchmarks' / 'partysocket.js'}",
            "--log-level=warning",
        ],
        check=True,
    )
