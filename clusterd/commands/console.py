"""clusterd console user: who may use the web console."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from clusterd import console_users
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import at_terminal, echo_json, printable
from clusterd.console_users import ROLES, Role, User, Users
from clusterd.errors import wrong
from clusterd.keys import Keys
from clusterd.store.contract import Store

_role = click.option("--role", type=click.Choice(ROLES), help="What the user may do.")
_password_file = click.option(
    "--password-file", "file", metavar="FILE", help="File whose first line is the password; asked for otherwise."
)


@click.group(short_help="Say who may use the web console.")
def console() -> None:
    """Say who may use the web console, clusterd-web.

    \b
    clusterd console user add alice --role admin
    """


@console.group()
def user() -> None:
    """Add, show, change and remove the console's users.

    A viewer looks, an operator commits, an admin says who the users are, too.
    """


@user.command(short_help="Add a user.")
@click.argument("name")
@_role
@_password_file
@click.option("--no-password", is_flag=True, help="For a user whom a reverse proxy has asked for a password.")
@pass_session
def add(session: Session, name: str, role: Role | None, file: str | None, no_password: bool) -> None:
    """Add a user, whose password is asked for or read from a file.

    \b
    clusterd console user add alice --role admin
    """
    made = console_users.made(role or "viewer", None if no_password else _password(file), datetime.now(UTC))

    async def put(store: Store, keys: Keys, there: Users) -> None:
        if name in there.revisions:
            raise wrong("name", f"there is a user {name} already: `clusterd console user set` changes it")
        await console_users.put(store, keys, there, name, made)

    _with_users(session, put)
    click.echo(f"{name} is a user of the console: {made.role}")


@user.command(name="set", short_help="Change a user's role or password.")
@click.argument("name")
@_role
@_password_file
@click.option("--password", is_flag=True, help="Ask for another password.")
@pass_session
def set_user(session: Session, name: str, role: Role | None, file: str | None, password: bool) -> None:
    """Change a user's role, or the password, which ends the sessions that the user has.

    \b
    clusterd console user set alice --password
    """
    if role is None and file is None and not password:
        raise click.UsageError("nothing to change: give --role, --password or --password-file")
    word = _password(file) if file is not None or password else None

    async def put(store: Store, keys: Keys, there: Users) -> None:
        known, now = _known(there, name), datetime.now(UTC)
        changed = known if role is None else console_users.with_role(known, role, now)
        changed = changed if word is None else console_users.with_password(changed, word, now)
        await console_users.put(store, keys, there, name, changed)

    _with_users(session, put)
    click.echo(f"{name} is changed")


@user.command(short_help="Remove a user.")
@click.argument("name")
@pass_session
def remove(session: Session, name: str) -> None:
    """Remove a user, and end the sessions that the user has."""
    _with_users(session, lambda store, keys, there: console_users.remove(store, keys, there, name))
    click.echo(f"{name} is removed")


@user.command(name="list", short_help="Show the users.")
@json_option
@pass_session
def list_users(session: Session) -> None:
    """Show the users with their roles, and since when they are so. Passwords are not known to anybody."""
    found = session.run(console_users.read).by_name
    if session.json:
        echo_json([{"name": name, **one.model_dump(exclude={"hash"})} for name, one in found.items()])
        return
    for name, one in found.items():
        how = "" if one.hash else ", by the proxy only"
        click.echo(printable(f"{name}  {one.role}  since {one.changed[:19]}Z{how}"))


def _with_users(session: Session, work: Callable[[Store, Keys, Users], Awaitable[Any]]) -> None:
    async def done(store: Store, keys: Keys) -> None:
        await work(store, keys, await console_users.read(store, keys))

    session.run(done)


def _known(there: Users, name: str) -> User:
    if name not in there.by_name:
        raise wrong("name", f"there is no user {name}")
    return there.by_name[name]


def _password(file: str | None) -> str:
    """Return the password from a file, or from the terminal without showing it."""
    if file is not None:
        try:
            return Path(file).read_text().partition("\n")[0]
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"cannot read {printable(file)}: {error}") from error
    if not at_terminal():
        raise click.UsageError("nobody is at a terminal to type the password: use --password-file")
    word: str = click.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
    return word
