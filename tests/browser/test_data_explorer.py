"""`<data-explorer>`, over a worker that answers as the test says."""

import asyncio
import itertools

import pytest
from js import Event, MouseEvent, Object, document
from pyodide.ffi import to_js

from components.data_explorer import DataExplorer
from components.element import define, drawn
from services.emitter import Emitter
from services.errors import DatasetLost, WorkerError
from services.platform import default_platform

numbers = itertools.count(1)


class FakeDataset:
    """All rows here; filtered by equality, sorted by one key."""

    def __init__(self, rows, keep=None, keys=None):
        self.rows = rows
        self.keep = keep
        self.keys = keys
        self.released = 0
        self.error = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.fields = ["id", "name", "price"]
        self.dropped = 0

    def _view(self):
        rows = [row for row in self.rows if self.keep is None or self.keep(row)]
        if self.keys:
            key = self.keys[0]
            rows.sort(key=lambda row: row[key["field"]], reverse=key["order"] == "desc")
        return rows

    def __len__(self):
        return len(self._view())

    async def _answer(self, value):
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return value

    async def filter(self, **parts):
        (condition,) = parts["all"]
        keep = lambda row: row[condition["field"]] == condition["value"]  # noqa: E731
        return await self._answer(self._other(keep, self.keys))

    async def sort(self, keys):
        return await self._answer(self._other(self.keep, keys))

    def _other(self, keep, keys):
        other = FakeDataset(self.rows, keep, keys)
        other.gate, other.error = self.gate, self.error
        return other

    async def window(self, start, stop, priority=0):
        return await self._answer(self._view()[start:stop])

    async def aggregate(self, operation, field):
        return max(row[field] for row in self.rows)

    async def aggregates(self, wanted):
        return await self._answer([1.5 for _ in wanted])

    async def histogram(self, field, bins):
        return await self._answer(
            {"low": 0, "high": 1, "counts": [1] * bins, "missing": 0, "outside": 0}
        )

    async def group_by(self, field):
        return await self._answer([{field: "a", "count": 2}, {field: None, "count": 1}])

    async def append(self, rows):
        self.rows += rows
        return len(self.rows)

    def release(self):
        self.released += 1


class FakeWorkers:
    def __init__(self, answer):
        self.answer = answer
        self.gate = asyncio.Event()
        self.gate.set()
        self.loads = 0

    async def load_url(self, url, *, on_progress, **options):
        self.loads += 1
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class FakeEvents:
    def __init__(self):
        self.emitter = Emitter(print)
        self.handlers = 0
        self.is_connected = False

    def on(self, event, handler):
        self.handlers += 1
        unsubscribe = self.emitter.on(event, handler)

        def once():
            self.handlers -= 1
            unsubscribe()

        return once

    def start_after(self, position):
        self.position = position

    def connect(self):
        self.is_connected = True

    def disconnect(self):
        self.is_connected = False


def rows(count):
    return [{"id": n, "name": f"<b>{n % 3}</b>", "price": n / 2} for n in range(count)]


class Placed:
    """An explorer in the page, and what it stands on."""

    def __init__(self, stage, answer, heading=None):
        self.workers = FakeWorkers(answer)
        self.events = FakeEvents()
        tag = f"data-explorer-{next(numbers)}"
        kind = type("Explorer", (DataExplorer,), {"tag": tag})
        define(
            kind,
            workers=self.workers,
            events=self.events,
            url="./rows",
            platform=default_platform(),
        )
        self.host = document.createElement(tag)
        if heading is not None:
            self.host.setAttribute("heading", heading)
        stage.append(self.host)

    def find(self, selector):
        return self.host.shadowRoot.querySelector(selector) or None

    def text(self, selector):
        node = self.find(selector)
        return node.textContent.strip() if node else None

    def ids(self):
        return [int(row.dataset.id) for row in self.host.shadowRoot.querySelectorAll(".row")]


async def test_shows_rows_as_text_newest_first(stage, until):
    placed = Placed(stage, FakeDataset(rows(1000)), heading="<i>Rows</i>")
    await until(lambda: placed.ids()[:3] == [999, 998, 997])
    assert placed.text("h2") == "<i>Rows</i>"
    assert placed.text(".row td:nth-child(2)") == "<b>0</b>"
    assert placed.find(".row b") is None
    assert placed.text(".count") == "1,000 rows"
    assert len(placed.ids()) < 60
    await until(lambda: placed.text("tfoot [data-field=price]") == "1.50")
    await until(lambda: placed.find("svg.bars"))
    assert placed.events.position == "999"


async def test_says_that_there_are_no_rows(stage, until):
    placed = Placed(stage, FakeDataset([]))
    await until(lambda: placed.text(".viewport .empty") == "There are no rows yet.")
    assert placed.text("tfoot [data-field=price]") in ("", None)


async def test_rows_that_come_are_added(stage, until):
    placed = Placed(stage, FakeDataset(rows(10)))
    await until(lambda: placed.ids()[:1] == [9])
    placed.events.emitter.emit("rows", {"rows": [{"id": 10, "name": "new", "price": 1}]})
    await until(lambda: placed.ids()[:1] == [10])
    assert placed.text(".count") == "11 rows"


async def test_slow_work_shows_and_is_cancelled(stage, until):
    dataset = FakeDataset(rows(10))
    placed = Placed(stage, dataset)
    await until(lambda: placed.ids()[:1] == [9])
    dataset.gate.clear()
    placed.find("[data-field=price] ").click()
    await until(lambda: placed.find(".working"))
    assert "Sorting" in placed.text(".working")
    placed.find(".working .cancel").click()
    await until(lambda: placed.find(".working") is None)
    dataset.gate.set()
    await until(lambda: "cancelled" in (placed.text("p[role=status]") or ""))
    assert placed.ids()[:2] == [9, 8]


async def test_with_shift_a_heading_is_one_more_key(stage, until):
    placed = Placed(stage, FakeDataset(rows(10)))
    await until(lambda: placed.ids()[:1] == [9])
    placed.find("th [data-field=price]").click()
    await until(lambda: placed.ids()[:1] == [0])
    shift = to_js({"shiftKey": True, "bubbles": True}, dict_converter=Object.fromEntries)
    placed.find("th [data-field=name]").dispatchEvent(MouseEvent.new("click", shift))
    await until(lambda: placed.text("th [data-field=name] sub") == "2")
    assert placed.find("th[aria-sort]").textContent.strip().startswith("Price")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (WorkerError("https://x/: HTTP 401", "OSError"), "log in first"),
        (WorkerError("https://x/: HTTP 503", "OSError"), "the server has a problem (HTTP 503)"),
        (WorkerError("https://x/: failed", "OSError"), "the server cannot be reached"),
        (WorkerError("x: expected JSON", "ValueError"), "expected JSON"),
    ],
)
async def test_says_what_went_wrong_and_tries_again(stage, until, error, words):
    placed = Placed(stage, error)
    await until(lambda: words in (placed.text("[role=alert]") or ""))
    placed.workers.answer = FakeDataset(rows(3))
    placed.find(".retry").click()
    await until(lambda: placed.ids() == [2, 1, 0])
    assert placed.find("[role=alert]:not(#mistake)") is None


async def test_a_worker_that_is_lost_is_told(stage, until):
    dataset = FakeDataset(rows(3))
    placed = Placed(stage, dataset)
    await until(lambda: placed.ids() == [2, 1, 0])
    dataset.error = DatasetLost("the dataset went with its worker")
    placed.find(".charted").dispatchEvent(Event.new("change"))
    placed.find("th [data-field=name]").click()
    await until(lambda: "went with its worker" in (placed.text("[role=alert]") or ""))
    assert dataset.released == 1
    assert not placed.events.is_connected


async def test_out_of_the_page_nothing_is_left(stage, until, proxies):
    before = proxies.alive()
    dataset = FakeDataset(rows(100))
    placed = Placed(stage, dataset)
    await until(lambda: placed.find("svg.bars"))
    placed.host.remove()
    assert dataset.released == 1
    assert placed.events.handlers == 0
    assert not placed.events.is_connected
    await proxies.settled(before + 3)
    placed.workers.gate.clear()
    stage.append(placed.host)
    await until(lambda: placed.workers.loads == 2)
    placed.host.remove()
    await drawn()
    assert placed.events.handlers == 0
    await proxies.settled(before + 3)
