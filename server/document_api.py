"""`GET /api/documents/{id}`: a document's text, for programs that do not edit it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.document_rooms import Rooms
from server.documents import MAX_ID, is_document_id
from server.validation import ValidationError


class DocumentApi:
    """The endpoint over the documents' rooms."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def document(self, request: Request) -> Response:
        """`GET /api/documents/{id}`: what is stored. One that was never written is empty.

        Raises `ValidationError`, `DocumentStoreError` and `SpoiltError`.
        """
        document_id = request.path_params["id"]
        if not is_document_id(document_id):
            expected = f"1 to {MAX_ID} characters, none of them control"
            raise ValidationError("id", expected, f"{document_id[:40]!r}")
        content = await self._rooms.content(document_id)
        return JSONResponse(
            {"id": document_id, "content": content}, headers={"Cache-Control": "no-store"}
        )
