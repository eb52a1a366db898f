"""The tables, and the same as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

#: The samples of one round of one page, by what they tell.
Round = dict[str, list[float]]
Statistic = Callable[[list[float]], float]


@dataclass(frozen=True)
class Results:
    """Everything measured: the rounds by page, ours first."""

    rounds: dict[str, list[Round]]
    machine: dict[str, str | int]
    seconds: float


class Figure(NamedTuple):
    """One line of a table: a statistic of some samples, and what it should be at most."""

    label: str
    samples: str
    statistic: Statistic
    aim: str = ""


def percentile(part: int) -> Statistic:
    """Return the function that finds the value which `part` per cent of samples stay below."""
    return lambda samples: statistics.quantiles(samples, n=100, method="inclusive")[part - 1]


P50, P95, P99 = percentile(50), percentile(95), percentile(99)

TABLES = {
    "From POST to the screen, in ms": [
        Figure("in the DOM, p50", "latency_dom", P50),
        Figure("in the DOM, p95", "latency_dom", P95),
        Figure("presented, p50", "latency", P50),
        Figure("presented, p95", "latency", P95, "< 100"),
        Figure("presented, longest", "latency", max),
    ],
    "One more notification in a feed of 50, in ms of the main thread": [
        Figure("script, p50", "script", P50, "< 2"),
        Figure("script, p95", "script", P95),
        Figure("script, processor time, p50", "script_processor", P50),
        Figure("script, processor time, p95", "script_processor", P95),
        Figure("all tasks, p50", "main_thread", P50),
        Figure("all tasks, p95", "main_thread", P95),
    ],
    "1,000 notifications a second for 5 s": [
        Figure("longest task, ms", "flood_tasks", max, "≤ 50"),
        Figure("longest task, processor time, ms", "flood_tasks_processor", max),
        Figure("tasks, p99, ms", "flood_tasks", P99),
        Figure("main thread busy, %", "flood_busy", statistics.mean),
        Figure("frames presented a second", "flood_frames", statistics.mean),
    ],
    "Of these": [
        Figure("posted a second, slowest round", "flood_rate", min, "1000"),
        Figure("accepted by the gateway", "flood_accepted", sum),
        Figure("missing at the handlers", "flood_missing", sum, "0"),
        Figure("delivered twice", "flood_twice", sum, "0"),
        Figure("out of order", "flood_disorder", sum, "0"),
    ],
}


def tables(results: Results) -> str:
    """Return the tables as Markdown.

    A figure is that of all rounds' samples together; in brackets, the lowest and the highest of
    the single rounds. The ratio is the median of the rounds' ratios, each of two pages measured
    one right after the other.
    """
    ours, peer = results.rounds
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    lines = [f"{machine}. {len(results.rounds[ours])} rounds, {results.seconds:.0f} s."]
    for title, figures in TABLES.items():
        lines += ["", f"**{title}**", "", f"| | {ours} | {peer} | ratio | aim |"]
        lines.append("|---|---|---|---|---|")
        for figure in figures:
            cells = [
                figure.label,
                _cell(figure, results.rounds[ours]),
                _cell(figure, results.rounds[peer]),
                _ratio(figure, results),
                figure.aim,
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def to_json(results: Results) -> str:
    """Return the figures of the tables, and for each round what they come from.

    The thousands of tasks under load are left out; their figures stay.
    """
    pages = {
        name: {
            "figures": {
                title: {figure.label: _summary(figure, rounds) for figure in figures}
                for title, figures in TABLES.items()
            },
            "rounds": [
                {key: samples for key, samples in taken.items() if key not in TASKS}
                for taken in rounds
            ],
        }
        for name, rounds in results.rounds.items()
    }
    document = {"machine": results.machine, "seconds": results.seconds, "pages": pages}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def machine(browser: str) -> dict[str, str | int]:
    """Return what the figures depend on."""
    return {
        "Chromium": browser,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count() or 0,
    }


def _summary(figure: Figure, rounds: list[Round]) -> dict[str, float]:
    each = [figure.statistic(taken[figure.samples]) for taken in rounds]
    together = [sample for taken in rounds for sample in taken[figure.samples]]
    return {"value": figure.statistic(together), "lowest": min(each), "highest": max(each)}


def _cell(figure: Figure, rounds: list[Round]) -> str:
    value, lowest, highest = (_number(value) for value in _summary(figure, rounds).values())
    return value if figure.samples in COUNTS else f"{value} ({lowest}–{highest})"


def _ratio(figure: Figure, results: Results) -> str:
    if figure.samples in COUNTS:
        return ""
    ours, peer = results.rounds.values()
    ratios = [
        figure.statistic(one[figure.samples]) / figure.statistic(other[figure.samples])
        for one, other in zip(ours, peer, strict=True)
    ]
    middle, lowest, highest = statistics.median(ratios), min(ratios), max(ratios)
    return f"{middle:.2f} ({lowest:.2f}–{highest:.2f})"


TASKS = {"flood_tasks", "flood_tasks_processor"}
COUNTS = {figure.samples for figure in TABLES["Of these"]}


def _number(value: float) -> str:
    if value == int(value):
        return str(int(value))
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"
