"""A token bucket for each client."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network

from starlette.requests import HTTPConnection


class RateLimiter:
    """Lets each key through `rate` times a second on average, `burst` times at once."""

    def __init__(
        self, rate: float, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        # Tokens left and the time they were counted, least recently used key first.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take a token for `key`: return 0, or the seconds until there will be one."""
        now = self._clock()
        tokens, counted = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - counted) * self._rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._buckets[key] = (tokens if wait else tokens - 1, now)
        self._forget(now)
        return wait

    def charge(self, key: str, tokens: float) -> None:
        """Take more tokens for what was let through, be there as many or not."""
        left, counted = self._buckets.pop(key, (self._burst, self._clock()))
        self._buckets[key] = (left - tokens, counted)

    def give_back(self, key: str) -> None:
        """Return a token taken before: what it was taken for does not count after all."""
        if key in self._buckets:
            tokens, counted = self._buckets[key]
            self._buckets[key] = (min(self._burst, tokens + 1), counted)

    def _forget(self, now: float) -> None:
        """Drop the buckets that are full again, which are as good as new ones."""
        while True:
            tokens, counted = next(iter(self._buckets.values()))
            if tokens + (now - counted) * self._rate < self._burst:
                return
            self._buckets.popitem(last=False)


def client_key(connection: HTTPConnection) -> str:
    """Return what a client is counted by: its IPv4 address, or its IPv6 network.

    Whoever has one IPv6 address has a /64 of them (RFC 4291 §2.5.1, RFC 6177).
    """
    host = connection.client.host if connection.client else ""
    if ":" not in host:
        return host
    address = IPv6Address(host)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))
