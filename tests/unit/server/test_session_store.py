from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.account_store import Account, AccountStore
from server.auth_database import AuthDatabase, AuthDatabaseError
from server.session_store import Session, SessionEndedError, SessionStore
from tests.support.gateway import ROOT

TTL = 100


class Clock:
    now = 1_000_000.5

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "auth.db"


@pytest.fixture
def database(path: Path) -> Iterator[AuthDatabase]:
    database = AuthDatabase(path)
    yield database
    database.close()


@pytest.fixture
def accounts(database: AuthDatabase) -> AccountStore:
    return AccountStore(database)


@pytest.fixture
def ada(accounts: AccountStore) -> Account:
    accounts.add("ada", "hash")
    account = accounts.find("ada")
    assert account
    return account


@pytest.fixture
def sessions(database: AuthDatabase, clock: Clock) -> SessionStore:
    return SessionStore(database, ttl=TTL, clock=clock)


def opened(sessions: SessionStore, account: Account) -> tuple[Session, str]:
    result = sessions.open(account)
    assert result
    return result


def rows(database: AuthDatabase, table: str) -> int:
    return int(database.query(f"SELECT count(*) FROM {table}")[0][0])


def test_a_session_goes_on_from_token_to_token(sessions: SessionStore, ada: Account) -> None:
    session, first = opened(sessions, ada)
    assert (session.user_id, session.user_name) == (ada.id, "ada")
    again, second = sessions.rotate(first)
    assert again == session
    third = sessions.rotate(second)[1]
    assert len({first, second, third}) == 3
    assert sessions.is_open(session.id)


def test_a_used_token_ends_the_session(sessions: SessionStore, ada: Account) -> None:
    session, first = opened(sessions, ada)
    other, others = opened(sessions, ada)
    second = sessions.rotate(first)[1]
    with pytest.raises(SessionEndedError) as caught:
        sessions.rotate(first)
    assert caught.value.session_id == session.id
    assert not sessions.is_open(session.id)
    with pytest.raises(SessionEndedError):
        sessions.rotate(second)
    assert sessions.is_open(other.id)
    sessions.rotate(others)


@pytest.mark.parametrize("token", ["", "x", "é", "\ud800", "x" * 100_000, "' OR 1=1 --"])
def test_a_token_that_nobody_gave(sessions: SessionStore, ada: Account, token: str) -> None:
    session, _ = opened(sessions, ada)
    with pytest.raises(SessionEndedError) as caught:
        sessions.rotate(token)
    assert caught.value.session_id is None
    assert sessions.session_of(token) is None
    assert sessions.is_open(session.id)


def test_use_prolongs_and_disuse_ends(
    sessions: SessionStore, ada: Account, clock: Clock, database: AuthDatabase
) -> None:
    session, token = opened(sessions, ada)
    for _ in range(3):
        clock.now += TTL - 1
        token = sessions.rotate(token)[1]
    assert sessions.is_open(session.id)
    clock.now += TTL
    assert not sessions.is_open(session.id)
    with pytest.raises(SessionEndedError):
        sessions.rotate(token)
    # What has expired is gone.
    assert rows(database, "sessions") == rows(database, "refresh_tokens") == 0


def test_the_end_of_a_session(sessions: SessionStore, ada: Account) -> None:
    session, first = opened(sessions, ada)
    second = sessions.rotate(first)[1]
    assert sessions.session_of(first) == sessions.session_of(second) == session.id
    sessions.end(session.id)
    assert not sessions.is_open(session.id)
    with pytest.raises(SessionEndedError):
        sessions.rotate(second)


def test_a_new_password_or_no_account_ends_them_all(
    sessions: SessionStore, ada: Account, accounts: AccountStore
) -> None:
    session, token = opened(sessions, ada)
    assert accounts.set_password("ada", "other hash")
    assert not sessions.is_open(session.id)
    with pytest.raises(SessionEndedError):
        sessions.rotate(token)
    # Somebody was verified with the old password just before.
    assert sessions.open(ada) is None
    changed = accounts.find("ada")
    assert changed
    session, token = opened(sessions, changed)
    assert accounts.remove("ada")
    assert not sessions.is_open(session.id)
    assert sessions.open(changed) is None


def test_an_id_is_not_given_again(accounts: AccountStore, ada: Account) -> None:
    accounts.remove("ada")
    accounts.add("ada", "hash")
    again = accounts.find("ada")
    assert again
    assert again.id != ada.id


def test_the_file_holds_no_token_and_is_its_owners_alone(
    sessions: SessionStore, ada: Account, path: Path
) -> None:
    token = opened(sessions, ada)[1]
    for file in path.parent.iterdir():
        assert token.encode() not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0


def test_of_several_who_use_a_token_at_once_one_gets_the_next(
    sessions: SessionStore, ada: Account, path: Path
) -> None:
    token = opened(sessions, ada)[1]

    def rotate(_: int) -> bool:
        database = AuthDatabase(path)
        try:
            SessionStore(database, ttl=TTL, clock=Clock()).rotate(token)
        except SessionEndedError:
            return False
        else:
            return True
        finally:
            database.close()

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(rotate, range(8))) == 1


def test_a_token_survives_kill_9_until_the_next_was_stored(path: Path) -> None:
    """Whenever the process dies, there is exactly one token that is good."""
    source = f"""\
import pathlib
from server.account_store import AccountStore
from server.auth_database import AuthDatabase
from server.session_store import SessionStore
database = AuthDatabase(pathlib.Path({str(path)!r}))
accounts = AccountStore(database)
accounts.add("ada", "hash")
sessions = SessionStore(database, ttl=1000)
token = sessions.open(accounts.find("ada"))[1]
while True:
    print(token, flush=True)
    token = sessions.rotate(token)[1]
"""
    with subprocess.Popen(
        [sys.executable, "-c", source], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        process.kill()
    database = AuthDatabase(path)
    good = database.query("SELECT count(*) FROM refresh_tokens WHERE NOT used")
    assert good == [(1,)]
    assert rows(database, "sessions") == 1
    database.close()


def test_another_process_is_noticed(database: AuthDatabase, path: Path) -> None:
    before = database.version()
    AccountStore(database).add("ada", "hash")
    assert database.version() == before
    other = AuthDatabase(path)
    AccountStore(other).add("bob", "hash")
    other.close()
    assert database.version() != before


@pytest.mark.parametrize("blocker", ["file", "garbage", "folder"])
def test_a_file_that_cannot_be_opened(tmp_path: Path, blocker: str) -> None:
    path = tmp_path / "data" / "auth.db"
    match blocker:
        case "file":
            path.parent.write_text("")
        case "garbage":
            path.parent.mkdir()
            path.write_text("no database" * 1000)
        case "folder":
            path.mkdir(parents=True)
    with pytest.raises(AuthDatabaseError) as caught:
        AuthDatabase(path)
    assert str(caught.value)
    assert "\n" not in str(caught.value)
