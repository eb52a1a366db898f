"""The repository's root and `make site` on a bare static server, below a path, with no gateway."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tools import site

ROOT = Path(__file__).resolve().parents[2]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(params=["repository", "site"])
def static_url(request, tmp_path):
    (tmp_path / "some").mkdir()
    if request.param == "repository":
        (tmp_path / "some" / "path").symlink_to(ROOT)
    else:
        site.main(tmp_path / "some" / "path")
    handler = partial(Quiet, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/some/path/"
        server.shutdown()
        thread.join()


def test_the_page_starts_and_says_that_it_is_offline(page, static_url):
    page.goto(static_url)
    expect(page.locator("#boot")).to_have_text("Running", timeout=20_000)
    expect(page.locator("notification-feed .connection-status.disconnected")).to_be_visible()
    expect(page.locator("activity-feed .status.offline")).to_be_visible()
    expect(page.locator("activity-feed .problem")).to_be_visible()
