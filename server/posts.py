"""What every POST has to get past: its page's origin, its client's rate, its body's size."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from server import origins, validation
from server.metrics import Metrics
from server.rate_limit import RateLimiter, client_key

#: Seconds a client has to send its body.
_BODY_TIMEOUT = 30


class Posts:
    """The checks; what it costs to refuse a request grows from one to the next.

    They raise `HTTPException` and `ValidationError`.
    """

    def __init__(
        self,
        *,
        rate_limiter: RateLimiter,
        metrics: Metrics,
        body_limit: int,
        allowed_origins: Collection[str],
    ) -> None:
        self._rate_limiter = rate_limiter
        self._rate_limited = metrics.rate_limited["post"]
        self._body_limit = body_limit
        self._allowed_origins = allowed_origins

    def check_origin(self, request: Request) -> None:
        """Refuse pages from elsewhere."""
        if not origins.is_allowed(request.headers, self._allowed_origins):
            raise HTTPException(403, "Forbidden origin")

    def admit(self, request: Request) -> None:
        """Refuse pages from elsewhere, and clients past their rate."""
        self.check_origin(request)
        if wait := self._rate_limiter.take(client_key(request)):
            self._rate_limited.inc()
            raise too_many(wait)

    async def read(self, request: Request) -> Mapping[str, Any]:
        """Return the body, a JSON object."""
        content_type = request.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            # Also a guard: a page elsewhere cannot send this type without asking first (CORS).
            raise HTTPException(415, "Expected Content-Type: application/json")
        return validation.parse_body(await self._body(request))

    async def _body(self, request: Request) -> bytes:
        """Read the body, but never more of it than the limit."""
        body = bytearray()
        try:
            async with asyncio.timeout(_BODY_TIMEOUT):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._body_limit:
                        detail = f"Expected a body of at most {self._body_limit} bytes"
                        raise HTTPException(413, detail)
        except TimeoutError:
            raise HTTPException(408, f"Expected the body within {_BODY_TIMEOUT} s") from None
        return bytes(body)


def too_many(wait: float) -> HTTPException:
    """Return a 429 (RFC 6585 §4) that says to come back in `wait` seconds."""
    return HTTPException(429, headers={"Retry-After": str(math.ceil(wait))})
