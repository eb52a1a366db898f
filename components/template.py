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

import re
from collections.abc import Callable, Iterable, Sequence
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
        TypeError: a key is no text.
        ValueError: two items have the same key.
    """
    items = list(items)
    keys = [key(item) for item in items]
    if not all(type(key) is str for key in keys):
        raise TypeError(f"expected text for every key, got {keys}")
    if len(set(keys)) < len(keys):
        raise ValueError(f"expected a key of its own for each item, got {keys}")
    return Keyed(items, keys, None if depends is None else [depends(i) for i in items], render)


# Where values stand, in the text of the whole template: no HTML may contain this character.
HOLE = "\0"

COMMENT_OR_TAG = re.compile(r"<!--.*?(?:-->|\Z)|</?[a-zA-Z][^\s/>]*", re.DOTALL)
ATTRIBUTE = re.compile(
    r"""[\s/]* (?: (?P<end>>) | (?P<name>[^\s/>=]+) (?:\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^\s>]*))? )""",
    re.VERBOSE,
)


def places(strings: Sequence[str]) -> list[Place]:
    """Tell for each gap between a template's strings where it stands.

    Follows the tokenizer of the HTML standard (13.2.5) as far as it takes to know text from
    tags, and in a tag the name of the attribute a value belongs to.

    Raises:
        ValueError: a value stands for a name, or the HTML cannot be understood.
    """
    html = HOLE.join(strings)
    found: list[Place] = []
    position = 0
    while match := COMMENT_OR_TAG.search(html, position):
        found += [Place.CHILD] * html.count(HOLE, position, match.start())
        if match[0].startswith("<!--"):
            found += [Place.CHILD] * match[0].count(HOLE)
            position = match.end()
        else:
            position = _attributes(html, match.end(), found)
    found += [Place.CHILD] * html.count(HOLE, position)
    if len(found) != len(strings) - 1:
        raise ValueError(f"expected values as children or of attributes, got {html[:200]!r}")
    return found


def _attributes(html: str, position: int, found: list[Place]) -> int:
    """Add the places of a tag's values to `found`; return where the tag ends."""
    while match := ATTRIBUTE.match(html, position):
        position = match.end()
        if match["end"]:
            break
        place = PREFIXES.get(match["name"][0], Place.ATTRIBUTE)
        found += [place] * (match["value"] or "").count(HOLE)
    return position
