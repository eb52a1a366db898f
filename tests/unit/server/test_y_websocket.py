"""The clients that others use: npm's y-websocket, in Node.js."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.gateway import DEADLINE, ROOT, Gateway
from tests.unit.server.yjs import content

SCRIPT = Path(__file__).with_name("two_clients.mjs")


@pytest.mark.parametrize("document", ["notes", "a/b.c/ü"])
def test_two_clients_in_node(gateway: Gateway, document: str) -> None:
    result = subprocess.run(
        ["node", SCRIPT, f"{gateway.websocket_url}/documents", document],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE * 3,
    )
    assert (result.stdout, result.stderr, result.returncode) == ("Jello from two\n", "", 0)
    assert content(gateway, document) == "Jello from two"
