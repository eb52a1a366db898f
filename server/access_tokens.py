"""Access tokens: signed JSON Web Tokens (RFC 7519) that open the gateway for some minutes.

RFC 8725 says what to mind: one algorithm and no other (§3.1), a secret of full length (§3.5),
issuer and audience checked (§3.8, §3.9), and a type of its own (§3.11, RFC 9068 §2.1).
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jwt

from server.session_store import Session

#: The shortest secret, in bytes: as long as the hash (RFC 7518 §3.2).
MIN_SECRET = 32

_ALGORITHM = "HS256"
_TYPE = "at+jwt"
_NAME = "realtime-gateway"
_CLAIMS = ["iss", "aud", "sub", "name", "sid", "iat", "exp"]

#: Ours have some 400 characters.
_MAX_TOKEN = 4096


class InvalidTokenError(Exception):
    """A token does not open anything; the message says why, and nothing of the token."""


class Identity(NamedTuple):
    """Who a token stands for, and until when (seconds since 1970)."""

    session: Session
    expires: float

    @property
    def user(self) -> dict[str, str]:
        """The user, as a client is told."""
        return user(self.session)


def user(session: Session) -> dict[str, str]:
    """Return a session's user, as a client is told."""
    return {"id": session.user_id, "name": session.user_name}


class AccessTokens:
    """Issues tokens of `ttl` seconds, and reads them."""

    def __init__(self, secret: bytes, *, ttl: int, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock
        self.ttl = ttl

    def issue(self, session: Session) -> str:
        """Return a token for a session."""
        now = self._clock()
        claims = {
            "iss": _NAME,
            "aud": _NAME,
            "sub": session.user_id,
            "name": session.user_name,
            "sid": session.id,
            "iat": int(now),
            # Whole seconds, and never less than was promised.
            "exp": math.ceil(now) + self.ttl,
        }
        return jwt.encode(claims, self._secret, _ALGORITHM, headers={"typ": _TYPE})

    def read(self, token: str) -> Identity:
        """Return who a token stands for; raises `InvalidTokenError`."""
        if len(token) > _MAX_TOKEN:
            raise InvalidTokenError("token not valid")
        try:
            decoded = jwt.decode_complete(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                issuer=_NAME,
                audience=_NAME,
                # A clock that was set back must not lock everybody out.
                options={"require": _CLAIMS, "verify_iat": False},
            )
        except jwt.ExpiredSignatureError:
            raise InvalidTokenError("token expired") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            # PyJWT's own messages may quote the token.
            raise InvalidTokenError("token not valid") from None
        claims = decoded["payload"]
        session = Session(claims["sid"], claims["sub"], claims["name"])
        if decoded["header"].get("typ") != _TYPE or not all(isinstance(c, str) for c in session):
            raise InvalidTokenError("token not valid")
        return Identity(session, int(claims["exp"]))


def load_secret(path: Path) -> bytes:
    """Return the secret in a file that only its owner may read, made at random if missing.

    Raises `OSError`, and `ValueError` if it is too short.
    """
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        secret = secrets.token_bytes(2 * MIN_SECRET)
        # In one step: a process that is killed here leaves no half of a secret.
        draft = path.with_name(path.name + ".new")
        file = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(file, "wb") as stream:
            stream.write(secret)
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(path)
    if len(secret) < MIN_SECRET:
        raise ValueError(f"{path.name} must hold at least {MIN_SECRET} bytes")
    return secret
