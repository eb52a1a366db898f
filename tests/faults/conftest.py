"""`FAULT_RUNS` (1) runs each test of chance so many times; `FAULT_SEED` repeats one of them.

The seed of a run stands in the name of its test, so also in the report of a failure.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.gateway import Gateway

#: Nothing here is about limits: the log keeps all, and takes what it is given.
GENEROUS = {
    "RATE_LIMIT": "1000000",
    "RATE_BURST": "1000000",
    "CLIENT_QUEUE": "100000",
    "REPLAY_HORIZON": "100000",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        first = os.environ.get("FAULT_SEED", "")
        runs = int(os.environ.get("FAULT_RUNS", "") or 1)
        start = int(first) if first else random.randrange(10**9)
        seeds = [start + n for n in range(runs)]
        metafunc.parametrize("seed", seeds, ids=[f"FAULT_SEED={seed}" for seed in seeds])


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway with the given variables set."""
    with ExitStack() as stack:
        yield lambda **env: stack.enter_context(Gateway(tmp_path / "data", **GENEROUS | env))


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway()


@pytest.fixture
def proxy(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[FaultProxy]:
    seed = request.getfixturevalue("seed") if "seed" in request.fixturenames else 0
    with FaultProxy(gateway.port, seed=seed) as proxy:
        yield proxy
