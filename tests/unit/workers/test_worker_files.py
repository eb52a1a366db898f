"""A worker gets the files that are listed, and no others: the list has to be all it imports."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from services.worker_files import FILES, PORT, START

ROOT = Path(__file__).resolve().parents[3]
ENTRIES = (START, "./workers/data_processor.py")
BROWSER = {"js", "pyodide", "pyodide_js", "pyscript", "micropip"}


def imported(path):
    """The modules that a file imports anywhere, but where only types are checked."""
    found = set()
    package = path.parent.relative_to(ROOT).parts
    waiting = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                waiting += node.orelse
                continue
            case ast.Import(names=names):
                found |= {name.name for name in names}
            case ast.ImportFrom(module=module, names=names, level=level):
                base = ".".join(
                    (*package[: len(package) - level + 1], *([module] if module else []))
                )
                base = base if level else module
                found.add(base)
                found |= {f"{base}.{name.name}" for name in names}
        waiting += ast.iter_child_nodes(node)
    return found


def files_of(module):
    """The files of ours that a module's name stands for, its packages included."""
    parts = module.split(".")
    found = set()
    for end in range(1, len(parts) + 1):
        stem = ROOT.joinpath(*parts[:end])
        for path in (stem / "__init__.py", stem.with_suffix(".py")):
            if path.is_file():
                found.add(path)
    return found


def closure():
    waiting = [ROOT / entry for entry in ENTRIES]
    seen = set()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            for module in imported(path):
                waiting += files_of(module)
    return seen


def test_the_list_is_what_a_worker_imports_and_nothing_more():
    needed = {f"./{path.relative_to(ROOT)}" for path in closure()} - set(ENTRIES)
    assert set(FILES) == needed
    assert len(set(FILES)) == len(FILES)
    assert list(FILES) == sorted(FILES)


def test_every_file_is_there():
    for name in (*FILES, *ENTRIES, PORT):
        assert (ROOT / name).is_file()


def test_all_else_that_a_worker_imports_is_pythons_or_the_browsers():
    foreign = set()
    for path in closure():
        foreign |= {name.split(".")[0] for name in imported(path) if not files_of(name)}
    assert foreign <= sys.stdlib_module_names | BROWSER
