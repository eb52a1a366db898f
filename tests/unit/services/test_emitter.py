from __future__ import annotations

import asyncio

import pytest

from services.emitter import Emitter
from tests.support.fake_platform import settle

pytestmark = pytest.mark.anyio


@pytest.fixture
def reported():
    return []


@pytest.fixture
def emitter(reported):
    return Emitter(reported.append)


def test_handlers_are_called_in_the_order_of_their_coming(emitter):
    got = []
    for n in range(3):
        emitter.on("a", lambda payload, n=n: got.append((n, payload)))
    emitter.emit("a", "x")
    emitter.emit("b", "y")
    assert got == [(0, "x"), (1, "x"), (2, "x")]


def test_the_same_function_twice_is_two_subscriptions(emitter):
    got = []
    first, _ = emitter.on("a", got.append), emitter.on("a", got.append)
    first()
    first()
    emitter.emit("a", 1)
    assert got == [1]


def test_what_is_not_a_function_is_refused(emitter):
    with pytest.raises(TypeError, match="expected a function"):
        emitter.on("a", None)


def test_handlers_may_come_and_go_during_an_emit(emitter):
    got = []

    def first(payload):
        got.append("first")
        stop_second()
        emitter.on("a", lambda _: got.append("new"))
        stop_first()

    stop_first = emitter.on("a", first)
    stop_second = emitter.on("a", lambda _: got.append("second"))
    emitter.on("a", lambda _: got.append("third"))
    emitter.emit("a", 1)
    assert got == ["first", "third"]
    emitter.emit("a", 2)
    assert got == ["first", "third", "third", "new"]


async def test_async_handlers_run_and_fail_alone(emitter, reported):
    got = []

    async def fails(payload):
        await asyncio.sleep(0)
        raise RuntimeError("async")

    async def works(payload):
        await asyncio.sleep(0)
        got.append(payload)

    emitter.on("a", fails)
    emitter.on("a", works)
    emitter.emit("a", 1)
    await settle()
    assert got == [1]
    assert [str(error) for error in reported] == ["async"]
    assert reported[0].__traceback__ is not None


async def test_async_handlers_are_cancelled_but_for_the_one_that_asks(emitter):
    ended = []

    async def waits(payload):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waits")

    async def asks(payload):
        await asyncio.sleep(0)
        emitter.cancel()
        await asyncio.sleep(0)
        ended.append("asks")

    emitter.on("a", waits)
    emitter.on("a", asks)
    emitter.emit("a", 1)
    await settle()
    assert sorted(ended) == ["asks", "waits"]
