"""What one new notification costs the main thread when the feed is full."""

from __future__ import annotations

import time
from itertools import pairwise

from playwright.sync_api import Browser, Page

from benchmarks.trace import Span, recording
from tests.support.gateway import Gateway

SAMPLES = 50
CARDS = 50

#: Seconds between notifications: time to settle in, and short enough that no card grows too old.
INTERVAL = 0.06


def measure(browser: Browser, page: Page, gateway: Gateway) -> dict[str, list[float]]:
    """Return the milliseconds of script, and of main-thread tasks, that each update took.

    All that runs from one POST to the next counts: besides handling the message and patching the
    DOM also timers and garbage collection; in the tasks, style, layout, paint and the frames of
    the card's entrance too.
    """
    fill(gateway)
    posted = []
    with recording(browser, page) as trace:
        for number in range(SAMPLES + 1):
            # On the clock of Chromium's traces (Linux).
            posted.append(1000 * time.monotonic())
            gateway.post_notification(f"Update {number}", message="One more in a full feed")
            time.sleep(INTERVAL)
    cards = page.locator("notification-feed .notification").count()
    assert cards == CARDS, f"expected {CARDS} cards in the feed, found {cards}"
    script = between(posted, trace.script())
    tasks = between(posted, trace.tasks())
    return {
        "script": [sum(span.duration for span in spans) for spans in script],
        "script_processor": [sum(span.processor for span in spans) for spans in script],
        "main_thread": [sum(span.duration for span in spans) for spans in tasks],
    }


def fill(gateway: Gateway) -> None:
    """Post as many notifications as the feed keeps, and let them be drawn."""
    for number in range(CARDS + 10):
        gateway.post_notification(f"Filling {number}", message="One of the first")
    time.sleep(0.5)


def between(moments: list[float], spans: list[Span]) -> list[list[Span]]:
    """Sort the spans by the moment they follow; one under way at a moment follows from it."""
    return [[span for span in spans if start < span.end <= end] for start, end in pairwise(moments)]
