"""What a client may send: strict JSON, the fields of an event, the parameters of a listing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from server import account_store, passwords
from server.clock import now

NOTIFICATION_TYPES = ("info", "success", "warning", "error")

#: 9999-12-31T23:59:59.999Z in milliseconds: the last moment that both ISO 8601's four-digit
#: years and Python's `datetime` can name. (ECMA-262 dates end later, in the year 275760.)
MAX_TIMESTAMP = 253_402_300_799_999

#: The largest integer up to which JavaScript's numbers have them all.
MAX_INTEGER = 2**53 - 1

_WHOLE_NUMBER = re.compile("-?[0-9]{1,16}")

_MISSING = object()


class ValidationError(ValueError):
    """A field does not hold what it must; says which, what was expected and what came."""

    def __init__(self, field: str, expected: str, got: str) -> None:
        super().__init__(f"{field} must be {expected}, but is {got}")
        self.field = field
        self.expected = expected
        self.got = got


def parse_json(text: str) -> Any:
    """Parse `text` as RFC 8259 JSON, which knows no NaN and no Infinity.

    Raises `ValueError`, also for nesting or numbers beyond what Python can take.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_body(body: bytes) -> Mapping[str, Any]:
    """Parse the body of a POST, a JSON object in UTF-8; raises `ValidationError`."""
    try:
        value = parse_json(body.decode())
    except ValueError:
        raise ValidationError("body", "a JSON object in UTF-8", "not JSON") from None
    if not isinstance(value, dict):
        raise ValidationError("body", "a JSON object in UTF-8", _describe(value))
    return value


def payload(value: object) -> Mapping[str, Any]:
    """Return the payload of a frame, a JSON object; raises `ValidationError`."""
    if not isinstance(value, dict):
        raise ValidationError("payload", "a JSON object", _describe(value))
    return value


def credentials(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name and the password of a login.

    Raises `ValidationError`, which repeats neither: people mix the two up.
    """
    name, password = body.get("username", _MISSING), body.get("password", _MISSING)
    if not isinstance(name, str) or not account_store.could_be_name(name):
        expected = f"a string of 1 to {account_store.MAX_NAME} characters"
        raise ValidationError("username", expected, _kind(name))
    if not isinstance(password, str) or not passwords.is_usable(password):
        expected = f"a string of 1 to {passwords.MAX_BYTES} bytes in UTF-8"
        raise ValidationError("password", expected, _kind(password))
    return account_store.normalised(name), password


def notification(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of a `notification` event: its known fields, defaults filled in.

    Raises `ValidationError`.
    """
    return {
        "type": _choice(body, "type", NOTIFICATION_TYPES, "info"),
        "title": _text(body, "title"),
        "message": _text(body, "message", default=""),
        "timestamp": _timestamp(body),
    }


def activity(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of an `activity` event: its known fields, defaults filled in.

    Raises `ValidationError`.
    """
    return {
        "userId": _text(body, "userId", default=""),
        "userName": _text(body, "userName"),
        "action": _text(body, "action"),
        "target": _text(body, "target"),
        "timestamp": _timestamp(body),
    }


def limit(value: str | None, *, default: int = 20, maximum: int = 100) -> int:
    """Return the `limit` of a listing, 1 to `maximum`; raises `ValidationError`."""
    return default if value is None else _whole_number("limit", value, 1, maximum)


def after(value: str | None) -> int:
    """Return the id `after` which a listing of rows begins, -1 by default.

    Raises `ValidationError`.
    """
    return -1 if value is None else _whole_number("after", value, -1, MAX_INTEGER)


def _whole_number(field: str, value: str, minimum: int, maximum: int) -> int:
    # int() alone would take other scripts' digits, "1_0" and " 1", and long to read many digits.
    if _WHOLE_NUMBER.fullmatch(value) and minimum <= int(value) <= maximum:
        return int(value)
    expected = f"a whole number from {minimum} to {maximum}"
    raise ValidationError(field, expected, f"{value[:40]!r}")


def _text(body: Mapping[str, Any], field: str, *, default: str | None = None) -> str:
    """Return a string; one without a default is required, and not blank."""
    required = default is None
    expected = "a string that is not blank" if required else "a string"
    value = body.get(field, _MISSING if required else default)
    if not isinstance(value, str) or (required and not value.strip()):
        raise ValidationError(field, expected, _describe(value))
    try:
        value.encode()
    except UnicodeEncodeError:
        # JSON can spell half a surrogate pair ("\ud800"), UTF-8 cannot carry it.
        raise ValidationError(field, expected, "a string with a lone surrogate") from None
    return value


def _choice(body: Mapping[str, Any], field: str, choices: tuple[str, ...], default: str) -> str:
    value = body.get(field, default)
    if not isinstance(value, str) or value not in choices:
        raise ValidationError(field, "one of " + ", ".join(choices), _describe(value))
    return value


def _timestamp(body: Mapping[str, Any]) -> int:
    value = body.get("timestamp", _MISSING)
    if value is _MISSING:
        return now()
    # bool is a subclass of int. The comparison also refuses 1e400, which Python reads as infinity.
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value <= MAX_TIMESTAMP
    ):
        expected = f"milliseconds since 1970, from 0 to {MAX_TIMESTAMP}"
        raise ValidationError("timestamp", expected, _describe(value))
    return int(value)


def _describe(value: object) -> str:
    """Name a JSON value for an error message, without repeating more than a little of it."""
    if value is _MISSING:
        return "missing"
    if isinstance(value, str):
        return "blank" if not value.strip() else f"{value[:40]!r}{'…' if value[40:] else ''}"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return f"the number {str(value)[:40]}"


def _kind(value: object) -> str:
    """Name a JSON value for an error message, without repeating any of it."""
    if value is _MISSING:
        return "missing"
    if isinstance(value, str):
        return "another string" if value else "empty"
    return "no string"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
