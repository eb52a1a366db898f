"""What the environment may change about the gateway."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

#: The repository's root, which is also the root of the page.
ROOT = Path(__file__).resolve().parent.parent

_HOST_NAME = re.compile(r"[a-z0-9._-]+")
_ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?")


class SettingsError(ValueError):
    """A variable holds a value the gateway cannot start with."""

    def __init__(self, name: str, expected: str, got: str) -> None:
        super().__init__(f"{name} must be {expected}, but is {got!r}.")
        self.name = name


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The gateway's settings; each is read from the variable of the same name in capitals."""

    #: The address to listen on.
    host: str = "127.0.0.1"
    #: The port to listen on; 0 lets the system choose a free one.
    port: int = 3000
    #: The folder that holds the event log; made if missing.
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
    #: Seconds between the comments that keep an idle event stream open.
    sse_comment_interval: float = 15
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
            sse_comment_interval=read.number("SSE_COMMENT_INTERVAL", cls.sse_comment_interval),
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
