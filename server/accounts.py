"""`python -m server.accounts`: who may log in. A gateway may run meanwhile.

A password is read from the terminal, or as one line from standard input; never from the command
line, which others can see.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence

from server import passwords
from server.account_store import MAX_NAME, AccountStore, is_name, normalised
from server.auth_database import AuthDatabase, AuthDatabaseError
from server.settings import Settings, SettingsError


class CommandError(Exception):
    """The command cannot be carried out; the message says why in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        data_dir = Settings.from_env(os.environ).data_dir
        database = AuthDatabase(data_dir / "auth.db")
        try:
            _run(options.command, getattr(options, "name", ""), AccountStore(database))
        finally:
            database.close()
    except AuthDatabaseError as error:
        return _fail(f"Cannot keep the accounts in {data_dir} ({error}).")
    except (CommandError, SettingsError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("Nothing was changed.")
    return 0


def _run(command: str, name: str, accounts: AccountStore) -> None:
    name = normalised(name)
    if command != "list" and not is_name(name):
        raise CommandError(
            f"Expected a name of 1 to {MAX_NAME} characters"
            " without colons, commas, line breaks, or spaces at its ends."
        )
    match command:
        case "list":
            for each in accounts.names():
                sys.stdout.write(f"{each}\n")
        case "add":
            if accounts.find(name) or not accounts.add(name, _new_password_hash()):
                raise CommandError(f"There is an account named {name!r} already.")
        case "password":
            if not accounts.find(name) or not accounts.set_password(name, _new_password_hash()):
                raise CommandError(f"There is no account named {name!r}.")
        case "remove":
            if not accounts.remove(name):
                raise CommandError(f"There is no account named {name!r}.")


def _new_password_hash() -> str:
    """Ask for a password, and return its hash."""
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise CommandError("The two passwords differ.")
    else:
        try:
            password = sys.stdin.readline().rstrip("\r\n")
        except UnicodeDecodeError:
            password = ""
    if not passwords.is_usable(password):
        raise CommandError(f"Expected a password of 1 to {passwords.MAX_BYTES} bytes in UTF-8.")
    return passwords.hash_password(password)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m server.accounts", description="Who may log in."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for command, text in (
        ("add", "make an account"),
        ("password", "change a password; ends the account's sessions"),
        ("remove", "remove an account; ends its sessions"),
    ):
        commands.add_parser(command, help=text).add_argument("name", metavar="NAME")
    commands.add_parser("list", help="list the names")
    return parser


def _fail(message: str) -> int:
    sys.stderr.write(message + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
