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
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest

from server.app import create_app
from server.settings import Settings
from tests.support.chromium import chromium
from tests.support.site import overlaid, serving

HERE = Path(__file__).parent
TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)

#: What the page's pytest imports: pure Python, taken from this environment.
DISTRIBUTIONS = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
RUN_TIMEOUT = 120.0


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take every test file of this folder away from the usual collection."""
    if file_path.parent == HERE and file_path.match("test_*.py"):
        return TestFile.from_parent(parent, path=file_path)
    return None


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
        outcomes = results(self.config)[f"{self.path.name}::{self.name}"]
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


RESULTS = pytest.StashKey[dict[str, list[tuple[str, str]]]]()


def results(config: pytest.Config) -> dict[str, list[tuple[str, str]]]:
    """Return (outcome, report) of each test and parameter, running the page the first time."""
    if RESULTS not in config.stash:
        config.stash[RESULTS] = run_page(config)
    return config.stash[RESULTS]


def run_page(config: pytest.Config) -> dict[str, list[tuple[str, str]]]:
    """Open the page in which pytest runs, and wait for its results."""
    overlay = {
        "/tests.html": (HERE / "page.html").read_bytes(),
        "/tests.py": (HERE / "page.py").read_bytes(),
        "/tests.zip": packed(),
    }
    data = config.rootpath / "build" / "browser-tests"
    app = create_app(Settings(data_dir=data))
    with serving(overlaid(app, overlay)) as url, chromium() as browser:
        page = browser.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{url}tests.html")
        try:
            page.wait_for_function("window.testResults", timeout=RUN_TIMEOUT * 1000)
        except Exception as error:
            raise AssertionError("the page did not finish:\n" + "\n".join(said)) from error
        answer = json.loads(page.evaluate("window.testResults"))
    assert answer["results"], "the page ran no test:\n" + answer["output"]
    return answer["results"]


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
