"""The gateway's log: lines on stderr, for people (`text`) or for programs (`json`).

A record's `extra` fields say about whom and how much. What they hold is data and may come from a
client, so both formats keep a record on its one line.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

LogFormat = Literal["text", "json"]

#: What every record has; the rest are a record's own fields.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

#: A close frame says 1007, and a refused handshake has its 403, 404 or 421.
_NO_NEWS = (
    "Invalid UTF-8 sequence received from client",
    "ASGI callable returned without completing handshake",
)


class JSONFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # As ASCII: other characters end lines too, to some.
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """The local time, the message and its fields; a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        parts = [time, record.levelname, record.getMessage()]
        parts += [f"{name}={_plain(value)}" for name, value in _fields(record).items()]
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(log_format: LogFormat | None, stream: TextIO) -> None:
    """Send the log to `stream`; without a format, as text to a terminal and as JSON elsewhere."""
    is_text = log_format == "text" or (log_format is None and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if is_text else JSONFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Only warnings from uvicorn: its notes quote URLs, and a URL may carry a token.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether uvicorn reports an error: not what clients may do, and are answered for."""
    return not record.getMessage().startswith(_NO_NEWS)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and value is not None
    }


def _plain(value: object) -> str:
    """Return a value as it is if it is one plain word, else quoted."""
    text = str(value)
    return text if text.isprintable() and text and " " not in text else json.dumps(text)
