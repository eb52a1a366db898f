"""Run this folder's tests inside Pyodide, in the page, and read the results back.

The test files need Python 3.14 and a DOM, so this pytest only finds their names. The
first test that is run opens a page in which another pytest (page.py) runs them all.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from functools import partial
from importlib.metadata import files
from mimetypes import guess_type
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Route

from tests.conftest import browser_of
from tests.support.gateway import Gateway

HERE = Path(__file__).parent
TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)

#: What the page's pytest imports: pure Python, taken from this environment.
DISTRIBUTIONS = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
RUN_TIMEOUT = 120.0


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> Any:
    """Read this folder's test files instead of importing them."""
    return TestFile.from_parent(parent, path=module_path) if module_path.parent == HERE else None


class TestFile(pytest.File):
    """A file whose tests run in the page."""

    def collect(self) -> Iterator[pytest.Item]:
        """Name the tests without importing the file."""
        for name in TEST.findall(self.path.read_text()):
            yield PageTest.from_parent(self, name=name)


class PageTest(pytest.Item):
    """One test function, with all its parameters."""

    def runtest(self) -> None:
        """Look up what became of it in the page."""
        outcomes = results(self.config).get(f"{self.path.name}::{self.name}")
        if outcomes is None:
            raise PageTestError(f"did not run in the page:\n{self.config.stash[OUTPUT]}")
        failures = [text for outcome, text in outcomes if outcome == "failed"]
        if failures:
            raise PageTestError("\n".join(failures))
        if all(outcome == "skipped" for outcome, _ in outcomes):
            pytest.skip(outcomes[0][1])

    def repr_failure(self, excinfo: Any) -> Any:
        """Show the report that the page's pytest wrote."""
        if isinstance(excinfo.value, PageTestError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Say where the test stands."""
        return self.path, 0, self.name


class PageTestError(Exception):
    """A test failed in the page."""


OUTPUT = pytest.StashKey[str]()
RESULTS = pytest.StashKey[dict[str, list[tuple[str, str]]]]()


def results(config: pytest.Config) -> dict[str, list[tuple[str, str]]]:
    """Return (outcome, report) of each test and parameter, running the page the first time."""
    if RESULTS not in config.stash:
        config.stash[RESULTS] = run_page(config)
    return config.stash[RESULTS]


def run_page(config: pytest.Config) -> dict[str, list[tuple[str, str]]]:
    """Open index.html with another main.py, one that runs pytest, and wait for its results."""
    overlay = {
        "main.py": (HERE / "page.py").read_bytes(),
        "tests.zip": packed(),
        "workers/operations.py": (HERE / "operations.py").read_bytes(),
    }
    with (
        TemporaryDirectory() as folder,
        Gateway(Path(folder) / "data") as gateway,
        browser_of(config).new_context() as context,
    ):
        for name, body in overlay.items():
            kind = guess_type(name)[0]
            context.route(gateway.url + name, partial(answer, body=body, kind=kind))
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(gateway.url)
        try:
            page.wait_for_function("window.testResults", timeout=RUN_TIMEOUT * 1000)
        except PlaywrightError as error:
            raise AssertionError("\n".join([str(error), *said])) from error
        found = json.loads(page.evaluate("window.testResults"))
    config.stash[OUTPUT] = found["output"]
    assert found["results"], "the page ran no test:\n" + found["output"]
    return found["results"]


def answer(route: Route, *, body: bytes, kind: str | None) -> None:
    """Answer a request for a file that is not on the site."""
    route.fulfill(body=body, content_type=kind)


def packed() -> bytes:
    """Return a zip of the tests and of what they need besides the page's own files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(HERE.glob("test_*.py")):
            archive.write(path, f"tests/{path.name}")
        archive.write(HERE / "plugin.py", "tests/conftest.py")
        for name in DISTRIBUTIONS:
            for file in files(name) or ():
                if file.suffix in {".py", ".typed"} or file.name in {
                    "METADATA",
                    "entry_points.txt",
                }:
                    archive.write(str(file.locate()), str(file))
    return buffer.getvalue()
