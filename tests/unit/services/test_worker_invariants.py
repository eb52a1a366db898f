"""A manager, whole, under any order of what workers, callers and the clock may do."""

from __future__ import annotations

import asyncio
import sys

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services import packing
from services.errors import NotTransferable, QueueFull, WorkerError
from services.operation import Operation, Option
from services.worker_manager import WorkerManager
from services.worker_messages import (
    Alive,
    Failed,
    Hello,
    Progressed,
    Raised,
    Ready,
    Returned,
    Stopped,
)
from tests.support.fake_platform import FakePlatform, settle

ECHO = Operation("echo", "value", {"loud": Option("bool", False)}).as_data()
LIMIT = 4
SLOW = [HealthCheck.too_slow]  # to make up so many steps, on a busy machine
ENDS = (WorkerError, QueueFull, NotTransferable)

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *["call", "call", "call", "cancel", "ready", "bound", "refuse", "allow"],
                *["begin", "begin", "begin", "answer", "answer", "answer", "raise", "stopped"],
                *["alive", "progress", "crash", "fail", "garbage", "late"],
                *["advance", "advance", "sleep", "load", "release"],
            ]
        ),
        st.integers(0, 9),
        st.floats(0.1, 40),
    ),
    min_size=10,
    max_size=70,
)
GARBAGE = [None, "", "{}", '{"kind": "returned", "id": 1}', 5, '{"kind": "run"}', "[" * 9999]


class World:
    """A manager, its workers, and everything that was asked of it."""

    def __init__(self, size):
        self.platform = FakePlatform()
        self.size = size
        self.manager = WorkerManager(
            platform=self.platform, size=size, queue_limit=LIMIT, stop_timeout=2
        )
        self.pool = self.manager._pool
        self.tasks = []
        self.datasets = []
        self.ends = 0

    def begin(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        task.add_done_callback(self.ended)
        self.tasks.append(task)

    def ended(self, task):
        self.ends += 1

    def worker(self, choice):
        alive = [worker for worker in self.platform.workers if not worker.gone]
        return alive[choice % len(alive)] if alive else None

    def act(self, step, choice, amount):
        platform, manager = self.platform, self.manager
        if step == "call":
            on_progress = (lambda _: 1 / 0) if choice == 9 else None
            self.begin(
                manager.process(
                    "echo",
                    choice,
                    timeout=amount,
                    priority=choice % 3,
                    on_progress=on_progress,
                )
            )
        elif step == "ready":
            self.begin(manager.ready(amount))
        elif step == "load":
            self.begin(self.load(amount))
        elif step == "bound" and self.datasets:
            self.begin(self.datasets[choice % len(self.datasets)].count())
        elif step == "release" and self.datasets:
            self.datasets.pop(choice % len(self.datasets)).release()
        elif step == "cancel" and self.tasks:
            self.tasks[-1 - choice % len(self.tasks)].cancel()
        elif step == "advance":
            platform.advance(amount)
        elif step == "sleep":
            platform.sleep(amount)
        elif step == "refuse":
            platform.refuse_workers = RuntimeError("no")
        elif step == "allow":
            platform.refuse_workers = None
        elif (worker := self.worker(choice)) is not None:
            self.worker_acts(step, worker, choice)

    def worker_acts(self, step, worker, choice):
        slot = worker.listener
        run = worker.runs[-1] if worker.runs else {"id": 99, "operation": ""}
        id = run["id"]
        has_call = slot.state in ("running", "stopping")
        match step:
            case "begin" if slot.state == "starting":
                worker.send(Hello(sys.version))
                worker.send(Ready((ECHO,)))
            case "answer" if has_call:
                answer = {"count": 1, "dropped": 0, "fields": []}
                value = answer if run["operation"] == "dataset.load" else choice
                worker.send(Returned(id, "value"), packing.pack(value))
            case "raise" if has_call:
                worker.send(Raised(id, "E", "m", ""))
            case "stopped" if has_call:
                worker.send(Stopped(id))
            case "alive":
                worker.send(Alive())
            case "progress" if has_call:
                worker.send(Progressed(id, choice, None, ""))
            case "crash":
                worker.fail()
            case "fail" if slot.state == "starting":
                worker.send(Failed("E", "m", ""))
            case "garbage":
                worker.send_raw(GARBAGE[choice % len(GARBAGE)])
            case "late":
                worker.send(Returned(id, "value"), b"")

    async def load(self, seconds):
        self.datasets.append(await self.manager.load([{"a": 1}], timeout=seconds))

    def check(self):
        platform, pool = self.platform, self.pool
        assert platform.open_workers == len(pool.alive) <= self.size
        assert all(type(error) is ZeroDivisionError for error in platform.reported)
        waiting = [call for _, _, call in pool._queue]
        assert all(not call.is_over for call in waiting)
        assert all(call.id in pool.calls for call in waiting)
        for slot in pool.alive:
            assert slot.state in ("starting", "idle", "running", "stopping")
            if slot.state == "idle":
                # Nothing that it could do is left waiting.
                assert not any(call.slot in (None, slot) for call in waiting)
        if waiting:
            assert pool.alive, "calls wait, and nobody would ever take them"
        timers = len(pool.calls) + sum(slot.state != "idle" for slot in pool.alive)
        assert platform.timers == timers
        unfinished = sum(not task.done() for task in self.tasks)
        assert self.ends == len(self.tasks) - unfinished
        releases = len(self.manager._tasks)
        assert unfinished <= len(pool.calls) <= unfinished + releases * self.size


@settings(max_examples=400, deadline=None, suppress_health_check=SLOW)
@given(STEPS, st.integers(1, 3))
def test_every_call_ends_once_and_nothing_is_left(steps, size):
    async def scenario():
        world = World(size)
        for step, choice, amount in steps:
            world.act(step, choice, amount)
            await settle()
            world.check()
        # All that still waits ends within its time, whatever the workers do not do.
        for _ in range(50):
            world.platform.advance(40)
            await settle()
            world.check()
            if all(task.done() for task in world.tasks):
                break
        assert all(task.done() for task in world.tasks)
        world.manager.terminate()
        await settle()
        for task in world.tasks:
            if not task.cancelled() and task.exception() is not None:
                assert isinstance(task.exception(), ENDS), task.exception()
        assert world.ends == len(world.tasks)
        assert world.pool.calls == {}
        assert world.pool._queue == []
        assert len(world.manager._tasks) == 0
        assert (world.platform.timers, world.platform.open_workers) == (0, 0)

    asyncio.run(scenario())


@settings(max_examples=200, deadline=None, suppress_health_check=SLOW)
@given(STEPS, st.integers(1, 3))
def test_terminated_at_any_moment_everything_ends_at_once(steps, size):
    async def scenario():
        world = World(size)
        for step, choice, amount in steps:
            world.act(step, choice, amount)
            if choice % 2:
                await asyncio.sleep(0)
        world.manager.terminate()
        await settle()
        await settle()
        assert all(task.done() for task in world.tasks)
        for task in world.tasks:
            if not task.cancelled():
                task.exception()
        assert (world.pool.calls, world.pool._queue, world.pool.alive) == ({}, [], [])
        assert (world.platform.timers, world.platform.open_workers) == (0, 0)

    asyncio.run(scenario())
