"""What a login gives: who it is, and a token for some minutes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from .describe import describe
from .errors import ConfigurationError, InvalidAnswer
from .strict_json import loads
from .tokens import checked_token

LONGEST = 365 * 86_400
"""Seconds that a token may be good for. More is a mistake."""


@dataclass(frozen=True, slots=True)
class User:
    """A person, as the gateway knows them. Nothing here is secret."""

    id: str
    name: str

    def as_dict(self) -> dict[str, str]:
        """Return it as applications and other tabs get it."""
        return {"id": self.id, "name": self.name}

    @classmethod
    def from_value(cls, value: object) -> User:
        """Read it. Raises InvalidAnswer."""
        fields = value if isinstance(value, dict) else {}
        id_, name = fields.get("id"), fields.get("name")
        if not (_is_text(id_) and _is_text(name)):
            raise InvalidAnswer(f"user: expected an id and a name, came {describe(value)}")
        return cls(id_[:200], name[:200])

    @classmethod
    def from_text(cls, text: str | None) -> User | None:
        """Read what storage keeps, which may be anything."""
        try:
            return cls.from_value(loads(text or ""))
        except (ValueError, InvalidAnswer):
            return None


@dataclass(frozen=True, slots=True)
class Session:
    """A token, whose it is, and the wall-clock milliseconds of its time."""

    user: User
    token: str = field(repr=False)
    issued: float
    expires: float

    @classmethod
    def from_answer(cls, value: object, now: float) -> Session:
        """Read the gateway's answer to a login or a refresh. Raises InvalidAnswer."""
        fields = value if isinstance(value, dict) else {}
        seconds = fields.get("expiresIn")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise InvalidAnswer(f"expiresIn: expected seconds, came {describe(seconds)}")
        if not 0 < seconds <= LONGEST:
            raise InvalidAnswer(f"expiresIn: expected seconds, came {describe(seconds)}")
        return cls(
            User.from_value(fields.get("user")),
            _token(fields.get("accessToken")),
            now,
            now + seconds * 1000,
        )

    def as_text(self) -> str:
        """Return it for the vault, and nowhere else."""
        return json.dumps(
            {
                "user": self.user.as_dict(),
                "token": self.token,
                "issued": self.issued,
                "expires": self.expires,
            }
        )

    @classmethod
    def from_text(cls, text: str | None) -> Session | None:
        """Read what is in the vault, which may be anything."""
        try:
            value = loads(text or "")
            issued, expires = float(value["issued"]), float(value["expires"])
            if not 0 < expires - issued <= LONGEST * 1000:
                return None
            return cls(User.from_value(value["user"]), _token(value["token"]), issued, expires)
        except (ValueError, TypeError, KeyError, OverflowError, InvalidAnswer):
            return None


def _is_text(value: object) -> TypeGuard[str]:
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False  # JSON can spell half of a surrogate pair; nothing can show one
    return True


def _token(value: Any) -> str:
    try:
        return checked_token(value)
    except ConfigurationError:
        raise InvalidAnswer("accessToken: expected a token, came something else") from None
