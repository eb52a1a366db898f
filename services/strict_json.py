"""JSON as RFC 8259 has it, which is less than Python's parser takes."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

MAX_DEPTH = 512
"""Arrays and objects within one another. Pyodide 314 dies in its parser at some thousands."""

BRIEF = 2 * MAX_DEPTH
"""Characters below which no text is nested deeper: each level has an opening and a closing."""

# A string, also one without an end, or a run of what is neither a string nor a bracket.
_NOT_BRACKETS = re.compile(r'"(?:[^"\\]+|\\.)*+"?|[^\[\]{}"]+', re.DOTALL)


def _refuse(name: str) -> NoReturn:
    # RFC 8259 §6: "Numeric values that cannot be represented in the grammar below (such as
    # Infinity and NaN) are not permitted."
    raise ValueError(f"{name} is not JSON")


# Made once: json.loads would make one for each message.
_DECODER = json.JSONDecoder(parse_constant=_refuse)
_scan = _DECODER.scan_once  # type: ignore[attr-defined]

SEPARATOR = "\x1e"


def loads(text: str) -> Any:
    """Parse `text`. Raises ValueError, and nothing else, if it is not JSON or nested too deep."""
    if len(text) >= BRIEF and _is_deep(text):
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    try:
        return _DECODER.decode(text)
    except RecursionError:
        # Without their ends, twice as many brackets fit into a short text as the limit allows.
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from None


def loads_brief_objects(data: bytes) -> list[dict[str, Any]]:
    """Parse objects of fewer than `BRIEF` characters each, separated by U+001E (as RFC 7464 does).

    The separator is neither white space nor allowed in a string: so no text, however broken, can
    reach into the next one, and none is nested deeper than its own length allows.
    Raises ValueError, and nothing else, if it is anything else.
    """
    text = data.decode()
    values: list[dict[str, Any]] = []
    end = 0
    try:
        while True:
            value, end = _scan(text, end)
            if type(value) is not dict:
                break
            values.append(value)
            if end == len(text):
                return values
            if text[end] != SEPARATOR:
                break
            end += 1
    except (StopIteration, RecursionError):
        pass
    raise ValueError(f"expected objects separated by U+001E, came something else at {end}")


def _is_deep(text: str) -> bool:
    # Nearly every message ends here, at the speed of a count.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    brackets = _NOT_BRACKETS.sub("", text).replace("{", "[").replace("}", "]")
    # Each round takes the innermost pairs away. What is left of unbalanced brackets counts whole.
    for _ in range(MAX_DEPTH):
        rest = brackets.replace("[]", "")
        if rest == brackets:
            return len(brackets) > MAX_DEPTH
        brackets = rest
    return bool(brackets)
