"""Encode templates as JSON for `render` in runtime/elements.js.

`t.strings` is the same at every evaluation of one call site, and lit-html keys its
templates by their strings. So each template's are sent to JavaScript once, under a number,
and from then on only the values are. Of a keyed list, only the items that changed are.
"""

import json
from collections.abc import Callable, Iterable
from string.templatelib import Interpolation, Template, convert
from typing import Any, NamedTuple

from components.template import Keyed, Place, places

type Listener = Callable[[Any], Any]
type Path = tuple[Any, ...]


class Known(NamedTuple):
    """A template that has a number."""

    number: int
    places: list[Place]


class Kept(NamedTuple):
    """An item of a keyed list as it was last rendered."""

    depends: Any
    listeners: range


class Memory:
    """What must be known of an element's last rendering to make the next."""

    def __init__(self, first_listener: int = 0) -> None:
        self.listeners: dict[int, Listener] = {}
        self.lists: dict[Path, dict[str, Kept]] = {}
        self.next_listener = first_listener


class Encoder:
    """Encodes renderings, remembering which templates JavaScript has already."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Known] = {}

    def encode(self, template: Template, before: Memory) -> tuple[str, Memory]:
        """Return the JSON for a rendering and what to remember of it.

        Raises:
            TypeError: a value does not fit the place it stands in.
        """
        encoding = _Encoding(self._known, before)
        try:
            tree = encoding.template(template, ())
            # Numbers in children and attributes are text by now: NaN can only be a property.
            text = json.dumps([encoding.fresh, tree], separators=(",", ":"), allow_nan=False)
        except BaseException:
            # JavaScript did not get these; a later rendering must send them again.
            for _, strings in encoding.fresh:
                del self._known[strings]
            raise
        return text, encoding.after


class _Encoding:
    """One rendering on its way."""

    def __init__(self, known: dict[tuple[str, ...], Known], before: Memory) -> None:
        self.fresh: list[tuple[int, tuple[str, ...]]] = []
        self.after = Memory(before.next_listener)
        self._known = known
        self._before = before
        self._in_kept_item = False

    def template(self, template: Template, path: Path) -> list[Any]:
        """Encode a template; `path` tells its place in the tree from all others."""
        strings = template.strings
        known = self._known.get(strings)
        if known is None:
            known = self._known[strings] = Known(len(self._known), places(strings))
            self.fresh.append((known.number, strings))
        node = ["template", known.number]
        for interpolation, place in zip(template.interpolations, known.places, strict=True):
            value = interpolation.value
            if interpolation.conversion or interpolation.format_spec:
                value = format(convert(value, interpolation.conversion), interpolation.format_spec)
            if type(value) is str and (place is Place.CHILD or place is Place.ATTRIBUTE):
                node.append(value)
            elif place is Place.CHILD:
                node.append(self._child(value, interpolation, (path, known.number, len(node))))
            else:
                node.append(self._bound(value, interpolation, place))
        return node

    def _child(self, value: Any, interpolation: Interpolation, path: Path) -> Any:
        if value is None or isinstance(value, bool):
            return None
        if isinstance(value, str):
            return value
        if isinstance(value, Template):
            return self.template(value, path)
        if isinstance(value, Keyed):
            return ["keyed", *self._keyed(value, path)]
        if isinstance(value, Iterable) and not isinstance(value, bytes):
            children = enumerate(value)
            return ["list", *(self._child(c, interpolation, (path, n)) for n, c in children)]
        return _text(value, Place.CHILD, interpolation)

    def _keyed(self, keyed: Keyed, path: Path) -> list[Any]:
        """Encode a list as pairs of key and item; the key alone stands for an item to keep."""
        # Within an item that may be kept whole, nothing is kept piece by piece.
        if keyed.depends is None or self._in_kept_item:
            pairs = zip(keyed.keys, keyed.items, strict=True)
            return [(key, self.template(keyed.render(item), (path, key))) for key, item in pairs]
        nodes: list[Any] = []
        before = self._before.lists.get(path, {})
        after = self.after.lists[path] = {}
        self._in_kept_item = True
        for key, item, depends in zip(keyed.keys, keyed.items, keyed.depends, strict=True):
            kept = before.get(key)
            if kept is not None and kept.depends == depends:
                for number in kept.listeners:
                    self.after.listeners[number] = self._before.listeners[number]
                after[key] = kept
                nodes.append(key)
                continue
            first = self.after.next_listener
            nodes.append((key, self.template(keyed.render(item), (path, key))))
            after[key] = Kept(depends, range(first, self.after.next_listener))
        self._in_kept_item = False
        return nodes

    def _bound(self, value: Any, interpolation: Interpolation, place: Place) -> Any:
        if place is Place.BOOLEAN:
            return bool(value)
        if place is Place.PROPERTY:
            return ["value", value]
        if value is None:
            return None
        if place is Place.EVENT:
            if not callable(value):
                raise _mismatch("a callable or None", value, place, interpolation)
            number = self.after.next_listener
            self.after.listeners[number] = value
            self.after.next_listener = number + 1
            return ["listener", number]
        if isinstance(value, bool):
            return "true" if value else "false"
        return _text(value, place, interpolation)


def _text(value: Any, place: Place, interpolation: Interpolation) -> str:
    if callable(value):
        expected = "text, a number, a Template or a list of these"
        raise _mismatch(expected, value, place, interpolation)
    return str(value)


def _mismatch(expected: str, value: Any, place: Place, interpolation: Interpolation) -> TypeError:
    return TypeError(
        f"{{{interpolation.expression}}} is {place.value}:"
        f" expected {expected}, got {type(value).__name__}"
    )
