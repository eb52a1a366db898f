"""Measure our page and our clients beside their peers, print the tables, write build/bench.json.

`python -m benchmarks` measures everything; `pages`, `receive`, `memory`, `tabs`, `workers` and
`documents` name a part.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser

from benchmarks import (
    document_editing,
    document_load,
    figures,
    flood,
    latency,
    memory,
    receiving,
    report,
    tab_sync,
    update,
    worker_calls,
)
from benchmarks.feeder import Feeder
from benchmarks.pages import OURS, PEER, Kind, opened
from tests.support.chromium import chromium
from tests.support.gateway import ROOT, Gateway

PAGE_ROUNDS = 3
RECEIVING_ROUNDS = 3
TAB_ROUNDS = 3
WORKER_ROUNDS = 3
DOCUMENT_ROUNDS = 3

#: One program posts everything here; what holds back a stranger must not hold back that.
UNLIMITED = {"RATE_LIMIT": "1000000", "RATE_BURST": "1000000"}

BUILD = ROOT / "build"


def main() -> None:
    """Measure what the command line names; of the parts left out nothing is written."""
    measures = {
        "pages": pages,
        "receive": receive,
        "memory": keep,
        "tabs": tabs,
        "workers": workers,
        "documents": documents,
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("part", nargs="*", help=f"of {', '.join(measures)}; all if none is named")
    chosen = parser.parse_args().part or list(measures)
    if unknown := set(chosen).difference(measures):
        parser.error(f"expected {', '.join(measures)}, came {', '.join(sorted(unknown))}")
    started = time.monotonic()
    BUILD.mkdir(exist_ok=True)
    parts: dict[str, report.Part] = {}
    with chromium() as browser:
        for name in chosen:
            parts |= measures[name](browser)
        machine = report.machine(browser.version)
    results = report.Results(parts, machine, time.monotonic() - started)
    print(f"\n{report.tables(results)}")
    (BUILD / "bench.json").write_text(report.to_json(results))


def pages(browser: Browser) -> dict[str, report.Part]:
    """Open every page anew in each round; who goes first alternates."""
    rounds: dict[str, list[report.Round]] = {OURS.name: [], PEER.name: []}
    with (
        tempfile.TemporaryDirectory() as folder,
        Gateway(Path(folder) / "data", **UNLIMITED) as gateway,
    ):
        for number in range(PAGE_ROUNDS):
            for kind in (OURS, PEER) if number % 2 == 0 else (PEER, OURS):
                print(f"Page, round {number + 1} of {PAGE_ROUNDS}: {kind.name}", flush=True)
                rounds[kind.name].append(measure(browser, gateway, kind))
    return {"pages": report.Part(rounds, figures.PAGE_TABLES)}


def measure(browser: Browser, gateway: Gateway, kind: Kind) -> report.Round:
    """Take every measurement of one page once."""
    with opened(browser, gateway, kind) as page:
        return {
            **latency.measure(browser, page, gateway),
            **update.measure(browser, page, gateway),
            **flood.measure(browser, page, gateway),
        }


def receive(browser: Browser) -> dict[str, report.Part]:
    """Open the page with all clients anew in each round; their order alternates."""
    receiving.bundle_partysocket()
    parts = {
        "websocket": report.Part(
            {name: [] for name in receiving.WEBSOCKETS}, figures.WEBSOCKET_TABLES
        ),
        "events": report.Part({name: [] for name in receiving.STREAMS}, figures.STREAM_TABLES),
    }
    with Feeder() as feeder:
        for number in range(RECEIVING_ROUNDS):
            with receiving.opened(browser, feeder) as page:
                for part in parts.values():
                    for name in list(part.rounds)[:: 1 if number % 2 == 0 else -1]:
                        print(
                            f"Receiving, round {number + 1} of {RECEIVING_ROUNDS}: {name}",
                            flush=True,
                        )
                        part.rounds[name].append(receiving.measure(browser, page, feeder, name))
    return parts


def keep(browser: Browser) -> dict[str, report.Part]:
    """Send our WebSocket client a million messages, and draw what the page holds meanwhile."""
    receiving.bundle_partysocket()
    print("A million messages", flush=True)
    with Feeder() as feeder, receiving.opened(browser, feeder) as page:
        samples = memory.measure(page, feeder, "Python")
    memory.draw(samples, BUILD / "bench-memory.svg")
    return {"memory": report.Part(memory.quarters(samples), figures.MEMORY_TABLES)}


def tabs(browser: Browser) -> dict[str, report.Part]:
    """Measure tabs beside peers in alternating rounds, then hand-overs, then what many cost."""
    names = list(tab_sync.CLIENTS)
    rounds: dict[str, list[report.Round]] = {name: [] for name in names}
    with (
        tempfile.TemporaryDirectory() as folder,
        Gateway(Path(folder) / "data", **UNLIMITED) as gateway,
    ):
        for number in range(TAB_ROUNDS):
            for name in names[:: 1 if number % 2 == 0 else -1]:
                print(f"Tabs, round {number + 1} of {TAB_ROUNDS}: {name}", flush=True)
                rounds[name].append(tab_sync.round_trips(browser, gateway, name))
        print("Tabs: hand-overs", flush=True)
        hand_overs = [tab_sync.hand_overs(browser, gateway)]
        costs: dict[str, list[report.Round]] = {}
        for name in ("shared", "unshared"):
            print(f"Tabs: {name} connections", flush=True)
            costs[name] = [tab_sync.costs(browser, gateway, shared=name == "shared")]
    return {
        "tabs": report.Part(rounds, figures.TAB_TABLES),
        "hand-over": report.Part({"Python": hand_overs}, figures.HAND_OVER_TABLES),
        "costs": report.Part(costs, figures.COST_TABLES),
    }


def workers(browser: Browser) -> dict[str, report.Part]:
    """Ask Python workers and others the same; the most rows in a page of their own."""
    calls: dict[str, list[report.Round]] = {}
    starts: dict[str, list[report.Round]] = {}
    laid = worker_calls.files()
    with (
        tempfile.TemporaryDirectory() as folder,
        Gateway(Path(folder) / "data", **UNLIMITED) as gateway,
    ):
        for number in range(WORKER_ROUNDS):
            backwards = number % 2 == 1
            taken: dict[str, report.Round] = {}
            for sizes in (worker_calls.SMALL, worker_calls.LARGE):
                with worker_calls.opened(browser, gateway, laid) as page:
                    for size in sizes:
                        told = f"Workers, round {number + 1} of {WORKER_ROUNDS}: {size:,} rows"
                        print(told, flush=True)
                        found = worker_calls.measure(browser, page, size, backwards=backwards)
                        for name, figures_ in found.items():
                            taken.setdefault(name, {}).update(figures_)
                    if sizes is worker_calls.SMALL:
                        began = worker_calls.starts(page, backwards=backwards)
            for name, round_ in taken.items():
                calls.setdefault(name, []).append(round_)
            for name, round_ in began.items():
                starts.setdefault(name, []).append(round_)
    resident = [*worker_calls.RESIDENT, "JavaScript"]
    return {
        "workers": report.Part(
            {name: calls[name] for name in worker_calls.CLIENTS}, figures.WORKER_TABLES
        ),
        "datasets": report.Part({name: calls[name] for name in resident}, figures.RESIDENT_TABLES),
        "loading": report.Part({"Python": calls["load"]}, figures.LOAD_TABLES),
        "starts": report.Part(
            {name: starts[name] for name in ("Python", "JavaScript")}, figures.START_TABLES
        ),
    }


def documents(browser: Browser) -> dict[str, report.Part]:
    """Write and open documents, ours beside plain Yjs; then let fifty type in one."""
    names = list(document_editing.CLIENTS)
    traces: dict[str, list[report.Round]] = {name: [] for name in document_editing.TRACED}
    edits: dict[str, list[report.Round]] = {name: [] for name in names}
    loads: dict[str, list[report.Round]] = {name: [] for name in document_load.SERVERS}
    laid = document_editing.files()
    for number in range(DOCUMENT_ROUNDS):
        step = 1 if number % 2 == 0 else -1
        with (
            tempfile.TemporaryDirectory() as folder,
            Gateway(Path(folder) / "data", **UNLIMITED) as gateway,
        ):
            for name in list(traces)[::step]:
                print(f"A trace, round {number + 1} of {DOCUMENT_ROUNDS}: {name}", flush=True)
                with (
                    tab_sync.profile(browser, laid) as context,
                    document_editing.opened(context, gateway) as page,
                ):
                    traces[name].append(document_editing.trace(page, name))
            for name in names[::step]:
                print(f"Documents, round {number + 1} of {DOCUMENT_ROUNDS}: {name}", flush=True)
                edits[name].append(document_editing.editing(browser, gateway, name, laid))
        for name in document_load.SERVERS[::step]:
            print(f"Fifty who type, round {number + 1}: {name}", flush=True)
            loads[name].append(document_load.measure(name))
    return {
        "traces": report.Part(traces, figures.TRACE_TABLES),
        "editing": report.Part(edits, figures.EDITING_TABLES),
        "typing": report.Part(loads, figures.DOCUMENT_LOAD_TABLES),
    }


if __name__ == "__main__":
    main()
