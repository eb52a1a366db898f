"""What goes over the wire between a `WorkerManager` and its workers: a closed set.

A message is a header, JSON text that begins with its `kind`, and buffers, which are transferred.
The types below are all there are; whatever else arrives raises `InvalidFrame`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeAlias

from .describe import describe
from .errors import InvalidFrame
from .strict_json import loads

Buffers = Sequence[bytes]

LAYOUTS = ("value", "rows", "columns", "indices")
"""How buffers hold data; see `packing`."""


@dataclass(frozen=True, slots=True)
class Start:
    """To the worker: load the file at `url`, an absolute URL, and what it needs.

    At `wheels` is a list of the packages that the site has (see ``workers/packages.py``).
    """

    kind: ClassVar[str] = "start"
    url: str
    packages: tuple[str, ...] = ()
    wheels: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """To the worker: run an operation; the first buffer holds the options, the others the data.

    While there is something at the URL `stop`, it is to go on; "" is no URL. Data in columns
    has the names `columns`, and so many `rows`.
    """

    kind: ClassVar[str] = "run"
    id: int
    operation: str
    layout: str
    stop: str = ""
    columns: tuple[str, ...] = ()
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """To the worker: the call's result is no longer wanted."""

    kind: ClassVar[str] = "stop"
    id: int


@dataclass(frozen=True, slots=True)
class Hello:
    """From the worker: the interpreter is up. `python` is its version, the manager's own."""

    kind: ClassVar[str] = "hello"
    python: str


@dataclass(frozen=True, slots=True)
class Ready:
    """From the worker: the file is loaded, and these operations are in it (see `operation`)."""

    kind: ClassVar[str] = "ready"
    operations: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """From the worker: the file or a package cannot be loaded."""

    kind: ClassVar[str] = "failed"
    type: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Alive:
    """From the worker, while it has a call: it is at work."""

    kind: ClassVar[str] = "alive"


@dataclass(frozen=True, slots=True)
class Progressed:
    """From the worker: how far a call is. `total` is null where it is not known."""

    kind: ClassVar[str] = "progressed"
    id: int
    done: float
    total: float | None
    note: str


@dataclass(frozen=True, slots=True)
class Returned:
    """From the worker: the result of a call, in the buffers."""

    kind: ClassVar[str] = "returned"
    id: int
    layout: str


@dataclass(frozen=True, slots=True)
class Raised:
    """From the worker: the exception that ended a call."""

    kind: ClassVar[str] = "raised"
    id: int
    type: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """From the worker: a call ended because of `Stop`."""

    kind: ClassVar[str] = "stopped"
    id: int


ToWorker: TypeAlias = Start | Run | Stop
FromWorker: TypeAlias = Hello | Ready | Failed | Alive | Progressed | Returned | Raised | Stopped

TO_WORKER = {type.kind: type for type in (Start, Run, Stop)}
FROM_WORKER = {
    type.kind: type for type in (Hello, Ready, Failed, Alive, Progressed, Returned, Raised, Stopped)
}

_CHECKS: dict[str, tuple[str, Any]] = {
    "id": ("a whole number", lambda value: type(value) is int),
    "rows": ("a whole number", lambda value: type(value) is int),
    "layout": (f"one of {', '.join(LAYOUTS)}", lambda value: value in LAYOUTS),
    "done": ("a number", lambda value: type(value) in (int, float)),
    "total": ("a number or null", lambda value: value is None or type(value) in (int, float)),
    "packages": ("an array of texts", lambda value: _are_texts(value)),
    "columns": ("an array of texts", lambda value: _are_texts(value)),
    "operations": ("an array", lambda value: isinstance(value, list)),
}
_IS_TEXT = ("text", lambda value: isinstance(value, str))


def encode(message: ToWorker | FromWorker) -> str:
    """Return a message's header."""
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    return json.dumps({"kind": message.kind, **values})


def decode_to_worker(header: object) -> ToWorker:
    """Return the message of a header. Raises InvalidFrame if it is none of the manager's."""
    message: ToWorker = _decode(header, TO_WORKER)
    return message


def decode_from_worker(header: object) -> FromWorker:
    """Return the message of a header. Raises InvalidFrame if it is none of a worker's."""
    message: FromWorker = _decode(header, FROM_WORKER)
    return message


def _decode(header: object, types: Mapping[str, Any]) -> Any:
    try:
        values = loads(header) if isinstance(header, str) else None
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise InvalidFrame(f"worker message: expected an object as JSON, came {describe(header)}")
    kind = values.pop("kind", None)
    type_ = types.get(kind) if isinstance(kind, str) else None
    if type_ is None:
        expected = f"one of {', '.join(types)}"
        raise InvalidFrame(f"worker message, kind: expected {expected}, came {describe(kind)}")
    names = [field.name for field in fields(type_)]
    if set(values) != set(names):
        came = describe(", ".join(values))
        raise InvalidFrame(f"{kind}: expected {', '.join(names) or 'nothing more'}, came {came}")
    for name, value in values.items():
        expected, check = _CHECKS.get(name, _IS_TEXT)
        if not check(value):
            raise InvalidFrame(f"{kind}, {name}: expected {expected}, came {describe(value)}")
        if isinstance(value, list):
            values[name] = tuple(value)
    return type_(**values)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
