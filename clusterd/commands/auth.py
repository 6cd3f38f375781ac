"""clusterd auth: etcd's users and roles, of the least privilege that every program of clusterd needs."""

import asyncio
import dataclasses
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from clusterd import configuration, releases, rights
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, printable, warn
from clusterd.errors import ConfigError, UnsafeChange
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.rights import ROOT, Accounts, Step
from clusterd.settings import Settings, open_accounts

if TYPE_CHECKING:
    from clusterd.store.accounts import EtcdAccounts

T = TypeVar("T")


@click.group(short_help="Users and roles in etcd.")
def auth() -> None:
    """Users and roles in etcd, each with no more rights than it needs; docs/security.md has the whole way.

    Where etcd asks for logins already, these commands need the login of its user root.

    \b
    clusterd auth setup --operator alice --passwords /root/clusterd-passwords
    clusterd auth enable --root-password-file /root/etcd-root
    clusterd auth show
    """


@auth.command(short_help="Make users and roles.")
@click.option("--operator", "operators", multiple=True, metavar="USER", help="A user who commits and gives orders.")
@click.option("--viewer", "viewers", multiple=True, metavar="USER", help="A user who sees everything but secrets.")
@click.option(
    "--passwords",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Give new users a password, each in a file of its own there; without, only a certificate can log them in.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@json_option
@pass_session
def setup(
    session: Session, operators: tuple[str, ...], viewers: tuple[str, ...], passwords: Path | None, dry_run: bool
) -> None:
    """Make the roles of this cluster in etcd, and a user for each of its routers and agents; say what each may do.

    Doing it again changes only what is not so: after routers or real servers came or went, do it again. Nobody has to
    log in before `clusterd auth enable`.

    \b
    clusterd auth setup --operator alice --viewer bob --passwords /root/clusterd-passwords
    clusterd auth setup --dry-run
    """
    people = dict.fromkeys(viewers, "viewer") | dict.fromkeys(operators, "operator")
    keys, cluster = _followed(session)
    want = rights.wanted(keys, cluster, people)

    async def work(accounts: "EtcdAccounts") -> tuple[tuple[Step, ...], Accounts]:
        steps = rights.steps(keys, await accounts.found(), want)
        for step in () if dry_run else steps:
            await accounts.carry_out(step, _password_for(step, passwords))
        return steps, await accounts.found()

    steps, found = _run(session.settings(), work)
    made = [step.subject for step in steps if step.verb == "add_user"]
    if session.json:
        echo_json({"steps": list(map(str, steps)), "dry_run": dry_run, "roles": _plain(want, found)})
        return
    for step in steps:
        click.echo(printable(str(step)))
    click.echo("dry run: nothing was done" if dry_run else f"{len(steps)} changes were made" if steps else "all is so")
    if made and not dry_run:
        click.echo(
            f"passwords are in {passwords}" if passwords else "new users log in by certificates with these names"
        )
    _tell(want, found)


@auth.command(short_help="Say who may do what.")
@json_option
@pass_session
def show(session: Session) -> None:
    """Say what each role of this cluster may do and who has it, and whether etcd asks for logins.

    \b
    clusterd --user root --password-file /root/etcd-root auth show
    """
    keys, cluster = _followed(session)

    async def work(accounts: "EtcdAccounts") -> tuple[bool, Accounts, str]:
        return await accounts.enabled(), await accounts.found(), await accounts.version()

    enabled, found, version = _run(session.settings(), work)
    want = rights.wanted(keys, cluster, {})
    missing = rights.steps(keys, found, want)
    if session.json:
        echo_json(
            {
                "enabled": enabled,
                "version": version,
                "holds": releases.logins_hold(version),
                "missing": list(map(str, missing)),
                "roles": _plain(want, found),
            }
        )
        return
    _warn_of(version)
    click.echo("etcd asks for logins" if enabled else "etcd asks for no logins: anybody may do anything")
    _tell(want, found)
    for step in missing:
        click.echo(printable(f"`clusterd auth setup` would: {step}"))


@auth.command(short_help="Have etcd ask for logins.")
@click.option(
    "--root-password-file",
    required=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The password that etcd's user root gets: keep it, it is the way back in.",
)
@click.option("--force", is_flag=True, help="Also where users of this cluster are missing.")
@pass_session
def enable(session: Session, root_password_file: Path, force: bool) -> None:
    """Have etcd ask everybody who they are from now on, after it has a user root that can be logged in.

    Before: `clusterd auth setup`, and every router, agent and person has a login in the settings (a program that has
    one goes on without a break; one that has none is refused from then on, a router's addresses go).

    \b
    clusterd auth enable --root-password-file /root/etcd-root
    """
    from clusterd.store.endpoints import password_in  # loads gRPC, which `clusterd --help` does not need

    settings, (keys, cluster) = session.settings(), _followed(session)
    as_root = settings.model_copy(update={"user": ROOT, "password_file": root_password_file})
    secret = password_in(root_password_file)
    if not secret:
        raise click.UsageError(f"{root_password_file} is empty")

    async def work(accounts: "EtcdAccounts") -> tuple[bool, str]:
        version = await accounts.version()
        if await accounts.enabled():
            return False, version
        missing = rights.steps(keys, await accounts.found(), rights.wanted(keys, cluster, {}))
        if missing and not force:
            raise UnsafeChange(f"run `clusterd auth setup` before, which would: {'; '.join(map(str, missing))}")
        await _root(accounts, secret)
        await accounts.enable()
        return True, version

    done, version = _run(settings, work)
    found = _run(as_root, lambda accounts: accounts.found())  # the proof that the way back in is open
    mine = rights.prefix(keys)
    people = [user for user, names in found.users.items() if f"{mine}operator" in names and not user.startswith(mine)]
    if not people:
        warn(f"nobody but {ROOT} can commit: clusterd auth setup --operator USER")
    _warn_of(version)
    click.echo("etcd asks for logins from now on" if done else "etcd asks for logins already")


def _warn_of(version: str) -> None:
    if not releases.logins_hold(version):
        warn(releases.told(version))


async def _root(accounts: "EtcdAccounts", secret: str) -> None:
    """See to it that there is a user root with this password and the role root."""
    found = await accounts.found()
    if ROOT not in found.roles:
        await accounts.carry_out(Step("add_role", ROOT))
    if ROOT not in found.users:
        await accounts.carry_out(Step("add_user", ROOT), secret)
    else:
        await accounts.set_password(ROOT, secret)
    if ROOT not in found.users.get(ROOT, frozenset()):
        await accounts.carry_out(Step("give_role", ROOT, ROOT))


def _followed(session: Session) -> tuple[Keys, Cluster]:
    """Return the keys of the cluster and what is committed: without, nobody knows which users are needed."""
    keys = Keys(session.settings().cluster)
    found = session.run(configuration.read)
    if found is None:
        raise session.nothing_committed()
    return keys, found.cluster


def _run(settings: Settings, work: Callable[["EtcdAccounts"], Awaitable[T]]) -> T:
    async def connected() -> T:
        try:
            accounts = open_accounts(settings)
        except ConfigError as error:
            raise click.UsageError(str(error)) from error
        try:
            return await work(accounts)
        finally:
            await accounts.close()

    return asyncio.run(connected())


def _password_for(step: Step, folder: Path | None) -> str:
    """Return a new user's password, after it was written to its file; "" where there is to be none."""
    if step.verb != "add_user" or folder is None:
        return ""
    made = secrets.token_urlsafe(24)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / step.subject
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(made + "\n")
    return made


def _plain(want: Accounts, found: Accounts) -> Mapping[str, object]:
    return {
        name: {
            "purpose": role.purpose,
            "permissions": [
                dataclasses.asdict(each) | {"access": each.access.name.lower()} for each in role.permissions
            ],
            "users": sorted(user for user, names in found.users.items() if name in names),
        }
        for name, role in want.roles.items()
    }


def _tell(want: Accounts, found: Accounts) -> None:
    lines: Sequence[str] = [line for name, role in want.roles.items() for line in rights.told(name, role, found.users)]
    for line in lines:
        click.echo(printable(line))
