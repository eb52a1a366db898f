"""What the environment may change about the gateway."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, cast

from server import account_store, passwords
from server.access_tokens import MIN_SECRET
from server.logs import LogFormat

#: The repository's root, which is also the root of the page.
ROOT = Path(__file__).resolve().parent.parent

_HOST_NAME = re.compile(r"[a-z0-9._-]+")
#: RFC 6750 §2.1.
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?")


class SettingsError(ValueError):
    """A variable holds a value the gateway cannot start with. A secret one is not repeated."""

    def __init__(self, name: str, expected: str, got: str | None = None) -> None:
        but = "it is not" if got is None else f"is {got!r}"
        super().__init__(f"{name} must be {expected}, but {but}.")
        self.name = name


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The gateway's settings; each is read from the variable of the same name in capitals."""

    #: The address to listen on.
    host: str = "127.0.0.1"
    #: The port to listen on; 0 lets the system choose a free one.
    port: int = 3000
    #: The folder that holds events, documents, accounts and the secret; made if missing.
    data_dir: Path = Path("data")
    #: Origins beside the gateway's own whose pages may connect, as `scheme://host[:port]`.
    allowed_origins: tuple[str, ...] = ()
    #: Host names the gateway answers to, beside addresses and localhost.
    allowed_hosts: tuple[str, ...] = ()
    #: The largest body of a POST, in bytes.
    body_limit: int = 256 * 1024
    #: POSTs a second that one client address may sustain.
    rate_limit: float = 500
    #: POSTs that one client address may send at once.
    rate_burst: int = 1000
    #: Events of each type that stay replayable. At least as many as a listing may ask for.
    replay_horizon: int = 10_000
    #: Events that may wait for one client before it is let go.
    client_queue: int = 1000
    #: The largest document, in bytes as it is encoded.
    document_size: int = 10 * 1024 * 1024
    #: Clients that may have one document open.
    document_clients: int = 200
    #: Documents a minute that one client address may begin.
    new_documents: int = 600
    #: Whether guests may read documents, but not change them.
    read_only_guests: bool = False
    #: Seconds between the comments that keep an idle event stream open.
    sse_comment_interval: float = 15
    #: Rows that each dataset has when the gateway starts.
    dataset_rows: int = 100_000
    #: Rows a second that each dataset gains from then on; 0 for none.
    dataset_rate: int = 20
    #: Ids of applied frames that are remembered, lest one be applied again.
    applied_horizon: int = 100_000
    #: Whether a client needs an access token for anything but the page.
    require_auth: bool = False
    #: Signs access tokens; without one, a random one is made and kept.
    auth_secret: bytes | None = field(default=None, repr=False)
    #: Accounts to make, or to give this password: names and passwords.
    accounts: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Seconds that an access token lasts.
    access_token_ttl: int = 300
    #: Seconds that a session lasts without being used.
    refresh_token_ttl: int = 30 * 24 * 3600
    #: Failed logins a minute for one name from one address.
    login_attempts: int = 5
    #: Whether cookies are for https alone, also where the gateway itself is asked over http.
    secure_cookies: bool = False
    #: Opens `/metrics`.
    metrics_token: str | None = field(default=None, repr=False)
    #: How the log is written; None means text to a terminal and JSON elsewhere.
    log_format: LogFormat | None = None
    #: The folder the page is served from. No variable sets it.
    site_dir: Path = ROOT

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the settings from `env`; an unset or empty variable means its default.

        Raises `SettingsError`, which names the variable at fault.
        """
        read = _Reader(env)
        return cls(
            host=read.text("HOST", cls.host),
            port=read.integer("PORT", cls.port, minimum=0, maximum=65535),
            data_dir=Path(read.text("DATA_DIR", str(cls.data_dir))),
            allowed_origins=read.origins("ALLOWED_ORIGINS"),
            allowed_hosts=read.names("ALLOWED_HOSTS"),
            body_limit=read.integer("BODY_LIMIT", cls.body_limit, minimum=1),
            rate_limit=read.number("RATE_LIMIT", cls.rate_limit),
            rate_burst=read.integer("RATE_BURST", cls.rate_burst, minimum=1),
            replay_horizon=read.integer("REPLAY_HORIZON", cls.replay_horizon, minimum=100),
            client_queue=read.integer("CLIENT_QUEUE", cls.client_queue, minimum=1),
            document_size=read.integer("DOCUMENT_SIZE", cls.document_size, minimum=1),
            document_clients=read.integer("DOCUMENT_CLIENTS", cls.document_clients, minimum=1),
            new_documents=read.integer("NEW_DOCUMENTS", cls.new_documents, minimum=1),
            read_only_guests=read.boolean("READ_ONLY_GUESTS"),
            sse_comment_interval=read.number("SSE_COMMENT_INTERVAL", cls.sse_comment_interval),
            dataset_rows=read.integer(
                "DATASET_ROWS", cls.dataset_rows, minimum=0, maximum=2_000_000
            ),
            dataset_rate=read.integer("DATASET_RATE", cls.dataset_rate, minimum=0, maximum=10_000),
            applied_horizon=read.integer("APPLIED_HORIZON", cls.applied_horizon, minimum=100),
            require_auth=read.boolean("REQUIRE_AUTH"),
            auth_secret=read.secret("AUTH_SECRET"),
            accounts=read.accounts("ACCOUNTS"),
            access_token_ttl=read.integer("ACCESS_TOKEN_TTL", cls.access_token_ttl, minimum=1),
            refresh_token_ttl=read.integer("REFRESH_TOKEN_TTL", cls.refresh_token_ttl, minimum=1),
            login_attempts=read.integer("LOGIN_ATTEMPTS", cls.login_attempts, minimum=1),
            secure_cookies=read.boolean("SECURE_COOKIES"),
            metrics_token=read.bearer_token("METRICS_TOKEN"),
            log_format=cast(LogFormat | None, read.choice("LOG_FORMAT", ("text", "json"))),
        )


class _Reader:
    """Typed access to string variables."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def text(self, name: str, default: str) -> str:
        return self._env.get(name, "").strip() or default

    def integer(self, name: str, default: int, *, minimum: int, maximum: int = 2**31 - 1) -> int:
        text = self.text(name, str(default))
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if not minimum <= value <= maximum:
            raise SettingsError(name, f"a whole number from {minimum} to {maximum}", text)
        return value

    def number(self, name: str, default: float) -> float:
        text = self.text(name, str(default))
        try:
            value = float(text)
        except ValueError:
            value = 0
        # A day, or a million a second: beyond is a slip of the finger. Refuses NaN too.
        if not 0 < value <= 1_000_000:
            raise SettingsError(name, "a number above 0, at most 1000000", text)
        return value

    def boolean(self, name: str) -> bool:
        text = self.text(name, "0")
        if text.lower() not in ("0", "1", "false", "true"):
            raise SettingsError(name, "0, 1, false or true", text)
        return text.lower() in ("1", "true")

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        text = self.text(name, "")
        if text and text not in choices:
            raise SettingsError(name, " or ".join(choices), text)
        return text or None

    def secret(self, name: str) -> bytes | None:
        secret = os.fsencode(self.text(name, ""))
        if secret and len(secret) < MIN_SECRET:
            raise SettingsError(name, f"a secret of at least {MIN_SECRET} bytes")
        return secret or None

    def bearer_token(self, name: str) -> str | None:
        token = self.text(name, "")
        if token and not _BEARER_TOKEN.fullmatch(token):
            raise SettingsError(name, "of letters, digits and -._~+/, with = only at its end")
        return token or None

    def accounts(self, name: str) -> dict[str, str]:
        accounts: dict[str, str] = {}
        for item in filter(None, map(str.strip, self.text(name, "").split(","))):
            # What is wrong with an item is not told by repeating it: it holds a password.
            user, colon, password = item.partition(":")
            user = account_store.normalised(user)
            if not colon or not account_store.is_name(user) or not passwords.is_usable(password):
                raise SettingsError(name, "a comma-separated list of items like name:password")
            if user in accounts:
                raise SettingsError(name, "a list that names nobody twice")
            accounts[user] = password
        return accounts

    def names(self, name: str) -> tuple[str, ...]:
        names = tuple(filter(None, (n.strip().lower() for n in self.text(name, "").split(","))))
        for host in names:
            if not _HOST_NAME.fullmatch(host):
                expected = "a comma-separated list of host names like live.example.com"
                raise SettingsError(name, expected, host)
        return names

    def origins(self, name: str) -> tuple[str, ...]:
        items = tuple(filter(None, map(str.strip, self.text(name, "").split(","))))
        origins = tuple(item.lower().removesuffix("/") for item in items)
        for item, origin in zip(items, origins, strict=True):
            if not _ORIGIN.fullmatch(origin):
                expected = "a comma-separated list of origins like https://example.com"
                raise SettingsError(name, expected, item)
        return origins
