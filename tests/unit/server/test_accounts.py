from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.account_store import AccountStore, is_name
from server.auth_database import AuthDatabase
from server.passwords import is_password
from tests.support.gateway import Gateway
from tests.unit.server.sockets import authenticate, client, closed


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[AccountStore]:
    database = AuthDatabase(tmp_path / "auth.db")
    yield AccountStore(database)
    database.close()


def test_names_are_compared_in_one_form(accounts: AccountStore) -> None:
    composed, decomposed = "Jos\u00e9", "Jose\u0301"
    assert accounts.add(decomposed, "hash")
    assert not accounts.add(composed, "other")
    found = accounts.find(composed)
    assert found
    assert (found.name, found.password_hash) == (composed, "hash")
    assert accounts.find("JOS\u00c9") is None
    assert accounts.names() == [composed]


@pytest.mark.parametrize(
    "name",
    ["", " ", " a", "a ", "a:b", "a,b", "a\nb", "a\0", "\x7f", "\u2028", "\ud800", "x" * 101],
)
def test_what_is_no_name(name: str) -> None:
    assert not is_name(name)


@pytest.mark.parametrize(
    "name", ["a", "Ada Lovelace", "José", "שלום", "👩‍👩‍👧‍👦", "a@b.example", "x" * 100]
)
def test_what_is(name: str) -> None:
    assert is_name(name)


def test_listed_accounts_are_made_and_changed(accounts: AccountStore) -> None:
    accounts.ensure({"ada": "one", "bob": "two"})
    before = accounts.find("ada")
    accounts.ensure({"ada": "one", "bob": "three"})
    assert accounts.find("ada") == before
    bob = accounts.find("bob")
    assert bob
    assert is_password(bob.password_hash, "three")


def test_the_command_while_no_gateway_runs(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data")
    assert gateway.accounts("list").stdout == ""
    assert gateway.accounts("add", "ada", stdin="secret\n").returncode == 0
    assert gateway.accounts("add", "bob", stdin="s3:cret").returncode == 0
    assert gateway.accounts("list").stdout == "ada\nbob\n"
    with gateway:
        gateway.login("ada", "secret")
        gateway.login("bob", "s3:cret")


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["add", "ada"], "other", "There is an account named 'ada' already."),
        (["add", "a:b"], "other", "Expected a name of 1 to 100 characters"),
        (["add", "new"], "", "Expected a password of 1 to 1024 bytes"),
        (["add", "new"], "x" * 1025, "Expected a password of 1 to 1024 bytes"),
        (["password", "nobody"], "other", "There is no account named 'nobody'."),
        (["remove", "nobody"], "", "There is no account named 'nobody'."),
        (["remove", "\udcff"], "", "Expected a name"),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path: Path, arguments: list[str], stdin: str, message: str
) -> None:
    gateway = Gateway(tmp_path / "data")
    assert gateway.accounts("add", "ada", stdin="secret").returncode == 0
    result = gateway.accounts(*arguments, stdin=stdin)
    assert result.returncode == 1
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
    assert gateway.accounts("list").stdout == "ada\n"


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    result = Gateway(tmp_path / "data").accounts("list")
    assert result.returncode == 1
    assert result.stderr.startswith(f"Cannot keep the accounts in {tmp_path}/data (")


@pytest.mark.anyio
@pytest.mark.parametrize("command", ["password", "remove"])
async def test_the_command_ends_sessions_while_a_gateway_runs(
    start_gateway: Callable[..., Gateway], command: str
) -> None:
    gateway = start_gateway(ACCOUNTS="bob:secret", REQUIRE_AUTH="1")
    assert gateway.accounts("add", "ada", stdin="secret").returncode == 0
    token = gateway.login("ada", "secret")
    async with client(gateway) as socket:
        await authenticate(socket, token)
        assert gateway.accounts(command, "ada", stdin="other").returncode == 0
        assert gateway.get("api/activities").status_code == 401
        assert await closed(socket) == (4401, "session ended")
    assert gateway.post("api/refresh").status_code == 401
    gateway.forget()
    credentials = {"username": "ada", "password": "secret"}
    assert gateway.post("api/login", json=credentials).status_code == 401
    gateway.login("bob", "secret")


def test_by_default_nobody_can_log_in(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    for name in ("admin", "ada", "root"):
        credentials = {"username": name, "password": name}
        assert gateway.post("api/login", json=credentials).status_code == 401


def test_listed_accounts_follow_the_list(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(ACCOUNTS="ada:one")
    gateway.login("ada", "one")
    gateway.stop()
    gateway._env["ACCOUNTS"] = "ada:two"
    gateway.start()
    gateway.token = None
    assert gateway.post("api/refresh").status_code == 401
    gateway.login("ada", "two")
    gateway.kill()
    gateway.start()
    gateway.token = None
    assert gateway.post("api/refresh").status_code == 200
