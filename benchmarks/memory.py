"""What a million messages leave behind in the page: nothing, if all goes well.

Each sample is taken after both garbage collectors have run, so that what it counts is kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page

from benchmarks.feeder import Feeder
from benchmarks.receiving import Client, running
from benchmarks.report import Round

MESSAGES = 1_000_000
SAMPLES = 40
WARM_UP = 50_000

MEGABYTE = 1e6


class Sample(NamedTuple):
    """What the page holds."""

    javascript: float
    """Megabytes in use on the JavaScript heap."""
    webassembly: float
    """Megabytes of Pyodide's memory, which grows and never shrinks."""
    objects: int
    """Python objects that the garbage collector knows."""
    proxies: int
    """Python objects that JavaScript holds."""


def measure(page: Page, feeder: Feeder, name: str) -> list[Sample]:
    """Send a million messages, in as many portions as there are samples."""
    page.evaluate("() => window.countProxies()")
    devtools = page.context.new_cdp_session(page)
    with running(page, feeder, name) as client:
        portion(client, WARM_UP)
        samples = [sample(page, devtools)]
        for _ in range(SAMPLES):
            portion(client, MESSAGES // SAMPLES)
            samples.append(sample(page, devtools))
    return samples


def portion(client: Client, count: int) -> None:
    """Send so many in one burst, and wait until they were handled."""
    client.take("notification", count, [0])
    client.settle()


def sample(page: Page, devtools: object) -> Sample:
    """Collect the garbage, and see what is left."""
    objects, proxies, webassembly = page.evaluate("() => JSON.parse(window.held())")
    used = devtools.send("Runtime.getHeapUsage")["usedSize"]  # type: ignore[attr-defined]
    return Sample(used / MEGABYTE, webassembly / MEGABYTE, objects, proxies)


def quarters(samples: list[Sample]) -> dict[str, list[Round]]:
    """Return the first and the last quarter, as the report wants them."""
    size = len(samples) // 4
    return {
        "first quarter": [columns(samples[:size])],
        "last quarter": [columns(samples[-size:])],
    }


def columns(samples: list[Sample]) -> Round:
    """Return the samples by what they count."""
    return {field: [getattr(sample, field) for sample in samples] for field in Sample._fields}


WIDTH, HEIGHT, MARGIN = 720, 150, 44

TITLES = {
    "javascript": "JavaScript heap, MB",
    "webassembly": "WebAssembly memory, MB",
    "objects": "Python objects",
    "proxies": "live PyProxies",
}


def draw(samples: list[Sample], path: Path) -> None:
    """Write a picture of the samples, one curve below the other, each from zero."""
    charts = []
    for number, (field, values) in enumerate(columns(samples).items()):
        top = number * HEIGHT
        highest = max(values) * 1.15 or 1
        points = " ".join(
            f"{MARGIN + index * (WIDTH - 2 * MARGIN) / (len(values) - 1):.1f},"
            f"{top + HEIGHT - 24 - value / highest * (HEIGHT - MARGIN):.1f}"
            for index, value in enumerate(values)
        )
        foot = top + HEIGHT - 24
        charts.append(
            f'<text x="{MARGIN}" y="{top + 16}">{TITLES[field]}: {values[0]:,.6g} after the'
            f" warm-up, {values[-1]:,.6g} at the end</text>"
            f'<path d="M{MARGIN} {foot}H{WIDTH - MARGIN}" stroke="#999"/>'
            f'<polyline points="{points}" fill="none" stroke="#06c" stroke-width="2"/>'
        )
    height = len(charts) * HEIGHT + 20
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="system-ui, sans-serif" font-size="13">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(charts)}'
        f'<text x="{MARGIN}" y="{height - 12}">from left to right: {MESSAGES:,} messages</text>'
        "</svg>\n"
    )
