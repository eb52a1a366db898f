"""How a column's values are spread, or how they went: a plot, and the same in words."""

from string.templatelib import Template
from typing import Any

from components.columns import Column, duration
from components.gauge import number

BINS = 48
POINTS = 160
MOST_VALUES = 8

HEIGHT = 100
GAP = 0.12
"""The part of a bar's width that is left free beside it."""


def histogram(column: Column, found: dict[str, Any]) -> Template:
    """Draw bars of how many values lie where."""
    counts = found["counts"]
    total, highest = sum(counts), max(counts, default=0)
    if not total:
        return t'<p class="empty">No values to show</p>'
    low, high = column.show(found["low"]), column.show(found["high"])
    peak = counts.index(highest)
    at = found["low"] + (found["high"] - found["low"]) * (peak + 0.5) / len(counts)
    where = column.show(type(found["low"])(at))
    label = f"{column.label}: {total:,} values from {low} to {high}, most of them near {where}"
    return t"""<svg class="bars" role="img" aria-label={label} viewBox="0 0 {len(counts)} {HEIGHT}" preserveAspectRatio="none"><path d={bars(counts, highest)}></path></svg>
        <div class="axis" aria-hidden="true"><span>{low}</span><span>most: {highest:,}</span><span>{high}</span></div>"""


def values(column: Column, groups: list[dict[str, Any]]) -> Template:
    """Draw bars of the most frequent texts."""
    ranked = sorted(groups, key=lambda group: -group["count"])
    if not ranked:
        return t'<p class="empty">No values to show</p>'
    highest = ranked[0]["count"]
    items = [_value(column, group, highest) for group in ranked[:MOST_VALUES]]
    more = len(ranked) - len(items)
    rest = t'<li class="more">and {more:,} more</li>' if more else None
    return t'<ol class="values" aria-label="{column.label}: the most frequent">{items}{rest}</ol>'


def _value(column: Column, group: dict[str, Any], highest: int) -> Template:
    count, name = group["count"], group[column.field]
    path = f"M0 0H{count / highest * 100:.2f}V1H0Z"
    shown = "nothing" if name is None else column.show(name)
    return t"""<li><bdi class="name">{shown}</bdi><svg class="share" aria-hidden="true" viewBox="0 0 100 1" preserveAspectRatio="none"><path d={path}></path></svg><span class="count">{count:,}</span></li>"""


def over_time(column: Column, points: list[dict[str, Any]]) -> Template:
    """Draw the average over time as a line."""
    known = [point for point in points if point["value"] is not None and point["count"]]
    if len(known) < 2:
        return t'<p class="empty">Too few values to show</p>'
    begin, end = points[0]["time"], points[-1]["time"]
    found = [point["value"] for point in known]
    low, high = min(found), max(found)
    span = duration(end - begin)
    label = (
        f"{column.label}, average over {span}: now {number(found[-1])},"
        f" from {number(low)} to {number(high)}"
    )
    return t"""<svg class="line" role="img" aria-label={label} viewBox="0 0 {POINTS} {HEIGHT}" preserveAspectRatio="none"><path d={line(points, begin, end, low, high)}></path></svg>
        <div class="axis" aria-hidden="true"><span>{span} ago</span><span>{number(low)} to {number(high)}</span><span>now: {number(found[-1])}</span></div>"""


def bars(counts: list[int], highest: int) -> str:
    """Return the path of bars, each 1 wide, the highest as high as the plot."""
    parts = []
    for at, count in enumerate(counts):
        if count:
            top = HEIGHT * (1 - count / highest)
            parts.append(f"M{at + GAP / 2:.2f} {HEIGHT}V{top:.2f}h{1 - GAP:.2f}V{HEIGHT}Z")
    return "".join(parts)


def line(points: list[dict[str, Any]], begin: float, end: float, low: float, high: float) -> str:
    """Return the path of a line, with a gap where there was nothing."""
    parts = []
    is_on = False
    for point in points:
        if point["value"] is None or not point["count"]:
            is_on = False
            continue
        x = (point["time"] - begin) / ((end - begin) or 1) * POINTS
        y = HEIGHT * (0.96 - 0.92 * ((point["value"] - low) / ((high - low) or 1)))
        parts.append(f"{'L' if is_on else 'M'}{x:.2f} {y:.2f}")
        is_on = True
    return "".join(parts)
