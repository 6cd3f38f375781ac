"""clusterd pause, resume: routers that take nothing over for a while."""

from datetime import UTC, datetime, timedelta

import click

from clusterd import configuration
from clusterd.amounts import age
from clusterd.commands.author import author
from clusterd.commands.durations import seconds
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, printable
from clusterd.document import suggestion
from clusterd.errors import wrong
from clusterd.history import utc
from clusterd.keys import Keys
from clusterd.observing import pauses
from clusterd.reports import ALL, Pause, encoded
from clusterd.store.contract import Delete, Put, Store

DEFAULT_S = 3600


@click.command(short_help="Have a router, or all, take nothing over for a while.")
@click.argument("router", required=False)
@click.option(
    "--for", "length_s", metavar="DURATION", callback=seconds, help="How long: 30s, 10m, 2h or 1d; 1h by default."
)
@click.option("-m", "--message", default="", metavar="WHY", help="Why, for whoever wonders.")
@json_option
@pass_session
def pause(session: Session, router: str | None, length_s: int | None, message: str) -> None:
    """Pause ROUTER, or all routers, for an hour or as long as --for says: a paused router takes no addresses over.

    It ends by itself, or by `clusterd resume`. The router that is active stays active; `clusterd switchover` moves
    the addresses. Pausing again only changes the time.

    \b
    clusterd pause r2 --for 2h -m "new kernel"
    clusterd resume r2
    """
    now = datetime.now(UTC)
    until = now + timedelta(seconds=length_s or DEFAULT_S)
    made = Pause(
        router=ALL if router is None else router,
        by=str(author(session.settings())),
        at=utc(now),
        until=utc(until),
        why=message.encode("utf-8", "replace").decode(),
    )
    _tell(session, session.run(lambda store, keys: _pause(session, store, keys, made, length_s or DEFAULT_S)))


@click.command(short_help="End a pause.")
@click.argument("router", required=False)
@json_option
@pass_session
def resume(session: Session, router: str | None) -> None:
    """End the pause of ROUTER, or all pauses.

    \b
    clusterd resume r2
    clusterd resume
    """
    _tell(session, session.run(lambda store, keys: _resume(session, store, keys, router)))


async def _pause(session: Session, store: Store, keys: Keys, made: Pause, length_s: int) -> tuple[Pause, ...]:
    await _check_known(session, store, keys, made.router)
    before = await store.get(keys.pause(made.router))
    lease = await store.grant(length_s)
    value = encoded(made.model_dump(exclude={"router"}))
    await store.transact([], [Put(keys.pause(made.router), value, lease.lease_id)])
    if before is not None and before.lease_id:
        await store.revoke(before.lease_id)
    return pauses(await store.snapshot(keys.pause_prefix), keys)


async def _resume(session: Session, store: Store, keys: Keys, router: str | None) -> tuple[Pause, ...]:
    if router is not None:
        await _check_known(session, store, keys, router)
    entries = (await store.snapshot(keys.pause_prefix)).entries
    ended = [entry for entry in entries if router is None or entry.key == keys.pause(router)]
    if ended:
        await store.transact([], [Delete(entry.key) for entry in ended])
    for lease_id in {entry.lease_id for entry in ended if entry.lease_id}:
        await store.revoke(lease_id)
    return pauses(await store.snapshot(keys.pause_prefix), keys)


async def _check_known(session: Session, store: Store, keys: Keys, router: str) -> None:
    """Raise ConfigError where there is no such router, neither in the document nor alive."""
    base = await configuration.read(store, keys)
    if base is None:
        raise session.nothing_committed()
    snapshot = await store.snapshot(keys.routers_prefix, keys.pause_prefix)
    known = [ALL, *base.cluster.routers, *(entry.key.rpartition("/")[2] for entry in snapshot.entries)]
    if router not in known:
        raise wrong(f"routers/{router}", "is not there" + suggestion(router, known))


def _tell(session: Session, left: tuple[Pause, ...]) -> None:
    """Say what holds now."""
    if session.json:
        echo_json({"pauses": [one.model_dump(mode="json") for one in left]})
        return
    for one in left:
        click.echo(printable(paused(one, datetime.now(UTC))))
    if not left:
        click.echo("no router is paused")


def paused(pause: Pause, now: datetime) -> str:
    """Say that a router is paused, in one line."""
    who = "all routers are" if pause.router == ALL else f"router {pause.router} is"
    until = f" until {pause.until[:19]}Z" if pause.until else ""
    since = age(pause.at, now)
    by = f", by {pause.by}" + (f" {since} ago" if since else "") if pause.by else ""
    return f"{who} paused{until}{by}" + (f": {pause.why}" if pause.why else "")
