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


def loads(text: str) -> Any:
    """Parse `text`. Raises ValueError, and nothing else, if it is not JSON or nested too deep."""
    if len(text) >= BRIEF and _is_deep(text):
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    return _DECODER.decode(text)


def loads_brief_objects(data: bytes, count: int) -> list[dict[str, Any]]:
    """Parse an array of `count` objects, each written in fewer than `BRIEF` characters.

    One run of the parser for many texts takes little more than half the time of as many runs.
    Raises ValueError, and nothing else, if it is anything else.
    """
    values = _DECODER.decode(data.decode())
    if len(values) == count and all(type(value) is dict for value in values):
        return values  # type: ignore[no-any-return]
    raise ValueError(f"expected an array of {count} objects")


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
