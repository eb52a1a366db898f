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


class Part(NamedTuple):
    """What was measured of some clients: their rounds, ours first, and the tables of it."""

    rounds: dict[str, list[Round]]
    tables: list[Table]


@dataclass(frozen=True)
class Results:
    """Everything measured."""

    parts: dict[str, Part]
    machine: dict[str, str | int]
    seconds: float


class Aim(NamedTuple):
    """What a figure of the first client is to be at most; or its ratio, each of the table's own.

    Whether it is met is printed beside it.
    """

    most: float
    ratio: bool = False


class Figure(NamedTuple):
    """One line of a table: a statistic of some samples, and what it should be at most."""

    label: str
    samples: str
    statistic: Statistic
    aim: str | Aim = ""
    is_count: bool = False


class Table(NamedTuple):
    """Figures side by side, and the ratios of which two clients to tell (none: of no two)."""

    title: str
    figures: list[Figure]
    ratios: list[tuple[str, str]]


def percentile(part: int) -> Statistic:
    """Return the function that finds the value which `part` per cent of samples stay below."""
    return lambda samples: statistics.quantiles(samples, n=100, method="inclusive")[part - 1]


P50, P95, P99 = percentile(50), percentile(95), percentile(99)


def tables(results: Results) -> str:
    """Return the tables as Markdown.

    A figure is that of all rounds' samples together; in brackets, where there is room, the lowest
    and the highest of the single rounds. A ratio is the median of the rounds' ratios, each of two
    clients measured one shortly after the other.
    """
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    lines = [f"{machine}. {results.seconds:.0f} s."]
    for part in results.parts.values():
        for table in part.tables:
            lines += ["", f"**{table.title}**", "", *_lines(table, part.rounds)]
    return "\n".join(lines)


def _lines(table: Table, rounds: dict[str, list[Round]]) -> list[str]:
    ratios = [f"{one} : {other}" for one, other in table.ratios]
    clients = [name for name, taken in rounds.items() if _has(table, taken)]
    head = ["", *clients, *ratios, "aim"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for figure in table.figures:
        cells = [
            figure.label,
            # The spread of many would hide the figures; that of the ratios tells as much.
            *(_cell(figure, rounds[name], spread=len(clients) <= 2) for name in clients),
            *(_ratio(figure, rounds[one], rounds[other]) for one, other in table.ratios),
            _aim(figure, table, rounds),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def to_json(results: Results) -> str:
    """Return the figures of the tables, and for each round what they come from.

    The thousands of tasks under load are left out; their figures stay.
    """
    parts = {
        title: {
            name: {
                "figures": {
                    table.title: {
                        figure.label: _summary(figure, rounds) for figure in table.figures
                    }
                    for table in part.tables
                    if _has(table, rounds)
                },
                "rounds": [
                    {key: samples for key, samples in taken.items() if key not in TASKS}
                    for taken in rounds
                ],
            }
            for name, rounds in part.rounds.items()
        }
        for title, part in results.parts.items()
    }
    document = {"machine": results.machine, "seconds": results.seconds, "parts": parts}
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


def _has(table: Table, rounds: list[Round]) -> bool:
    return all(figure.samples in taken for taken in rounds for figure in table.figures)


def _cell(figure: Figure, rounds: list[Round], *, spread: bool) -> str:
    value, lowest, highest = (_number(value) for value in _summary(figure, rounds).values())
    if figure.is_count or len(rounds) == 1 or not spread:
        return value
    return f"{value} ({lowest}–{highest})"


def _ratios(figure: Figure, these: list[Round], those: list[Round]) -> list[float]:
    return [
        figure.statistic(one[figure.samples]) / figure.statistic(other[figure.samples])
        for one, other in zip(these, those, strict=True)
    ]


def _aim(figure: Figure, table: Table, rounds: dict[str, list[Round]]) -> str:
    """Return an aim, and of those that can be judged here whether it is met."""
    if isinstance(figure.aim, str):
        return figure.aim
    most, ratio = figure.aim
    if not ratio:
        own = next(taken for taken in rounds.values() if _has(table, taken))
        met = _summary(figure, own)["value"] <= most
        return f"≤ {most:g}: {_verdict(met)}"
    judged = [
        statistics.median(_ratios(figure, rounds[one], rounds[other])) <= most
        for one, other in table.ratios
    ]
    return f"≤ {most:g}: {', '.join(map(_verdict, judged))}"


def _verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def _ratio(figure: Figure, these: list[Round], those: list[Round]) -> str:
    if figure.is_count:
        return ""
    ratios = _ratios(figure, these, those)
    middle, lowest, highest = statistics.median(ratios), min(ratios), max(ratios)
    if len(ratios) == 1:
        return _share(middle)
    return f"{_share(middle)} ({_share(lowest)}–{_share(highest)})"


def _share(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"


TASKS = {"flood_tasks", "flood_tasks_processor"}


def _number(value: float) -> str:
    if value == int(value):
        return str(int(value))
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"
