"""Dependencies run one way: main → components → services → services/browser.py → browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMPORT = re.compile(r"^\s*(?:from|import) ([\w.]+)", re.MULTILINE)
BROWSER = {"js", "pyodide", "pyodide_js", "pyscript"}


def imports(path: Path) -> set[str]:
    return {name.split(".")[0] for name in IMPORT.findall(path.read_text())}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).glob("*.py"))


@pytest.mark.parametrize("path", modules("services"), ids=lambda path: path.name)
def test_services_know_neither_elements_nor_browser(path):
    assert "components" not in imports(path)
    # The adapter is some files; nobody but the one imports the others.
    if not path.name.startswith("browser"):
        assert not imports(path) & BROWSER


@pytest.mark.parametrize("path", modules("components"), ids=lambda path: path.name)
def test_components_do_not_know_the_server_or_main(path):
    assert not imports(path) & {"main", "server", "workers"}
