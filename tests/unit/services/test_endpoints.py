from __future__ import annotations

import pytest

from services.endpoints import Endpoints
from services.errors import ConfigurationError


def test_everything_is_optional():
    assert Endpoints.from_config({}) == Endpoints("./ws", "./api/events", "./api/")
    assert Endpoints.from_config({"name": "x", "realtime": {"websocket": "wss://a/"}}) == (
        Endpoints(websocket="wss://a/")
    )


@pytest.mark.parametrize("table", [7, {"socket": "./ws"}, {"api": 7}, {"events": " "}])
def test_what_is_wrong_is_told(table):
    with pytest.raises(ConfigurationError, match=r"\[realtime\].*expected .*came "):
        Endpoints.from_config({"realtime": table})
