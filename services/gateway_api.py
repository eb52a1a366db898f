"""The gateway's HTTP routes."""

from __future__ import annotations

import json
from typing import Any

from . import options
from .describe import describe
from .errors import HTTPFailed, InvalidAnswer
from .platform import HTTPAnswer, Platform, default_platform
from .strict_json import loads


class GatewayAPI:
    """Posts and lists what the feeds show. `base` is the URL above the routes.

    `timeout` is in seconds, for each request. Every method raises HTTPFailed when the gateway
    says no, ConnectionFailed when there is no answer, RequestTimeout when none comes in time, and
    InvalidAnswer when it is of another shape than agreed. All are RealtimeError.
    """

    def __init__(self, base: str, *, timeout: float = 10, platform: Platform | None = None) -> None:
        self._platform = platform or default_platform()
        self._base = self._platform.resolve(base.rstrip("/") + "/")
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
        answer = await self._platform.fetch(
            method, self._base + route, body=body, timeout=self._timeout
        )
        if not 200 <= answer.status <= 299:
            raise HTTPFailed(answer.status, _message(answer))
        try:
            return loads(answer.text)
        except ValueError:
            raise InvalidAnswer(f"{route}: expected JSON, came {describe(answer.text)}") from None


def _message(answer: HTTPAnswer) -> str:
    """Return what `{"error": {"message": …}}` or `{"error": …}` says, else the body's start."""
    try:
        error = loads(answer.text).get("error")
        text = error["message"] if isinstance(error, dict) else error
    except (ValueError, AttributeError, KeyError):
        text = None
    text = text if isinstance(text, str) and text else answer.text.strip() or "no explanation"
    return text if len(text) <= 200 else text[:199] + "…"
