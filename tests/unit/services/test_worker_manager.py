"""Whole calls: a manager, and workers in which a real host runs real operations."""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import packing
from services.errors import (
    ConfigurationError,
    InvalidCall,
    NotTransferable,
    WorkerCrashed,
    WorkerError,
    WorkerStartFailed,
    WorkerTerminated,
    WorkerTimeout,
)
from services.operation import Job, Table, operation
from services.packing import Indices
from services.worker_manager import WorkerManager
from services.worker_messages import Progressed, Returned
from tests.support.fake_platform import FakePlatform, settle
from workers import data_processor

pytestmark = pytest.mark.anyio


@operation
def echo(value: Any) -> Any:
    return value


@operation
def fail(text: str) -> None:
    raise KeyError(text)


@operation
def steps(count: int, *, job: Job) -> str:
    for step in range(count):
        job.progress(step + 1, step + 1, f"step {step + 1}")
    return "done"


@operation
async def wait(value: Any, *, job: Job) -> Any:
    job.progress(0, 1)
    await asyncio.Event().wait()


@operation
def nothing() -> str:
    return "nothing"


@operation
def stranger() -> Any:
    return {"a": object()}


@operation
def numbers(table: Table, *, field: str) -> Any:
    return [len(table), table.column(field)]


@operation
def backwards(rows: list[Any]) -> Indices:
    return Indices(reversed(range(len(rows))))


FUNCTIONS = {
    each.__name__: each
    for each in (
        echo, fail, steps, wait, nothing, stranger, numbers, backwards,
        data_processor.sort, data_processor.filter, data_processor.aggregate,
    )
}  # fmt: skip


def hosting(platform, functions=FUNCTIONS, **settings):
    platform.functions = functions
    return WorkerManager(platform=platform, **settings)


def clean(manager, platform):
    assert manager.pending == 0
    assert manager._pool._queue == []
    assert platform.timers == 0
    assert platform.reported == []


def holding(platform):
    """Let each chunk hold the page's thread for a second."""
    seconds = itertools.count(platform.time)
    platform.now = lambda: float(next(seconds))


async def until(condition):
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("it never came to that")


# Calls


async def test_a_call_brings_the_result_of_the_operation(platform):
    manager = hosting(platform)
    assert await manager.process("echo", {"a": [1, None]}) == {"a": [1, None]}
    assert await manager.process(echo, 5) == 5
    assert await manager.echo("text") == "text"
    assert await manager.nothing() == "nothing"
    assert set(manager.operations) == FUNCTIONS.keys()
    clean(manager, platform)


async def test_ready_waits_for_the_first_worker(platform):
    manager = hosting(platform)
    assert manager.operations == {}
    await manager.ready()
    assert manager.operations
    await manager.ready()
    clean(manager, platform)


async def test_the_rows_that_come_back_are_the_callers_own(platform):
    manager = hosting(platform)
    rows = [{"p": 3}, {"p": 1}, {"p": 2}]
    found = await manager.sort(rows, field="p")
    assert [id(row) for row in found] == [id(rows[1]), id(rows[2]), id(rows[0])]
    assert await manager.filter(rows, field="p", value=2) == [rows[2]]
    assert await manager.process("backwards", rows) == rows[::-1]
    clean(manager, platform)


async def test_only_the_columns_that_options_name_are_sent(platform):
    manager = hosting(platform)
    rows = [{"p": 1, "secret": object()}, {"secret": object()}]
    assert await manager.numbers(rows, field="p") == [2, [1, None]]
    ((header, buffers),) = [each for each in platform.worker.posted if each[0]["kind"] == "run"]
    assert (header["columns"], header["rows"], header["layout"]) == (["p"], 2, "columns")
    assert len(buffers) == 2
    with pytest.raises(NotTransferable, match="type object"):
        await manager.echo(rows)
    clean(manager, platform)


async def test_a_call_is_about_the_rows_of_its_moment(platform):
    manager = hosting(platform)
    await manager.ready()
    rows = [{"p": 2}, {"p": 1}, {"p": 3}]
    two, one, three = rows
    task = asyncio.create_task(manager.sort(rows, field="p"))
    await until(lambda: platform.worker.runs)
    del rows[:]
    assert await task == [one, two, three]
    clean(manager, platform)


async def test_rows_that_change_while_they_are_packed_are_sent_as_they_were(platform):
    manager = hosting(platform)
    holding(platform)
    await manager.ready()
    rows = [{"p": n} for n in range(packing.CHUNK + 5)]
    task = asyncio.create_task(manager.aggregate(rows, operation="count", field="p"))
    await asyncio.sleep(0)
    rows.extend([{"p": 0}] * 10)
    assert await task == packing.CHUNK + 5
    clean(manager, platform)


async def test_a_long_list_goes_in_chunks_and_comes_back_whole(platform):
    manager = hosting(platform)
    rows = [{"p": n} for n in range(2 * packing.CHUNK + 5)]
    assert await manager.echo(rows) == rows
    buffers = next(each for header, each in platform.worker.posted if header["kind"] == "run")
    assert len(buffers) == 1 + 3
    clean(manager, platform)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_any_value_goes_there_and_back(value):
    async def scenario():
        platform = FakePlatform()
        manager = hosting(platform)
        assert repr(await manager.echo(value)) == repr(value)
        clean(manager, platform)

    asyncio.run(scenario())


# What is wrong


async def test_an_exception_there_is_one_here_with_its_traceback(platform):
    manager = hosting(platform)
    with pytest.raises(WorkerError) as caught:
        await manager.fail("a\ud800")
    error = caught.value
    assert (type(error), error.type) == (WorkerError, "KeyError")
    assert "raise KeyError(text)" in error.traceback
    assert "in fail" in error.traceback
    assert "host.py" not in error.traceback
    assert error.traceback.rstrip() in error.__notes__
    clean(manager, platform)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.process("nope"), "operation: expected one of echo"),
        (lambda m: m.process("dataset.load", []), "operation: expected one of echo"),
        (lambda m: m.process(len), "operation: expected a name"),
        (lambda m: m.process(None), "operation: expected a name"),
        (lambda m: m.echo(1, loud=True), "echo, options: expected none at all, came 'loud'"),
        (lambda m: m.sort([], field=1), "sort, field: expected text or null"),
        (lambda m: m.sort([{"a": 1}], field="b"), "field: expected one of a, came 'b'"),
        (lambda m: m.sort([{"a": 1}]), "sort: expected either field or keys"),
        (lambda m: m.numbers([{"a": 1}]), "numbers, field: expected a value"),
        (lambda m: m.process("echo", 1, [1]), "echo, options: expected a dict"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_call_that_cannot_be_says_what_could(platform, call, words):
    manager = hosting(platform)
    await manager.ready()
    with pytest.raises(InvalidCall, match=words):
        await call(manager)
    clean(manager, platform)


@pytest.mark.parametrize("data", [None, {"a": 1}, "rows", 5, [5]], ids=repr)
async def test_a_table_is_a_list_of_rows(platform, data):
    manager = hosting(platform)
    with pytest.raises(NotTransferable, match="expected a"):
        await manager.numbers(data, field="a")
    clean(manager, platform)


async def test_a_result_that_cannot_travel_is_an_error_of_the_operation(platform):
    manager = hosting(platform)
    with pytest.raises(WorkerError, match=r"NotTransferable: .*type object at \['a'\]"):
        await manager.stranger()
    assert await manager.echo(1) == 1
    clean(manager, platform)


@pytest.mark.parametrize("data", [None, 5, {"a": 1}, [1]], ids=repr)
async def test_row_numbers_of_what_has_no_rows_are_refused(platform, data):
    @operation
    def wrong(value: Any) -> Indices:
        return Indices([1_000_000])

    manager = hosting(platform, {"wrong": wrong})
    with pytest.raises(NotTransferable, match="row numbers"):
        await manager.wrong(data)
    clean(manager, platform)


@pytest.mark.parametrize(
    "buffers", [[], [b""], [b"garbage"], [b"N", b"N"], [b"\x5b\x02\0\0\0N"]], ids=repr
)
@pytest.mark.parametrize("layout", ["value", "rows", "columns", "indices"])
async def test_a_result_that_is_damaged_is_refused_here(platform, layout, buffers):
    manager = WorkerManager(platform=platform)
    platform.worker.begin([echo])
    task = asyncio.create_task(manager.process("echo", [{}]))
    await until(lambda: platform.worker.runs)
    platform.worker.send(Returned(platform.worker.runs[0]["id"], layout), *buffers)
    if layout == "indices" and buffers in ([], [b""]):
        assert await task == []
        return
    with pytest.raises(NotTransferable):
        await task
    clean(manager, platform)


async def test_a_file_that_cannot_be_loaded_fails_every_call(platform):
    manager = hosting(platform, ImportError("no module named x"))
    for begin in (manager.ready, manager.nothing):
        with pytest.raises(WorkerStartFailed) as caught:
            await begin()
        assert (caught.value.type, caught.value.message) == ("ImportError", "no module named x")
    clean(manager, platform)
    platform.functions = FUNCTIONS
    assert await manager.nothing() == "nothing"
    clean(manager, platform)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), MemoryError()], ids=repr)
async def test_a_file_that_wants_to_end_the_worker_cannot_be_loaded(platform, error):
    manager = hosting(platform, error)
    with pytest.raises(WorkerStartFailed) as caught:
        await manager.ready()
    assert caught.value.type == type(error).__name__
    clean(manager, platform)


async def test_ready_ends_in_time(platform):
    manager = WorkerManager(platform=platform)
    task = asyncio.create_task(manager.ready(5))
    await settle()
    platform.advance(5)
    with pytest.raises(WorkerTimeout, match="ready: no result within 5 s"):
        await task
    assert manager.pending == 0


# Stopping


async def test_a_call_out_of_time_is_stopped_and_its_worker_goes_on(platform):
    manager = hosting(platform)
    task = asyncio.create_task(manager.process("wait", 1, timeout=5))
    await until(lambda: platform.worker.runs)
    platform.advance(5)
    with pytest.raises(WorkerTimeout, match="wait: no result within 5 s"):
        await task
    assert await manager.echo(2) == 2
    assert len(platform.workers) == 1
    clean(manager, platform)


async def test_a_call_whose_stop_comes_with_it_is_stopped_before_it_begins(platform):
    manager = hosting(platform)
    await manager.ready()
    for _ in range(3):
        platform.worker.hold()
        task = asyncio.create_task(manager.process("wait", 1))
        await until(lambda: platform.worker.listener.state == "running")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        platform.worker.let_go()
        assert await manager.echo(2) == 2
    assert len(platform.workers) == 1
    clean(manager, platform)


async def test_a_worker_that_breaks_is_replaced_for_the_next_call(platform):
    manager = hosting(platform)
    task = asyncio.create_task(manager.process("wait", 1))
    await until(lambda: platform.worker.runs)
    platform.worker.fail("out of memory")
    with pytest.raises(WorkerCrashed, match="out of memory"):
        await task
    assert await manager.echo(2) == 2
    assert len(platform.workers) == 2
    clean(manager, platform)


async def test_terminated_every_call_fails_also_those_to_come(platform):
    manager = hosting(platform, size=2)
    running = [asyncio.create_task(manager.process("wait", n)) for n in range(3)]
    await until(lambda: sum(len(worker.runs) for worker in platform.workers) == 2)
    manager.terminate()
    for task in running:
        with pytest.raises(WorkerTerminated):
            await task
    for begin in (manager.ready, manager.nothing, lambda: manager.load([])):
        with pytest.raises(WorkerTerminated):
            await begin()
    await settle()
    manager.terminate()
    clean(manager, platform)
    assert platform.open_workers == 0


async def test_terminated_in_the_middle_of_packing_a_call_fails(platform):
    manager = hosting(platform)
    holding(platform)
    await manager.ready()
    rows = [{"p": 1}] * (5 * packing.CHUNK)
    tasks = [
        asyncio.create_task(manager.echo(rows)),
        asyncio.create_task(manager.sort(rows, field="p")),
        asyncio.create_task(manager.load(rows)),
    ]
    await asyncio.sleep(0)
    manager.terminate()
    for task in tasks:
        with pytest.raises(WorkerTerminated):
            await task
    await settle()
    clean(manager, platform)


async def test_cancelled_in_the_middle_of_packing_a_call_is_gone(platform):
    manager = hosting(platform)
    holding(platform)
    await manager.ready()
    task = asyncio.create_task(manager.echo([{"p": 1}] * (5 * packing.CHUNK)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert platform.worker.runs == []
    clean(manager, platform)


# Progress


async def test_progress_is_told_while_a_call_runs(platform):
    manager = hosting(platform)
    told = []
    assert await manager.process("steps", 3, on_progress=told.append) == "done"
    assert told == [(1, 1, "step 1"), (2, 2, "step 2"), (3, 3, "step 3")]
    assert told[0].done == 1.0
    assert told[0].total == 1.0
    clean(manager, platform)


async def test_a_task_can_be_awaited_and_iterated_over(platform):
    manager = hosting(platform)
    task = manager.submit("steps", 3)
    assert not task.done()
    assert [report.note async for report in task] == ["step 1", "step 2", "step 3"]
    assert task.done()
    assert await task == "done"
    assert await task == "done"
    assert [report async for report in task] == []
    clean(manager, platform)


async def test_a_task_can_be_cancelled_and_its_iteration_ends(platform):
    manager = hosting(platform)
    task = manager.submit("wait", 1, timeout=50)
    reports = []
    async for report in task:
        reports.append(report)
        assert task.cancel()
    assert [report.total for report in reports] == [1]
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not task.cancel()
    assert await manager.echo(1) == 1
    clean(manager, platform)


async def test_a_task_that_fails_ends_its_iteration_and_tells_who_awaits_it(platform):
    manager = hosting(platform)
    task = manager.submit("fail", "a")
    assert [report async for report in task] == []
    with pytest.raises(WorkerError, match="KeyError"):
        await task


async def test_of_reports_nobody_looks_at_the_latest_are_kept(platform):
    manager = WorkerManager(platform=platform)
    platform.worker.begin([echo])
    task = manager.submit("echo", 1)
    await until(lambda: platform.worker.runs)
    id = platform.worker.runs[0]["id"]
    for number in range(1500):
        platform.worker.send(Progressed(id, number, None, ""))
    platform.worker.send(Returned(id, "value"), packing.pack(2))
    reports = [report.done async for report in task]
    assert reports == list(range(500, 1500))
    assert await task == 2


async def test_what_an_operation_tells_after_its_end_is_not_heard(platform):
    later = []

    @operation
    async def leaves(value: Any, *, job: Job) -> Any:
        later.append(job)
        return value

    manager = hosting(platform, {"leaves": leaves, "wait": wait})
    told = []
    assert await manager.process("leaves", 1, on_progress=told.append) == 1
    later[0].progress(1)
    await settle()
    running = asyncio.create_task(manager.process("wait", 1, on_progress=told.append))
    await until(lambda: len(told) == 1)
    later[0].progress(1)
    await settle()
    assert len(told) == 1
    assert len(platform.workers) == 1
    assert platform.open_workers == 1
    running.cancel()
    await settle()


# Options


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": 5},
        {"url": "data:text/plain,"},
        {"packages": "numpy"},
        {"packages": [1]},
        {"size": 0},
        {"size": 1.5},
        {"queue_limit": 0},
        {"start_timeout": 0},
        {"heartbeat_timeout": math.inf},
        {"heartbeat_timeout": 10**400},
        {"stop_timeout": None},
    ],
    ids=str,
)
async def test_options_that_are_wrong_are_refused(platform, wrong):
    with pytest.raises(ConfigurationError):
        WorkerManager(platform=platform, **wrong)
    assert platform.workers == []


@pytest.mark.parametrize(("processors", "size"), [(1, 1), (2, 1), (4, 3), (16, 8)])
async def test_there_are_fewer_workers_than_processors(platform, processors, size):
    platform.processors = processors
    assert WorkerManager(platform=platform, size=8).size == size


async def test_the_worker_is_told_absolute_urls(platform):
    manager = hosting(platform, packages=["numpy"])
    await manager.ready()
    start = platform.worker.source.started
    assert start.url == "https://page.example/app/workers/data_processor.py"
    assert start.wheels == "https://page.example/app/vendor/wheels/wheels.json"
    assert start.packages == ("numpy",)


async def test_a_name_with_an_underscore_is_no_operation(platform):
    manager = hosting(platform)
    with pytest.raises(AttributeError):
        manager._repr_html_  # noqa: B018


async def test_if_told_so_no_worker_starts_before_the_first_call(platform):
    manager = hosting(platform, eager=False)
    assert platform.workers == []
    assert await manager.process("echo", 1) == 1
    assert len(platform.workers) == 1
    manager.terminate()
