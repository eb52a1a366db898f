"""The parts of `<data-explorer>` that only show what they are given."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from string.templatelib import Template
from typing import Any

from pyodide.ffi import JsProxy

from components.columns import AGGREGATES, OPERATORS, Column, Filter
from components.template import repeat
from components.virtual_rows import Slice
from services.worker_call import Progress

type Listener = Callable[[JsProxy], None]

ARROWS = {"asc": "▲", "desc": "▼"}
SORTED = {"asc": "ascending", "desc": "descending"}


@dataclass(frozen=True, slots=True)
class Shown:
    """The columns, the keys they are sorted by, and the numbers at the foot."""

    columns: list[Column]
    order: tuple[dict[str, str], ...]
    aggregate: str
    footing: dict[str, Any]


def progress_bar(progress: Progress | None) -> Template:
    """Show how far something is, or that it is under way."""
    if progress is None or not progress.total:
        return t'<progress aria-label="Loading"></progress>'
    return t'<progress aria-label="Loading" max={progress.total} value={progress.done}></progress>'


def controls(
    columns: list[Column],
    filters: tuple[Filter, ...],
    mistake: str,
    add: Listener,
    remove: Callable[[Filter, JsProxy], None],
) -> Template:
    """Show the conditions, and a form for another."""
    texts = [each for each in columns if each.kind == "text"]
    first = next(iter([*texts, *columns]), None)
    fields = [
        t"<option value={each.field} ?selected={each is first}>{each.label}</option>"
        for each in columns
    ]
    operators = [t"<option value={name}>{words}</option>" for name, words in OPERATORS.items()]
    chips = [
        t"""<li class="chip"><bdi>{each.words}</bdi>
            <button type="button" aria-label="Remove: {each.words}" @click={partial(remove, each)}>×</button></li>"""
        for each in filters
    ]
    return t"""<form class="controls" @submit={add} novalidate>
            <label>Field <select name="field">{fields}</select></label>
            <label>Condition <select name="operator">{operators}</select></label>
            <label class="wanted">Value <input name="value" autocomplete="off" aria-describedby="mistake" aria-invalid={bool(mistake)}></label>
            <button type="submit">Add filter</button>
            <p id="mistake" class="mistake" role="alert">{mistake}</p>
        </form>
        {filters and t'<ul class="chips" aria-label="Filters">{chips}</ul>'}"""


def head(shown: Shown, sort: Callable[[str, JsProxy], None]) -> Template:
    """Show the headings, which sort."""
    places = {key["field"]: (at, key["order"]) for at, key in enumerate(shown.order)}
    cells = []
    for column in shown.columns:
        at, order = places.get(column.field, (0, ""))
        # aria-sort is for the one that counts most: WAI-ARIA 1.2.
        aria = SORTED[order] if order and not at else None
        rank = t"<sub>{at + 1}</sub>" if order and len(places) > 1 else None
        title = "Sort; with Shift as one more key"
        cells.append(
            t"""<th scope="col" class={column.kind} aria-sort={aria}><button type="button" data-field={column.field} title={title} @click={partial(sort, column.field)}>{column.label} <span aria-hidden="true">{ARROWS.get(order, "")}{rank}</span></button></th>"""
        )
    return t'<thead><tr aria-rowindex="1">{cells}</tr></thead>'


def table_rows(shown: Shown, part: Slice, row: Callable[[int], dict[str, Any] | None]) -> Template:
    """Show the rows in sight, between room for the others."""
    rows = repeat(
        range(part.first, part.last),
        key=str,
        render=lambda number: _row(shown.columns, number, row(number)),
        depends=row,
    )
    span = len(shown.columns)
    return t"""<tbody><tr class="room" aria-hidden="true"><td colspan={span} height={part.above}></td></tr>{rows}<tr class="room" aria-hidden="true"><td colspan={span} height={part.below}></td></tr></tbody>"""


def _row(columns: list[Column], number: int, row: dict[str, Any] | None) -> Template:
    if row is None:
        return (
            t'<tr class="absent" aria-rowindex={number + 2}><td colspan={len(columns)}>…</td></tr>'
        )
    cells = [
        t"<td class={column.kind}><bdi>{column.show(row.get(column.field))}</bdi></td>"
        for column in columns
    ]
    return t'<tr class="row" data-id={row.get("id")} aria-rowindex={number + 2}>{cells}</tr>'


def foot(shown: Shown, count: int, choose: Listener) -> Template:
    """Show a number about each column."""
    options = [
        t"<option value={name} ?selected={name == shown.aggregate}>{words}</option>"
        for name, words in AGGREGATES.items()
    ]
    cells = []
    for at, column in enumerate(shown.columns):
        value = ""
        if count and column.takes(shown.aggregate) and column.field in shown.footing:
            value = column.show_aggregate(shown.footing[column.field], shown.aggregate)
        if at == 0:
            choice = t"""<select class="aggregate" aria-label="Number at the foot" @change={choose}>{options}</select>"""
            cells.append(t'<td class="{column.kind} first">{choice}</td>')
        else:
            words = f"{AGGREGATES[shown.aggregate]} of {column.label}"
            cells.append(
                t"<td class={column.kind} data-field={column.field} title={words}>{value}</td>"
            )
    return t"<tfoot><tr aria-rowindex={count + 2}>{cells}</tr></tfoot>"
