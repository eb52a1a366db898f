"""Why `<data-explorer>` has no rows, in words for the person at the page."""

import re

from components.words import explain
from services.errors import RealtimeError, WorkerError

_STATUS = re.compile(r"HTTP \d+")


def words_of(error: RealtimeError) -> str:
    """Return the end of a sentence that began with what did not work."""
    if isinstance(error, WorkerError):
        if "HTTP 401" in error.message:
            return "log in first."
        if found := _STATUS.search(error.message):
            return f"the server has a problem ({found[0]})."
        if error.type == "OSError":
            return "the server cannot be reached."
        return f"{error.message or error.type}."
    return f"{explain(error)}."
