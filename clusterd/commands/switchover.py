"""clusterd switchover: the addresses go to another router, in order and on purpose."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from clusterd import handing_over
from clusterd.commands.author import author
from clusterd.commands.exits import NotApplied
from clusterd.commands.looking import look
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, printable
from clusterd.commands.waiting import Progress
from clusterd.document import suggestion
from clusterd.errors import ClusterdError, ConflictError, StoreUnavailable, UnsafeChange, wrong
from clusterd.groups import groups
from clusterd.history import utc
from clusterd.keys import Keys
from clusterd.model import DEFAULT_GROUP
from clusterd.overview import Holder
from clusterd.reports import ORDER_S, RouterReport, Switchover, encoded, router_report
from clusterd.store.contract import Condition, Created, Modified, Put, Store

WAIT_S = 15.0
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to go where, and for what reason."""

    group: str
    to: str | None
    why: str
    force: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """How it went. `lock_s` and `addresses_s` count from when it was asked for; None: nobody waited."""

    group: str
    source: str
    target: str
    lock_s: float | None = None
    addresses_s: float | None = None


@click.command(short_help="Have another router take over.")
@click.option("--to", metavar="ROUTER", help="Which one; the best one that is ready by default.")
@click.option("--group", default=DEFAULT_GROUP, show_default=True, metavar="G", help="Which group of addresses.")
@click.option(
    "--wait",
    "wait_s",
    metavar="S",
    type=click.FloatRange(min=0, max=ORDER_S),
    default=WAIT_S,
    show_default=True,
    help="Wait so many seconds at most until it is done; 0: only ask for it.",
)
@click.option("-m", "--message", default="", metavar="WHY", help="Why, for whoever wonders.")
@click.option("--force", is_flag=True, help="Ask for it though the router is not ready.")
@json_option
@pass_session
def switchover(session: Session, to: str | None, group: str, wait_s: float, message: str, force: bool) -> None:
    """Have another router take over the addresses: the active one gives them away, and the other one takes them.

    Refused with exit code 5 where the other router is not alive or not ready. Ends with exit code 6 where it is not
    done in time; then it is no longer asked for.

    \b
    clusterd switchover
    clusterd switchover --to r2 -m "new kernel on r1"
    """
    asked = Asked(group, to, message.encode("utf-8", "replace").decode(), force)
    moved = session.run(lambda store, keys: _carry_out(session, store, keys, asked, wait_s))
    if session.json:
        echo_json(
            {
                "group": moved.group,
                "from": moved.source,
                "to": moved.target,
                "lock_s": moved.lock_s,
                "addresses_s": moved.addresses_s,
            }
        )
    else:
        click.echo(printable(_told(moved)))


def _told(moved: Moved) -> str:
    what = "" if moved.group == DEFAULT_GROUP else f" for group {moved.group}"
    if moved.source == moved.target:
        return f"{moved.target} is active{what} already"
    if moved.lock_s is None or moved.addresses_s is None:
        return f"{moved.source} is asked to hand over to {moved.target}{what}; `clusterd status` shows who is active"
    times = f"it had the lock after {moved.lock_s:.2f} s and all addresses after {moved.addresses_s:.2f} s"
    return f"{moved.target} is active{what} instead of {moved.source}: {times}"


async def _carry_out(session: Session, store: Store, keys: Keys, asked: Asked, wait_s: float) -> Moved:
    holder, target, revision = await _decided(session, store, keys, asked)
    moved = Moved(asked.group, holder.router, target)
    if holder.router == target:
        return moved
    lease_id = await _ask(session, store, keys, (asked, holder, target, revision))
    if not wait_s:
        return moved
    progress = Progress()
    try:
        lock_s, addresses_s = await _until_there(store, keys, moved, wait_s, progress)
    finally:
        progress.end()
        await _withdraw(store, lease_id)
    return Moved(asked.group, holder.router, target, lock_s, addresses_s)


async def _decided(session: Session, store: Store, keys: Keys, asked: Asked) -> tuple[Holder, str, int]:
    """Return who is active, who is to be, and the mod revision of an earlier request. Raises where it cannot be."""
    found = await look(session, store, keys)
    base, seen, view = found.base, found.seen, found.view
    if asked.group not in groups(base.cluster):
        raise wrong("", f"there is no group {asked.group}" + suggestion(asked.group, groups(base.cluster)))
    if asked.to is not None:
        names = [router.name for router in view.routers]
        chosen = handing_over.named(view, asked.to, suggestion(asked.to, names))
    holder = next((one for one in seen.holders if one.group == asked.group), None)
    if holder is None:
        raise UnsafeChange(
            "no router is active, so none can hand over; the first one that is able takes over by itself"
        )
    if asked.to is None:
        chosen = handing_over.best(view, base.cluster, holder)
    elif chosen.name != holder.router and not asked.force:
        handing_over.check_able(chosen, base.number)
    earlier = await store.get(keys.switchover(asked.group))
    if earlier is not None and not asked.force:
        told = next((one for one in seen.switchovers if one.group == asked.group), Switchover(group=asked.group))
        raise ConflictError(
            f"{told.by or 'somebody'} asks already that {told.to or 'another router'} takes over; try again in "
            f"{ORDER_S} s, or --force replaces that"
        )
    return holder, chosen.name, earlier.mod_revision if earlier else 0


async def _ask(session: Session, store: Store, keys: Keys, what: tuple[Asked, Holder, str, int]) -> int:
    """Leave the request for the router that is active, and return its lease."""
    asked, holder, target, revision = what
    lease = await store.grant(ORDER_S)
    key = keys.switchover(asked.group)
    fields = {
        "to": target,
        "token": holder.token,
        "by": str(author(session.settings())),
        "at": utc(datetime.now(UTC)),
        "why": asked.why,
    }
    conditions: list[Condition] = [Created(keys.active(asked.group), holder.token), Modified(key, revision)]
    outcome = await store.transact(conditions, [Put(key, encoded(fields), lease.lease_id)])
    if not outcome.succeeded:
        raise ConflictError("somebody else was faster: see `clusterd status`, and ask again")
    return lease.lease_id


async def _until_there(
    store: Store, keys: Keys, moved: Moved, wait_s: float, progress: Progress
) -> tuple[float, float]:
    """Return when the target had the lock, and when all addresses. NotApplied says what there is instead."""
    clock = asyncio.get_running_loop()
    began_s, lock_s, told = clock.time(), None, "etcd does not answer"
    while True:
        try:
            lock = await store.get(keys.active(moved.group))
            status = await store.get(keys.router(moved.target))
        except StoreUnavailable:
            lock = status = None
        else:
            holder = lock.value.decode(errors="replace") if lock else ""
            if holder not in ("", moved.source, moved.target):
                raise NotApplied(f"{holder} is active now, and not {moved.target}")
            told = f"{holder} is active" if holder else "nobody is active"
            if holder == moved.target:
                lock_s = clock.time() - began_s if lock_s is None else lock_s
                told = f"{holder} has the lock, but does not say yet that its addresses are there"
                if status and _there(router_report(status.value), moved.group, lock.create_revision if lock else 0):
                    return lock_s, clock.time() - began_s
        if clock.time() - began_s >= wait_s:
            raise NotApplied(f"not done after {wait_s:g} s: {told}")
        progress.show(f"{moved.source} -> {moved.target}: {told}")
        await asyncio.sleep(_LOOK_S)


def _there(report: RouterReport, group: str, token: int) -> bool:
    """Whether the router says that it is active under this lock and that its kernel is as it should be."""
    share = report.groups.get(group)
    role, said = (share.role, share.token) if share else (report.role, report.token)
    return role == "active" and said in (0, token) and report.converged is not False


async def _withdraw(store: Store, lease_id: int) -> None:
    """Take the request away; where that cannot be done it ends by itself."""
    try:
        await store.revoke(lease_id)
    except ClusterdError:
        return
