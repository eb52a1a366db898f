from __future__ import annotations

import asyncio
import time

import pytest
from argon2 import PasswordHasher

from server import passwords
from server.passwords import (
    PasswordPool,
    PasswordsBusyError,
    hash_password,
    is_password,
    is_usable,
    needs_rehash,
)


def test_a_hash_is_argon2id_and_salted() -> None:
    one, other = hash_password("secret"), hash_password("secret")
    assert one.startswith("$argon2id$")
    assert one != other
    assert is_password(one, "secret")
    assert is_password(other, "secret")
    assert not is_password(one, "Secret")


def test_the_same_text_in_other_bytes() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert is_password(hash_password(composed), decomposed)
    assert is_password(hash_password(decomposed), composed)


def test_nobodys_password() -> None:
    assert not is_password(None, "")
    assert not is_password(None, "secret")


def test_a_hash_that_is_none() -> None:
    assert not is_password("", "secret")
    assert not is_password("garbage", "secret")


def test_nobodys_password_takes_as_long() -> None:
    known = hash_password("secret")

    def seconds(password_hash: str | None) -> float:
        started = time.perf_counter()
        is_password(password_hash, "wrong")
        return time.perf_counter() - started

    # The same work, whatever else the machine does: an answer without it takes microseconds.
    fastest = min(seconds(known) for _ in range(5))
    assert min(seconds(None) for _ in range(5)) > fastest / 3


@pytest.mark.parametrize("password", ["", "x" * 1025, "é" * 513, "half \ud800"])
def test_what_is_no_password(password: str) -> None:
    assert not is_usable(password)


@pytest.mark.parametrize("password", ["x", " ", "x" * 1024, "é" * 512, "\0"])
def test_what_is(password: str) -> None:
    assert is_usable(password)


def test_other_parameters_need_a_new_hash() -> None:
    assert not needs_rehash(hash_password("secret"))
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("secret")
    assert is_password(cheap, "secret")
    assert needs_rehash(cheap)


@pytest.mark.anyio
async def test_too_many_at_once_are_refused_and_the_loop_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(password_hash: str | None, password: str) -> bool:
        asyncio.run_coroutine_threadsafe(blocked.wait(), loop).result()
        return True

    monkeypatch.setattr(passwords, "is_password", slow)
    pool = PasswordPool()
    waiting = [asyncio.create_task(pool.is_password(None, "x")) for _ in range(22)]
    await asyncio.sleep(0)
    with pytest.raises(PasswordsBusyError):
        await pool.is_password(None, "x")
    blocked.set()
    assert all(await asyncio.gather(*waiting))
    assert await pool.is_password(None, "x")
    pool.close()
