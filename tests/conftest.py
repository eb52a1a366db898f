"""One browser for the whole run."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import settings
from playwright.sync_api import Browser

from tests.support.chromium import chromium

# How long an example takes is the machine's business: no test fails for it.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

BROWSER = pytest.StashKey[Browser]()
OPEN = pytest.StashKey[ExitStack]()


def browser_of(config: pytest.Config) -> Browser:
    """Return the run's browser, started when first asked for."""
    if BROWSER not in config.stash:
        config.stash[OPEN] = ExitStack()
        config.stash[BROWSER] = config.stash[OPEN].enter_context(chromium())
    return config.stash[BROWSER]


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the browser with the run."""
    if OPEN in config.stash:
        config.stash[OPEN].close()


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config) -> Browser:
    return browser_of(pytestconfig)
