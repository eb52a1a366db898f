"""A worker's file of somebody's own, for test_workers.py."""

import asyncio
import datetime
import gc
from typing import Any, Literal

import pyodide_js

from services.operation import Job, Table, operation
from services.packing import Indices


@operation
def echo(value):
    """Return it."""
    return value


@operation
def typed(
    *,
    count: int,
    part: float = 0.5,
    order: Literal["asc", "desc"] = "asc",
    names: list[str] | None = None,
    anything: Any = None,
):
    """Return the options."""
    return [count, part, order, names, anything]


@operation
def steps(*, count: int, job: Job):
    """Tell of each step, and return without a pause."""
    for n in range(count):
        job.progress(n, count, f"step {n}")
    job.progress(count, count, "done")
    return count


@operation
def reports(*, done: float, total: float | None = None, job: Job):
    """Tell something odd."""
    job.progress(done, total, "\ud800 half")


@operation
async def later(value, *, job: Job):
    """Return it after a while, with progress."""
    for n in range(3):
        job.progress(n, None, "waiting")
        await asyncio.sleep(0.06)
    return value


@operation
def odd_rows(table: Table, *, field: str) -> Indices:
    """Return every second row by a field."""
    return Indices(n for n, value in enumerate(table.column(field)) if value % 2)


@operation
def bad_indices(table: Table, *, field: str) -> Indices:
    """Return rows that there are not."""
    return Indices([0, len(table)])


@operation
def a_function():
    """Return what cannot travel."""
    return {"inner": [1, len]}


@operation
def a_date():
    """Return what cannot travel."""
    return [datetime.datetime(2026, 1, 2)]


@operation
def nested(*, levels: int):
    """Return lists in lists."""
    value = []
    for _ in range(levels):
        value = [value]
    return value


@operation
def census():
    """Return how many objects of Python's there are, and how many proxies and references."""
    gc.collect()
    module = pyodide_js._module
    if not hasattr(module, "pyproxy_alloc_map"):
        module.enable_pyproxy_allocation_tracing()
    return [len(gc.get_objects()), module.pyproxy_alloc_map.size]
