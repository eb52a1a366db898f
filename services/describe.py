"""Values as error messages show them: in JSON's words, and never long."""

from __future__ import annotations

EXCERPT = 80


def describe(value: object) -> str:
    """Return a few words that say what `value` is, at most about a hundred characters."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str() if len(value) > EXCERPT:
            return f"{value[:EXCERPT]!r}… ({len(value)} characters)"
        case int() if value.bit_length() > 64:
            return f"an integer of {value.bit_length()} bits"
        case str() | int() | float():
            return repr(value)
        case bytes():
            return f"{len(value)} bytes"
        case dict():
            return f"an object with {len(value)} keys"
        case list() | tuple():
            return f"an array of {len(value)}"
        case _:
            return f"a value of type {type(value).__name__}"
