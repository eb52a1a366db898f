"""The REST routes: publish notifications and activities, list activities, report health."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server import validation
from server.document_rooms import Rooms
from server.hub import Feed
from server.posts import Posts


class Api:
    """The endpoints over a feed of notifications, one of activities, and the documents."""

    def __init__(
        self, notifications: Feed[str], activities: Feed[bytes], documents: Rooms, posts: Posts
    ) -> None:
        self._notifications = notifications
        self._activities = activities
        self._documents = documents
        self._posts = posts

    async def health(self, _: Request) -> Response:
        """`GET /healthz`: the gateway is up, and so many clients and open documents it has."""
        return JSONResponse(
            {
                "status": "ok",
                "websockets": len(self._notifications.subscriptions),
                "event_streams": len(self._activities.subscriptions),
                "documents": self._documents.open_count,
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
        self._posts.admit(request)
        event = await feed.publish(validate(await self._posts.read(request)))
        return JSONResponse({"id": str(event.id)}, 201)
