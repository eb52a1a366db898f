"""The last id, kept for this tab: a page that is loaded again goes on where it was."""

from __future__ import annotations

import json

from .messages import Id, as_id
from .platform import Platform
from .strict_json import loads


class StoredPosition:
    """Keeps a position in the tab's session storage, under the URL's name."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._key = ""
        self._kept: Id | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether it is known under which name to look."""
        return bool(self._key)

    def load(self, url: str) -> Id | None:
        """Return the position that was kept, or None; storage may hold anything."""
        # Without its query: that may differ between attempts, or hold what is nobody's business.
        self._key = f"realtime:last-id:{url.partition('?')[0]}"
        try:
            self._kept = as_id(loads(self._platform.stored(self._key) or "null"))
        except ValueError:
            self._kept = None
        return self._kept

    def keep(self, position: Id | None) -> None:
        """Keep a position, if it is another than before."""
        if self.is_loaded and position != self._kept:
            self._kept = position
            self._platform.store(self._key, json.dumps(position))
