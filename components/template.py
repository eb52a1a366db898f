"""Encode t-strings for lit-html.

A template is a t-string with lit-html's bindings in it:

    t'<button class={kind} ?disabled={busy} .value={text} @click={self.send}>{label}</button>'

`t.strings` is the same object at every evaluation of one call site, which is
what lit-html keys its templates by: each is sent to JavaScript once, and from
then on only the values are. The values are set as text, attributes and
properties, never parsed as HTML, so no data can become markup.

What a value may be depends on where it stands:

| place            | values                                                                 |
|------------------|------------------------------------------------------------------------|
| `<p>{child}</p>` | `Template`, a list of children, `repeat(...)`, anything with a `str()`; `None`, `True` and `False` show nothing, so that `{cond and t"..."}` reads as it should |
| `name={value}`   | anything with a `str()`; booleans as `true` and `false`; `None` removes the attribute |
| `?name={value}`  | the attribute is there when the value is true                           |
| `.name={value}`  | a property: whatever JSON can say                                       |
| `@name={value}`  | a callable, called with the event; `None` for no listener               |
"""

import json
from collections.abc import Callable, Iterable
from enum import Enum
from string.templatelib import Interpolation, Template, convert
from typing import Any, NamedTuple

type Listener = Callable[[Any], Any]


class Place(Enum):
    """Where in a template a value stands."""

    CHILD = "a child"
    ATTRIBUTE = "an attribute"
    BOOLEAN = "a boolean attribute"
    PROPERTY = "a property"
    EVENT = "an event listener"


PREFIXES = {"?": Place.BOOLEAN, ".": Place.PROPERTY, "@": Place.EVENT}


class Keyed(NamedTuple):
    """A list of `(key, Template)` pairs; see `repeat`."""

    pairs: list[tuple[str, Template]]


def repeat[Item](
    items: Iterable[Item], key: Callable[[Item], str], render: Callable[[Item], Template]
) -> Keyed:
    """Render a list whose items keep their DOM nodes when the list changes.

    Raises:
        ValueError: two items have the same key.
    """
    pairs = [(key(item), render(item)) for item in items]
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError(
            f"expected a key of its own for each item, got {[key for key, _ in pairs]}"
        )
    return Keyed(pairs)


class Encoder:
    """Turns templates into JSON, remembering which templates JavaScript has already."""

    def __init__(self) -> None:
        # Holding on to the strings keeps their id() from being given to others.
        self._known: dict[int, tuple[int, tuple[str, ...], list[Place]]] = {}
        self._fresh: list[tuple[int, tuple[str, ...]]] = []

    def encode(self, template: Template) -> tuple[str, list[Listener]]:
        """Return the JSON for `render` in runtime/elements.js, and the listeners it numbers.

        Raises:
            TypeError: a value does not fit the place it stands in.
        """
        listeners: list[Listener] = []
        try:
            tree = self._template(template, listeners)
            # Numbers in children and attributes are strings by now: a NaN in a property is an error.
            text = json.dumps([self._fresh, tree], separators=(",", ":"), allow_nan=False)
        except BaseException:
            # JavaScript did not get these; a later render must send them again.
            for _, strings in self._fresh:
                del self._known[id(strings)]
            raise
        finally:
            self._fresh = []
        return text, listeners

    def _template(self, template: Template, listeners: list[Listener]) -> list[Any]:
        strings = template.strings
        known = self._known.get(id(strings))
        if known is None:
            known = (len(self._known), strings, places(strings))
            self._known[id(strings)] = known
            self._fresh.append((known[0], strings))
        number, _, where = known
        values = [
            self._value(interpolation, place, listeners)
            for interpolation, place in zip(template.interpolations, where, strict=True)
        ]
        return ["template", number, *values]

    def _value(self, interpolation: Interpolation, place: Place, listeners: list[Listener]) -> Any:
        value = interpolation.value
        if interpolation.conversion or interpolation.format_spec:
            value = format(convert(value, interpolation.conversion), interpolation.format_spec)
        match place:
            case Place.CHILD:
                return self._child(value, interpolation.expression, listeners)
            case Place.BOOLEAN:
                return bool(value)
            case Place.PROPERTY:
                return ["value", value]
            case Place.EVENT:
                return self._listener(value, interpolation.expression, listeners)
        if value is None:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        return text_of(value, place, interpolation.expression)

    def _child(self, value: Any, expression: str, listeners: list[Listener]) -> Any:
        if value is None or isinstance(value, bool):
            return None
        if isinstance(value, str):
            return value
        if isinstance(value, Template):
            return self._template(value, listeners)
        if isinstance(value, Keyed):
            pairs = [(key, self._template(item, listeners)) for key, item in value.pairs]
            return ["keyed", *pairs]
        if isinstance(value, Iterable) and not isinstance(value, bytes):
            return ["list", *(self._child(item, expression, listeners) for item in value)]
        return text_of(value, Place.CHILD, expression)

    def _listener(self, value: Any, expression: str, listeners: list[Listener]) -> Any:
        if value is None:
            return None
        if not callable(value):
            raise mismatch("a callable or None", value, Place.EVENT, expression)
        listeners.append(value)
        return ["listener", len(listeners) - 1]


def text_of(value: Any, place: Place, expression: str) -> str:
    """Return a value as text; functions have no business there."""
    if callable(value):
        raise mismatch("text, a number, a Template or a list of these", value, place, expression)
    return str(value)


def mismatch(expected: str, value: Any, place: Place, expression: str) -> TypeError:
    """Return the error for a value that does not fit its place."""
    return TypeError(
        f"{{{expression}}} is {place.value}: expected {expected}, got {type(value).__name__}"
    )


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
