"""What a worker answers, whatever it is sent and whatever its operations do."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import Any

import pytest

from services import packing
from services.errors import InvalidCall, InvalidFrame, WorkerError
from services.operation import Job, Table, operation
from services.packing import Indices
from services.worker_messages import Run, Start, Stop, encode
from tests.support.fake_worker import FakePort, FakeSource
from workers import host as host_module
from workers.host import LONGEST_TEXT, PROGRESS_INTERVAL, Host

pytestmark = pytest.mark.anyio


@operation
def echo(value: Any) -> Any:
    return value


@operation
def table(rows: Table, *, field: str) -> Any:
    return [len(rows), rows.column(field)]


@operation
async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


@operation
async def forever(value: Any) -> Any:
    await asyncio.Event().wait()


class UnprintableError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class QuitsError(Exception):
    def __str__(self):
        sys.exit(3)


class OursError(WorkerError):
    def __init__(self):
        pass


class Handle:
    """Cannot be pickled, nor packed."""

    def __reduce__(self):
        raise TypeError("no")

    def __repr__(self):
        raise RuntimeError("no")


def deep():
    return deep()


def chained():
    try:
        raise KeyError("first")
    except KeyError as error:
        raise ValueError("second") from error


def throw(error):
    raise error


async def hosting(*functions, **more):
    port = FakePort()
    found = {function.__name__: function for function in functions} | more
    host = Host(port, FakeSource(found))
    host.begin()
    host.received(encode(Start("https://page.example/w.py")), [])
    await host._task
    del port.posted[:]
    return host, port


def run(host, name, data=None, options=None, *, id=1, stop="blob:1"):
    buffers = [packing.pack(options or {}), packing.pack(data)]
    host.received(encode(Run(id, name, "value", stop)), buffers)


def raising(function):
    """An operation that raises."""

    @operation
    def broken() -> Any:
        return function()

    @operation
    async def broken_later() -> Any:
        await asyncio.sleep(0)
        return function()

    return broken, broken_later


async def answered(port):
    for _ in range(10):
        await asyncio.sleep(0)
    (answer,) = port.headers
    del port.posted[:]
    return answer


# Starting


async def test_a_worker_says_hello_and_what_it_can_do():
    port = FakePort()

    @operation
    def unrelated(value: Any) -> Any: ...

    source = FakeSource({"echo": echo, "later": later, "x": 5, "Job": Job, "len": len})
    host = Host(port, source)
    host.begin()
    host.received(encode(Start("https://page.example/w.py", ("numpy",))), [])
    await host._task
    assert source.started == Start("https://page.example/w.py", ("numpy",))
    assert port.headers == [
        {"kind": "hello", "python": sys.version},
        {"kind": "ready", "operations": [["echo", "value", {}], ["later", "value", {}]]},
    ]


@pytest.mark.parametrize(
    "error",
    [ImportError("x"), SystemExit(1), KeyboardInterrupt(), MemoryError(), RecursionError()],
    ids=lambda error: type(error).__name__,
)
async def test_a_file_that_cannot_be_loaded_is_told_with_its_traceback(error):
    port = FakePort()
    host = Host(port, FakeSource(error))
    host.received(encode(Start("u")), [])
    await host._task
    (failed,) = port.headers
    assert (failed["kind"], failed["type"]) == ("failed", type(error).__name__)
    assert type(error).__name__ in failed["traceback"]


async def test_a_worker_starts_once():
    host, _ = await hosting(echo)
    with pytest.raises(InvalidFrame, match="start: expected once"):
        host.received(encode(Start("u")), [])


@pytest.mark.parametrize(
    "header", [None, "", "{}", '{"kind": "alive"}', '{"kind": "hello", "python": "3"}', 5, "[]"]
)
async def test_what_is_no_message_is_no_answer(header):
    host, port = await hosting(echo)
    with pytest.raises(InvalidFrame):
        host.received(header, [])
    assert port.posted == []
    run(host, "echo", 5)
    assert port.headers[0]["kind"] == "returned"


# Results


@pytest.mark.parametrize("name", ["echo", "later"])
async def test_a_result_is_answered_in_a_buffer(name):
    host, port = await hosting(echo, later)
    run(host, name, {"a": [1]}, id=8)
    for _ in range(5):
        await asyncio.sleep(0)
    ((header, buffers),) = port.posted
    assert header == {"kind": "returned", "id": 8, "layout": "value"}
    assert packing.unpack(buffers) == {"a": [1]}


async def test_row_numbers_are_answered_as_such():
    @operation
    def rows(value: Any) -> Indices:
        return Indices([2, 0])

    host, port = await hosting(rows)
    run(host, "rows")
    ((header, buffers),) = port.posted
    assert header["layout"] == "indices"
    assert buffers == [packing.pack_indices([2, 0])]


async def test_columns_and_rows_arrive_as_such():
    host, port = await hosting(echo, table)
    options = packing.pack({"field": "b"})
    columns = [packing.pack([[1, 2], [3, 4]]), packing.pack([[5], [6]])]
    host.received(
        encode(Run(1, "table", "columns", columns=("a", "b"), rows=3)), [options, *columns]
    )
    host.received(
        encode(Run(2, "echo", "rows")), [packing.pack({}), packing.pack([1, 2]), packing.pack([3])]
    )
    assert [packing.unpack(buffers) for _, buffers in port.posted] == [
        [3, [3, 4, 6]],
        [1, 2, 3],
    ]


@pytest.mark.parametrize(
    "buffers",
    [[], [b""], [b"x"], [packing.pack({})], [packing.pack({}), b""], [packing.pack([]), b"N"]],
    ids=repr,
)
@pytest.mark.parametrize("layout", ["value", "columns", "indices"])
async def test_damaged_data_is_an_error_not_the_end(layout, buffers):
    host, port = await hosting(echo)
    host.received(encode(Run(1, "echo", layout, columns=("a",), rows=1)), buffers)
    (answer,) = port.headers
    if answer["kind"] == "returned":
        assert layout == "columns"  # no rows came
        return
    assert answer["kind"] == "raised"
    run(host, "echo", 5)
    assert port.headers[-1]["kind"] == "returned"


# Exceptions


@pytest.mark.parametrize(
    ("function", "type_", "words"),
    [
        (lambda: throw(ValueError("a", object())), "ValueError", "object"),
        (lambda: throw(UnprintableError()), "UnprintableError", "its text raised RuntimeError"),
        (
            lambda: throw(UnprintableError(Handle())),
            "UnprintableError",
            "its text raised RuntimeError",
        ),
        (lambda: throw(KeyError(Handle())), "KeyError", "its text raised RuntimeError"),
        (lambda: throw(QuitsError()), "QuitsError", "its text raised SystemExit"),
        (lambda: throw(OursError()), "OursError", ""),
        (lambda: throw(KeyError("\ud800")), "KeyError", r"'\ud800'"),
        (lambda: throw(ValueError("\ud800")), "ValueError", r"\ud800"),
        (lambda: throw(SystemExit(3)), "SystemExit", "3"),
        (lambda: throw(GeneratorExit()), "GeneratorExit", ""),
        (lambda: throw(MemoryError()), "MemoryError", ""),
        (lambda: throw(ExceptionGroup("many", [KeyError("a")])), "ExceptionGroup", "many"),
        (lambda: throw(OverflowError("x" * 500_000)), "OverflowError", "xxx"),
        (lambda: packing.pack(Handle()), "NotTransferable", "came a value of type Handle"),
        (chained, "ValueError", "second"),
        (deep, "RecursionError", "maximum recursion depth"),
        (lambda: [object()], "NotTransferable", r"type object at [0]"),
        (lambda: Indices([-1]), "OverflowError", ""),
        (lambda: Indices(["a"]), "TypeError", ""),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)) or "empty",
)
@pytest.mark.parametrize("name", ["broken", "broken_later"])
async def test_every_exception_is_an_answer_and_the_worker_goes_on(function, type_, words, name):
    host, port = await hosting(echo, *raising(function))
    run(host, name)
    answer = await answered(port)
    assert (answer["kind"], answer["id"], answer["type"]) == ("raised", 1, type_)
    assert words in answer["message"]
    assert len(answer["message"]) <= LONGEST_TEXT
    assert len(answer["traceback"]) <= LONGEST_TEXT
    assert port.signs[-1] == "idle"
    run(host, "echo", 5, id=2)
    assert (await answered(port))["kind"] == "returned"


async def test_a_traceback_begins_in_the_file_and_names_the_cause():
    host, port = await hosting(*raising(chained))
    run(host, "broken")
    trace = (await answered(port))["traceback"]
    assert "in chained" in trace
    assert "direct cause" in trace
    assert host_module.__file__ not in trace


async def test_an_error_of_another_worker_is_passed_on_as_it_was():
    error = WorkerError("text", "KeyError", "Traceback of there")
    host, port = await hosting(*raising(lambda: throw(error)))
    run(host, "broken")
    answer = await answered(port)
    assert (answer["type"], answer["message"]) == ("KeyError", "text")
    assert answer["traceback"] == "Traceback of there"


async def test_an_operation_may_refuse_its_call():
    host, port = await hosting(*raising(lambda: throw(InvalidCall("options: not like this"))))
    run(host, "broken")
    assert (await answered(port))["type"] == "InvalidCall"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("nope", {}, "operation: expected one of echo, table, came 'nope'"),
        ("dataset.nope", {}, "operation: expected one of echo, table"),
        ("", {}, "operation: expected one of echo, table"),
        ("echo", {"a": 1}, "echo, options: expected none at all, came 'a'"),
        ("table", {}, "table, field: expected a value"),
        ("table", {"field": 5}, "table, field: expected text, came 5"),
        ("dataset.count", {"dataset": 1}, "dataset: expected one that is loaded, came 1"),
        ("dataset.count", {}, "count, dataset: expected a value"),
        ("echo", [1], "echo, options: expected a dict"),
    ],
    ids=str,
)
async def test_a_call_that_cannot_be_is_refused(name, options, words):
    host, port = await hosting(echo, table)
    run(host, name, options=options)
    answer = await answered(port)
    assert (answer["kind"], answer["type"]) == ("raised", "InvalidCall")
    assert words in answer["message"]


# Stopping


@pytest.mark.parametrize("name", ["broken", "broken_later"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
async def test_an_interrupted_call_is_stopped(name, error):
    host, port = await hosting(echo, *raising(lambda: throw(error)))
    run(host, name, id=4)
    assert await answered(port) == {"kind": "stopped", "id": 4}
    assert port.signs[-1] == "idle"
    run(host, "echo", 5, id=5)
    assert (await answered(port))["kind"] == "returned"


async def test_a_call_that_awaits_is_stopped_by_message():
    host, port = await hosting(forever, echo)
    run(host, "forever", id=3)
    await asyncio.sleep(0)
    host.received(encode(Stop(2)), [])
    await asyncio.sleep(0)
    assert port.posted == []
    host.received(encode(Stop(3)), [])
    assert await answered(port) == {"kind": "stopped", "id": 3}
    host.received(encode(Stop(3)), [])
    run(host, "echo", 5, id=4)
    assert (await answered(port))["kind"] == "returned"


async def test_a_call_stopped_before_it_has_begun_is_stopped():
    host, port = await hosting(forever, echo)
    run(host, "forever", id=3)
    host.received(encode(Stop(3)), [])
    assert await answered(port) == {"kind": "stopped", "id": 3}
    run(host, "forever", id=4)
    await asyncio.sleep(0)
    host.received(encode(Stop(4)), [])
    assert await answered(port) == {"kind": "stopped", "id": 4}


async def test_a_call_that_will_not_stop_answers_with_its_result():
    @operation
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "all the same"

    host, port = await hosting(stubborn)
    run(host, "stubborn")
    await asyncio.sleep(0)
    host.received(encode(Stop(1)), [])
    assert (await answered(port))["kind"] == "returned"


async def test_while_one_call_runs_there_is_no_other():
    host, port = await hosting(forever, echo)
    run(host, "forever", id=1)
    with pytest.raises(InvalidFrame, match="run: expected none while one runs, came 2"):
        run(host, "echo", id=2)
    assert port.posted == []
    host.received(encode(Stop(1)), [])
    assert (await answered(port))["kind"] == "stopped"


async def test_signs_of_life_are_given_while_a_call_runs_and_no_longer():
    host, port = await hosting(echo, forever)
    run(host, "echo", stop="blob:7")
    assert port.signs[0] == "busy"
    assert port.signs[-1] == "idle"
    assert port.asked == [("blob:7", True)]
    run(host, "forever", stop="blob:8")
    await asyncio.sleep(0)
    assert port.asked[-1] == ("blob:8", False)
    assert port.signs[-1] == "busy"
    host.received(encode(Stop(1)), [])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert port.signs[-1] == "idle"


# Progress


async def test_progress_is_not_told_more_often_than_it_can_be_seen(monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    @operation
    def counts(*, job: Job) -> None:
        nonlocal now
        for number in range(1000):
            job.progress(number, 10_000, f"at {number}")
            now += 0.001

    host, port = await hosting(counts)
    run(host, "counts")
    told = [header for header in port.headers if header["kind"] == "progressed"]
    assert len(told) in range(19, 22)
    apart = [b["done"] - a["done"] for a, b in itertools.pairwise(told)]
    assert min(apart) >= PROGRESS_INTERVAL * 1000 - 1
    assert told[0] == {
        "kind": "progressed",
        "id": 1,
        "done": 0.0,
        "total": 10_000.0,
        "note": "at 0",
    }


async def test_that_all_is_done_is_always_told():
    @operation
    def counts(*, job: Job) -> None:
        for number in range(1, 101):
            job.progress(number, 100)

    host, port = await hosting(counts)
    run(host, "counts")
    told = [header["done"] for header in port.headers if header["kind"] == "progressed"]
    assert told[0] == 1
    assert told[-1] == 100


async def test_progress_without_an_end_has_none_and_one_that_is_no_number_is_an_error():
    @operation
    def odd(*, job: Job) -> None:
        job.progress(0, float("inf"), "\ud800")
        job.progress(True, 1, 5)
        with pytest.raises(ValueError, match="expected a finite number"):
            job.progress(float("nan"))

    host, port = await hosting(odd)
    run(host, "odd")
    assert [header["kind"] for header in port.headers] == ["progressed", "progressed", "returned"]
    assert port.headers[0]["total"] is None
    assert json.dumps(port.headers[1]["note"]) == '"5"'


async def test_a_call_that_is_over_tells_nothing_more():
    kept = []

    @operation
    def leaves(*, job: Job) -> None:
        kept.append(job)

    @operation
    async def leaves_later(*, job: Job) -> None:
        kept.append(job)

    host, port = await hosting(leaves, leaves_later, *raising(lambda: throw(ValueError())))
    for name in ("leaves", "leaves_later", "broken"):
        run(host, name)
        await answered(port)
    for job in kept:
        job.progress(1)
        job.progress(1, 1)
    assert len(kept) == 2
    assert port.posted == []


class EndlessError(Exception):
    """Its text was being made when the stop came."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


async def test_a_stop_while_an_errors_text_is_made_is_a_stop():
    @operation
    def endless() -> None:
        raise EndlessError

    @operation
    async def endless_later() -> None:
        raise EndlessError

    host, port = await hosting(endless, endless_later)
    for name in ("endless", "endless_later"):
        run(host, name)
        assert (await answered(port))["kind"] == "stopped"
