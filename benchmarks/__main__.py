"""Measure our page and its peer in turn, print the tables and write build/bench.json."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser

from benchmarks import flood, latency, report, update
from benchmarks.pages import OURS, PEER, Kind, opened
from tests.support.chromium import chromium
from tests.support.gateway import ROOT, Gateway

ROUNDS = 4

#: One program posts everything here; what holds back a stranger must not hold back that.
UNLIMITED = {"RATE_LIMIT": "1000000", "RATE_BURST": "1000000"}


def main() -> None:
    """Open every page anew in each round; who goes first alternates."""
    started = time.monotonic()
    rounds: dict[str, list[report.Round]] = {OURS.name: [], PEER.name: []}
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        version = browser.version
        with Gateway(Path(folder) / "data", **UNLIMITED) as gateway:
            for number in range(ROUNDS):
                for kind in (OURS, PEER) if number % 2 == 0 else (PEER, OURS):
                    print(f"Round {number + 1} of {ROUNDS}: {kind.name}", flush=True)
                    rounds[kind.name].append(measure(browser, gateway, kind))
    results = report.Results(rounds, report.machine(version), time.monotonic() - started)
    print(f"\n{report.tables(results)}")
    path = ROOT / "build" / "bench.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(report.to_json(results))


def measure(browser: Browser, gateway: Gateway, kind: Kind) -> report.Round:
    """Take every measurement of one page once."""
    with opened(browser, gateway, kind) as page:
        return {
            **latency.measure(browser, page, gateway),
            **update.measure(browser, page, gateway),
            **flood.measure(browser, page, gateway),
        }


if __name__ == "__main__":
    main()
