"""Stands in for main.py: runs pytest in the page, leaves the results in `window.testResults`."""

import io
import json
import sys
import traceback
from collections import defaultdict
from contextlib import redirect_stderr, redirect_stdout

from js import document, window
from pyodide.http import pyfetch

answer = {"results": defaultdict(list), "output": ""}


class Recorder:
    """A pytest plugin that keeps each test's outcome and report."""

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            path, _, name = report.nodeid.partition("::")
            key = f"{path.rpartition('/')[2]}::{name.partition('[')[0]}"
            text = report.longreprtext if report.failed else str(report.longrepr)
            answer["results"][key].append((report.outcome, text))

    def pytest_collectreport(self, report):
        if report.failed:
            answer["output"] += report.longreprtext


stage = document.createElement("div")
stage.id = "stage"
document.body.replaceChildren(stage)
output = io.StringIO()
try:
    response = await pyfetch("./tests.zip")
    await response.unpack_archive(extract_dir="/tests-root", format="zip")
    sys.path.insert(0, "/tests-root")
    import pytest

    arguments = ["/tests-root/tests", "-p", "no:cacheprovider", "-q", "--rootdir=/tests-root"]
    with redirect_stdout(output), redirect_stderr(output):
        pytest.main(arguments, plugins=[Recorder()])
except BaseException:
    answer["output"] += traceback.format_exc()
answer["output"] += output.getvalue()
window.testResults = json.dumps(answer)
