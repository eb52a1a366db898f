"""Workers: how long a question about rows takes, how long it holds the page, and a worker's start.

One page has all clients, each with a worker and the same rows, which are its own: dicts in Python,
objects in JavaScript. The time is from the rows in the caller to the answer in the caller.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

from benchmarks.report import Round
from benchmarks.tab_sync import profile
from benchmarks.trace import Trace, recording
from tests.support.gateway import ROOT, Gateway

HERE = Path(__file__).parent / "workers"

CLIENTS = ["Python", "JavaScript", "comlink"]

#: Who is asked about the most rows: comlink clones as JavaScript does, and takes as long.
LARGE_CLIENTS = ["Python", "JavaScript"]

RESIDENT = ["a new question", "asked again"]

#: Questions in a round, by the number of rows. The most rows have a page of their own.
SAMPLES = {1_000: 30, 10_000: 10, 100_000: 3, 1_000_000: 1}
SMALL, LARGE = (1_000, 10_000, 100_000), (1_000_000,)

QUESTIONS = {
    "sort_price": ("sort", {"field": "price", "order": "asc"}),
    "sort_name": ("sort", {"field": "name", "order": "asc"}),
    "filter": ("filter", {"field": "price", "operator": "greater", "value": 50_000}),
    "average": ("aggregate", {"operation": "average", "field": "price"}),
}

#: Rows that a worker just started is asked about.
STARTED_WITH = 1_000

BOOT_TIMEOUT = 120_000

#: What a trace needs to know of tasks, and of the marks around each answer.
CATEGORIES = [
    "-*",
    "devtools.timeline",
    "disabled-by-default-devtools.timeline",
    "blink.user_timing",
]

#: The sum of many numbers depends on how they are added: ours is rounded once.
TOLERANCE = 1e-9


def bundle(name: str) -> str:
    """Return a script of ours with the packages it imports, as one file."""
    target = ROOT / "build" / "benchmarks" / f"worker_{name}"
    subprocess.run(
        [
            ROOT / "node_modules" / ".bin" / "esbuild",
            HERE / name,
            "--bundle",
            "--format=esm",
            "--target=es2022",
            f"--outfile={target}",
            "--log-level=warning",
        ],
        check=True,
    )
    return target.read_text()


def files() -> dict[str, str]:
    """Return what is laid over the gateway's files."""
    return {
        "worker_peers.html": (HERE / "page.html").read_text(),
        "worker_ours.py": (HERE / "page.py").read_text(),
        "worker_peers.js": bundle("page.js"),
        "chapter_worker.js": bundle("chapter_worker.js"),
        "comlink_worker.js": bundle("comlink_worker.js"),
    }


@contextmanager
def opened(browser: Browser, gateway: Gateway, laid: dict[str, str]) -> Iterator[Page]:
    """Open a page with all clients, their workers ready."""
    with profile(browser, laid) as context:
        page = context.new_page()
        page.goto(f"{gateway.url}worker_peers.html")
        page.wait_for_function("window.isReady && window.peersReady", timeout=BOOT_TIMEOUT)
        # What a worker fetches from now on does not pass through here.
        context.unroute_all()
        yield page


def measure(browser: Browser, page: Page, size: int, *, backwards: bool) -> dict[str, Round]:
    """Return what every client takes with so many rows, and what a dataset of ours does."""
    page.evaluate("size => { makePeerRows(size); makeOurRows(size); }", size)
    taken: dict[str, Round] = {}
    digests: dict[str, list[object]] = {}
    clients = LARGE_CLIENTS if size in LARGE else CLIENTS
    for name in clients[:: -1 if backwards else 1]:
        # The most rows are asked about once: what they then take is as good as untouched by
        # what a trace costs.
        samples = SAMPLES[size]
        taken[name] = {}
        digests[name] = []
        if samples > 1:
            answers(page, name, 1)
            taken[name], digests[name] = answers(page, name, samples)
        with recording(browser, page, CATEGORIES) as trace:
            recorded, seen = answers(page, name, 1)
        if samples == 1:
            taken[name], digests[name] = recorded, seen
        taken[name] = {f"{key}_{size}": times for key, times in taken[name].items()}
        taken[name] |= blocked(trace, f"blocked_{size}")
        page.evaluate("collect()")
    for name in clients[1:]:
        assert all(map(agree, digests[CLIENTS[0]], digests[name])), digests
    return taken | resident(browser, page, size)


def answers(page: Page, name: str, samples: int) -> tuple[Round, list[object]]:
    """Return the milliseconds of each answer, and the digests of what came."""
    taken: Round = {}
    digests: list[object] = []
    for key, (type_, options) in QUESTIONS.items():
        function = "ask" if name == "Python" else f"askPeer.bind(null, {json.dumps(name)})"
        found = page.evaluate(
            f"([type, options, samples]) => ({function})(type, options, samples)",
            [type_, options, samples],
        )
        taken[key], digest = json.loads(found)
        digests.append(digest)
    return taken, digests


def agree(one: object, other: object) -> bool:
    """Whether two digests are of the same answer."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE)
    return one == other


def resident(browser: Browser, page: Page, size: int) -> dict[str, Round]:
    """Return what a dataset that stays in the worker takes, and to get it there."""
    with recording(browser, page, CATEGORIES) as trace:
        load = page.evaluate("load()")
    taken: dict[str, Round] = {name: {} for name in RESIDENT}
    for key in QUESTIONS:
        found = json.loads(
            page.evaluate("([key, samples]) => askResident(key, samples)", [key, SAMPLES[size]])
        )
        for name, times in zip(RESIDENT, found, strict=True):
            taken[name][f"{key}_{size}"] = times
    page.evaluate("collect()")
    return taken | {"load": {f"load_{size}": [load], **blocked(trace, f"load_blocked_{size}")}}


def blocked(trace: Trace, name: str) -> Round:
    """Return the longest task of each call: its milliseconds, and those of a processor."""
    taken: Round = {name: [], f"{name}_processor": []}
    for start, end in zip(trace.moments("asked"), trace.moments("answered"), strict=True):
        tasks = [task for task in trace.tasks() if task.start < end and start < task.end]
        # What came in the same task before the question is none of its.
        taken[name].append(max(task.end - max(start, task.start) for task in tasks))
        taken[f"{name}_processor"].append(max(task.processor for task in tasks))
    return taken


def starts(page: Page, *, backwards: bool) -> dict[str, Round]:
    """Return the milliseconds until a worker is ready, has answered, and again once killed."""
    page.evaluate("size => { makePeerRows(size); makeOurRows(size); }", STARTED_WITH)
    taken: dict[str, Round] = {}
    for name in LARGE_CLIENTS[:: -1 if backwards else 1]:
        function = "start" if name == "Python" else "startPeer"
        type_, options = QUESTIONS["filter"]
        found = page.evaluate(f"([type, options]) => {function}(type, options)", [type_, options])
        taken[name] = {key: [time] for key, time in json.loads(found).items()}
    # Nothing there tells that it is ready but its answer.
    taken["JavaScript"]["ready"] = taken["JavaScript"]["answer"]
    return taken
