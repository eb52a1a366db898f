"""The two pages: ours as it is shipped, and its peer in plain JavaScript.

Both come from the gateway's origin. Playwright lays a few files over the gateway's while a page
loads, and lets go of its requests then: what is measured goes to the gateway untouched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Page, Route

from tests.support.gateway import ROOT, Gateway

HERE = Path(__file__).parent

CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".py": "text/x-python",
}


class Kind(NamedTuple):
    """A page to measure: where it is, the files that the gateway itself does not serve, and how
    many event streams it follows beside its WebSocket.
    """

    name: str
    path: str
    files: dict[str, Callable[[], str]]
    event_streams: int = 0


def main_with_receipt() -> str:
    """Return our main.py, with a subscriber that notes every id handed to the application."""
    return (ROOT / "main.py").read_text() + (HERE / "receipt.py").read_text()


def feed_styles() -> str:
    """Return the style sheet of our feed, so that the peer's is always the same."""
    source = (ROOT / "components" / "notification_feed.py").read_text()
    found = re.search(r'styles = """(.*?)"""', source, re.DOTALL)
    assert found, "components/notification_feed.py: no style sheet found"
    return found[1]


OURS = Kind("Python", "", {"main.py": main_with_receipt}, event_streams=1)
PEER = Kind(
    "JavaScript",
    "peer.html",
    {
        "peer.html": (HERE / "peer" / "peer.html").read_text,
        "peer.js": (HERE / "peer" / "peer.js").read_text,
        "websocket_client.js": (HERE / "peer" / "websocket_client.js").read_text,
        "notification_feed.js": (HERE / "peer" / "notification_feed.js").read_text,
        "notification_feed.css": feed_styles,
    },
)


@contextmanager
def opened(browser: Browser, gateway: Gateway, kind: Kind) -> Iterator[Page]:
    """Open a page, alone with the gateway, and wait until its feed is connected."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    # A document laid over has no address that would tell Chromium it is this machine's own.
    context.grant_permissions(["local-network-access"])
    page = context.new_page()
    for name, read in kind.files.items():
        page.route(gateway.url + name, _answer(read(), CONTENT_TYPES[Path(name).suffix]))
    page.goto(gateway.url + kind.path)
    page.wait_for_selector("notification-feed .connection-status.connected")
    page.wait_for_function("() => window.received !== undefined")
    page.unroute_all()
    gateway.wait_for_clients(websockets=1, event_streams=kind.event_streams)
    yield page
    context.close()
    gateway.wait_for_clients()


def _answer(body: str, content_type: str) -> Callable[[Route], None]:
    return lambda route: route.fulfill(body=body, content_type=content_type)
