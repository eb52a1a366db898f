"""Templates are t-strings with lit-html's bindings in them.

    t'<button class={kind} ?disabled={busy} .value={text} @click={self.send}>{label}</button>'

Values are set as text, attributes and properties, never parsed as HTML, so no data can
become markup. What a value may be depends on where it stands:

| place            | values                                                                 |
|------------------|------------------------------------------------------------------------|
| `<p>{child}</p>` | `Template`, a list of children, `repeat(...)`, anything with a `str()`; `None`, `True` and `False` show nothing, so that `{cond and t"..."}` reads as it should |
| `name={value}`   | anything with a `str()`; booleans as `true` and `false`; `None` removes the attribute |
| `?name={value}`  | the attribute is there when the value is true                           |
| `.name={value}`  | a property: whatever JSON can say                                       |
| `@name={value}`  | a callable, called with the event; `None` for no listener               |
"""

from collections.abc import Callable, Iterable
from enum import Enum
from string.templatelib import Template
from typing import Any, NamedTuple


class Place(Enum):
    """Where in a template a value stands."""

    CHILD = "a child"
    ATTRIBUTE = "an attribute"
    BOOLEAN = "a boolean attribute"
    PROPERTY = "a property"
    EVENT = "an event listener"


PREFIXES = {"?": Place.BOOLEAN, ".": Place.PROPERTY, "@": Place.EVENT}


class Keyed(NamedTuple):
    """A keyed list; made by `repeat`. The three lists are as long as each other."""

    items: list[Any]
    keys: list[str]
    depends: list[Any] | None
    render: Callable[[Any], Template]


def repeat[Item](
    items: Iterable[Item],
    key: Callable[[Item], str],
    render: Callable[[Item], Template],
    depends: Callable[[Item], Any] | None = None,
) -> Keyed:
    """Render a list whose items keep their DOM nodes when the list changes.

    With `depends`, an item that was in the list before is rendered again only when
    `depends(item)` is no longer equal to what it was: return from it all that `render`
    looks at.

    Raises:
        ValueError: two items have the same key.
    """
    items = list(items)
    keys = [key(item) for item in items]
    if len(set(keys)) < len(keys):
        raise ValueError(f"expected a key of its own for each item, got {keys}")
    return Keyed(items, keys, None if depends is None else [depends(i) for i in items], render)


def places(strings: Iterable[str]) -> list[Place]:
    """Tell for each gap between a template's strings where it stands.

    Follows the tokenizer of the HTML standard (13.2.5) as far as it takes to know
    text from tags, and in a tag the name of the attribute a value belongs to.
    """
    found = []
    in_tag = False
    quote = ""
    name = ""
    for string in strings:
        for position, character in enumerate(string):
            if not in_tag:
                following = string[position + 1 : position + 2]
                in_tag = character == "<" and (following.isalpha() or following == "/")
                name = ""
            elif quote:
                quote = "" if character == quote else quote
            elif character == ">":
                in_tag = False
            elif character in "\"'":
                quote = character
            elif character.isspace():
                name = ""
            elif character != "=":
                name += character
        found.append(PREFIXES.get(name[:1], Place.ATTRIBUTE) if in_tag else Place.CHILD)
    return found[:-1]
