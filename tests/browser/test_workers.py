"""services/worker_manager.py with real workers: what comes back is what plain Python gives."""

import asyncio
import math
import statistics
from collections import Counter

import js
import pytest

from services import errors
from services.worker_manager import WorkerManager

HUGE = 10**400
ROWS = [
    {"name": "Ada", "price": 3, "city": "Zürich 🏔", "at": 0.0},
    {"name": "Bob", "price": 1.5, "city": None, "at": 1.0},
    {"name": "Cy", "price": None, "at": 2.0},
    {"name": "Dé", "price": HUGE, "city": "東京", "at": 3.0},
    {"name": "E\x00f", "price": -HUGE, "city": "Zürich 🏔", "at": 4.0},
    {"name": "Fay", "price": 2**53 + 1, "city": "", "at": 5.0},
]
MANY = 100_000


@pytest.fixture(scope="module")
def shared():
    """The managers of the module, made when first asked for."""
    managers = {}
    yield managers
    for manager in managers.values():
        assert manager.pending == 0
        manager.terminate()


@pytest.fixture
def workers(shared):
    """The worker that sorts and filters."""
    if "rows" not in shared:
        shared["rows"] = WorkerManager()
    yield shared["rows"]
    assert shared["rows"].pending == 0


@pytest.fixture
def own(shared):
    """The worker with operations of somebody's own."""
    if "own" not in shared:
        shared["own"] = WorkerManager("./workers/operations.py")
    yield shared["own"]
    assert shared["own"].pending == 0


@pytest.fixture(scope="module")
def many():
    """Rows enough for several chunks."""
    return [
        {"id": n, "value": (n * 7919) % 100_003, "kind": f"kind {n % 7}", "at": n / 10}
        for n in range(MANY)
    ]


async def test_the_first_worker_marks_the_moment(workers):
    await workers.ready()
    assert js.performance.getEntriesByName("worker-ready").length >= 1
    assert {"sort", "filter", "aggregate", "group_by", "histogram", "window"} <= set(
        workers.operations
    )


async def test_rows_come_back_themselves_in_order(workers):
    priced = [row for row in ROWS if row["price"] is not None]
    for order, reverse in (("asc", False), ("desc", True)):
        found = await workers.process("sort", ROWS, {"field": "price", "order": order})
        there = [row for row in found if row["price"] is not None]
        assert there == sorted(priced, key=lambda row: row["price"], reverse=reverse)
        assert {id(row) for row in found} == {id(row) for row in ROWS}
    found = await workers.sort(ROWS, field="name")
    assert found == sorted(ROWS, key=lambda row: row["name"])


async def test_conditions_are_met_by_the_rows_that_meet_them(workers):
    assert await workers.filter(ROWS, field="city", value="Zürich 🏔") == [ROWS[0], ROWS[4]]
    assert await workers.filter(ROWS, field="city", value=None) == [ROWS[1], ROWS[2]]
    assert await workers.filter(ROWS, field="price", operator="greater", value=2**53) == [
        ROWS[3],
        ROWS[5],
    ]
    assert await workers.filter(ROWS, field="price", value=math.nan) == []
    either = [
        {"field": "name", "operator": "starts_with", "value": "D"},
        {"field": "city", "operator": "contains", "value": "🏔"},
    ]
    assert await workers.filter(ROWS, any=either) == [ROWS[0], ROWS[3], ROWS[4]]
    assert await workers.filter([], field="price", value=1) == []


async def test_numbers_are_exact_or_nan(workers):
    async def of(operation, field="price", rows=ROWS):
        return await workers.aggregate(rows, operation=operation, field=field)

    whole = [{"price": n} for n in (HUGE, 1, -HUGE, 2**64)]
    assert await of("sum", rows=whole) == 2**64 + 1
    assert await of("max") == HUGE
    assert await of("min") == -HUGE
    assert await of("count") == 6
    assert await of("distinct", "city") == 3
    assert math.isnan(await of("max", rows=[{"price": 1}, {"price": math.nan}]))
    tenths = [{"price": 0.1}] * 10
    assert await of("sum", rows=tenths) == 1.0
    values = [2.5, 4, 4, 5, 7, 9]
    rows = [{"price": value} for value in values] + [{"price": None}]
    assert await of("median", rows=rows) == statistics.median(values)
    assert await of("average", rows=rows) == statistics.fmean(values)
    assert await of("stdev", rows=rows) == pytest.approx(statistics.stdev(values))


async def test_a_hundred_thousand_rows(workers, many):
    by_value = await workers.sort(many, field="value", order="desc")
    assert by_value == sorted(many, key=lambda row: row["value"], reverse=True)
    cheap = await workers.filter(many, field="value", operator="less", value=5_000)
    assert cheap == [row for row in many if row["value"] < 5_000]
    assert await workers.aggregate(many, operation="sum", field="value") == sum(
        row["value"] for row in many
    )
    groups = await workers.group_by(many, field="kind")
    assert {row["kind"]: row["count"] for row in groups} == Counter(row["kind"] for row in many)
    spread = await workers.histogram(many, field="value", bins=10)
    assert sum(spread["counts"]) == MANY
    windows = await workers.window(many, time_field="at", span=1000, field="value", points=5)
    last = [row["value"] for row in many if row["at"] > windows[-1]["time"] - 1000]
    assert windows[-1]["count"] in (len(last), len(last) + 1)
    assert windows[-1]["value"] == pytest.approx(statistics.fmean(last), rel=1e-3)


async def test_values_come_back_as_they_went(own):
    for value in (
        None,
        True,
        HUGE,
        -0.0,
        math.inf,
        "a\x00b 🏔 \ud800",
        b"\xff",
        [1, (2, {3}), {"a": frozenset({4})}],
        {None: 1, 2: "two", (3,): 3},
        [{"n": n} for n in range(40_000)],
    ):
        assert await own.echo(value) == value
    assert math.isnan(await own.echo(math.nan))


async def test_what_cannot_travel_is_named(own):
    with pytest.raises(errors.NotTransferable, match="a value of type Date"):
        await own.echo([1, Date()])
    with pytest.raises(errors.NotTransferable, match="builtin_function_or_method"):
        await own.echo({"key": len})
    for name, there in (("a_function", "inner"), ("a_date", "datetime")):
        with pytest.raises(errors.WorkerError, match=there) as caught:
            await own.process(name)
        assert caught.value.type == "NotTransferable"
    with pytest.raises(errors.NotTransferable, match="row 1: expected a dict"):
        await own.odd_rows([{"n": 1}, 2], field="n")
    with pytest.raises(errors.NotTransferable, match="row numbers"):
        await own.bad_indices([{"n": 1}], field="n")
    with pytest.raises(errors.NotTransferable, match="expected a list of rows"):
        await own.odd_rows("rows", field="n")


class Date:
    """Nothing that `marshal` knows."""


async def test_what_is_nested_too_deeply_is_refused_and_nobody_dies(own):
    cyclic = []
    cyclic.append(cyclic)
    found = await own.echo(cyclic)
    assert found[0][0] is found[0]
    dicts = None
    for _ in range(5_000):
        dicts = {"in": dicts}
    with pytest.raises(errors.NotTransferable, match="deep"):
        await own.echo(dicts)
    while dicts:  # Python itself dies of what is this deep, if it has to let go of it at once
        dicts = dicts["in"]
    fits = await own.nested(levels=500)
    assert await own.echo(fits) == fits
    with pytest.raises(errors.WorkerError, match="deep"):
        await own.nested(levels=2_000)
    assert await own.echo(1) == 1


async def test_options_are_checked_before_anything_is_sent(own, proxies):
    await own.ready()
    before = proxies.alive()
    for options, wrong in (
        ({}, "count: expected a value, came none"),
        ({"count": "1"}, "count: expected a whole number, came '1'"),
        ({"count": True}, "count: expected a whole number, came true"),
        ({"count": 1, "order": "up"}, "order: expected one of asc, desc, came 'up'"),
        ({"count": 1, "names": ["a", 2]}, "names: expected an array, each text or null"),
        ({"count": 1, "colour": 3}, "expected count, part, order, names, anything, came 'colour'"),
    ):
        with pytest.raises(errors.InvalidCall, match=wrong):
            await own.process("typed", None, options)
    with pytest.raises(errors.InvalidCall, match=r"expected one of echo, .*came 'missing'"):
        await own.missing()
    with pytest.raises(errors.InvalidCall, match="expected one of n, came 'm'"):
        await own.odd_rows([{"n": 1}], field="m")
    with pytest.raises(errors.ConfigurationError, match="timeout"):
        await own.process("echo", 1, timeout=0)
    assert proxies.alive() <= before + 8  # a timer each, if anything
    assert await own.typed(count=1, part=2, names=["é"], anything={"a": [None]}) == [
        1,
        2,
        "asc",
        ["é"],
        {"a": [None]},
    ]
    assert await own.odd_rows([{"n": n} for n in range(5)], field="n") == [{"n": 1}, {"n": 3}]


async def test_progress_arrives_while_the_operation_does_not_pause(own):
    task = own.submit("steps", options={"count": 200_000})
    seen = [progress async for progress in task]
    assert await task == 200_000
    assert len(seen) > 1, "a report now and then, though it never paused"
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert seen[-1] == (200_000, 200_000, "done")


async def test_an_async_operation(own):
    told = []
    result = await own.process("later", {"a": 1}, on_progress=told.append)
    assert result == {"a": 1}
    assert [(each.done, each.total, each.note) for each in told] == [
        (n, None, "waiting") for n in range(3)
    ]


async def test_odd_reports_of_progress(own):
    told = []
    await own.process("reports", None, {"done": 1, "total": math.inf}, on_progress=told.append)
    assert told == [(1, None, "\ud800 half")]
    for odd in (math.nan, math.inf):
        with pytest.raises(errors.WorkerError, match="done: expected a finite number"):
            await own.reports(done=odd)
    assert await own.echo(1) == 1


async def test_a_listener_that_raises_harms_nobody(own, monkeypatch):
    reported = []
    monkeypatch.setattr(own._platform, "report", reported.append, raising=False)

    def told(progress):
        raise ZeroDivisionError

    assert await own.process("steps", None, {"count": 10}, on_progress=told) == 10
    assert {type(error) for error in reported} == {ZeroDivisionError}


async def test_a_dataset_stays_and_is_asked(workers, many):
    dataset = await workers.load(many)
    assert (len(dataset), dataset.fields) == (MANY, ["id", "value", "kind", "at"])
    view = await (await dataset.filter(field="kind", value="kind 3")).sort("value", "desc")
    expected = sorted(
        (row for row in many if row["kind"] == "kind 3"), key=lambda row: -row["value"]
    )
    assert len(view) == len(expected)
    assert await view.window(0, 50) == expected[:50]
    assert await view.window(len(view) - 3, len(view) + 100) == expected[-3:]
    assert await view.aggregate("max", "value") == expected[0]["value"]
    added = {"id": MANY, "value": 10**6, "kind": "kind 3", "at": 1e6, "more": "ü"}
    assert await dataset.append([added]) == MANY + 1
    assert await view.window(0, 1) == [added]
    assert "more" in dataset.fields
    with pytest.raises(errors.InvalidCall, match="expected one of"):
        await dataset.sort("missing")
    await dataset.release()
    with pytest.raises(errors.DatasetLost, match="was released"):
        await dataset.count()
    with pytest.raises(errors.DatasetLost, match="was released"):
        await view.window(0, 1)


async def test_a_dataset_with_a_limit_forgets_the_oldest(workers):
    dataset = await workers.load([{"n": n} for n in range(10)], limit=5)
    assert (len(dataset), dataset.dropped) == (5, 5)
    assert await dataset.append([{"n": n} for n in range(10, 13)]) == 5
    assert [row["n"] for row in await dataset.window(0, 10)] == [8, 9, 10, 11, 12]
    await dataset.release()


async def test_calls_beyond_the_limit_are_not_taken():
    manager = WorkerManager("./workers/operations.py", queue_limit=3)
    try:
        calls = [asyncio.ensure_future(manager.echo(n)) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(errors.QueueFull):
            await manager.echo(4)
        assert await asyncio.gather(*calls) == [0, 1, 2]
    finally:
        manager.terminate()
    with pytest.raises(errors.WorkerTerminated):
        await manager.echo(5)
    with pytest.raises(errors.WorkerTerminated):
        await manager.load([])


async def test_a_thousand_calls_leave_nothing(own, proxies, monkeypatch):
    URL = js.URL  # noqa: N806
    create, revoke = URL.createObjectURL, URL.revokeObjectURL
    URL.createObjectURL = js.eval("(it, made) => (blob) => made(it.call(URL, blob))")(
        create, js.eval("(globalThis.madeURLs = new Set(), (url) => (madeURLs.add(url), url))")
    )
    URL.revokeObjectURL = js.eval("(it) => (url) => { madeURLs.delete(url); it.call(URL, url); }")(
        revoke
    )
    try:
        for n in range(10):
            assert await own.echo(n) == n
        before = await own.census()
        for n in range(0, 1_000, 20):
            values = [{"n": n}, [n], str(n), None] * 5
            assert await asyncio.gather(*map(own.echo, values)) == values
        after = await own.census()
        assert own.pending == 0
        await proxies.settled(limit=5)
        # One call's stop sign stays for the next one, until it was raised.
        assert js.madeURLs.size <= 1
    finally:
        URL.createObjectURL, URL.revokeObjectURL = create, revoke
        js.eval("delete globalThis.madeURLs")
    assert after[0] - before[0] < 200
    assert after[1] - before[1] <= 3
