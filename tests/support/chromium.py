"""Debian's Chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tools.setup import find_browser

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--js-flags=--expose-gc",
]

# Playwright turns it off, but people's browsers have it, and pages must come back from it.
LEFT_OUT = ["--disable-back-forward-cache"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a headless browser and close it at the end."""
    path = find_browser()
    assert path, "no Chromium found; make setup installs one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=ARGUMENTS, ignore_default_args=LEFT_OUT
        )
        try:
            yield browser
        finally:
            browser.close()
