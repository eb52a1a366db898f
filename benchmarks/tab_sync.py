"""Tabs: how fast they hear of one another, how long a hand-over takes, what many of them cost."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, Route
from playwright.sync_api import Error as PlaywrightError

from benchmarks.report import Round
from tests.support.gateway import ROOT, Gateway, wait_until

HERE = Path(__file__).parent / "tabs"

#: Who is measured, and what each tab of it opens.
CLIENTS = {
    "Python": "",
    "JavaScript": "tab_peers.html",
    "broadcast-channel": "tab_peers.html?package",
}

SAMPLES = 300
WARM_UP = 50

HAND_OVERS = 5

#: How many tabs are opened. With streams of their own, a browser has no connection left for the
#: seventh: over HTTP/1.1 it makes six to a host, and the page is not even loaded.
SHARED_GROUPS, UNSHARED_GROUPS = (1, 5, 20), (1, 5)

BOOT_TIMEOUT = 120_000


def bundle_broadcast_channel() -> str:
    """Return the npm package as one module."""
    target = ROOT / "build" / "benchmarks" / "broadcast_channel.js"
    subprocess.run(
        [
            ROOT / "node_modules" / ".bin" / "esbuild",
            ROOT / "node_modules" / "broadcast-channel" / "dist" / "esbrowser" / "index.js",
            "--bundle",
            "--format=esm",
            f"--outfile={target}",
            "--log-level=warning",
        ],
        check=True,
    )
    return target.read_text()


@contextmanager
def profile(browser: Browser, files: dict[str, str]) -> Iterator[BrowserContext]:
    """Open a profile in which some files are laid over the gateway's."""
    context = browser.new_context()
    # A document laid over has no address that would tell Chromium it is this machine's own.
    context.grant_permissions(["local-network-access"])
    kinds = {".html": "text/html", ".js": "text/javascript", ".py": "text/x-python"}
    for name, body in files.items():
        kind = kinds[Path(name).suffix]
        laid = partial(lay, body=body, kind=kind)
        context.route(re.compile(rf"/{re.escape(name)}(\?.*)?$"), laid)
    yield context
    context.close()


def lay(route: Route, *, body: str, kind: str) -> None:
    """Answer a request for a file that the gateway does not have."""
    route.fulfill(body=body, content_type=kind)


def opened(context: BrowserContext, url: str) -> Page:
    """Open a tab, and return once it is ready."""
    page = context.new_page()
    page.goto(url)
    page.wait_for_function("window.isReady", timeout=BOOT_TIMEOUT)
    return page


def round_trips(browser: Browser, gateway: Gateway, name: str) -> Round:
    """Return the milliseconds from a broadcast until the other tab's answer is heard."""
    files = {
        "main.py": (HERE / "ours.py").read_text(),
        "tab_peers.html": (HERE / "peers.html").read_text(),
        "tab_peers.js": (HERE / "peers.js").read_text(),
        "broadcast_channel.js": bundle_broadcast_channel(),
    }
    with profile(browser, files) as context:
        url = gateway.url + CLIENTS[name]
        page, _other = opened(context, url), opened(context, url)
        page.bring_to_front()
        page.evaluate("samples => window.roundTrips(samples)", WARM_UP)
        return {
            "round_trip": json.loads(
                page.evaluate("samples => window.roundTrips(samples)", SAMPLES)
            )
        }


def hand_overs(browser: Browser, gateway: Gateway) -> Round:
    """Return the longest time, in milliseconds, without a message when a leader is killed.

    Messages come one after another all the while: each gap ends with the first one that the next
    leader brought.
    """
    with profile(browser, {"main.py": (HERE / "shared.py").read_text()}) as context:
        pages = [opened(context, gateway.url) for _ in range(3)]
        gaps = []
        for _ in range(HAND_OVERS):
            gaps.append(hand_over(gateway, pages))
            pages.append(opened(context, gateway.url))
    return {"hand_over": gaps}


def hand_over(gateway: Gateway, pages: list[Page]) -> float:
    """Kill the leader, which leaves `pages`; return how long another tab heard nothing."""
    wait_until(lambda: any(page.evaluate("window.leads()") for page in pages))
    gateway.wait_for_clients(websockets=1, event_streams=1)
    leader = next(page for page in pages if page.evaluate("window.leads()"))
    pages.remove(leader)
    watcher = pages[-1]
    with publishing(gateway):
        watcher.evaluate("window.forget()")
        wait_until(lambda: watcher.evaluate("window.arrived()") > 100, deadline=30)
        crash(leader)
        before = watcher.evaluate("window.arrived()")
        wait_until(lambda: any(page.evaluate("window.leads()") for page in pages))
        wait_until(lambda: watcher.evaluate("window.arrived()") > before + 200, deadline=30)
    return float(watcher.evaluate("window.longestGap()"))


def crash(page: Page) -> None:
    """Kill a tab's renderer. The navigation does not end, and Playwright is not to wait for it."""
    with contextlib.suppress(PlaywrightError):
        page.goto("chrome://crash", timeout=100)


@contextmanager
def publishing(gateway: Gateway) -> Iterator[None]:
    """Publish notifications one after another, as fast as they are taken."""
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            gateway.post_notification("How long until the next one?")

    thread = threading.Thread(target=run)
    thread.start()
    yield
    done.set()
    thread.join()


def costs(browser: Browser, gateway: Gateway, *, shared: bool) -> Round:
    """Return, for each size of group, the server's connections and the memory of a tab in MB."""
    taken: Round = {}
    with profile(browser, {"main.py": (HERE / "shared.py").read_text()}) as context:
        url = gateway.url + ("" if shared else "?alone")
        tabs = 0
        for size in SHARED_GROUPS if shared else UNSHARED_GROUPS:
            while tabs < size:
                opened(context, url)
                tabs += 1
            expected = 1 if shared else size
            gateway.wait_for_clients(websockets=expected, event_streams=expected)
            time.sleep(1)  # until a renderer has given back what it needed to start
            health = gateway.health()
            taken[f"connections_{size}"] = [health["websockets"] + health["event_streams"]]
            taken[f"memory_{size}"] = [memory(browser) / size]
    gateway.wait_for_clients()
    return taken


def memory(browser: Browser) -> float:
    """Return the megabytes that all renderers have; what they have in common counts once."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    total = 0
    for process in processes:
        if process["type"] == "renderer":
            with contextlib.suppress(OSError):
                rollup = Path(f"/proc/{process['id']}/smaps_rollup").read_text()
                found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
                total += int(found[1]) if found else 0
    return total / 1000
