"""A page that is left and comes back from the browser's back/forward cache."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.support.gateway import Gateway, wait_until

#: Playwright loses sight of a page that comes back so, but can still run scripts in it.
TITLES = """[...document.querySelector("notification-feed").shadowRoot
    .querySelectorAll(".notification strong bdi")].map(title => title.textContent)"""
TARGETS = """[...document.querySelector("activity-feed").shadowRoot
    .querySelectorAll(".activity-item")].map(item => item.textContent).join()"""


def test_it_lets_go_and_resumes(live: Page, gateway: Gateway):
    live.evaluate("window.kept = true")
    live.goto(f"{gateway.url}healthz")
    gateway.wait_for_clients(websockets=0, event_streams=0)
    for n in range(3):
        gateway.post_notification(f"Missed {n}")
        gateway.post_activity(target=f"missed-{n}")
    live.evaluate("history.back()")
    gateway.wait_for_clients(websockets=1, event_streams=1)
    wait_until(lambda: len(live.evaluate(TITLES)) == 3)
    assert live.evaluate("window.kept") is True
    assert live.evaluate(TITLES) == ["Missed 2", "Missed 1", "Missed 0"]
    shown = re.compile("missed-2.*missed-1.*missed-0", re.DOTALL)
    wait_until(lambda: shown.search(live.evaluate(TARGETS)))


def test_a_page_that_is_closed_leaves_no_connection(live: Page, gateway: Gateway):
    expect(live.locator("notification-feed .connection-status")).to_have_class(
        "connection-status connected"
    )
    live.close()
    gateway.wait_for_clients(websockets=0, event_streams=0)
