"""The page as a person meets it."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.conftest import wait_until_live


def test_says_what_it_does_before_python_is_up(page, gateway):
    page.route("**/python_stdlib.zip", lambda route: None)
    page.goto(gateway.url)
    expect(page.locator("#boot")).to_have_text(re.compile("Starting Python"))
    for heading in ("Notifications", "Activity", "Post a notification", "Post an activity"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()


def test_becomes_interactive_and_says_so(live):
    expect(live.locator("#boot")).to_have_text("Running")
    marks = live.evaluate("performance.getEntriesByName('app-interactive').length")
    assert marks == 1


def test_asks_nothing_of_another_origin(page, gateway):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(gateway.url)
    wait_until_live(page)
    assert [url for url in asked if not url.startswith((gateway.url, "blob:", "data:"))] == []


def test_says_when_python_cannot_be_loaded(page, gateway, complaints):
    page.route("**/pyodide.asm.wasm", lambda route: route.abort())
    page.goto(gateway.url)
    expect(page.locator("#boot.failed")).to_contain_text("Reload to try again", timeout=30_000)
    complaints.clear()


def test_says_when_the_configuration_is_wrong(page, gateway, complaints):
    def spoil(route):
        response = route.fetch()
        route.fulfill(response=response, body=response.text().replace('events = "', 'evnts = "'))

    page.route("**/pyscript.toml", spoil)
    page.goto(gateway.url)
    # Python itself has to be up before it can read its configuration.
    expect(page.locator("#boot.failed")).to_contain_text("evnts", timeout=30_000)
    complaints.clear()


def test_nothing_is_wider_than_a_phone(live, gateway):
    live.set_viewport_size({"width": 360, "height": 740})
    gateway.post_notification("W" * 300, message="m" * 3000)
    gateway.post_activity("U" * 300, "a" * 300, "t" * 300)
    expect(live.locator("notification-feed .notification")).to_be_visible()
    expect(live.locator("activity-feed .activity-item")).to_be_visible()
    assert live.evaluate("document.documentElement.scrollWidth") <= 360
