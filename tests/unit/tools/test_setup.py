"""tools/setup.py: what goes wrong on a strange machine is said in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import setup

ROOT = Path(__file__).resolve().parents[3]


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "tools/setup.py", "run"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The parts of the project that set-up reads, with the packages installed."""
    for name in ("tools", "requirements", "package.json", "package-lock.json", ".npmrc"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    gateway = ROOT / "requirements" / "gateway.txt"
    version = "{}.{}".format(*sys.version_info)
    setup.mark(tmp_path / ".venv" / f".gateway-{version}.stamp", [gateway])
    return tmp_path


def test_without_node_one_line_says_what_to_install(clone):
    result = run(clone, PATH="")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "set-up: Node.js is missing: install Node.js 20 or newer with npm."
    ]


def test_an_old_node_is_named(clone, tmp_path):
    tools = tmp_path / "old"
    tools.mkdir()
    for name in ("node", "npm"):
        (tools / name).write_text("#!/bin/sh\necho v16.1.0\n")
        (tools / name).chmod(0o755)
    result = run(clone, PATH=f"{tools}:/bin:/usr/bin")
    assert result.stderr.splitlines() == ["set-up: Node.js 20 or newer is needed, this is v16.1.0."]


def test_without_a_registry_one_line_says_so(clone):
    result = run(
        clone,
        npm_config_registry="http://127.0.0.1:9/",
        npm_config_fetch_retries="0",
        npm_config_cache=str(clone / "cache"),
    )
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("set-up: npm packages could not be installed: is a registry within")


def test_a_finished_step_is_not_done_again(clone):
    stamp = clone / "stamp"
    assert not setup.is_current(stamp, [clone / "package.json"])
    setup.mark(stamp, [clone / "package.json"])
    assert setup.is_current(stamp, [clone / "package.json"])
    (clone / "package.json").write_text("{}")
    assert not setup.is_current(stamp, [clone / "package.json"])
