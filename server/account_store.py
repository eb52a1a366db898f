"""Who may log in."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from server import passwords
from server.auth_database import AuthDatabase

#: The longest name, in characters.
MAX_NAME = 100


class Account(NamedTuple):
    """Somebody who may log in. An id is never given twice, a name may be."""

    id: str
    name: str
    password_hash: str


class AccountStore:
    """The accounts. Every method may raise `AuthDatabaseError`."""

    def __init__(self, database: AuthDatabase) -> None:
        self._database = database

    def find(self, name: str) -> Account | None:
        """Return the account of that name."""
        rows = self._database.query(
            "SELECT id, name, password_hash FROM accounts WHERE name = ?", normalised(name)
        )
        return Account(str(rows[0][0]), rows[0][1], rows[0][2]) if rows else None

    def names(self) -> list[str]:
        """Return all names in order."""
        return [row[0] for row in self._database.query("SELECT name FROM accounts ORDER BY name")]

    def add(self, name: str, password_hash: str) -> bool:
        """Make an account, if there is none of that name; return whether it was made."""
        return bool(
            self._database.query(
                "INSERT OR IGNORE INTO accounts (name, password_hash) VALUES (?, ?) RETURNING id",
                normalised(name),
                password_hash,
            )
        )

    def set_password(self, name: str, password_hash: str) -> bool:
        """Change a password and end the account's sessions; return whether there is one."""
        with self._database.transaction():
            rows = self._database.query(
                "UPDATE accounts SET password_hash = ? WHERE name = ? RETURNING id",
                password_hash,
                normalised(name),
            )
            for row in rows:
                self._database.query("DELETE FROM sessions WHERE account = ?", row[0])
        return bool(rows)

    def rehash(self, account: Account, password_hash: str) -> Account:
        """Keep another hash of the same password, unless the password changed meanwhile."""
        self._database.query(
            "UPDATE accounts SET password_hash = ? WHERE id = ? AND password_hash = ?",
            password_hash,
            int(account.id),
            account.password_hash,
        )
        return account._replace(password_hash=password_hash)

    def remove(self, name: str) -> bool:
        """Remove an account with its sessions; return whether there was one."""
        return bool(
            self._database.query(
                "DELETE FROM accounts WHERE name = ? RETURNING id", normalised(name)
            )
        )

    def ensure(self, accounts: Mapping[str, str]) -> None:
        """Make accounts of these names and passwords, or give them these passwords."""
        for name, password in accounts.items():
            account = self.find(name)
            if account is None:
                self.add(name, passwords.hash_password(password))
            elif not passwords.is_password(account.password_hash, password):
                self.set_password(name, passwords.hash_password(password))


def normalised(name: str) -> str:
    """Return a name in Unicode's normal form C, in which names are compared (RFC 8265 §3.4)."""
    return unicodedata.normalize("NFC", name)


def could_be_name(name: str) -> bool:
    """Tell whether it is worth looking for an account of that name."""
    return 0 < len(normalised(name)) <= MAX_NAME and not any(
        "\ud800" <= c <= "\udfff" for c in name
    )


def is_name(name: str) -> bool:
    """Tell whether an account may be called so: by a line of text that can be told apart.

    A colon and a comma have a meaning in `ACCOUNTS`.
    """
    return (
        could_be_name(name)
        and name == name.strip()
        and not any(c in ":," or unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in name)
    )
