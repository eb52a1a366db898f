"""A thousand notifications a second: how long the page is deaf, and whether it gets them all."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import pairwise

from playwright.sync_api import Browser, Page

from benchmarks.load import Outcome
from benchmarks.trace import recording
from tests.support.gateway import ROOT, Gateway

RATE = 1000
SECONDS = 5

#: Seconds in which everything posted has to have arrived.
PATIENCE = 10


def measure(browser: Browser, page: Page, gateway: Gateway) -> dict[str, list[float]]:
    """Return the main thread's tasks under the load, and what became of the notifications."""
    before = len(_received(page))
    with recording(browser, page) as trace:
        outcome = _load(gateway.port)
        time.sleep(0.5)
    expected = set(outcome.ids)
    end = time.monotonic() + PATIENCE
    while not expected.issubset(arrived := _received(page)[before:]):
        if time.monotonic() > end:
            break
        time.sleep(0.2)
    first = 1000 * outcome.started
    last = first + 1000 * outcome.seconds
    tasks = [task for task in trace.tasks() if first < task.end and task.start < last]
    frames = [frame for frame in trace.frames() if first < frame.presented < last]
    return {
        "flood_tasks": [task.duration for task in tasks],
        "flood_tasks_processor": [task.processor for task in tasks],
        "flood_busy": [100 * sum(task.duration for task in tasks) / (last - first)],
        "flood_frames": [1000 * len(frames) / (last - first)],
        "flood_rate": [outcome.rate],
        "flood_accepted": [len(outcome.ids)],
        "flood_missing": [len(expected.difference(arrived))],
        "flood_twice": [len(arrived) - len(set(arrived))],
        "flood_disorder": [sum(int(a) > int(b) for a, b in pairwise(arrived))],
    }


def _load(port: int) -> Outcome:
    arguments = [f"--port={port}", f"--rate={RATE}", f"--seconds={SECONDS}"]
    command = [sys.executable, "-m", "benchmarks.load", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return Outcome(**json.loads(done.stdout))


def _received(page: Page) -> list[str]:
    """Return every id that the page's client has handed to the application."""
    ids: list[str] = json.loads(page.evaluate("() => window.received()"))
    return ids
