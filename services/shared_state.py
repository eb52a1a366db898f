"""Small values that all tabs have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from .describe import describe
from .emitter import Emitter, Handler, Unsubscribe
from .errors import ConfigurationError, InvalidFrame, NotCloneable
from .tab_messages import name_of, object_of

MOST_NAMES = 100
LARGEST = 64 * 1024
"""Characters of a value as JSON: each tab that opens is sent all values by every other."""

CLOCK_LEAP = 2**32
"""By how much a clock may run ahead of ours: no group writes so often, and numbers stay exact."""


class Write(NamedTuple):
    """A value as it was written. The later write wins; of two at once, that of the greater id.

    `clock` is Lamport's: one more than any that the writer had seen (CACM 21(7), 1978).
    """

    clock: int
    writer: str
    value: Any


class SharedValue:
    """One value, the same in every tab that asks for its name. Any JSON value; replaced as whole.

    Writes of several tabs at once settle the same way everywhere.
    """

    def __init__(self, name: str, default: Any, state: SharedState) -> None:
        self.name = name
        self._default = default
        self._state = state

    @property
    def value(self) -> Any:
        """What was written last, in any tab, or else the default. Do not change it in place."""
        write = self._state.writes.get(self.name)
        return self._default if write is None else write.value

    @value.setter
    def value(self, value: Any) -> None:
        self._state.write(self.name, value)

    def on(self, handler: Handler) -> Unsubscribe:
        """Call `handler(value)` whenever the value changes, in whichever tab."""
        return self._state.emitter.on(self.name, handler)


class SharedState:
    """All values of a tab, also those that only other tabs have asked for yet."""

    def __init__(
        self, tab_id: str, send: Callable[[Any], None], report: Callable[[BaseException], None]
    ) -> None:
        self._tab_id = tab_id
        self._send = send
        self._clock = 0
        self._values: dict[str, SharedValue] = {}
        self.writes: dict[str, Write] = {}
        self.emitter = Emitter(report)

    def shared(self, name: str, default: Any) -> SharedValue:
        """Return the value of that name. Raises ConfigurationError if that cannot be a name."""
        try:
            name_of("name", name)
        except InvalidFrame as error:
            raise ConfigurationError(str(error)) from None
        if name not in self._values:
            self._values[name] = SharedValue(name, default, self)
        return self._values[name]

    def write(self, name: str, value: Any) -> None:
        """Write here, and tell the others. Raises NotCloneable, and changes nothing then."""
        write = Write(self._clock + 1, self._tab_id, _copied(name, value))
        if name not in self.writes and len(self.writes) >= MOST_NAMES:
            raise NotCloneable(f"{name}: expected at most {MOST_NAMES} shared values, came another")
        self._send({name: list(write)})
        self._take(name, write)

    def snapshot(self) -> dict[str, list[Any]]:
        """Return all that was written, as `merge` takes it."""
        return {name: list(write) for name, write in self.writes.items()}

    def merge(self, payload: object) -> None:
        """Take what another tab has. Raises InvalidFrame if any of it is wrong; takes none then."""
        writes = {
            name_of("shared", name): self._checked(name, write)
            for name, write in object_of("shared", payload).items()
        }
        if len(self.writes.keys() | writes.keys()) > MOST_NAMES:
            raise InvalidFrame(f"shared: expected at most {MOST_NAMES} values, came more")
        for name, write in writes.items():
            known = self.writes.get(name)
            if known is None or write[:2] > known[:2]:
                self._take(name, write)

    def _take(self, name: str, write: Write) -> None:
        value = self._values.get(name)
        before = None if value is None else value.value
        self._clock = max(self._clock, write.clock)
        self.writes[name] = write
        if value is not None and value.value != before:
            self.emitter.emit(name, write.value)

    def _checked(self, name: str, value: object) -> Write:
        if not isinstance(value, list) or len(value) != 3:
            raise InvalidFrame(
                f"shared {name}: expected clock, writer and value, came {describe(value)}"
            )
        clock, writer, content = value
        latest = self._clock + CLOCK_LEAP
        if not isinstance(clock, int) or isinstance(clock, bool) or not 0 < clock <= latest:
            raise InvalidFrame(
                f"shared {name}: expected a clock from 1 to {latest}, came {describe(clock)}"
            )
        if len(json.dumps(content, ensure_ascii=False)) > LARGEST:
            raise InvalidFrame(f"shared {name}: expected at most {LARGEST} characters, came more")
        return Write(clock, name_of("writer", writer), content)


def _copied(name: str, value: Any) -> Any:
    """Return the value as another tab will see it: nobody can change it in place."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise NotCloneable(
            f"{name}: expected a value that can be JSON, came {describe(value)}"
        ) from error
    if len(text) > LARGEST:
        raise NotCloneable(f"{name}: expected at most {LARGEST} characters, came {len(text)}")
    return json.loads(text)
