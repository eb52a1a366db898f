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
    assert (settings.dataset_rows, settings.dataset_rate) == (100_000, 20)


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
            "DOCUMENT_SIZE": "1000000",
            "DOCUMENT_CLIENTS": "50",
            "NEW_DOCUMENTS": "10",
            "READ_ONLY_GUESTS": "1",
            "SSE_COMMENT_INTERVAL": "2.5",
            "DATASET_ROWS": "0",
            "DATASET_RATE": "10000",
            "APPLIED_HORIZON": "200",
            "REQUIRE_AUTH": "True",
            "AUTH_SECRET": "0123456789abcdef0123456789abcdef",
            "ACCOUNTS": "ada:secret, Jose\u0301:s3:cret,",
            "ACCESS_TOKEN_TTL": "60",
            "REFRESH_TOKEN_TTL": "3600",
            "LOGIN_ATTEMPTS": "3",
            "SECURE_COOKIES": "1",
            "METRICS_TOKEN": "abc-._~+/==",
            "LOG_FORMAT": "json",
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
        document_size=1_000_000,
        document_clients=50,
        new_documents=10,
        read_only_guests=True,
        sse_comment_interval=2.5,
        dataset_rows=0,
        dataset_rate=10_000,
        applied_horizon=200,
        require_auth=True,
        auth_secret=b"0123456789abcdef0123456789abcdef",
        accounts={"ada": "secret", "Jos\u00e9": "s3:cret"},
        access_token_ttl=60,
        refresh_token_ttl=3600,
        login_attempts=3,
        secure_cookies=True,
        metrics_token="abc-._~+/==",
        log_format="json",
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
        ("DATASET_ROWS", "-1"),
        ("DATASET_ROWS", "2000001"),
        ("DATASET_ROWS", "1e5"),
        ("DATASET_RATE", "-1"),
        ("DATASET_RATE", "10001"),
        ("DATASET_RATE", "0.5"),
        ("APPLIED_HORIZON", "99"),
        ("REQUIRE_AUTH", "yes"),
        ("REQUIRE_AUTH", "2"),
        ("SECURE_COOKIES", "on"),
        ("ACCESS_TOKEN_TTL", "0"),
        ("ACCESS_TOKEN_TTL", "1.5"),
        ("REFRESH_TOKEN_TTL", "-1"),
        ("LOGIN_ATTEMPTS", "0"),
        ("LOG_FORMAT", "xml"),
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_SECRET", "PA55" * 7),
        ("METRICS_TOKEN", "PA55 word"),
        ("METRICS_TOKEN", "PA55é"),
        ("ACCOUNTS", "PA55"),
        ("ACCOUNTS", "ada:"),
        ("ACCOUNTS", ":PA55"),
        ("ACCOUNTS", "ada:x,PA55"),
        ("ACCOUNTS", "ada:PA55,ada:other"),
        ("ACCOUNTS", "Jos\u00e9:PA55,Jose\u0301:PA55"),
        ("ACCOUNTS", "PA55" * 26 + ":x"),
        ("ACCOUNTS", "ada:" + "PA55" * 257),
        ("ACCOUNTS", "ada:PA55\udcff"),
    ],
)
def test_an_error_does_not_repeat_a_secret(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({name: value})
    assert str(caught.value).startswith(f"{name} must be ")
    assert "55" not in str(caught.value)


@pytest.mark.parametrize("value", ["0", "false", "FALSE", ""])
def test_what_is_not_wanted(value: str) -> None:
    assert not Settings.from_env({"REQUIRE_AUTH": value}).require_auth


def test_secrets_do_not_show() -> None:
    secret = "PA55" * 8
    settings = Settings.from_env(
        {"AUTH_SECRET": secret, "ACCOUNTS": f"ada:{secret}", "METRICS_TOKEN": secret}
    )
    assert "PA55" not in repr(settings)
