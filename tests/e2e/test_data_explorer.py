"""`<data-explorer>` on the page: what it shows is what the gateway has, and the page lives."""

from __future__ import annotations

import json
import re
import statistics
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.support.gateway import Gateway, wait_until

EXPLORER = "data-explorer"
START_TIMEOUT = 60_000

#: Of the row in the middle of what is in sight, its number and its place.
MIDDLE_ROW = """viewport => {
    const { top, bottom } = viewport.getBoundingClientRect();
    const middle = (top + bottom) / 2;
    const isThere = (row) => {
        const rect = row.getBoundingClientRect();
        return rect.top <= middle && middle <= rect.bottom;
    };
    const row = [...viewport.querySelectorAll(".row")].find(isThere);
    return row ? [row.dataset.id, row.ariaRowIndex ?? row.getAttribute("aria-rowindex")] : null;
}"""


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway whose datasets do not grow."""
    with Gateway(tmp_path / "data", DATASET_RATE="0", DATASET_ROWS="20000") as gateway:
        yield gateway


def rows_of(gateway: Gateway, query: str = "") -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{gateway.url}api/datasets/trades{query}") as answer:
        return json.load(answer)


def opened(page: Page, gateway: Gateway) -> Locator:
    page.goto(gateway.url)
    explorer = page.locator(EXPLORER)
    expect(explorer.locator(".row").first).to_be_visible(timeout=START_TIMEOUT)
    return explorer


def ids(explorer: Locator) -> list[int]:
    return [
        int(row)
        for row in explorer.locator(".row").evaluate_all("rows => rows.map(row => row.dataset.id)")
    ]


def number_of(locator: Locator) -> int:
    return int(re.sub(r"\D", "", locator.inner_text()))


def cell(explorer: Locator, field: str) -> Locator:
    return explorer.locator(f"tfoot [data-field={field}]")


def add_filter(explorer: Locator, field: str, operator: str, value: str) -> None:
    explorer.locator("[name=field]").select_option(field)
    explorer.locator("[name=operator]").select_option(operator)
    explorer.get_by_label("Value", exact=True).fill(value)
    explorer.get_by_label("Value", exact=True).press("Enter")


def sort_by(explorer: Locator, name: str, **options: Any) -> None:
    explorer.get_by_role("columnheader", name=name).get_by_role("button").click(**options)


def test_shows_the_newest_rows_and_numbers_about_all(page: Page, still: Gateway):
    rows = rows_of(still)
    explorer = opened(page, still)
    expect(explorer.locator(".count")).to_have_text("20,000 rows")
    expect(explorer.locator(".row").first).to_have_attribute("data-id", "19999")
    expect(explorer.locator("table")).to_have_attribute("aria-rowcount", "20002")
    average = statistics.fmean(row["price"] for row in rows)
    expect(cell(explorer, "price")).to_have_text(f"{average:,.2f}")
    for operation, value in {
        "sum": sum(row["quantity"] for row in rows),
        "max": max(row["quantity"] for row in rows),
        "median": statistics.median_low(row["quantity"] for row in rows),
        "distinct": len({row["quantity"] for row in rows}),
    }.items():
        explorer.locator(".aggregate").select_option(operation)
        shown = f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
        expect(cell(explorer, "quantity")).to_have_text(shown)
    expect(cell(explorer, "symbol")).to_have_text(f"{len({row['symbol'] for row in rows})}")


def test_sorts_by_a_heading_and_with_shift_by_several(page: Page, still: Gateway):
    rows = rows_of(still)
    explorer = opened(page, still)
    sort_by(explorer, "Price")
    cheap = sorted(rows, key=lambda row: row["price"])
    expect(explorer.locator(".row").first).to_have_attribute("data-id", str(cheap[0]["id"]))
    assert ids(explorer) == [row["id"] for row in cheap[: len(ids(explorer))]]
    price = explorer.get_by_role("columnheader", name="Price")
    expect(price).to_have_attribute("aria-sort", "ascending")
    sort_by(explorer, "Price")
    dear = sorted(rows, key=lambda row: row["price"], reverse=True)
    expect(price).to_have_attribute("aria-sort", "descending")
    expect(explorer.locator(".row").first).to_have_attribute("data-id", str(dear[0]["id"]))
    sort_by(explorer, "Symbol")
    sort_by(explorer, "Quantity", modifiers=["Shift"])
    both = sorted(rows, key=lambda row: (row["symbol"], row["quantity"]))
    expect(explorer.locator(".row").first).to_have_attribute("data-id", str(both[0]["id"]))
    assert ids(explorer) == [row["id"] for row in both[: len(ids(explorer))]]


def test_filters_add_up_and_can_be_taken_away(page: Page, still: Gateway):
    rows = rows_of(still)
    symbol = rows[0]["symbol"]
    explorer = opened(page, still)
    add_filter(explorer, "symbol", "equals", symbol)
    some = [row for row in rows if row["symbol"] == symbol]
    expect(explorer.locator(".count")).to_have_text(f"{len(some):,} of 20,000 rows")
    add_filter(explorer, "quantity", "between", "10, 40")
    fewer = [row for row in some if 10 <= row["quantity"] <= 40]
    expect(explorer.locator(".count")).to_have_text(f"{len(fewer):,} of 20,000 rows")
    average = statistics.fmean(row["price"] for row in fewer)
    expect(cell(explorer, "price")).to_have_text(f"{average:,.2f}")
    explorer.get_by_role("button", name=f"Remove: Symbol is {symbol}").click()
    only = [row for row in rows if 10 <= row["quantity"] <= 40]
    expect(explorer.locator(".count")).to_have_text(f"{len(only):,} of 20,000 rows")
    expect(explorer.get_by_label("Value", exact=True)).to_be_focused()
    add_filter(explorer, "symbol", "equals", "no such symbol")
    expect(explorer.get_by_text("No row meets this.")).to_be_visible()


def test_says_what_a_condition_needs(page: Page, still: Gateway):
    explorer = opened(page, still)
    add_filter(explorer, "price", "greater", "a lot")
    mistake = explorer.locator("#mistake")
    expect(mistake).to_have_text("Price needs a number, not “a lot”.")
    expect(explorer.get_by_label("Value", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(explorer.locator(".count")).to_have_text("20,000 rows")
    add_filter(explorer, "price", "greater", "5")
    expect(mistake).to_be_empty()


def test_every_row_can_be_scrolled_to(page: Page, still: Gateway):
    explorer = opened(page, still)
    viewport = explorer.locator(".viewport")
    viewport.focus()
    page.keyboard.press("End")
    expect(explorer.locator(".row").last).to_have_attribute("data-id", "0")
    expect(explorer.locator("[data-id='0']")).to_be_in_viewport()
    # Never more in the page than what is in sight, and a little.
    assert explorer.locator(".row").count() < 80
    viewport.evaluate("viewport => viewport.scrollTop = 28 * 9990")
    expect(explorer.locator("[data-id='10000']")).to_be_in_viewport()
    page.keyboard.press("Home")
    expect(explorer.locator("[data-id='19999']")).to_be_in_viewport()


def test_rows_that_come_are_seen_and_counted(page: Page, tmp_path: Path):
    with Gateway(tmp_path / "data", DATASET_RATE="200", DATASET_ROWS="5000") as gateway:
        explorer = opened(page, gateway)
        expect(explorer.locator(".status.live")).to_be_visible()
        before = int(explorer.locator(".row").first.get_attribute("data-id") or 0)
        wait_until(lambda: ids(explorer)[0] >= before + 400, deadline=30)
        explorer.get_by_role("button", name="Pause").click()
        expect(explorer.locator(".status.paused")).to_be_visible()
        # None is left out, none is there twice.
        shown = ids(explorer)
        assert shown == list(range(shown[0], shown[0] - len(shown), -1))
        explorer.get_by_role("button", name="Pause").click()
        expect(explorer.locator(".status.live")).to_be_visible()
        wait_until(lambda: ids(explorer)[0] > shown[0] + 100, deadline=30)


def test_what_one_reads_stays_where_it_is_while_rows_come_above(page: Page, tmp_path: Path):
    with Gateway(tmp_path / "data", DATASET_RATE="200", DATASET_ROWS="5000") as gateway:
        explorer = opened(page, gateway)
        pause = explorer.get_by_role("button", name="Pause")
        pause.click()
        expect(explorer.locator(".status.paused")).to_be_visible()
        viewport = explorer.locator(".viewport")
        viewport.evaluate("viewport => viewport.scrollIntoView({block: 'center'})")
        viewport.evaluate("viewport => viewport.scrollTop = 28 * 1000")
        # What was on its way when it was paused may still come, and moves the rows' places.
        wait_until(lambda: viewport.evaluate(MIDDLE_ROW) is not None, deadline=20)
        number, place = viewport.evaluate(MIDDLE_ROW)
        read = explorer.locator(f"[data-id='{number}']")
        total = number_of(explorer.locator(".count"))
        pause.click()
        wait_until(lambda: number_of(explorer.locator(".count")) > total + 600, deadline=30)
        expect(read).to_be_in_viewport()
        assert int(read.get_attribute("aria-rowindex") or 0) > int(place) + 500


def test_plots_are_told_in_words(page: Page, still: Gateway):
    explorer = opened(page, still)
    spread = explorer.get_by_role("img", name=re.compile(r"^Price: 20,000 values from .* to "))
    expect(spread).to_be_visible()
    explorer.get_by_role("button", name="Over time").click()
    expect(explorer.get_by_role("img", name=re.compile(r"^Price, average over"))).to_be_visible()
    explorer.locator(".charted").select_option("symbol")
    values = explorer.get_by_role("list", name="Symbol: the most frequent")
    expect(values.get_by_role("listitem").first).to_be_visible()
    counts: dict[str, int] = {}
    for row in rows_of(still):
        counts[row["symbol"]] = counts.get(row["symbol"], 0) + 1
    most = max(counts, key=counts.__getitem__)
    expect(values.get_by_role("listitem").first).to_contain_text(f"{counts[most]:,}")


def test_loading_can_be_cancelled_and_tried_again(page: Page, still: Gateway):
    held: list[Route] = []
    page.route("**/api/datasets/trades", lambda route: held.append(route))
    page.goto(still.url)
    explorer = page.locator(EXPLORER)
    wait_until(lambda: page.evaluate("1") and bool(held), deadline=60)
    explorer.get_by_role("button", name="Cancel").click()
    expect(explorer.get_by_role("alert")).to_contain_text("Loading was cancelled.")
    page.unroute("**/api/datasets/trades")
    explorer.get_by_role("button", name="Try again").click()
    expect(explorer.locator(".count")).to_have_text("20,000 rows", timeout=START_TIMEOUT)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 500, "body": "no"}, "HTTP 500"),
        ({"status": 200, "body": "<p>no rows</p>"}, "expected JSON"),
        ({"status": 200, "body": "[1, 2]"}, "expected an array of objects"),
    ],
)
def test_says_why_there_are_no_rows(page: Page, still: Gateway, answer: Any, words: str):
    page.route("**/api/datasets/trades", lambda route: route.fulfill(**answer))
    page.goto(still.url)
    alert = page.locator(EXPLORER).get_by_role("alert")
    expect(alert).to_contain_text(words, timeout=START_TIMEOUT)
    page.unroute("**/api/datasets/trades")
    page.locator(EXPLORER).get_by_role("button", name="Try again").click()
    expect(page.locator(f"{EXPLORER} .count")).to_have_text("20,000 rows", timeout=START_TIMEOUT)


def test_goes_on_after_the_gateway_was_away(page: Page, tmp_path: Path):
    with Gateway(tmp_path / "data", DATASET_RATE="50", DATASET_ROWS="5000") as gateway:
        explorer = opened(page, gateway)
        expect(explorer.locator(".status.live")).to_be_visible()
        gateway.kill()
        expect(explorer.locator(".status.offline")).to_be_visible()
        sort_by(explorer, "Price")  # the rows are here
        expect(explorer.get_by_role("columnheader", name="Price")).to_have_attribute(
            "aria-sort", "ascending"
        )
        gateway.start()
        # Its rows begin at the start again: what it does not know any more is loaded anew.
        again = explorer.locator(".status.live").or_(
            explorer.get_by_role("button", name="Try again")
        )
        expect(again).to_be_visible(timeout=40_000)


def test_taken_out_of_the_page_it_leaves_no_stream(page: Page, still: Gateway):
    explorer = opened(page, still)
    expect(explorer.locator(".status.live")).to_be_visible()

    def streams() -> int:
        with urllib.request.urlopen(f"{still.url}metrics") as answer:
            return int(float(re.search(rb"^gateway_dataset_streams (\S+)", answer.read(), re.M)[1]))

    wait_until(lambda: streams() == 1)
    page.evaluate("window.explorer = document.querySelector('data-explorer'); explorer.remove()")
    wait_until(lambda: streams() == 0)
    page.evaluate("document.querySelector('main').append(explorer)")
    expect(page.locator(f"{EXPLORER} .count")).to_have_text("20,000 rows")
    wait_until(lambda: streams() == 1)


def test_the_page_draws_while_a_hundred_thousand_rows_are_sorted(
    new_tab: Callable[[], Page], gateway: Gateway
):
    page = new_tab()
    explorer = opened(page, gateway)
    expect(explorer.locator(".frames")).to_have_text(re.compile(r"^\d+ fps · longest \d+ ms$"))
    page.evaluate(
        """() => {
            window.longest = 0;
            let last = performance.now();
            const frame = (now) => {
                window.longest = Math.max(window.longest, now - last);
                last = now;
                requestAnimationFrame(frame);
            };
            requestAnimationFrame(frame);
        }"""
    )
    for name in ("Price", "Symbol", "Quantity", "Price"):
        sort_by(explorer, name)
        heading = explorer.get_by_role("columnheader", name=name)
        expect(heading).to_have_attribute("aria-sort", "ascending")
    # Sorting that many on the page would hold it for longer than this, on any machine.
    assert page.evaluate("window.longest") < 1000


def test_nothing_is_wider_than_a_phone(page: Page, still: Gateway):
    page.set_viewport_size({"width": 360, "height": 740})
    explorer = opened(page, still)
    add_filter(explorer, "symbol", "contains", "W" * 60)
    expect(explorer.locator(".chip")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_every_control_has_a_name(page: Page, still: Gateway):
    explorer = opened(page, still)
    expect(explorer.get_by_role("region", name="Live trades")).to_be_visible()
    expect(explorer.get_by_role("region", name="Rows")).to_be_visible()
    for role in ("button", "combobox", "textbox"):
        for control in explorer.get_by_role(role).all():
            expect(control).to_have_accessible_name(re.compile(r"\S"))


@pytest.mark.parametrize("width", [360, 1280])
def test_has_its_place_before_there_are_rows(page: Page, still: Gateway, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    held: list[Route] = []
    page.route("**/api/datasets/trades", lambda route: held.append(route))
    page.goto(still.url)
    explorer = page.locator(EXPLORER)
    before = explorer.bounding_box()
    explorer.scroll_into_view_if_needed()
    expect(explorer.locator(".loading")).to_be_visible(timeout=START_TIMEOUT)
    loading = explorer.bounding_box()
    wait_until(lambda: page.evaluate("1") and bool(held), deadline=60)
    held[0].continue_()
    expect(explorer.locator(".bars")).to_be_visible(timeout=START_TIMEOUT)
    after = explorer.bounding_box()
    assert before is not None
    assert loading is not None
    assert after is not None
    assert abs(before["height"] - after["height"]) < 0.05 * after["height"]
    assert abs(loading["height"] - after["height"]) < 0.05 * after["height"]
