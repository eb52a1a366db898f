from __future__ import annotations

import pytest

from tests.support.fake_platform import FakePlatform


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def platform():
    return FakePlatform()
