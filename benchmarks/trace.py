"""What Chromium itself recorded about the main thread of a page.

A trace has microseconds where the page's own `performance.now()` is rounded to 0.1 ms, it counts
what runs outside our code too (timers, microtasks, garbage collection, style, layout, paint), and
it needs nothing wrapped in the page. It knows when a frame was presented, as a page never does.
Times are in milliseconds since the trace's own beginning of time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page

CATEGORIES = [
    "-*",
    "toplevel",
    "devtools.timeline",
    "disabled-by-default-devtools.timeline",
    "v8.execute",
    "blink.user_timing",
]

#: Events that are script: what the page's JavaScript and WebAssembly take. They nest.
SCRIPT = {"FunctionCall", "FireAnimationFrame", "TimerFire", "RunMicrotasks", "EvaluateScript"}


class Span(NamedTuple):
    """From when to when something ran, and how long it had a processor meanwhile.

    The difference is what it waited for one, while other programs of the machine were running.
    """

    start: float
    end: float
    processor: float = 0

    @property
    def duration(self) -> float:
        return self.end - self.start


class Frame(NamedTuple):
    """One animation frame: when the main thread worked on it, and when it was on the screen."""

    start: float
    end: float
    presented: float


class Trace:
    """A recording, filled when `recording` ends."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        #: The number by which the system knows the page's process.
        self.process = 0

    def load(self, data: bytes) -> None:
        """Keep the events of the traced page's main thread, in order."""
        events = json.loads(data)["traceEvents"]
        begun = next(event for event in events if event["name"] == "TracingStartedInBrowser")
        self.process = process = begun["args"]["data"]["frames"][0]["processId"]
        threads = {
            (event["pid"], event["tid"])
            for event in events
            if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
        }
        self._events = sorted(
            (
                event
                for event in events
                if event["pid"] == process and (event["pid"], event["tid"]) in threads
            ),
            key=lambda event: event.get("ts", 0),
        )

    def moments(self, name: str) -> list[float]:
        """Return when each event `name` happened, e.g. `WebSocketReceive` or a user timing mark."""
        return [event["ts"] / 1000 for event in self._events if event["name"] == name]

    def tasks(self) -> list[Span]:
        """Return the main thread's tasks: while one runs, the page answers nobody."""
        return self._spans({"RunTask"})

    def script(self) -> list[Span]:
        """Return what ran as script, nested events counted once."""
        return list(outermost(self._spans(SCRIPT)))

    def frames(self) -> list[Frame]:
        """Return the animation frames that were presented."""
        frames: list[Frame] = []
        begun: dict[str, float] = {}
        done: dict[str, tuple[float, float]] = {}
        for event in self._events:
            now = event.get("ts", 0) / 1000
            key = event.get("id2", {}).get("local", "")
            match event["name"], event["ph"]:
                case "AnimationFrame", "b":
                    begun[key] = now
                case "AnimationFrame", "e" if key in begun:
                    done[key] = (begun.pop(key), now)
                case "AnimationFrame::Presentation", "n" if key in done:
                    frames.append(Frame(*done.pop(key), now))
        return frames

    def _spans(self, names: set[str]) -> list[Span]:
        return [
            Span(
                event["ts"] / 1000,
                (event["ts"] + event["dur"]) / 1000,
                # Left out where it is too short to tell.
                event.get("tdur", 0) / 1000,
            )
            for event in self._events
            if event["ph"] == "X" and event["name"] in names
        ]


def outermost(spans: Iterable[Span]) -> Iterator[Span]:
    """Leave out each span that lies inside an earlier one; `spans` are sorted by start."""
    end = float("-inf")
    for span in spans:
        if span.start >= end:
            end = span.end
            yield span


@contextmanager
def recording(browser: Browser, page: Page, categories: list[str] = CATEGORIES) -> Iterator[Trace]:
    """Record a page's main thread during the block; read the trace after it."""
    trace = Trace()
    browser.start_tracing(page=page, categories=categories)
    try:
        yield trace
    finally:
        trace.load(browser.stop_tracing())
