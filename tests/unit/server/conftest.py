"""Fixtures of the gateway's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.gateway import Gateway


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that a module's tests share: it starts and stops once."""
    with Gateway(tmp_path_factory.mktemp("gateway") / "data") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def locked_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that lets nobody in without a token, and two accounts; see `locked`."""
    data_dir = tmp_path_factory.mktemp("gateway") / "data"
    env = {
        "REQUIRE_AUTH": "1",
        "ACCOUNTS": "ada:secret,bob:s3:cret",
        "METRICS_TOKEN": "metrics",
        "LOGIN_ATTEMPTS": "1000",
    }
    with Gateway(data_dir, **env) as gateway:
        yield gateway


@pytest.fixture
def locked(locked_gateway: Gateway) -> Gateway:
    """The locked gateway, to a client that has never been there."""
    locked_gateway.forget()
    return locked_gateway


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway of one's own, with the given variables set."""
    with ExitStack() as stack:
        yield lambda **env: stack.enter_context(Gateway(tmp_path / "data", **env))
