"""The lists that must follow the tree: pyscript.toml names every file the page imports."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = tomllib.loads((ROOT / "pyscript.toml").read_text())


def test_every_python_file_of_the_page_is_listed():
    listed = CONFIG["files"]
    there = {
        f"./{path.relative_to(ROOT)}"
        for folder in ("components", "services")
        for path in (ROOT / folder).iterdir()
        if path.suffix in {".py", ".css"}
    }
    assert set(listed) == there
    assert all(source == target for source, target in listed.items())


def test_every_javascript_module_is_there():
    for name in CONFIG["js_modules"]["main"]:
        assert (ROOT / name).is_file()


def test_the_page_runs_no_inline_script_and_asks_no_other_origin():
    page = (ROOT / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"\bon\w+=", page)
    assert not re.search(r"(?:src|href)=\"(?!\./)", page)
