"""`@operation`: a function in a worker's file that becomes a call on its `WorkerManager`.

    from services.operation import Job, Table, operation

    @operation
    def primes(limits: list, *, step: int = 1, job: Job) -> list:
        ...

    await manager.process("primes", [10, 1000], {"step": 2})
    await manager.primes([10, 1000], step=2)

The first parameter gets the data, the others are options, and their annotations are checked on
both sides (see `option_types`). A parameter annotated `Job` gets the call's own. The function may
be `async`. If the first parameter is annotated `Table`, the data are rows, and just the columns
are sent that the options name: those called `field` or `…_field`, at any depth (what is called
`value` is data, and not looked into). Its result may be `Indices`, which brings the caller's own
rows back.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from .describe import describe
from .errors import ConfigurationError, InvalidCall
from .option_types import from_annotation, is_type, mismatch

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

MARK = "__operation__"
TAKES = ("value", "table", "nothing")
DEEPEST = 32
"""How deep options may be nested within one another."""


class Table(Protocol):
    """Rows as columns."""

    def __len__(self) -> int:
        """The number of rows."""

    def column(self, field: str) -> list[Any]:
        """Return a field's values, None where a row has none; not to be changed.

        Raises InvalidCall if no row has the field.
        """


class Job(Protocol):
    """A call, as its operation sees it."""

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Tell the caller how far this is; often, if need be: what is too much is not sent.

        Raises ValueError if `done` is not finite.
        """


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its type as data, and whether it must be given."""

    type: Any
    required: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """What a caller has to know of an operation."""

    name: str
    takes: str
    options: dict[str, Option]

    def check(self, options: object) -> dict[str, Any]:
        """Return the options if they are right. Raises InvalidCall, which lists what there is."""
        if not isinstance(options, Mapping):
            raise InvalidCall(f"{self.name}, options: expected a dict, came {describe(options)}")
        there = ", ".join(self.options) or "none at all"
        for name in options:
            if name not in self.options:
                raise InvalidCall(f"{self.name}, options: expected {there}, came {describe(name)}")
        for name, option in self.options.items():
            if name in options:
                if wrong := mismatch(option.type, options[name]):
                    raise InvalidCall(f"{self.name}, {name}: {wrong}")
            elif option.required:
                raise InvalidCall(f"{self.name}, {name}: expected a value, came none")
        return dict(options)

    def as_data(self) -> list[Any]:
        """Return it as JSON can carry it."""
        options = {name: [option.type, option.required] for name, option in self.options.items()}
        return [self.name, self.takes, options]

    @staticmethod
    def from_data(data: object) -> Operation | None:
        """Return what `as_data` gave, or None for anything else."""
        match data:
            case [str(name), str(takes), dict(options)] if takes in TAKES:
                for option in options.values():
                    match option:
                        case [type_, bool()] if is_type(type_):
                            continue
                    return None
                return Operation(name, takes, {key: Option(*of) for key, of in options.items()})
        return None


def operation(function: FunctionT) -> FunctionT:
    """Mark a function as an operation.

    Raises ConfigurationError for a parameter that cannot be an option.
    """
    signature = inspect.signature(function)
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        raise ConfigurationError(f"{function.__name__}: expected known types, {error}") from None
    takes, job, options = "nothing", "", {}
    parameters = [each for each in signature.parameters.items() if each[0] != "self"]
    for position, (name, parameter) in enumerate(parameters):
        hint = hints.get(name, Any)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigurationError(
                f"{function.__name__}: expected parameters with a name, came {parameter}"
            )
        if parameter.kind is parameter.POSITIONAL_ONLY and (position > 0 or hint is Job):
            raise ConfigurationError(
                f"{function.__name__}, {name}: expected a parameter to be named, came one before /"
            )
        if hint is Job:
            job = name
        elif position == 0 and parameter.kind is not parameter.KEYWORD_ONLY:
            takes = "table" if hint is Table else "value"
        else:
            required = parameter.default is parameter.empty
            options[name] = Option(from_annotation(hint), required)
    setattr(function, MARK, (Operation(function.__name__, takes, options), job))
    return function


def marked(value: object) -> tuple[Operation, str] | None:
    """Return what `operation` noted of a function: the operation, and which parameter is the job.

    None for all else.
    """
    mark = getattr(value, MARK, None) if inspect.isroutine(value) else None
    return mark if isinstance(mark, tuple) else None


def fields_named(options: object, depth: int = 0) -> list[str]:
    """Return the fields that options name, each once. Raises InvalidCall if they are too deep."""
    if depth > DEEPEST:
        raise InvalidCall(f"options: expected at most {DEEPEST} levels, came more")
    found: dict[str, None] = {}
    if isinstance(options, dict):
        for key, value in options.items():
            if isinstance(key, str) and (key == "field" or key.endswith("_field")):
                values = value if isinstance(value, (list, tuple)) else [value]
                found.update(dict.fromkeys(each for each in values if isinstance(each, str)))
            elif key != "value":
                found.update(dict.fromkeys(fields_named(value, depth + 1)))
    elif isinstance(options, (list, tuple)):
        for value in options:
            found.update(dict.fromkeys(fields_named(value, depth + 1)))
    return list(found)
