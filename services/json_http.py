"""JSON over HTTP, as the gateway speaks it."""

from __future__ import annotations

from typing import Any

from .describe import describe
from .errors import HTTPFailed, InvalidAnswer
from .platform import HTTPAnswer, Platform
from .strict_json import loads


async def ask(platform: Platform, method: str, url: str, **options: Any) -> Any:
    """Send a request, with the options of `Platform.fetch`; return the answer's JSON, or None.

    Raises HTTPFailed when the server says no, InvalidAnswer when it answers no JSON, and what
    `Platform.fetch` raises.
    """
    answer = await platform.fetch(method, url, **options)
    if not 200 <= answer.status <= 299:
        raise HTTPFailed(answer.status, _message(answer))
    if answer.status == 204:
        return None
    try:
        return loads(answer.text)
    except ValueError:
        raise InvalidAnswer(f"{url}: expected JSON, came {describe(answer.text)}") from None


def _message(answer: HTTPAnswer) -> str:
    """Return what `{"error": {"message": …}}` or `{"error": …}` says, else the body's start."""
    try:
        error = loads(answer.text).get("error")
        text = error["message"] if isinstance(error, dict) else error
    except (ValueError, AttributeError, KeyError):
        text = None
    text = text if isinstance(text, str) and text else answer.text.strip() or "no explanation"
    return text if len(text) <= 200 else text[:199] + "…"
