"""Where the gateway is: the [realtime] table of pyscript.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from .errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Endpoints:
    """URLs of the gateway, absolute or relative to the page."""

    websocket: str = "./ws"
    events: str = "./api/events"
    api: str = "./api/"
    documents: str = "./ws/documents/"

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Endpoints:
        """Read the `[realtime]` table out of a whole configuration; all of it is optional.

        Raises ConfigurationError on an unknown key or a value that is no URL text.
        """
        table = config.get("realtime", {})
        if not isinstance(table, Mapping):
            raise ConfigurationError(f"[realtime]: expected a table, came {table!r:.80}")
        known = [field.name for field in fields(cls)]
        for key, value in table.items():
            if key not in known:
                raise ConfigurationError(
                    f"[realtime]: expected only {', '.join(known)}, came {key!r:.80}"
                )
            if not isinstance(value, str) or not value.strip():
                raise ConfigurationError(f"[realtime] {key}: expected a URL, came {value!r:.80}")
        return cls(**table)
