"""Sessions: from a login to its logout, kept alive by refresh tokens.

A refresh token is a random string, good for one use: it is exchanged for the next. If one comes
a second time, it was stolen, by the first user or by the second. Nobody can tell by whom, so the
session ends for both (RFC 9700 §4.14.2). The file holds hashes; who reads it cannot log in.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from server.account_store import Account
from server.auth_database import AuthDatabase

#: Random bytes in a refresh token.
_TOKEN_BYTES = 32


class Session(NamedTuple):
    """A login that lasts."""

    id: str
    user_id: str
    user_name: str


class SessionEndedError(Exception):
    """A refresh token is not good (any more). `session_id` is the session that ended for it."""

    def __init__(self, session_id: str | None = None) -> None:
        super().__init__("The session has ended")
        self.session_id = session_id


class SessionStore:
    """The sessions; `ttl` is the lifetime of a refresh token in seconds.

    Every method may raise `AuthDatabaseError`.
    """

    def __init__(
        self, database: AuthDatabase, *, ttl: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._ttl = ttl
        self._clock = clock

    def open(self, account: Account) -> tuple[Session, str] | None:
        """Begin a session; return it with its refresh token.

        None if the account's password has changed, or the account is gone.
        """
        session = Session(secrets.token_urlsafe(16), account.id, account.name)
        with self._database.transaction():
            self._prune()
            opened = self._database.query(
                """INSERT INTO sessions (id, account, expires)
                SELECT ?, id, ? FROM accounts WHERE id = ? AND password_hash = ? RETURNING id""",
                session.id,
                self._expiry(),
                int(account.id),
                account.password_hash,
            )
            return (session, self._give(session.id)) if opened else None

    def rotate(self, token: str) -> tuple[Session, str]:
        """Exchange a refresh token for the next one; raises `SessionEndedError`."""
        session_id = None
        with self._database.transaction():
            self._prune()
            rows = self._database.query(
                """SELECT sessions.id, accounts.id, accounts.name, used FROM refresh_tokens
                JOIN sessions ON sessions.id = session JOIN accounts ON accounts.id = account
                WHERE hash = ?""",
                _hash(token),
            )
            if rows:
                session_id, account, name, used = rows[0]
                if not used:
                    self._database.query(
                        "UPDATE refresh_tokens SET used = 1 WHERE hash = ?", _hash(token)
                    )
                    self._database.query(
                        "UPDATE sessions SET expires = ? WHERE id = ?", self._expiry(), session_id
                    )
                    return Session(session_id, str(account), name), self._give(session_id)
                self.end(session_id)
        # Only here: inside, an exception would take back that the session has ended.
        raise SessionEndedError(session_id)

    def session_of(self, token: str) -> str | None:
        """Return the id of the session that a refresh token belongs to, used or not."""
        rows = self._database.query(
            "SELECT session FROM refresh_tokens WHERE hash = ?", _hash(token)
        )
        return rows[0][0] if rows else None

    def end(self, session_id: str) -> None:
        """End a session, with all its tokens."""
        self._database.query("DELETE FROM sessions WHERE id = ?", session_id)

    def is_open(self, session_id: str) -> bool:
        """Tell whether a session has not ended."""
        return bool(
            self._database.query(
                "SELECT 1 FROM sessions WHERE id = ? AND expires > ?", session_id, self._now()
            )
        )

    def _give(self, session_id: str) -> str:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._database.query(
            "INSERT INTO refresh_tokens (hash, session, expires) VALUES (?, ?, ?)",
            _hash(token),
            session_id,
            self._expiry(),
        )
        return token

    def _prune(self) -> None:
        """Delete what has expired. A used token stays until then, to be known if it comes again."""
        self._database.query("DELETE FROM sessions WHERE expires <= ?", self._now())
        self._database.query("DELETE FROM refresh_tokens WHERE expires <= ?", self._now())

    def _now(self) -> int:
        return int(self._clock())

    def _expiry(self) -> int:
        return self._now() + self._ttl


def _hash(token: str) -> bytes:
    # No salt and no work factor: nobody guesses 256 random bits. (surrogatepass: any string will
    # do to be unknown.)
    return sha256(token.encode(errors="surrogatepass")).digest()
