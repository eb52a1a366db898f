"""A worker's life, message by message, without a pool."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import (
    InvalidCall,
    NotTransferable,
    WorkerCrashed,
    WorkerError,
    WorkerHung,
    WorkerStartFailed,
    WorkerTerminated,
)
from services.worker_messages import (
    Alive,
    Failed,
    Hello,
    Progressed,
    Raised,
    Ready,
    Returned,
    Run,
    Start,
    Stopped,
)
from services.worker_slot import Limits, Slot
from tests.support.fake_platform import FakePlatform

START = Start("https://page.example/app/w.py", ("numpy",), "https://page.example/w.json")
LIMITS = Limits(start_timeout=60, heartbeat_timeout=10, stop_timeout=1)


class Owner:
    """Notes what it hears."""

    def __init__(self):
        self.heard = []

    def ready(self, operations):
        self.heard.append(("ready", [each.name for each in operations]))

    def free(self):
        self.heard.append("free")

    def ended(self, slot, error):
        self.heard.append(("ended", type(error), error.message))


class Running:
    """A call that notes what it hears."""

    def __init__(self, id=7):
        self.id = id
        self.run = Run(id, "sort", "rows", "blob:1")
        self.buffers = [b"options", b"rows"]
        self.heard = []

    def progressed(self, message):
        self.heard.append(("progressed", message.done))

    def returned(self, layout, buffers):
        self.heard.append(("returned", layout, buffers))

    def failed(self, error):
        self.heard.append(("failed", type(error), getattr(error, "message", str(error))))


def slot_of(platform):
    owner = Owner()
    return Slot(owner, START, LIMITS, platform), owner, platform.worker


def idle(platform):
    slot, owner, worker = slot_of(platform)
    worker.begin()
    owner.heard.clear()
    assert slot.state == "idle"
    return slot, owner, worker


def running(platform):
    slot, owner, worker = idle(platform)
    call = Running()
    slot.run(call)
    assert slot.state == "running"
    return slot, owner, worker, call


def stopping(platform):
    slot, owner, worker, call = running(platform)
    slot.stop(call)
    assert slot.state == "stopping"
    return slot, owner, worker, call


# Starting


def test_a_worker_is_told_what_to_load_once_it_says_hello(platform):
    slot, owner, worker = slot_of(platform)
    assert (slot.state, worker.posted, platform.timers) == ("starting", [], 1)
    worker.send(Hello(sys.version))
    assert worker.headers == [
        {"kind": "start", "url": START.url, "packages": ["numpy"], "wheels": START.wheels}
    ]
    worker.send(Ready((["sort", "table", {}],)))
    assert slot.state == "idle"
    assert owner.heard == [("ready", ["sort"])]
    assert platform.timers == 0
    assert not slot.was_of_use


def test_a_worker_that_is_not_ready_in_time_is_ended(platform):
    slot, owner, worker = slot_of(platform)
    platform.advance(30)
    worker.send(Hello(sys.version))
    platform.advance(29.9)
    assert owner.heard == []
    platform.advance(0.2)
    assert owner.heard == [("ended", WorkerStartFailed, "the worker was not ready within 60 s")]
    assert (slot.state, worker.gone, platform.timers) == ("ended", True, 0)


def test_a_file_that_cannot_be_loaded_says_why(platform):
    slot, owner, worker = slot_of(platform)
    worker.send(Hello(sys.version))
    worker.send(Failed("ImportError", "no such module", "Traceback"))
    assert owner.heard == [("ended", WorkerStartFailed, "no such module")]
    assert (slot.state, worker.gone, platform.timers) == ("ended", True, 0)


def test_a_worker_that_breaks_while_it_starts_could_not_be_started(platform):
    _, owner, worker = slot_of(platform)
    worker.fail("HTTP 404")
    assert owner.heard == [("ended", WorkerStartFailed, "HTTP 404")]
    assert platform.timers == 0


@pytest.mark.parametrize(
    "message",
    [
        Hello("2.7"),
        Ready((["sort", "table"],)),
        Ready((["sort", "table", {}], None)),
        Progressed(7, 1, None, ""),
        Returned(7, "value"),
        Raised(7, "E", "m", ""),
        Stopped(7),
        None,
    ],
    ids=lambda message: getattr(message, "kind", "none"),
)
def test_a_worker_that_sends_what_is_wrong_while_it_starts_could_not_be_started(platform, message):
    slot, owner, worker = slot_of(platform)
    if message is None:
        worker.send_raw("{}")
    else:
        worker.send(message)
    ((_, error, _),) = owner.heard
    assert error is WorkerStartFailed
    assert (slot.state, worker.gone, platform.timers) == ("ended", True, 0)


def test_another_version_of_python_is_refused(platform):
    _, owner, worker = slot_of(platform)
    worker.send(Hello("2.7"))
    ((_, _, message),) = owner.heard
    assert "hello: expected Python" in message
    assert "came '2.7'" in message
    assert worker.posted == []


def test_signs_of_life_do_not_make_a_start_longer(platform):
    _, owner, worker = slot_of(platform)
    for _ in range(60):
        worker.send(Alive())
        platform.advance(1)
    assert [heard[0] for heard in owner.heard] == ["ended"]


# Calls


def test_a_call_goes_to_the_worker_and_its_result_comes_back(platform):
    slot, owner, worker, call = running(platform)
    assert slot.was_of_use
    assert worker.runs[0]["id"] == 7
    assert worker.posted[-1][1] == [b"options", b"rows"]
    worker.send(Progressed(7, 1, 2, ""))
    worker.send(Returned(7, "value"), b"result")
    assert call.heard == [("progressed", 1), ("returned", "value", [b"result"])]
    assert owner.heard == ["free"]
    assert (slot.state, platform.timers) == ("idle", 0)


@pytest.mark.parametrize(
    ("message", "error", "text"),
    [
        (Raised(7, "KeyError", "'a'", "trace"), WorkerError, "'a'"),
        (Raised(7, "InvalidCall", "field: …", ""), InvalidCall, "field: …"),
        (Stopped(7), WorkerError, "the worker stopped the call"),
    ],
    ids=repr,
)
def test_a_call_that_brought_no_result_fails_and_the_worker_is_free(platform, message, error, text):
    slot, owner, worker, call = running(platform)
    worker.send(message)
    assert call.heard == [("failed", error, text)]
    assert owner.heard == ["free"]
    assert (slot.state, platform.timers) == ("idle", 0)


def test_a_worker_without_signs_of_life_is_ended(platform):
    slot, owner, worker, call = running(platform)
    for message in (Alive(), Progressed(7, 1, None, ""), Alive()):
        platform.advance(9.9)
        worker.send(message)
    platform.advance(9.9)
    assert owner.heard == []
    platform.advance(0.2)
    text = "the worker gave no sign of life for 10 s"
    assert owner.heard == [("ended", WorkerHung, text)]
    assert call.heard[-1] == ("failed", WorkerHung, text)
    assert (slot.state, worker.gone, platform.timers) == ("ended", True, 0)


def test_a_page_that_slept_hears_first_what_came_meanwhile(platform):
    slot, owner, worker, _ = running(platform)
    platform.sleep(3600)
    assert owner.heard == []
    worker.send(Alive())
    platform.advance(9.9)
    assert (owner.heard, slot.state) == ([], "running")
    platform.advance(0.2)
    assert [heard[0] for heard in owner.heard] == ["ended"]


def test_a_page_that_is_always_late_waits_once_only(platform):
    _, owner, _, _ = running(platform)
    platform.sleep(60)
    assert owner.heard == []
    platform.sleep(60)
    assert [heard[0] for heard in owner.heard] == ["ended"]
    assert platform.timers == 0


def test_a_worker_that_dies_takes_its_call_with_it(platform):
    slot, owner, worker, call = running(platform)
    worker.fail("out of memory")
    text = "the worker died: out of memory"
    assert call.heard == [("failed", WorkerCrashed, text)]
    assert owner.heard == [("ended", WorkerCrashed, text)]
    assert (slot.state, platform.timers) == ("ended", 0)


def test_a_call_that_cannot_be_posted_fails_and_the_worker_stays(platform):
    slot, owner, worker = idle(platform)
    worker.refuses = MemoryError("no room")
    call = Running()
    slot.run(call)
    assert call.heard == [
        ("failed", NotTransferable, "the call could not be posted: no room"),
    ]
    assert (owner.heard, slot.state, worker.gone, platform.timers) == ([], "idle", False, 0)


# Stopping


def test_a_call_is_asked_to_stop_in_both_ways(platform):
    slot, _, worker = idle(platform)
    sign = slot.stop_sign()
    call = Running()
    slot.run(call)
    assert worker.is_there(sign)
    slot.stop(call)
    assert not worker.is_there(sign)
    assert worker.headers[-1] == {"kind": "stop", "id": 7}
    assert platform.timers == 1


@pytest.mark.parametrize(
    "message", [Stopped(7), Returned(7, "value"), Raised(7, "E", "m", "")], ids=repr
)
def test_a_worker_that_stops_in_time_is_used_again(platform, message):
    slot, owner, worker, _ = stopping(platform)
    platform.advance(0.9)
    worker.send(message, b"")
    assert owner.heard == ["free"]
    assert (slot.state, platform.timers) == ("idle", 0)
    another = Running(8)
    slot.run(another)
    worker.send(Returned(8, "value"), b"x")
    assert another.heard == [("returned", "value", [b"x"])]


def test_a_worker_that_does_not_stop_in_time_is_ended_whatever_life_it_shows(platform):
    slot, owner, worker, call = stopping(platform)
    for _ in range(9):
        platform.advance(0.1)
        worker.send(Alive())
        worker.send(Progressed(7, 1, None, ""))
    assert call.heard == []
    platform.advance(0.2)
    assert owner.heard == [("ended", WorkerCrashed, "a call did not stop within 1 s")]
    assert (slot.state, worker.gone, platform.timers) == ("ended", True, 0)


def test_what_the_worker_does_not_have_is_not_stopped(platform):
    slot, _, worker, call = running(platform)
    slot.stop(Running(8))
    assert slot.state == "running"
    slot.stop(call)
    slot.stop(call)
    assert worker.kinds.count("stop") == 1
    worker.send(Stopped(7))
    slot.stop(call)
    assert (slot.state, platform.timers) == ("idle", 0)


# Every message in every state

ENTER = {"idle": idle, "running": running, "stopping": stopping}
FITS = {
    ("idle", "alive"),
    *(
        (state, kind)
        for state in ("running", "stopping")
        for kind in ("alive", "progressed", "returned", "raised", "stopped")
    ),
}
MESSAGES = [
    Hello(sys.version),
    Ready(()),
    Failed("E", "m", "t"),
    Alive(),
    Progressed(7, 1, None, ""),
    Returned(7, "value"),
    Raised(7, "E", "m", ""),
    Stopped(7),
]


@pytest.mark.parametrize("state", ENTER)
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.kind)
def test_a_message_at_a_wrong_time_ends_the_worker(platform, state, message):
    slot, owner, worker, *call = ENTER[state](platform)
    worker.send(message)
    if (state, message.kind) in FITS:
        assert slot.state != "ended"
        return
    ((_, error, text),) = owner.heard
    assert error is WorkerCrashed
    assert text.startswith("the worker sent what is no message")
    assert (slot.state, worker.gone, platform.timers) == ("ended", True, 0)
    for each in call:
        assert [heard[:2] for heard in each.heard] == [("failed", WorkerCrashed)]


@pytest.mark.parametrize("state", ["running", "stopping"])
@pytest.mark.parametrize(
    "message",
    [Progressed(8, 1, None, ""), Returned(8, "value"), Raised(8, "E", "m", ""), Stopped(8)],
    ids=lambda message: message.kind,
)
def test_an_answer_to_another_call_ends_the_worker(platform, state, message):
    slot, owner, worker, _ = ENTER[state](platform)
    worker.send(message)
    assert [heard[0] for heard in owner.heard] == ["ended"]
    assert (slot.state, platform.timers) == ("ended", 0)


@pytest.mark.parametrize("state", ["starting", *ENTER])
def test_what_ends_a_worker_is_told_once(platform, state):
    slot, owner, worker, *call = {"starting": slot_of, **ENTER}[state](platform)
    slot.end(WorkerTerminated("enough"))
    slot.end(WorkerTerminated("again"))
    slot.failed("late")
    slot.received(json.dumps({"kind": "alive"}), [])
    slot.received("garbage", [])
    platform.advance(1000)
    assert owner.heard == [("ended", WorkerTerminated, "enough")]
    assert (slot.state, worker.gone, platform.timers) == ("ended", True, 0)
    for each in call:
        assert [heard[:2] for heard in each.heard] == [("failed", WorkerTerminated)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("state", ["starting", *ENTER])
def test_whatever_a_worker_sends_no_exception_comes_out(state):
    @given(JSON, st.sampled_from([None, *[each.kind for each in MESSAGES]]))
    def check(value, kind):
        platform = FakePlatform()
        slot, owner, worker, *_ = {"starting": slot_of, **ENTER}[state](platform)
        if kind is not None:
            value = {**(value if isinstance(value, dict) else {"operations": value}), "kind": kind}
        worker.send_raw(json.dumps(value))
        ends = [heard for heard in owner.heard if heard[0] == "ended"]
        assert len(ends) == (slot.state == "ended")
        assert platform.timers == (slot.state not in ("ended", "idle"))

    check()


@pytest.mark.parametrize("depth", [100, 500, 900, 950, 980])
def test_operations_nested_without_end_end_the_worker(platform, depth):
    slot, _, worker = slot_of(platform)
    nested = '["list",' * depth + '"int"' + "]" * depth
    worker.send_raw(
        f'{{"kind": "ready", "operations": [["a", "value", {{"b": [{nested}, true]}}]]}}'
    )
    assert (slot.state, platform.timers) == ("ended", 0)
