from __future__ import annotations

from pathlib import Path

import pytest

from server.settings import Settings, SettingsError


def test_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 3000, Path("data"))
    assert settings.allowed_origins == ()
    assert settings.body_limit == 256 * 1024


def test_every_variable() -> None:
    settings = Settings.from_env(
        {
            "HOST": "::1",
            "PORT": "0",
            "DATA_DIR": "/var/lib/realtime",
            "ALLOWED_ORIGINS": "https://example.com, http://[::1]:8000/,",
            "BODY_LIMIT": "1024",
            "RATE_LIMIT": "0.5",
            "RATE_BURST": "1",
            "REPLAY_HORIZON": "100",
            "CLIENT_QUEUE": "10",
            "SSE_COMMENT_INTERVAL": "2.5",
        }
    )
    assert settings == Settings(
        host="::1",
        port=0,
        data_dir=Path("/var/lib/realtime"),
        allowed_origins=("https://example.com", "http://[::1]:8000"),
        body_limit=1024,
        rate_limit=0.5,
        rate_burst=1,
        replay_horizon=100,
        client_queue=10,
        sse_comment_interval=2.5,
    )


def test_an_empty_variable_means_its_default() -> None:
    assert Settings.from_env({"PORT": "", "HOST": " ", "ALLOWED_ORIGINS": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", "3000.5"),
        ("BODY_LIMIT", "0"),
        ("RATE_LIMIT", "0"),
        ("RATE_LIMIT", "nan"),
        ("RATE_LIMIT", "inf"),
        ("RATE_BURST", "0"),
        ("REPLAY_HORIZON", "99"),
        ("CLIENT_QUEUE", "many"),
        ("SSE_COMMENT_INTERVAL", "-1"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "example.com"),
        ("ALLOWED_ORIGINS", "https://example.com/path"),
        ("ALLOWED_ORIGINS", "https://"),
        ("ALLOWED_ORIGINS", "https://[::1"),
        ("ALLOWED_ORIGINS", "https://a.example b.example"),
    ],
)
def test_an_error_names_the_variable_and_what_came(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({name: value})
    assert str(caught.value).startswith(f"{name} must be ")
    assert repr(value) in str(caught.value)
    assert "\n" not in str(caught.value)
