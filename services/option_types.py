"""What an operation's options may be, as data: it crosses from the worker as JSON.

| annotation                       | as data                                             |
|----------------------------------|-----------------------------------------------------|
| `bool`, `int`, `float`, `str`    | the name; `float` takes whole numbers too, `int` no booleans |
| `None`                           | `"null"`                                            |
| `Any`, `object`, none at all     | `"any"`                                             |
| `list`, `list[T]`                | `["list", T]`                                       |
| `dict`, `dict[str, T]`           | `["dict", T]`                                       |
| `Literal["a", "b"]`              | `["choice", "a", "b"]`                              |
| `T | U`                          | `["union", T, U]`                                   |
"""

from __future__ import annotations

import types
import typing
from typing import Any

from .describe import describe
from .errors import ConfigurationError

SIMPLE: dict[Any, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    None: "null",
    type(None): "null",
    Any: "any",
    object: "any",
}

_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "null": (type(None),),
}

_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "null": "null",
    "any": "anything",
}


DEEPEST = 32
"""How deep a type from a worker may be nested."""


def from_annotation(annotation: Any) -> Any:
    """Return an annotation as data. Raises ConfigurationError for one that is none of the table."""
    try:
        if (name := SIMPLE.get(annotation)) is not None:
            return name
    except TypeError:
        pass  # not even hashable
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is list or origin is list:
        return ["list", from_annotation(arguments[0]) if arguments else "any"]
    if annotation is dict or (origin is dict and arguments[:1] == (str,)):
        return ["dict", from_annotation(arguments[1]) if arguments else "any"]
    if origin is typing.Literal and arguments and all(isinstance(each, str) for each in arguments):
        return ["choice", *arguments]
    if origin in (typing.Union, types.UnionType):
        return ["union", *map(from_annotation, arguments)]
    raise ConfigurationError(
        "annotation: expected bool, int, float, str, None, Any, Literal of texts, list[…],"
        f" dict[str, …] or a union of these, came {annotation!r}"
    )


def is_type(data: object, depth: int = 0) -> bool:
    """Tell whether `data`, from a worker, is a type as in the table."""
    if isinstance(data, str):
        return data in _WORDS
    if not isinstance(data, list) or not data or depth == DEEPEST:
        return False
    kind, *parts = data
    match kind:
        case "list" | "dict":
            return len(parts) == 1 and is_type(parts[0], depth + 1)
        case "choice":
            return bool(parts) and all(isinstance(part, str) for part in parts)
        case "union":
            return bool(parts) and all(is_type(part, depth + 1) for part in parts)
    return False


def words(type_: Any) -> str:
    """Say what a type takes."""
    if isinstance(type_, str):
        return _WORDS[type_]
    kind, *parts = type_
    match kind:
        case "list":
            return "an array" if parts == ["any"] else f"an array, each {words(parts[0])}"
        case "dict":
            return "an object" if parts == ["any"] else f"an object of {words(parts[0])}"
        case "choice":
            return f"one of {', '.join(parts)}"
    return " or ".join(map(words, parts))


def mismatch(type_: Any, value: object) -> str | None:
    """Say what is wrong with a value, as "expected …, came …", or return None if it fits."""
    if _fits(type_, value):
        return None
    return f"expected {words(type_)}, came {describe(value)}"


def _fits(type_: Any, value: object) -> bool:
    if type_ == "any":
        return True
    if isinstance(type_, str):
        is_bool = isinstance(value, bool)
        return isinstance(value, _TYPES[type_]) and (type_ == "bool" or not is_bool)
    kind, *parts = type_
    match kind:
        case "list":
            return isinstance(value, (list, tuple)) and all(_fits(parts[0], v) for v in value)
        case "dict":
            return isinstance(value, dict) and all(
                isinstance(key, str) and _fits(parts[0], v) for key, v in value.items()
            )
        case "choice":
            return isinstance(value, str) and value in parts
    return any(_fits(part, value) for part in parts)
