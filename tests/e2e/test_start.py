"""How page and workers start: what they need not do."""

from __future__ import annotations

from pathlib import Path

from tests.support.gateway import ROOT

PAGES = Path(__file__).parent / "pages"
TELLING = """
from js import window
from workers.imports import compiled_here

workers = WorkerManager("./workers/imports.py")
window.compiled = " ".join(compiled_here() + await workers.compiled_here())
"""


def test_no_module_of_the_standard_library_is_compiled_at_start(page, gateway):
    worker = (PAGES / "imports_worker.py").read_text()
    # A page has no files of workers: here it looks at itself with the worker's.
    write = f"""
from pathlib import Path

Path("workers").mkdir()
Path("workers/imports.py").write_text({worker!r})
"""
    main = (ROOT / "main.py").read_text()
    page.route("**/workers/imports.py", lambda route: route.fulfill(body=worker))
    page.route("**/main.py", lambda route: route.fulfill(body=f"{main}\n{write}\n{TELLING}"))
    page.goto(gateway.url)
    page.wait_for_function("window.compiled !== undefined")
    assert page.evaluate("compiled") == ""
