"""What somebody is called who has not logged in."""

from __future__ import annotations

import json
from typing import Any

from .platform import Platform
from .strict_json import loads

KEY = "guest"

ADJECTIVES = (
    "Bright", "Calm", "Clever", "Curious", "Gentle", "Happy", "Keen", "Lively",
    "Merry", "Nimble", "Patient", "Quiet", "Swift", "Tidy", "Warm", "Witty",
)  # fmt: skip
ANIMALS = (
    "Badger", "Beaver", "Crane", "Dolphin", "Falcon", "Finch", "Gecko", "Heron",
    "Ibex", "Lynx", "Marten", "Otter", "Owl", "Robin", "Stoat", "Wren",
)  # fmt: skip


def guest(platform: Platform) -> dict[str, Any]:
    """Return an `id` and a `name` for whoever uses this tab: the same ones after a reload."""
    text = platform.stored(KEY)
    if text is not None and (kept := _read(text)) is not None:
        return kept
    adjective, animal = _one_of(platform, ADJECTIVES), _one_of(platform, ANIMALS)
    number = int(platform.random() * 2**32)
    user = {"id": f"guest-{number:08x}", "name": f"{adjective} {animal}"}
    platform.store(KEY, json.dumps(user))
    return user


def _one_of(platform: Platform, words: tuple[str, ...]) -> str:
    return words[int(platform.random() * len(words))]


def _read(text: str) -> dict[str, Any] | None:
    try:
        value = loads(text)
    except ValueError:
        return None
    if isinstance(value, dict) and all(isinstance(value.get(key), str) for key in ("id", "name")):
        return {"id": value["id"], "name": value["name"]}
    return None
