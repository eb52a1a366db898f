"""tools/vendor.py: the workers' wheels come from a pip index, exactly those that are pinned."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import pytest

from tools import vendor


def test_without_an_index_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OSError) as caught:
        vendor.download_wheels(tmp_path / "wheels")
    assert str(caught.value).startswith("wheels: is a package index within reach (pip config)?")
    assert "\n" not in str(caught.value)


def test_every_wheel_is_pinned_with_a_hash() -> None:
    lines = vendor.WHEELS.read_text().replace("\\\n", "").splitlines()
    assert all(re.fullmatch(r"[\w-]+==[\d.]+\s+--hash=sha256:\w{64}", line) for line in lines)
    assert {line.partition("==")[0] for line in lines} >= {"micropip", "msgspec"}


def test_the_same_standard_library_makes_the_same_archive(tmp_path: Path) -> None:
    vendor.compile_stdlib(tmp_path / "again.zip")
    there = vendor.VENDOR / "pyodide" / vendor.STDLIB
    assert (tmp_path / "again.zip").read_bytes() == there.read_bytes()


def test_nothing_of_the_standard_library_is_lost() -> None:
    source, packed = vendor.MODULES / "pyodide", vendor.VENDOR / "pyodide"
    with (
        zipfile.ZipFile(source / vendor.STDLIB) as before,
        zipfile.ZipFile(packed / vendor.STDLIB) as after,
    ):
        compiled = {name.removesuffix("c") for name in after.namelist() if name.endswith(".pyc")}
        assert len(compiled) > 100
        assert {name.replace(".pyc", ".py") for name in after.namelist()} == {
            name for name in before.namelist() if not name.endswith("/")
        }


def test_what_fails_in_pyodide_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("def main(data):\n    raise ValueError('no luck')\n")
    (tmp_path / "input").touch()
    with pytest.raises(OSError) as caught:
        vendor.in_pyodide(tmp_path / "script.py", tmp_path / "input", tmp_path / "output")
    assert str(caught.value) == "script.py: ValueError: no luck"
