"""Calls, and the workers that get them: who is next, who is replaced, who fails."""

from __future__ import annotations

import asyncio
import math

import pytest

from services import packing
from services.errors import (
    ConfigurationError,
    DatasetLost,
    InvalidCall,
    NotTransferable,
    QueueFull,
    WorkerCrashed,
    WorkerError,
    WorkerHung,
    WorkerStartFailed,
    WorkerTerminated,
    WorkerTimeout,
)
from services.operation import operation
from services.worker_messages import Alive, Failed, Progressed, Raised, Returned, Start, Stopped
from services.worker_pool import READY_MARK, Pool
from services.worker_slot import Limits
from tests.support.fake_platform import settle

pytestmark = pytest.mark.anyio

START = Start("https://page.example/app/w.py")
LIMITS = Limits(start_timeout=60, heartbeat_timeout=10, stop_timeout=1)


@operation
def sort(table: list, *, field: str = "") -> list:
    return table


def pool_of(platform, size=1, queue_limit=100):
    pool = Pool(START, LIMITS, size, queue_limit, platform)
    pool.begin()
    return pool


async def called(pool, *, slot=None, **wanted):
    """What a manager does for each call."""
    settings = {"priority": 0, "timeout": 30, "on_progress": None, **wanted}
    with pool.call("sort", **settings) as call:
        if slot is not None:
            pool.bind(call, slot)
        await pool.until_known(call)
        pool.operation(call.operation)
        call.buffers = [packing.pack({})]
        pool.enqueue(call)
        _, buffers = await call.outcome()
        return packing.unpack(buffers)


async def calls(pool, count=1, **settings):
    tasks = [asyncio.create_task(called(pool, **settings)) for _ in range(count)]
    await settle()
    return tasks


async def begun(platform, size=1, count=0, **settings):
    """A pool with one worker that is ready, and some calls."""
    pool = pool_of(platform, size, **settings)
    platform.worker.begin([sort])
    return pool, await calls(pool, count)


def answer(worker, value="done"):
    worker.send(Returned(worker.runs[-1]["id"], "value"), packing.pack(value))


def raise_(worker):
    worker.send(Raised(worker.runs[-1]["id"], "E", "m", ""))


def is_over(task):
    return task.done()


async def ends(task, error):
    await settle()
    assert task.done()
    with pytest.raises(error) as caught:
        await task
    return caught.value


def clean(pool, platform, timers=0):
    """Nothing is left of any call."""
    assert pool.calls == {}
    assert pool._queue == []
    assert platform.timers == timers
    assert platform.reported == []


# Until the first worker is ready


async def test_the_first_worker_starts_at_once_and_calls_wait_for_it(platform):
    pool = pool_of(platform, size=4)
    assert len(platform.workers) == 1
    tasks = await calls(pool, 3)
    assert len(platform.workers) == 1
    assert platform.worker.runs == []
    platform.worker.begin([sort])
    assert platform.marks == [READY_MARK]
    assert list(pool.operations) == ["sort"]
    await settle()
    assert len(platform.workers[0].runs) == 1
    assert len(platform.workers) == 3  # for the two that would have to wait
    for worker in platform.workers[1:]:
        worker.begin([sort])
    for worker in platform.workers:
        answer(worker, "x")
    assert await asyncio.gather(*tasks) == ["x"] * 3
    assert platform.marks == [READY_MARK]
    clean(pool, platform)


async def test_when_no_worker_can_be_started_all_calls_fail_and_the_next_one_tries_again(platform):
    pool = pool_of(platform)
    tasks = await calls(pool, 2)
    platform.worker.send(Failed("ImportError", "no such module", "trace"))
    for task in tasks:
        error = await ends(task, WorkerStartFailed)
        assert (error.type, error.message) == ("ImportError", "no such module")
        assert error.traceback == "trace"
    clean(pool, platform)
    platform.advance(1000)
    assert len(platform.workers) == 1
    tasks = await calls(pool, 2)
    assert len(platform.workers) == 2
    platform.worker.begin([sort])
    await settle()
    answer(platform.worker)
    await settle()
    answer(platform.worker)
    assert await asyncio.gather(*tasks) == ["done"] * 2
    clean(pool, platform)


@pytest.mark.parametrize(
    "lose",
    [
        lambda platform: platform.worker.fail("HTTP 404"),
        lambda platform: platform.worker.send_raw("garbage"),
        lambda platform: platform.worker.send(Alive()) or platform.advance(61),
    ],
    ids=["failed", "garbage", "timeout"],
)
async def test_whoever_waits_for_the_first_worker_hears_at_once_that_it_is_lost(platform, lose):
    pool = pool_of(platform)
    (task,) = await calls(pool, timeout=1000)
    lose(platform)
    await ends(task, WorkerStartFailed)
    clean(pool, platform)
    assert platform.open_workers == 0


async def test_a_call_that_times_out_before_there_is_a_worker_does_not_end_the_worker(platform):
    pool = pool_of(platform)
    (task,) = await calls(pool, timeout=5)
    platform.advance(5)
    error = await ends(task, WorkerTimeout)
    assert error.message == "sort: no result within 5 s"
    assert isinstance(error, TimeoutError)
    clean(pool, platform, timers=1)  # that of the start
    platform.worker.begin([sort])
    assert platform.open_workers == 1


async def test_a_page_without_workers_says_so_at_once(platform):
    platform.refuse_workers = ConfigurationError("worker: expected a page with PyScript")
    with pytest.raises(ConfigurationError):
        pool_of(platform)
    assert platform.timers == 0


async def test_whoever_waits_fails_if_a_lost_worker_cannot_be_replaced(platform):
    pool, (first, second) = await begun(platform, count=2)
    platform.refuse_workers = ConfigurationError("worker: none any more")
    platform.worker.fail()
    await ends(first, WorkerCrashed)
    error = await ends(second, WorkerStartFailed)
    assert error.message == "worker: none any more"
    (third,) = await calls(pool)
    await ends(third, WorkerStartFailed)
    clean(pool, platform)
    platform.refuse_workers = None
    (fourth,) = await calls(pool)
    platform.worker.begin([sort])
    answer(platform.worker)
    assert await fourth == "done"
    clean(pool, platform)


async def test_the_first_call_fails_if_there_can_be_no_other_worker(platform):
    pool = pool_of(platform)
    platform.worker.fail()
    platform.refuse_workers = RuntimeError("SecurityError")
    (task,) = await calls(pool)
    error = await ends(task, WorkerStartFailed)
    assert (error.type, error.message) == ("RuntimeError", "SecurityError")
    clean(pool, platform)


async def test_a_call_waits_for_a_busy_worker_if_there_can_be_no_other(platform):
    pool, (first,) = await begun(platform, size=2, count=1)
    platform.refuse_workers = ConfigurationError("no more")
    (second,) = await calls(pool)
    assert not second.done()
    answer(platform.worker, 1)
    await settle()
    answer(platform.worker, 2)
    assert await asyncio.gather(first, second) == [1, 2]
    clean(pool, platform)


# Who is next


async def test_the_highest_priority_is_next_then_the_oldest(platform):
    pool, (running,) = await begun(platform, count=1)
    order = []

    async def noted(name, priority):
        await called(pool, priority=priority)
        order.append(name)

    waiting = []
    for name, priority in [("a", 0), ("b", 5), ("c", -1), ("d", 5), ("e", 0.5), ("f", 0)]:
        waiting.append(asyncio.create_task(noted(name, priority)))
        await settle()
    for _ in range(7):
        answer(platform.worker)
        await settle()
    await asyncio.gather(running, *waiting)
    assert order == ["b", "d", "e", "a", "f", "c"]
    clean(pool, platform)


@pytest.mark.parametrize("priority", [None, "high", math.nan, [1]], ids=repr)
async def test_a_priority_is_a_number(platform, priority):
    pool = pool_of(platform)
    (task,) = await calls(pool, priority=priority)
    await ends(task, ConfigurationError)
    assert pool.calls == {}


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan, None, "1", True, 10**400], ids=str)
async def test_a_timeout_is_a_positive_number(platform, seconds):
    pool = pool_of(platform)
    (task,) = await calls(pool, timeout=seconds)
    await ends(task, ConfigurationError)
    assert pool.calls == {}


async def test_there_are_never_more_workers_than_the_size(platform):
    pool, tasks = await begun(platform, size=3, count=10)
    assert len(platform.workers) == 3
    for worker in platform.workers[1:]:
        worker.begin([sort])
    await settle()
    assert [len(worker.runs) for worker in platform.workers] == [1, 1, 1]
    while not all(map(is_over, tasks)):
        for worker in platform.workers:
            if pool_has(pool, worker):
                answer(worker)
        await settle()
    assert len(platform.workers) == 3
    clean(pool, platform)


def pool_has(pool, worker):
    return any(slot._worker is worker and slot.state == "running" for slot in pool.alive)


async def test_no_more_workers_are_started_than_calls_wait_for(platform):
    _, _ = await begun(platform, size=9, count=3)
    assert len(platform.workers) == 3


async def test_an_idle_worker_is_used_before_another_is_started(platform):
    pool, _ = await begun(platform, size=9)
    for _ in range(5):
        (task,) = await calls(pool)
        answer(platform.worker)
        await task
    assert len(platform.workers) == 1


async def test_an_unknown_operation_is_refused_and_the_known_are_listed(platform):
    pool, _ = await begun(platform)
    with pytest.raises(InvalidCall, match="expected one of sort, came 'x'"):
        pool.operation("x")
    empty = pool_of(platform)
    with pytest.raises(InvalidCall, match="expected one of none at all"):
        empty.operation("x")


# The queue


async def test_as_many_calls_as_the_limit_allows_may_wait(platform):
    pool, tasks = await begun(platform, count=3, queue_limit=2)
    (refused,) = await calls(pool)
    error = await ends(refused, QueueFull)
    assert "at most 2" in str(error)
    assert not any(map(is_over, tasks))
    answer(platform.worker)
    await settle()
    (taken,) = await calls(pool)
    assert not taken.done()
    for _ in range(3):
        answer(platform.worker)
        await settle()
    await asyncio.gather(taken, *tasks)
    clean(pool, platform)


async def test_a_call_that_stops_gives_no_room_to_others(platform):
    pool, (running, waiting) = await begun(platform, count=2, queue_limit=1)
    running.cancel()
    await settle()
    (refused,) = await calls(pool)
    await ends(refused, QueueFull)
    assert not waiting.done()


async def test_what_must_be_done_is_taken_however_many_wait(platform):
    pool, _ = await begun(platform, count=3, queue_limit=2)
    (task,) = await calls(pool, limited=False)
    assert not task.done()


async def test_a_call_cancelled_in_the_queue_is_never_sent(platform):
    pool, (first, second, third) = await begun(platform, count=3)
    second.cancel()
    await settle()
    assert second.cancelled()
    assert len(pool._queue) == 1
    answer(platform.worker, 1)
    await settle()
    answer(platform.worker, 3)
    assert await asyncio.gather(first, third) == [1, 3]
    assert platform.worker.kinds.count("stop") == 0
    assert len(platform.worker.runs) == 2
    clean(pool, platform)


async def test_a_call_cancelled_while_it_runs_is_stopped_and_the_worker_goes_on(platform):
    pool, (first, second) = await begun(platform, count=2)
    worker = platform.worker
    sign = worker.runs[0]["stop"]
    assert worker.is_there(sign)
    first.cancel()
    await settle()
    assert first.cancelled()
    assert worker.headers[-1] == {"kind": "stop", "id": worker.runs[0]["id"]}
    assert not worker.is_there(sign)
    assert len(worker.runs) == 1
    worker.send(Stopped(worker.runs[0]["id"]))
    await settle()
    assert worker.is_there(worker.runs[1]["stop"])
    assert worker.runs[1]["stop"] != sign
    answer(worker)
    assert await second == "done"
    clean(pool, platform)


async def test_a_call_that_times_out_in_the_queue_is_never_sent(platform):
    pool, (running,) = await begun(platform, count=1)
    (waiting,) = await calls(pool, timeout=2)
    platform.worker.send(Alive())
    platform.advance(2)
    await ends(waiting, WorkerTimeout)
    answer(platform.worker)
    assert await running == "done"
    assert len(platform.worker.runs) == 1
    clean(pool, platform)


async def test_a_call_that_times_out_while_it_runs_frees_its_worker(platform):
    pool, _ = await begun(platform)
    first, second = await calls(pool, 2, timeout=5)
    (third,) = await calls(pool, timeout=50)
    platform.advance(5)
    await ends(first, WorkerTimeout)
    await ends(second, WorkerTimeout)
    platform.worker.send(Stopped(platform.worker.runs[0]["id"]))
    await settle()
    assert len(platform.worker.runs) == 2
    answer(platform.worker)
    assert await third == "done"
    clean(pool, platform)


async def test_a_call_that_does_not_stop_costs_the_worker_not_the_next_call(platform):
    pool, (first, second) = await begun(platform, count=2)
    first.cancel()
    await settle()
    old = platform.worker
    platform.advance(1)
    await settle()
    assert old.gone
    assert platform.worker is not old
    platform.worker.begin([sort])
    answer(platform.worker)
    assert await second == "done"
    clean(pool, platform)


async def test_the_answer_and_the_timeout_at_once_are_one_end(platform):
    pool, _ = await begun(platform)
    (task,) = await calls(pool, timeout=5)
    platform.advance(5)
    answer(platform.worker)  # before the caller has noticed
    await ends(task, WorkerTimeout)
    clean(pool, platform)
    assert pool.alive[0].state == "idle"
    (task,) = await calls(pool, timeout=5)
    answer(platform.worker, 7)
    platform.advance(5)
    assert await task == 7
    clean(pool, platform)


async def test_a_call_cancelled_when_its_answer_has_come_leaves_the_next_one_alone(platform):
    pool, (first, second) = await begun(platform, count=2)
    answer(platform.worker, 1)  # the second is sent now
    first.cancel()
    await settle()
    assert first.cancelled()
    assert platform.worker.kinds.count("stop") == 0
    answer(platform.worker, 2)
    assert await second == 2
    clean(pool, platform)


# Workers that are lost


@pytest.mark.parametrize(
    ("lose", "error"),
    [
        (lambda platform: platform.worker.fail("it broke"), WorkerCrashed),
        (lambda platform: platform.advance(10), WorkerHung),
        (lambda platform: platform.worker.send_raw(None), WorkerCrashed),
        (lambda platform: platform.worker.send_raw('{"kind": "returned"}'), WorkerCrashed),
        (lambda platform: platform.worker.send(Returned(99, "value"), b""), WorkerCrashed),
    ],
    ids=["crash", "hang", "nothing", "garbage", "another's answer"],
)
async def test_a_lost_worker_fails_its_call_and_is_replaced(platform, lose, error):
    pool, _ = await begun(platform)
    first, second = await calls(pool, 2, timeout=100)
    lose(platform)
    await ends(first, error)
    assert not second.done()
    assert len(platform.workers) == 2
    assert platform.open_workers == 1
    platform.worker.begin([sort])
    answer(platform.worker)
    assert await second == "done"
    clean(pool, platform)


async def test_the_others_go_on_while_one_is_replaced(platform):
    pool, (first, second) = await begun(platform, size=2, count=2)
    platform.workers[1].begin([sort])
    platform.workers[0].fail()
    await ends(first, WorkerCrashed)
    (third,) = await calls(pool)
    answer(platform.workers[1], 2)
    assert await second == 2
    answer(platform.workers[1], 3)
    assert await third == 3
    assert len(platform.workers) == 3
    platform.worker.begin([sort])
    clean(pool, platform)


async def test_a_replacement_that_dies_without_having_been_of_use_waits_for_the_next_call(platform):
    pool, (task,) = await begun(platform, count=1)
    platform.worker.fail()
    await ends(task, WorkerCrashed)
    platform.worker.begin([sort])
    platform.worker.fail()
    platform.advance(1000)
    assert len(platform.workers) == 2
    (task,) = await calls(pool)
    assert len(platform.workers) == 3
    platform.worker.begin([sort])
    answer(platform.worker)
    assert await task == "done"
    clean(pool, platform)


async def test_a_second_worker_that_cannot_be_started_is_not_tried_again_for_the_same_call(
    platform,
):
    pool, (first, second) = await begun(platform, size=2, count=2)
    assert len(platform.workers) == 2
    platform.workers[1].fail("HTTP 503")
    await settle()
    assert len(platform.workers) == 2
    assert not second.done()
    answer(platform.workers[0], 1)
    answer(platform.workers[0], 2)
    assert await asyncio.gather(first, second) == [1, 2]
    assert len(platform.workers) == 2
    _ = await calls(pool, 2)
    assert len(platform.workers) == 3


async def test_a_call_that_cannot_be_posted_fails_alone(platform):
    pool, (first,) = await begun(platform, count=1)
    (second, third) = await calls(pool, 2)
    answer(platform.worker)
    await first
    platform.worker.refuses = MemoryError("no room")
    answer(platform.worker)  # the third is refused
    await ends(third, NotTransferable)
    platform.worker.refuses = None
    assert await second == "done"
    (fourth,) = await calls(pool)
    answer(platform.worker)
    assert await fourth == "done"
    clean(pool, platform)


async def test_an_exception_of_the_operation_leaves_the_worker_alone(platform):
    pool, (task,) = await begun(platform, count=1)
    raise_(platform.worker)
    error = await ends(task, WorkerError)
    assert (type(error), error.type, error.message) == (WorkerError, "E", "m")
    assert len(platform.workers) == 1
    clean(pool, platform)


# Calls that may run in one worker only


async def test_a_bound_call_waits_for_its_own_worker(platform):
    pool, (first, second) = await begun(platform, size=2, count=2)
    platform.workers[1].begin([sort])
    mine = pool.alive[0]
    (bound,) = await calls(pool, slot=mine)
    answer(platform.workers[1])
    await second
    assert len(platform.workers[1].runs) == 1
    answer(platform.workers[0])
    await first
    await settle()
    answer(platform.workers[0], "mine")
    assert await bound == "mine"
    assert len(platform.workers) == 2
    clean(pool, platform)


async def test_a_bound_call_fails_with_its_worker(platform):
    pool, (first,) = await begun(platform, count=1)
    slot = pool.alive[0]
    (bound,) = await calls(pool, slot=slot)
    platform.worker.fail("gone")
    await ends(first, WorkerCrashed)
    error = await ends(bound, DatasetLost)
    assert "gone" in error.message
    (late,) = await calls(pool, slot=slot)
    await ends(late, DatasetLost)
    platform.worker.begin([sort])
    clean(pool, platform)


# Progress


async def test_a_callback_that_raises_is_reported_and_the_call_goes_on(platform):
    pool, _ = await begun(platform)

    def broken(progress):
        raise ValueError("mine")

    (task,) = await calls(pool, on_progress=broken)
    platform.worker.send(Progressed(platform.worker.runs[0]["id"], 1, None, ""))
    answer(platform.worker)
    assert await task == "done"
    assert [str(error) for error in platform.reported] == ["mine"]
    platform.reported.clear()
    clean(pool, platform)


async def test_progress_is_not_told_once_the_call_is_over(platform):
    pool, _ = await begun(platform)
    told = []
    (task,) = await calls(pool, timeout=5, on_progress=told.append)
    platform.advance(5)
    platform.worker.send(Progressed(platform.worker.runs[0]["id"], 1, None, ""))
    await ends(task, WorkerTimeout)
    platform.worker.send(Progressed(platform.worker.runs[0]["id"], 2, None, ""))
    assert told == []


async def test_a_callback_may_terminate(platform):
    pool, _ = await begun(platform)
    (task,) = await calls(pool, on_progress=lambda _: pool.terminate())
    platform.worker.send(Progressed(platform.worker.runs[0]["id"], 1, None, ""))
    await ends(task, WorkerTerminated)
    clean(pool, platform)


# Termination


async def test_terminated_every_call_fails_and_every_worker_ends(platform):
    pool, tasks = await begun(platform, size=2, count=5)
    platform.workers[1].begin([sort])
    pool.terminate()
    for task in tasks:
        error = await ends(task, WorkerTerminated)
        assert error.message == "the manager was terminated"
    assert platform.open_workers == 0
    assert pool.alive == []
    clean(pool, platform)
    (late,) = await calls(pool)
    await ends(late, WorkerTerminated)
    pool.terminate()
    platform.advance(1000)
    assert len(platform.workers) == 2


async def test_terminated_before_there_is_a_worker_all_that_wait_hear_it(platform):
    pool = pool_of(platform)
    tasks = await calls(pool, 2)
    pool.terminate()
    for task in tasks:
        await ends(task, WorkerTerminated)
    clean(pool, platform)


async def test_terminated_while_a_call_stops_nothing_is_left(platform):
    pool, (first, second) = await begun(platform, count=2)
    first.cancel()
    await settle()
    pool.terminate()
    await ends(second, WorkerTerminated)
    clean(pool, platform)
    assert platform.open_workers == 0
