"""tools/vendor.py: the workers' wheels come from a pip index, exactly those that are pinned."""

from __future__ import annotations

import os
import re
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
