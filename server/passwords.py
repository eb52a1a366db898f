"""Passwords: hashed with Argon2id (RFC 9106), never kept.

A password is text, and the same text can be typed as different bytes: it is brought to Unicode's
normal form C first, as RFC 8265 §4.2 (OpaqueString) has it.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

#: The longest password, in bytes of UTF-8: enough for anyone, too few to keep a hash busy.
MAX_BYTES = 1024

#: Hashes at a time. Each takes a core and 64 MiB for some 50 ms.
_THREADS = 2

#: Hashes that may wait for their turn: a second's worth.
_WAITING = 20


class PasswordsBusyError(Exception):
    """Too many passwords wait to be verified."""


def is_usable(password: str) -> bool:
    """Tell whether a password is one: not empty, not too long, and valid Unicode."""
    try:
        return 0 < len(_bytes(password)) <= MAX_BYTES
    except UnicodeEncodeError:
        return False


def hash_password(password: str) -> str:
    """Return the hash of a password, with the parameters it was made with and its salt."""
    return _HASHER.hash(_bytes(password))


def is_password(password_hash: str | None, password: str) -> bool:
    """Tell whether `password` has that hash. None is nobody's, and takes as long."""
    try:
        _HASHER.verify(password_hash or _NOBODY, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Tell whether a hash was made with other parameters than would be used today."""
    return _HASHER.check_needs_rehash(password_hash)


class PasswordPool:
    """Hashes in threads, a few at a time, so that the gateway goes on meanwhile."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="password")
        self._pending = 0

    async def is_password(self, password_hash: str | None, password: str) -> bool:
        """Tell whether `password` has that hash; raises `PasswordsBusyError`."""
        if self._pending >= _THREADS + _WAITING:
            raise PasswordsBusyError
        self._pending += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, is_password, password_hash, password)
        finally:
            self._pending -= 1

    async def hash(self, password: str) -> str:
        """Return the hash of a password."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, hash_password, password)

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode()


def _nobody(hasher: PasswordHasher) -> str:
    """Return a hash that no password has, and that takes as long to verify as a real one."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (hasher.salt_len, hasher.hash_len)
    )
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${cost}${salt}${digest}"


# RFC 9106 §4, the second recommended option: 64 MiB.
_HASHER = PasswordHasher()
_NOBODY = _nobody(_HASHER)
