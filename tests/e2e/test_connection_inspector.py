"""`<connection-inspector>` on the page: connections that are really lost."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.e2e.conftest import wait_until_live
from tests.support.gateway import ROOT, Gateway, wait_until

INSPECTOR = "connection-inspector"

#: The page's own main.py, and a way to send for whoever drives the page.
SENDING = """
from js import window
from pyodide.ffi import create_proxy
window.say = create_proxy(lambda text: socket.send("note", {"text": text}))
"""

#: Playwright loses sight of a page that comes back so, but can still run scripts in it.
HIGHEST_RATE = """document.querySelector("connection-inspector").shadowRoot
    .querySelector("[data-id=WebSocket] .rate .summary").textContent"""

#: How many of a chart's pixels have about this colour.
HAS_COLOUR = """
([selector, red, green, blue]) => {
  const root = document.querySelector("connection-inspector").shadowRoot;
  const canvas = root.querySelector(selector + " canvas");
  if (!canvas) return 0;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const near = (at, value) => Math.abs(data[at] - value) < 24;
  let found = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] > 200 && near(at, red) && near(at + 1, green) && near(at + 2, blue)) found++;
  }
  return found;
}
"""


def part(page: Page, name: str) -> Locator:
    return page.locator(f"{INSPECTOR} [data-id='{name}']")


def status(page: Page, name: str) -> Locator:
    return part(page, name).get_by_role("status")


def figure(page: Page, name: str, figure: str) -> Locator:
    return part(page, name).locator(f".figures .{figure} dd")


def wait_until_both(page: Page, words: str) -> None:
    for name in ("WebSocket", "Event stream"):
        expect(status(page, name)).to_contain_text(words, timeout=40_000)


def test_says_that_the_gateway_is_gone_and_that_it_is_back(live: Page, gateway: Gateway):
    wait_until_both(live, "Connected")
    expect(figure(live, "WebSocket", "last-close")).to_have_text("none yet")
    gateway.kill()
    wait_until_both(live, "Disconnected, trying again …")
    lost = "the network was lost, or the server is away"
    expect(figure(live, "WebSocket", "last-close")).to_have_text(f"{lost} (1006)")
    expect(figure(live, "Event stream", "last-close")).to_have_text(lost)
    expect(figure(live, "WebSocket", "attempts")).not_to_have_text("0")
    gateway.start()
    wait_until_both(live, "Connected")


def test_says_that_the_server_restarts(page: Page, gateway: Gateway):
    closed: list[bool] = []

    def restart_once(socket: WebSocketRoute) -> None:
        if not closed:
            closed.append(True)
            socket.close(code=1012, reason="a new version")

    page.route_web_socket("**/ws*", restart_once)
    page.goto(gateway.url)
    expect(status(page, "WebSocket")).to_contain_text("Connected", timeout=40_000)
    last = figure(page, "WebSocket", "last-close")
    expect(last).to_have_text("the server restarts (1012) “a new version”")


def test_says_that_the_server_refuses(page: Page, gateway: Gateway):
    page.route_web_socket("**/ws*", lambda socket: socket.close(code=4403, reason="no guests"))
    page.route("**/api/events", lambda route: route.fulfill(status=403))
    page.goto(gateway.url)
    wait_until_both(page, "Disconnected: the server refuses")
    expect(figure(page, "WebSocket", "last-close")).to_have_text("not allowed (4403) “no guests”")
    expect(figure(page, "Event stream", "last-close")).to_have_text("not allowed (HTTP 403)")
    for name in ("WebSocket", "Event stream"):
        expect(page.get_by_role("button", name=f"Connect {name}", exact=True)).to_be_enabled()
        expect(page.get_by_role("button", name=f"Reconnect {name}")).to_be_disabled()


def test_what_is_sent_offline_waits_and_then_goes_out(page: Page, gateway: Gateway):
    overlay = (ROOT / "main.py").read_text() + SENDING
    page.route("**/main.py", lambda route: route.fulfill(body=overlay, content_type="text/plain"))
    page.goto(gateway.url)
    wait_until_live(page)
    offline = page.get_by_role("button", name="Simulate offline WebSocket")
    offline.click()
    expect(offline).to_have_attribute("aria-pressed", "true")
    expect(status(page, "WebSocket")).to_contain_text("simulated offline")
    expect(page.locator("notification-feed .connection-status.disconnected")).to_be_visible()
    gateway.post_notification("Missed")
    for n in range(1, 4):
        page.evaluate("n => say(`note ${n}`)", n)
        expect(figure(page, "WebSocket", "queued")).to_have_text(str(n))
    offline.click()
    expect(status(page, "WebSocket")).to_contain_text("Connected")
    expect(figure(page, "WebSocket", "queued")).to_have_text("0")
    expect(figure(page, "WebSocket", "sent")).to_have_text("3")
    expect(figure(page, "WebSocket", "received")).to_have_text("1")
    expect(page.locator("notification-feed .notification")).to_contain_text("Missed")


def test_disconnects_and_connects(live: Page, gateway: Gateway):
    live.get_by_role("button", name="Disconnect Event stream").click()
    gateway.wait_for_clients(websockets=1, event_streams=0)
    expect(live.locator("activity-feed .status.offline")).to_be_visible()
    live.get_by_role("button", name="Disconnect WebSocket").click()
    gateway.wait_for_clients(websockets=0, event_streams=0)
    gateway.post_activity(target="meanwhile")
    for name in ("WebSocket", "Event stream"):
        live.get_by_role("button", name=f"Connect {name}", exact=True).click()
    wait_until_both(live, "Connected")
    expect(live.locator("activity-feed .activity-item")).to_contain_text("meanwhile")


def test_reconnects_by_keyboard_alone(live: Page, gateway: Gateway):
    button = live.get_by_role("button", name="Disconnect WebSocket")
    button.focus()
    live.keyboard.press("Tab")
    reconnect = live.get_by_role("button", name="Reconnect WebSocket")
    expect(reconnect).to_be_focused()
    live.keyboard.press("Enter")
    last = figure(live, "WebSocket", "last-close")
    expect(last).to_have_text("closed normally (1000) “reconnect”")
    expect(status(live, "WebSocket")).to_contain_text("Connected")
    expect(reconnect).to_be_focused()
    live.keyboard.press("Tab")
    live.keyboard.press("Space")
    offline = live.get_by_role("button", name="Simulate offline WebSocket")
    expect(offline).to_have_attribute("aria-pressed", "true")
    expect(offline).to_be_focused()


def test_a_cancelled_attempt_is_no_error(live: Page, gateway: Gateway):
    gateway.kill()
    wait_until_both(live, "Disconnected, trying again …")
    live.get_by_role("button", name="Disconnect WebSocket").click()
    expect(status(live, "WebSocket")).to_have_text(re.compile(r"Disconnected\s*$"))
    live.get_by_role("button", name="Connect WebSocket", exact=True).click()
    trouble = part(live, "WebSocket").get_by_role("alert")
    expect(trouble).to_have_text("Not connected: the server cannot be reached")
    live.get_by_role("button", name="Disconnect WebSocket").click()
    expect(trouble).to_have_count(0)


def test_measures_again_when_the_page_comes_back(live: Page, gateway: Gateway):
    expect(part(live, "Event stream").locator(".rate .latest")).to_have_text("0/s")
    live.goto(f"{gateway.url}healthz")
    gateway.wait_for_clients(websockets=0, event_streams=0)
    live.evaluate("history.back()")
    gateway.wait_for_clients(websockets=1, event_streams=1)

    def comes_and_is_counted() -> object:
        gateway.post_notification()
        return re.search(r"highest (?!0/s)", live.evaluate(HIGHEST_RATE))

    wait_until(comes_and_is_counted)


def test_charts_are_told_in_words(live: Page, gateway: Gateway):
    gateway.post_activity()
    gateway.post_notification()
    rates = live.get_by_role("img", name=re.compile(r"^Receiving: now .* per second; median"))
    expect(rates).to_have_count(2)
    trip = live.get_by_role("img", name=re.compile(r"^Round trip: now [\d.,]+ milliseconds; med"))
    expect(trip).to_have_count(1)
    expect(part(live, "WebSocket").locator(".round-trip .latest")).to_have_text(
        re.compile(r"^[\d.,]+ ms$")
    )


def test_every_control_and_part_has_a_name(live: Page):
    for name in ("WebSocket", "Event stream"):
        article = live.get_by_role("article", name=name, exact=True)
        expect(article.get_by_role("heading", name=name, level=3)).to_be_visible()
        expect(article.get_by_role("group", name=name)).to_be_visible()
        for button in article.get_by_role("button").all():
            expect(button).to_have_accessible_name(re.compile(rf"^\S.* {name}$"))
        for term in article.get_by_role("term").all():
            expect(term).not_to_be_empty()
    expect(live.get_by_role("region", name="Connections")).to_be_visible()
    expect(live.get_by_role("heading", name="Connections", level=2)).to_be_visible()


@pytest.mark.parametrize(("first", "then"), [("light", "dark"), ("dark", "light")])
def test_charts_follow_the_colour_scheme(page: Page, gateway: Gateway, first: str, then: str):
    accent = {"light": [0x2F, 0x5F, 0xD0], "dark": [0x8F, 0xB0, 0xFF]}
    page.emulate_media(color_scheme=first)
    page.goto(gateway.url)
    wait_until_live(page)
    page.wait_for_function(HAS_COLOUR, arg=[".rate", *accent[first]])
    # No new sample: the colours change at once.
    page.evaluate("""() => {
        const chart = document.querySelector("connection-inspector").shadowRoot
            .querySelector("line-chart");
        Object.defineProperty(chart, "series", { set() {} });
    }""")
    page.emulate_media(color_scheme=then)
    page.wait_for_function(HAS_COLOUR, arg=[".rate", *accent[then]])
    assert page.evaluate(HAS_COLOUR, [".rate", *accent[first]]) == 0


@pytest.mark.parametrize("width", [360, 720, 1440])
def test_has_its_place_before_python_is_up(page: Page, gateway: Gateway, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    held: list[Callable[[], None]] = []
    page.route("**/python_stdlib.zip", lambda route: held.append(route.continue_))
    page.goto(gateway.url)
    heading = page.get_by_role("heading", name="Connections", exact=True)
    expect(heading).to_be_visible()
    before = page.locator(INSPECTOR).bounding_box()
    page.unroute("**/python_stdlib.zip")
    page.reload()
    wait_until_live(page)
    expect(status(page, "WebSocket")).to_contain_text("Connected")
    after = page.locator(INSPECTOR).bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["height"] - before["height"]) < 0.1 * after["height"]
    assert after["width"] == before["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
