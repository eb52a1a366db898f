"""The REST routes: publish notifications and activities, list activities, report health."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server import origins, validation
from server.hub import Feed
from server.rate_limit import RateLimiter

logger = logging.getLogger(__name__)

#: Seconds a client has to send its body.
_BODY_TIMEOUT = 30


class Api:
    """The endpoints over a feed of notifications and one of activities."""

    def __init__(
        self,
        notifications: Feed[str],
        activities: Feed[bytes],
        *,
        rate_limiter: RateLimiter,
        body_limit: int,
        allowed_origins: Collection[str],
    ) -> None:
        self._notifications = notifications
        self._activities = activities
        self._rate_limiter = rate_limiter
        self._body_limit = body_limit
        self._allowed_origins = allowed_origins

    async def health(self, _: Request) -> Response:
        """`GET /healthz`: the gateway is up, and this many clients follow it."""
        return JSONResponse(
            {
                "status": "ok",
                "websockets": len(self._notifications.subscriptions),
                "event_streams": len(self._activities.subscriptions),
                "documents": 0,
            }
        )

    async def activities(self, request: Request) -> Response:
        """`GET /api/activities?limit=20`: the latest, newest first. `POST`: tell every stream."""
        if request.method == "POST":
            return await self._publish(request, self._activities, validation.activity)
        limit = validation.limit(request.query_params.get("limit"))
        return JSONResponse(
            await self._activities.latest(limit), headers={"Cache-Control": "no-store"}
        )

    async def notifications(self, request: Request) -> Response:
        """`POST /api/notifications`: tell every WebSocket."""
        return await self._publish(request, self._notifications, validation.notification)

    async def _publish(
        self,
        request: Request,
        feed: Feed[str] | Feed[bytes],
        validate: Callable[[Mapping[str, Any]], dict[str, Any]],
    ) -> Response:
        """Publish a request's body; what it costs to refuse one grows from check to check."""
        if not origins.is_allowed(request.headers, self._allowed_origins):
            raise HTTPException(403, "Forbidden origin")
        wait = self._rate_limiter.take(request.client.host if request.client else "")
        if wait:
            raise HTTPException(429, headers={"Retry-After": str(math.ceil(wait))})
        content_type = request.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            # Also a guard: a page elsewhere cannot send this type without asking first (CORS).
            raise HTTPException(415, "Expected Content-Type: application/json")
        event = await feed.publish(validate(validation.parse_body(await self._body(request))))
        return JSONResponse({"id": str(event.id)}, 201)

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
