"""Datasets from the page's side, in workers in which a real host keeps them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services import packing
from services.errors import (
    ConfigurationError,
    DatasetLost,
    InvalidCall,
    NotTransferable,
    WorkerError,
    WorkerTerminated,
    WorkerTimeout,
)
from services.operation import operation
from services.worker_manager import WorkerManager
from services.worker_messages import Returned, Stopped
from tests.support.fake_platform import settle
from workers import residents

pytestmark = pytest.mark.anyio

ROWS = [{"a": 3, "t": 0}, {"a": 1, "t": 1}, {"a": 2, "t": 2}, {"t": 3}]


@operation
async def wait() -> Any:
    await asyncio.Event().wait()


@operation
def nothing() -> None:
    return None


def hosting(platform, **settings):
    platform.functions = {"wait": wait, "nothing": nothing}
    return WorkerManager(platform=platform, **settings)


def kept(platform):
    """The numbers of the datasets that workers have, each once."""
    found = []
    for worker in platform.workers:
        if not worker.gone:
            load = worker.host._resident["dataset.load"][0]
            found += load.__self__._residents
    return found


def clean(manager, platform):
    assert manager.pending == 0
    assert manager._pool._queue == []
    assert len(manager._tasks) == 0
    assert platform.timers == 0
    assert platform.reported == []


async def until(condition):
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("it never came to that")


# Rows and views


async def test_rows_are_loaded_once_and_asked_about(platform):
    manager = hosting(platform)
    dataset = await manager.load(ROWS)
    assert len(dataset) == 4
    assert dataset.fields == ["a", "t"]
    assert dataset.dropped == 0
    assert await dataset.count() == 4
    assert await dataset.window(1, 3) == ROWS[1:3]
    assert await dataset.window(0, 100) == ROWS
    assert await dataset.aggregate("sum", "a") == 6
    assert await dataset.aggregate("percentile", "a", percentile=100) == 3
    wanted = [{"operation": "count"}, {"operation": "max", "field": "t"}]
    assert await dataset.aggregates(wanted) == [4, 3]
    clean(manager, platform)


async def test_views_are_some_rows_in_an_order(platform):
    manager = hosting(platform)
    dataset = await manager.load(ROWS)
    rising = await dataset.sort("a")
    assert len(rising) == 4
    assert await rising.window(0, 4) == [ROWS[1], ROWS[2], ROWS[0], ROWS[3]]
    falling = await dataset.sort("a", "desc")
    assert await falling.window(0, 1) == [ROWS[0]]
    several = await dataset.sort(keys=[{"field": "t", "order": "desc"}, {"field": "a"}])
    assert await several.window(0, 4) == ROWS[::-1]
    some = await rising.filter(field="a", operator="greater", value=1)
    assert len(some) == 2
    assert await some.window(0, 4) == [ROWS[2], ROWS[0]]
    fewer = await some.filter({"any": [{"field": "t", "value": 2}, {"field": "t", "value": 3}]})
    assert await fewer.window(0, 4) == [ROWS[2]]
    assert await fewer.aggregate("sum", "a") == 2
    assert await (await fewer.sort("t")).count() == 1
    # What one was made of is as it was.
    assert await some.count() == 2
    assert await dataset.window(0, 4) == ROWS
    clean(manager, platform)


async def test_groups_histograms_and_moving_windows_are_those_of_the_view(platform):
    manager = hosting(platform)
    view = await (await manager.load(ROWS)).filter(field="t", operator="at_least", value=1)
    assert await view.group_by("a") == [
        {"a": 1, "count": 1},
        {"a": 2, "count": 1},
        {"a": None, "count": 1},
    ]
    assert await view.group_by(["a", "t"], [{"operation": "sum", "field": "t"}]) == [
        {"a": 1, "t": 1, "count": 1, "sum_t": 1},
        {"a": 2, "t": 2, "count": 1, "sum_t": 2},
        {"a": None, "t": 3, "count": 1, "sum_t": 3},
    ]
    spread = await view.histogram("a", 2, low=1, high=2)
    assert (spread["counts"], spread["missing"]) == ([1, 1], 1)
    windows = await view.moving("t", "a", operation="sum", points=3)
    assert [(window["time"], window["value"]) for window in windows] == [(1, 1), (2, 2), (3, 0)]
    assert len(await view.moving("t", span=1, operation="count", points=2)) == 2
    clean(manager, platform)


async def test_rows_are_added_and_the_oldest_go_over_the_limit(platform):
    manager = hosting(platform)
    dataset = await manager.load(ROWS, limit=5)
    view = await dataset.filter(field="a", operator="at_least", value=2)
    assert len(view) == 2
    assert await dataset.append([{"a": 5, "new": True}]) == 5
    assert dataset.dropped == 0
    assert await dataset.append([{"a": 6}, {"a": 0}]) == 5
    assert dataset.dropped == 2
    assert dataset.fields == ["a", "t", "new"]
    assert await view.window(0, 9) == [ROWS[2], {"a": 5, "new": True}, {"a": 6}]
    assert len(view) == 3
    assert await dataset.append([]) == 5
    clean(manager, platform)


async def test_nothing_can_be_a_dataset(platform):
    manager = hosting(platform)
    dataset = await manager.load([])
    assert (len(dataset), dataset.fields) == (0, [])
    assert await dataset.window(0, 5) == []
    assert await dataset.append(ROWS) == 4
    clean(manager, platform)


async def test_many_rows_go_in_chunks_as_they_were_at_the_call(platform):
    manager = hosting(platform)
    await manager.ready()
    rows = [{"n": n} for n in range(2 * packing.CHUNK + 1)]
    task = asyncio.create_task(manager.load(rows))
    await asyncio.sleep(0)
    del rows[10:]
    dataset = await task
    assert len(dataset) == 2 * packing.CHUNK + 1
    assert await dataset.window(2 * packing.CHUNK, 2 * packing.CHUNK + 5) == [
        {"n": 2 * packing.CHUNK}
    ]
    clean(manager, platform)


async def test_each_dataset_is_asked_where_it_is(platform):
    manager = hosting(platform, size=2)
    busy = manager.submit("wait")
    first = asyncio.create_task(manager.load([{"a": 1}]))
    await first
    busy.cancel()
    await settle()
    second = await manager.load([{"a": 2}])
    assert len(platform.workers) == 2
    assert await (first.result()).window(0, 1) == [{"a": 1}]
    assert await second.window(0, 1) == [{"a": 2}]
    assert len(kept(platform)) == 2
    clean(manager, platform)


# What is wrong


@pytest.mark.parametrize("rows", [None, {"a": 1}, "rows", [5], 7], ids=repr)
async def test_what_are_no_rows_is_refused(platform, rows):
    manager = hosting(platform)
    with pytest.raises(NotTransferable):
        await manager.load(rows)
    dataset = await manager.load([{"a": 1}])
    with pytest.raises(NotTransferable):
        await dataset.append(rows)
    assert await dataset.count() == 1
    clean(manager, platform)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "5", True], ids=repr)
async def test_a_limit_is_a_number_of_rows(platform, limit):
    with pytest.raises(ConfigurationError, match="limit"):
        await hosting(platform).load([], limit=limit)


async def test_a_later_row_that_is_none_is_told_by_the_worker_and_nothing_is_kept(platform):
    manager = hosting(platform)
    with pytest.raises(WorkerError, match="row 1: expected a dict, came 5"):
        await manager.load([{"a": 1}, 5])
    await until(lambda: manager.pending == 0)
    assert kept(platform) == []
    dataset = await manager.load([{"a": 1}])
    with pytest.raises(WorkerError, match="row 2: expected a dict, came 5"):
        await dataset.append([{"a": 2}, 5])
    assert await dataset.count() == 1
    clean(manager, platform)


@pytest.mark.parametrize(
    "ask",
    [
        lambda d: d.sort("x"),
        lambda d: d.sort("a", "up"),
        lambda d: d.sort(),
        lambda d: d.sort("a", keys=[{"field": "a"}]),
        lambda d: d.sort(keys=[]),
        lambda d: d.filter(),
        lambda d: d.filter(field="x", value=1),
        lambda d: d.filter(field="a", operator="is", value=1),
        lambda d: d.window(-1, 5),
        lambda d: d.window("0", 5),
        lambda d: d.aggregate("mean", "a"),
        lambda d: d.aggregate("sum"),
        lambda d: d.group_by("x"),
        lambda d: d.histogram("a", 0),
        lambda d: d.moving("x"),
        lambda d: d.moving("t", "a", span=0),
    ],
)
async def test_a_question_that_cannot_be_is_refused_and_the_dataset_stays(platform, ask):
    manager = hosting(platform)
    dataset = await manager.load(ROWS)
    with pytest.raises(InvalidCall, match="expected"):
        await ask(dataset)
    assert await dataset.count() == 4
    clean(manager, platform)


async def test_what_cannot_travel_is_told_before_it_is_sent(platform):
    manager = hosting(platform)
    dataset = await manager.load(ROWS)
    with pytest.raises(NotTransferable, match="type object"):
        await dataset.filter(field="a", value=object())
    with pytest.raises(NotTransferable, match="type object"):
        await dataset.append([{"a": object()}])
    assert await dataset.count() == 4
    clean(manager, platform)


async def test_an_answer_that_is_damaged_is_no_dataset(platform):
    manager = WorkerManager(platform=platform)
    platform.worker.begin()
    task = asyncio.create_task(manager.load([]))
    await until(lambda: platform.worker.runs)
    platform.worker.send(Returned(platform.worker.runs[0]["id"], "value"), b"")
    with pytest.raises(NotTransferable):
        await task
    await settle()
    assert platform.worker.runs[-1]["operation"] == "dataset.release"


# The end


async def test_a_released_dataset_is_gone_there_and_here(platform):
    manager = hosting(platform)
    dataset = await manager.load(ROWS)
    view = await dataset.sort("a")
    assert len(kept(platform)) == 1
    await dataset.release()
    assert kept(platform) == []
    for ask in (dataset.count, view.count, lambda: dataset.append([{}]), lambda: view.sort("a")):
        with pytest.raises(DatasetLost, match="was released"):
            await ask()
    await dataset.release()
    clean(manager, platform)


async def test_only_its_own_worker_is_told_of_a_release(platform):
    manager = hosting(platform, size=2)
    busy = manager.submit("wait")
    await until(lambda: platform.workers[0].runs)
    dataset = await manager.load(ROWS)
    assert len(platform.workers) == 2
    await dataset.release()
    assert kept(platform) == []
    assert platform.workers[0].runs[-1]["operation"] == "wait"
    busy.cancel()
    await settle()
    clean(manager, platform)


async def test_a_dataset_is_lost_with_its_worker_and_another_can_be_loaded(platform):
    manager = hosting(platform)
    dataset = await manager.load(ROWS)
    view = await dataset.filter(field="a", value=1)
    platform.worker.fail("out of memory")
    for ask in (dataset.count, view.count, lambda: dataset.append([{}])):
        with pytest.raises(DatasetLost, match="load it again"):
            await ask()
    await dataset.release()
    assert await (await manager.load(ROWS)).count() == 4
    assert len(platform.workers) == 2
    clean(manager, platform)


async def test_a_question_in_the_queue_is_lost_with_the_worker(platform):
    manager = hosting(platform)
    dataset = await manager.load(ROWS)
    busy = manager.submit("wait")
    await settle()
    asked = asyncio.create_task(dataset.count())
    await settle()
    platform.worker.fail()
    with pytest.raises(DatasetLost, match="went with its worker"):
        await asked
    with pytest.raises(WorkerError):
        await busy
    await settle()
    clean(manager, platform)


async def test_terminated_a_dataset_is_gone(platform):
    manager = hosting(platform)
    dataset = await manager.load(ROWS)
    releasing = dataset.release()
    manager.terminate()
    await releasing
    with pytest.raises(DatasetLost):
        await dataset.count()
    other = asyncio.create_task(manager.load(ROWS))
    with pytest.raises(WorkerTerminated):
        await other
    await settle()
    clean(manager, platform)


async def test_a_release_under_way_ends_with_the_manager_and_is_not_cancelled(platform):
    manager = hosting(platform)
    dataset = await manager.load(ROWS)
    busy = manager.submit("wait")
    await settle()
    releasing = dataset.release()
    await settle()
    assert not releasing.done()
    manager.terminate()
    await releasing
    with pytest.raises(WorkerTerminated):
        await busy
    clean(manager, platform)


async def test_a_load_that_was_cancelled_in_the_worker_leaves_nothing_there(platform):
    manager = WorkerManager(platform=platform)
    platform.worker.begin()
    task = asyncio.create_task(manager.load(ROWS))
    await until(lambda: platform.worker.runs)
    load = platform.worker.runs[0]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle()
    assert platform.worker.kinds[-1] == "stop"
    # The worker may have kept it all the same, or not.
    platform.worker.send(Stopped(load["id"]))
    await settle()
    release, buffers = platform.worker.posted[-1]
    assert release["operation"] == "dataset.release"
    loaded = packing.unpack(
        [next(each for header, each in platform.worker.posted if header["kind"] == "run")[0]]
    )
    assert packing.unpack(buffers[:1]) == {"dataset": loaded["dataset"]}
    platform.worker.send(Returned(release["id"], "value"), packing.pack(None))
    await settle()
    clean(manager, platform)


async def test_a_load_cancelled_when_its_answer_has_come_leaves_nothing_there(platform):
    manager = hosting(platform)
    await manager.ready()
    task = asyncio.create_task(manager.load(ROWS))
    await until(lambda: kept(platform))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: manager.pending == 0 and len(manager._tasks) == 0)
    assert kept(platform) == []
    clean(manager, platform)


async def test_a_load_out_of_time_leaves_nothing_there(platform):
    manager = hosting(platform)
    busy = manager.submit("wait", timeout=100)
    await settle()
    task = asyncio.create_task(manager.load(ROWS, timeout=5))
    await settle()
    platform.advance(5)
    with pytest.raises(WorkerTimeout, match="no result within 5 s"):
        await task
    busy.cancel()
    await until(lambda: manager.pending == 0 and len(manager._tasks) == 0)
    assert kept(platform) == []
    clean(manager, platform)


async def test_a_release_waits_as_long_as_its_worker_is_busy_and_whatever_the_queue(platform):
    manager = hosting(platform, queue_limit=1, heartbeat_timeout=5000)
    dataset = await manager.load(ROWS)
    busy = manager.submit("wait", timeout=5000)
    await settle()
    waiting = manager.submit("nothing", timeout=5000)
    await settle()
    releasing = dataset.release()
    await settle()
    platform.advance(1000)
    await settle()
    assert not releasing.done()
    busy.cancel()
    await releasing
    await waiting
    assert kept(platform) == []
    clean(manager, platform)


# Fetched there


async def test_rows_are_fetched_by_the_worker(platform, monkeypatch):
    asked = []

    async def fetch_rows(url, token, job):
        asked.append((url, token))
        job.progress(5, 10, "bytes")
        return list(ROWS)

    monkeypatch.setattr(residents.source, "fetch_rows", fetch_rows)
    manager = hosting(platform)
    told = []
    dataset = await manager.load_url("./rows.json", limit=3, token="t", on_progress=told.append)
    assert asked == [("https://page.example/app/rows.json", "t")]
    assert told == [(5, 10, "bytes")]
    assert (len(dataset), dataset.dropped) == (3, 1)
    clean(manager, platform)


async def test_rows_that_cannot_be_fetched_are_no_dataset(platform, monkeypatch):
    async def fetch_rows(url, token, job):
        raise OSError(f"{url}: HTTP 404")

    monkeypatch.setattr(residents.source, "fetch_rows", fetch_rows)
    manager = hosting(platform)
    with pytest.raises(WorkerError, match=r"OSError: .*/app/x: HTTP 404"):
        await manager.load_url("x")
    await until(lambda: manager.pending == 0 and len(manager._tasks) == 0)
    clean(manager, platform)


async def test_a_url_of_another_scheme_is_refused_before_anything_is_asked(platform):
    manager = hosting(platform)
    await manager.ready()
    with pytest.raises(ConfigurationError):
        await manager.load_url("ftp://page.example/x")
    assert platform.worker.runs == []
