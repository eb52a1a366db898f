"""Whole pages in a real browser, against a real gateway process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.support.gateway import Gateway

#: What a browser itself says when a server is away; everything else is a fault of the page.
NETWORK_NEWS = ("Failed to load resource", "WebSocket connection to")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path / "data") as gateway:
        yield gateway


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def complaints() -> list[str]:
    """Errors that the pages wrote to the console; a test that provokes some clears it."""
    return []


@pytest.fixture
def new_tab(context: BrowserContext, complaints: list[str]) -> Iterator[Callable[[], Page]]:
    """Open tabs of one browser profile. No page may complain of anything but the network."""

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(NETWORK_NEWS):
            complaints.append(message.text)

    def open_tab() -> Page:
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_tab
    assert complaints == []


@pytest.fixture
def page(new_tab: Callable[[], Page]) -> Page:
    return new_tab()


@pytest.fixture
def live(page: Page, gateway: Gateway) -> Page:
    """The page, with both feeds connected to the gateway, and its worker started.

    A worker whose gateway is killed while it is fetched complains in words of PyScript's own.
    """
    page.goto(gateway.url)
    wait_until_live(page)
    page.wait_for_function("performance.getEntriesByName('worker-ready').length > 0")
    return page


def wait_until_live(page: Page) -> None:
    """Wait until both feeds are connected."""
    page.wait_for_selector("notification-feed .connection-status.connected")
    page.wait_for_selector("activity-feed .status.live")
