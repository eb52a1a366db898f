"""`<data-explorer>`: a table of a hundred thousand rows and more, which grow while one looks.

All rows are in a worker: the page asks for those in sight, and for numbers about the others.
"""

import asyncio
from collections.abc import Coroutine
from functools import partial
from string.templatelib import Template
from typing import Any

from pyodide.ffi import JsProxy

from components import spread_chart
from components.columns import AGGREGATES, Column, Filter, columns_of, filter_of
from components.element import Element, drawn, reactive
from components.explorer_styles import STYLES
from components.explorer_view import Shown, controls, foot, head, progress_bar, table_rows
from components.explorer_words import words_of
from components.frame_counter import FrameCounter
from components.virtual_rows import ROW_HEIGHT, Slice, visible
from components.watching import Onlooker, when_seen
from services.auth import AuthService
from services.dataset import View
from services.errors import RealtimeError, WorkerTerminated
from services.live_dataset import LiveDataset
from services.platform import Platform
from services.sse_client import SSEClient
from services.tab_sync import TabSync
from services.worker_call import Progress
from services.worker_manager import WorkerManager

LIMIT = 250_000
"""Rows that are kept."""

SPARE = 60
"""Rows fetched above and below those that are drawn."""

SAMPLE = 100
"""Rows whose values tell what kind a column is."""

REFRESH_INTERVAL = 0.25
SUMMARY_INTERVAL = 1.0

NEWEST_FIRST = ({"field": "id", "order": "desc"},)
HEIGHT_AT_FIRST = 448.0


class DataExplorer(Element):
    """Sort by the headings, filter by conditions, watch the numbers at the foot and the plot.

    The attribute `heading` names it. Of many tabs, the one that leads loads the rows at once, the
    others when somebody sees where they are to be.
    """

    tag = "data-explorer"
    observed = ("heading",)

    state = reactive("waiting")
    problem = reactive("")
    busy = reactive("")
    mistake = reactive("")
    announcement = reactive("")
    order = reactive[tuple[dict[str, str], ...]](NEWEST_FIRST)
    filters = reactive[tuple[Filter, ...]](())
    aggregate = reactive("average")
    charted = reactive("")
    over_time = reactive(False)
    paused = reactive(False)
    frames = reactive("")

    def __init__(
        self,
        workers: WorkerManager,
        events: SSEClient,
        url: str,
        platform: Platform,
        auth: AuthService | None = None,
        tabs: TabSync | None = None,
    ) -> None:
        self._events = events
        self._auth = auth
        self._tabs = tabs
        self._platform = platform
        self._live = LiveDataset(
            workers,
            events,
            url,
            limit=LIMIT,
            token=auth,
            changed=self._grown,
            failed=self._lost,
            report=platform.report,
        )
        self._columns: list[Column] = []
        self._view: View | None = None
        self._total = 0
        self._seen = 0
        self._rows: tuple[int, list[dict[str, Any]]] = (0, [])
        self._top, self._height = 0.0, HEIGHT_AT_FIRST
        self._footing: dict[str, Any] = {}
        self._chart: Template | None = None
        self._progress: Progress | None = None
        self._work: asyncio.Task[None] | None = None
        self._fetching = self._fetch_again = False
        self._counter = FrameCounter(platform, self._count)

    def connected(self) -> None:
        """Load the rows; count frames while somebody looks."""
        self._news = asyncio.Event()
        self.lifetime.callback(self._leave_data)
        for event in ("connected", "disconnected"):
            self.lifetime.callback(self._events.on(event, lambda _: self.request_update()))
        counter = self._counter
        self.lifetime.callback(self._platform.watch(Onlooker(counter.begin, counter.end)))
        self.lifetime.callback(counter.end)
        if self._platform.is_visible:
            counter.begin()
        if self._auth is not None:
            self.lifetime.callback(self._auth.on("login", self._logged_in))
        self.start(self._follow())
        if self._tabs is None:
            self._load()
            return
        self.lifetime.callback(self._tabs.on("leader-changed", lambda *_: self._lead()))
        self.lifetime.callback(when_seen(self._host, self._begin))
        self._lead()

    def render(self) -> Template:
        """Show what there is."""
        heading = self.attribute("heading", "Live data")
        is_ready = self.state == "ready"
        return t"""<section class="panel data-explorer" aria-labelledby="heading" aria-busy={bool(self.busy)}>
            <header class="panel-header">
                <h2 id="heading">{heading}</h2>
                <div class="signs">
                    <span class="frames" title="Frames a second, and the longest of the last second">{self.frames}</span>
                    {self._status()}
                </div>
            </header>
            {is_ready and self._explorer()}
            {not is_ready and self._notice()}
            <p class="visually-hidden" role="status">{self.announcement}</p>
        </section>"""

    def _status(self) -> Template:
        if self.state == "loading":
            return t'<span class="status loading-status" role="status">◌ Loading</span>'
        if self.state != "ready" or not self._events.is_connected:
            return t'<span class="status offline" role="status">○ Offline</span>'
        if self.paused:
            return t'<span class="status paused" role="status">❚❚ Paused</span>'
        return t'<span class="status live" role="status">● Live</span>'

    def _notice(self) -> Template | None:
        if self.problem:
            return t"""<div class="problem" role="alert">
                <p>{self.problem}</p>
                <button type="button" class="retry" @click={self._load}>Try again</button>
            </div>"""
        if self.state == "waiting":
            return t'<p class="loading">The rows are loaded once this is looked at.</p>'
        return t"""<div class="loading">
            <p>{self._how_far()}</p>
            {progress_bar(self._progress)}
            <button type="button" class="cancel" @click={self._cancel}>Cancel</button>
        </div>"""

    def _how_far(self) -> str:
        if self._progress is None:
            return "Starting Python in a worker …"
        return f"Loading rows: {self._progress.done / 1e6:.1f} MB …"

    def _explorer(self) -> Template:
        part = self._in_sight()
        shown = Shown(self._columns, self.order, self.aggregate, self._footing)
        working = None
        if self.busy:
            working = t"""<div class="working"><progress aria-label={self.busy}></progress>
                <span>{self.busy} …</span>
                <button type="button" class="cancel" @click={self._cancel}>Cancel</button></div>"""
        matching = len(self._view or ())
        count = f"{matching:,} of {self._total:,} rows" if self.filters else f"{self._total:,} rows"
        return t"""{controls(self._columns, self.filters, self.mistake, self._add_filter, self._remove_filter)}
            <div class="bar">
                <span class="count">{count}</span>{working}
                <button type="button" class="pause" aria-pressed={self.paused} @click={self._pause}>Pause</button>
            </div>
            <div class="viewport" tabindex="0" role="region" aria-label="Rows" @scroll={self._scrolled}>
                <table aria-rowcount={matching + 2}>
                    {head(shown, self._sort)}
                    {table_rows(shown, part, self._row)}
                    {foot(shown, matching, self._choose_aggregate)}
                </table>
                {not matching and t'<p class="empty">{"No row meets this." if self.filters else "There are no rows yet."}</p>'}
            </div>
            {self._plot()}"""

    def _plot(self) -> Template:
        column = self._charted_column()
        if column is None:
            return t""
        options = [
            t"<option value={each.field} ?selected={each is column}>{each.label}</option>"
            for each in self._columns
        ]
        can = column.kind == "number" and self._time_field() is not None
        kinds = None
        if can:
            kinds = t"""<div class="kinds" role="group" aria-label="Kind of plot">
                <button type="button" aria-pressed={not self.over_time} @click={partial(self._choose_kind, False)}>Spread</button>
                <button type="button" aria-pressed={self.over_time} @click={partial(self._choose_kind, True)}>Over time</button>
            </div>"""
        return t"""<figure class="plot">
            <figcaption><label>Plot of <select class="charted" @change={self._choose_column}>{options}</select></label>{kinds}</figcaption>
            {self._chart}
        </figure>"""

    # What somebody does

    def _load(self, event: JsProxy | None = None) -> None:
        self._do("", self._open())

    def _logged_in(self, _: Any) -> None:
        if self.state == "problem":
            self._load()

    def _lead(self) -> None:
        if self._tabs is not None and self._tabs.is_leader:
            self._begin()

    def _begin(self) -> None:
        if self.state == "waiting":
            self._load()

    def _cancel(self, event: JsProxy) -> None:
        if self._work is not None:
            self._work.cancel()

    def _sort(self, field: str, event: JsProxy) -> None:
        now = {key["field"]: key["order"] for key in self.order}
        key = {"field": field, "order": "desc" if now.get(field) == "asc" else "asc"}
        if event.shiftKey:
            # In its place if it is a key already, else as the least of them.
            others = tuple(each if each["field"] != field else key for each in self.order)
            order = others if field in now else (*others, key)
        else:
            order = (key,)
        self._do("Sorting", self._show(order, self.filters))

    def _add_filter(self, event: JsProxy) -> None:
        event.preventDefault()
        form = event.target
        values = {control.name: control.value for control in form.elements if control.name}
        column = next(each for each in self._columns if each.field == values["field"])
        try:
            added = filter_of(column, values["operator"], values["value"])
        except ValueError as error:
            self.mistake = str(error)
            return
        self.mistake = ""
        form.elements.namedItem("value").value = ""
        self._do("Filtering", self._show(self.order, (*self.filters, added)))

    def _remove_filter(self, removed: Filter, event: JsProxy) -> None:
        rest = tuple(each for each in self.filters if each is not removed)
        self._do("Filtering", self._show(self.order, rest))
        if (field := self._find("[name=value]")) is not None:
            field.focus()  # the button goes, and the focus would go with it

    def _choose_aggregate(self, event: JsProxy) -> None:
        self.aggregate = event.target.value if event.target.value in AGGREGATES else "average"
        self._footing = {}
        self._look_again()

    def _choose_column(self, event: JsProxy) -> None:
        self.charted = event.target.value
        self._look_again()

    def _choose_kind(self, over_time: bool, event: JsProxy) -> None:
        self.over_time = over_time
        self._look_again()

    def _pause(self, event: JsProxy) -> None:
        self.paused = not self.paused
        self._live.paused = self.paused

    def _scrolled(self, event: JsProxy) -> None:
        self._top, self._height = event.target.scrollTop, event.target.clientHeight
        self.request_update()
        part = self._in_sight()
        first, rows = self._rows
        if part.first < first or part.last > first + len(rows):
            self._fetch_soon()

    # What is done then

    def _do(self, label: str, work: Coroutine[Any, Any, None]) -> None:
        """Do one thing at a time: what is done now is no longer wanted."""
        if self._work is not None:
            self._work.cancel()
        self.busy = label
        self._work = self.start(self._watched(label, work))

    async def _watched(self, label: str, work: Coroutine[Any, Any, None]) -> None:
        me = asyncio.current_task()
        try:
            await work
        except asyncio.CancelledError:
            if self._work is me and self.is_connected:
                self.announcement = f"{label or 'Loading'} was cancelled."
                if self.state == "loading":
                    self.state, self.problem = "problem", "Loading was cancelled."
                return
            raise
        except RealtimeError as error:
            if self.is_connected:
                self._lost(error)
        finally:
            if self._work is me:
                self._work, self.busy = None, ""

    async def _open(self) -> None:
        self.state, self.problem, self._progress = "loading", "", None
        self._view = None
        dataset = await self._live.open(self._progressed)
        self._live.paused = self.paused
        sample = await dataset.window(0, SAMPLE)
        self._columns = columns_of(dataset.fields, sample)
        if not self._charted_column():
            self.charted = ""
        await self._show(self.order, self.filters)
        self.state = "ready"

    async def _show(self, order: tuple[dict[str, str], ...], filters: tuple[Filter, ...]) -> None:
        dataset = self._live.dataset
        if dataset is None:
            return
        known = {column.field for column in self._columns}
        keys = [key for key in order if key["field"] in known]
        view: View = dataset
        if filters:
            view = await view.filter(all=[each.as_condition() for each in filters])
        if keys:
            view = await view.sort(keys=keys)
        self.order, self.filters, self._view, self._total = order, filters, view, len(dataset)
        self._seen = len(view)
        self._top, self._rows = 0.0, (0, [])
        if (viewport := self._find(".viewport")) is not None:
            viewport.scrollTop = 0
        await self._fetch()
        self.announcement = f"{len(view):,} rows"
        self._look_again()

    def _look_again(self) -> None:
        self._summary_at = 0.0
        self._news.set()
        self.request_update()

    def _progressed(self, progress: Progress) -> None:
        self._progress = progress
        self.request_update()

    def _count(self, rate: float, longest: float) -> None:
        self.frames = f"{rate:.0f} fps · longest {longest:.0f} ms"

    def _grown(self) -> None:
        self._news.set()

    def _lost(self, error: RealtimeError) -> None:
        if isinstance(error, WorkerTerminated) or not self.is_connected:
            return
        if self._live.dataset is not None:
            self._live.close()
        self.state, self.problem = "problem", f"The rows cannot be shown: {words_of(error)}"

    def _leave_data(self) -> None:
        self._live.close()
        self._view, self.state, self.busy = None, "waiting", ""
        self._rows = (0, [])

    async def _follow(self) -> None:
        """Keep what is shown up to date: the rows in sight often, the rest less so."""
        self._summary_at = 0.0
        while True:
            await self._news.wait()
            self._news.clear()
            if self._view is None or self.state != "ready":
                await asyncio.sleep(REFRESH_INTERVAL)
                continue
            try:
                await self._fetch()
                if (now := self._platform.now()) >= self._summary_at:
                    self._summary_at = now + SUMMARY_INTERVAL
                    await self._sum_up()
                else:
                    self._news.set()  # the numbers are to be the last rows' too
            except RealtimeError as error:
                if self._live.dataset is not None and self._view is not None:
                    self._lost(error)
            await asyncio.sleep(REFRESH_INTERVAL)

    def _fetch_soon(self) -> None:
        if self._fetching:
            self._fetch_again = True
        else:
            self.start(self._fetch_all())

    async def _fetch_all(self) -> None:
        self._fetching = True
        try:
            self._fetch_again = True
            while self._fetch_again:
                self._fetch_again = False
                await self._fetch()
        except RealtimeError as error:
            self._lost(error)
        finally:
            self._fetching = False

    async def _fetch(self) -> None:
        """Fetch the rows in sight, and some around them."""
        view, dataset = self._view, self._live.dataset
        if view is None or dataset is None:
            return
        part = self._in_sight()
        start = max(0, part.first - SPARE)
        rows = await view.window(start, part.last + SPARE, priority=1)
        if view is not self._view:
            return
        self._total = len(dataset)
        self._rows = (start, rows)
        # Of two fetches at once, only one may move what is in sight.
        before, self._seen = self._seen, len(view)
        grown = self._seen - before
        if grown > 0 and self._top > 0 and before and tuple(self.order) == NEWEST_FIRST:
            await self._stay(grown)
        self.request_update()

    async def _stay(self, grown: int) -> None:
        """Keep the rows in sight where they are while others come above them."""
        viewport = self._find(".viewport")
        if viewport is None:
            return
        self._top += grown * ROW_HEIGHT
        self.request_update()
        await drawn()
        viewport.scrollTop = self._top

    async def _sum_up(self) -> None:
        view, operation = self._view, self.aggregate
        if view is None:
            return
        columns = [column for column in self._columns if column.takes(operation)]
        wanted = [{"operation": operation, "field": column.field} for column in columns]
        found = await view.aggregates(wanted)
        if operation == self.aggregate:
            self._footing = {
                column.field: value for column, value in zip(columns, found, strict=True)
            }
        self._chart = await self._drawn_chart(view)
        self.request_update()

    async def _drawn_chart(self, view: View) -> Template | None:
        column, time_field = self._charted_column(), self._time_field()
        if column is None:
            return None
        if column.kind == "text":
            return spread_chart.values(column, await view.group_by(column.field))
        if self.over_time and column.kind == "number" and time_field is not None:
            points = await view.moving(time_field, column.field, points=spread_chart.POINTS)
            return spread_chart.over_time(column, points)
        found = await view.histogram(column.field, spread_chart.BINS)
        return spread_chart.histogram(column, found)

    def _charted_column(self) -> Column | None:
        numbers = [each for each in self._columns if each.kind == "number" and each.field != "id"]
        chosen = [each for each in self._columns if each.field == self.charted]
        return next(iter([*chosen, *numbers, *self._columns]), None)

    def _time_field(self) -> str | None:
        return next((each.field for each in self._columns if each.kind == "time"), None)

    def _in_sight(self) -> Slice:
        return visible(self._top, self._height, len(self._view) if self._view is not None else 0)

    def _row(self, number: int) -> dict[str, Any] | None:
        start, rows = self._rows
        return rows[number - start] if 0 <= number - start < len(rows) else None

    def _find(self, selector: str) -> JsProxy | None:
        # What is not there is JavaScript's null, which is no None.
        return (self.root and self.root.querySelector(selector)) or None

    styles = STYLES
