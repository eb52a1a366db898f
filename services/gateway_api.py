"""The gateway's HTTP routes."""

from __future__ import annotations

import json
from typing import Any

from . import options
from .describe import describe
from .errors import HTTPFailed, InvalidAnswer
from .json_http import ask
from .platform import Platform, default_platform
from .tokens import Token, TokenSource

UNAUTHORIZED = 401


class GatewayAPI:
    """Posts and lists what the feeds show. `base` is the URL above the routes.

    `token` is text or a provider (see ``tokens``); one that the gateway refuses is asked for once
    more. `timeout` is in seconds, for each request. Every method raises HTTPFailed when the gateway
    says no, ConnectionFailed when there is no answer, RequestTimeout when none comes in time, and
    InvalidAnswer when it is of another shape than agreed. All are RealtimeError.
    """

    def __init__(
        self,
        base: str,
        *,
        token: Token = None,
        timeout: float = 10,
        platform: Platform | None = None,
    ) -> None:
        self._platform = platform or default_platform()
        self._base = self._platform.resolve(base.rstrip("/") + "/")
        self._tokens = TokenSource(token)
        self._timeout = options.seconds("timeout", timeout)

    async def post_notification(
        self,
        *,
        title: str,
        message: str = "",
        type: str = "info",
    ) -> str:
        """Publish a notification; return its id. `type` is info, success, warning or error."""
        return await self._post("notifications", {"type": type, "title": title, "message": message})

    async def post_activity(
        self, *, user_name: str, action: str, target: str, user_id: str = ""
    ) -> str:
        """Publish an activity; return its id."""
        return await self._post(
            "activities",
            {"userId": user_id, "userName": user_name, "action": action, "target": target},
        )

    async def recent_activities(self, limit: int = 20) -> list[dict[str, Any]]:
        """Return the payloads of the latest activities, newest first."""
        options.count("limit", limit)
        value = await self._ask("GET", f"activities?limit={limit}")
        if not isinstance(value, list):
            raise InvalidAnswer(f"activities: expected an array, came {describe(value)}")
        for item in value:
            if not isinstance(item, dict):
                raise InvalidAnswer(f"activities: expected objects in it, came {describe(item)}")
        return value

    async def _post(self, route: str, body: dict[str, Any]) -> str:
        value = await self._ask("POST", route, json.dumps(body))
        event_id = value.get("id") if isinstance(value, dict) else None
        if not isinstance(event_id, str | int) or isinstance(event_id, bool):
            raise InvalidAnswer(f"{route}: expected an object with an id, came {describe(value)}")
        return str(event_id)

    async def _ask(self, method: str, route: str, body: str | None = None) -> Any:
        token = await self._tokens.get()
        try:
            return await self._once(method, route, body, token)
        except HTTPFailed as error:
            if error.status != UNAUTHORIZED or token is None:
                raise
            self._tokens.refused()
            newer = await self._tokens.get()
            if newer in (token, None):
                raise
            return await self._once(method, route, body, newer)

    async def _once(self, method: str, route: str, body: str | None, token: str | None) -> Any:
        url = self._base + route
        return await ask(self._platform, method, url, body=body, token=token, timeout=self._timeout)
