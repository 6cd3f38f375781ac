"""The one road of every edit: what would change → yes or no → one commit → perhaps wait until it is applied.

Where somebody else was first, what they committed is merged in, and the road begins again.
"""

import functools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import click

from clusterd import brakes, configuration, undoing
from clusterd.changes import Change, changes, summary
from clusterd.commands.author import author
from clusterd.commands.exits import Stopped
from clusterd.commands.records import plain
from clusterd.commands.session import Session, json_option
from clusterd.commands.streams import at_terminal, echo_json, printable, warn
from clusterd.commands.waiting import until_applied
from clusterd.configuration import Committed, Extras
from clusterd.document import objects
from clusterd.errors import ConflictError, UnsafeChange
from clusterd.history import Signature
from clusterd.keys import Keys
from clusterd.merging import Wish, upon, wished
from clusterd.model import Cluster
from clusterd.pending import Pending
from clusterd.store.contract import Store

WAIT_S = 30.0
MOST_TRIES = 10  # where others keep being first
PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0  # between two tries: twice as long each time, and a part of that by chance


@dataclass(frozen=True, slots=True)
class Manner:
    """How an edit is to be carried out, as the options say."""

    dry_run: bool = False
    yes: bool = False
    message: str = ""
    wait_s: float | None = None
    force: bool = False
    undo_after_s: float | None = None
    undo_reason: Literal["confirm", "expire"] = "confirm"
    adopts: bool = False  # what the cluster changes of strays is what stands in etcd

    def pending(self, number: int) -> Pending | None:
        """Return when and why the commit of this number is undone by itself, None where it is not."""
        if self.undo_after_s is None:
            return None
        due = datetime.now(UTC) + timedelta(seconds=self.undo_after_s)
        return Pending(number=number, due=due, reason=self.undo_reason)

    def check_answerable(self) -> None:
        """Raise a usage error where a question would be asked and nobody is there to answer it."""
        if not (self.yes or self.dry_run or at_terminal()):
            raise click.UsageError("nobody is at a terminal to say yes: add --yes, or --dry-run to only look")


class EditCommand(click.Command):
    """A command whose option --wait has a value only after an equals sign."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, a bare --wait as one with the default."""
        options = args.index("--") if "--" in args else len(args)
        said = [f"--wait={WAIT_S:g}" if arg == "--wait" and n < options else arg for n, arg in enumerate(args)]
        return super().parse_args(ctx, said)


def edit_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that all edits share; the function gets them as `manner`."""

    @functools.wraps(function)
    def packed(*args: Any, dry_run: bool, yes: bool, force: bool, **rest: Any) -> None:
        said: str = rest.pop("message").encode("utf-8", "replace").decode()
        manner = Manner(dry_run, yes, said, rest.pop("wait"), force, rest.pop("confirmed"))
        function(*args, manner=manner, **rest)

    decorated: Callable[..., None] = packed
    for option in (
        json_option,
        click.option(
            "--wait",
            metavar="[=S]",
            type=click.FloatRange(min=0, max=86400),
            help=f"Wait until all live routers applied it, for S seconds at most ({WAIT_S:g} by default).",
        ),
        click.option(
            "--confirmed",
            metavar="S",
            type=click.FloatRange(min=1, max=604800),
            help="Have it undone after S seconds unless `clusterd confirm` came.",
        ),
        click.option("-m", "--message", default="", metavar="WHY", help="Why, for the history."),
        click.option("--force", is_flag=True, help="Take out of service more than the brakes let pass."),
        click.option("--yes", "-y", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Show what would change, and commit nothing."),
    ):
        decorated = option(decorated)
    return decorated


def carry_out(session: Session, base: Committed | None, cluster: Cluster, manner: Manner) -> None:
    """Propose, and wait where that is asked for."""
    wait(session, propose(session, base, cluster, manner), manner)


def propose(session: Session, base: Committed | None, cluster: Cluster, manner: Manner) -> Committed | None:
    """Show what would change, ask, and commit; return what is committed then, None where nothing was to be.

    What others commit meanwhile is merged in. Raises Overtaken where that contradicts it, ConflictError where others
    were first each time; Stopped when the person says no; UnsafeChange when a brake holds it, also in a dry run.
    """
    return pursue(session, wished(base, cluster), manner)


def pursue(session: Session, wish: Wish, manner: Manner) -> Committed | None:
    """Propose a wish that may have been overtaken before; else like `propose`."""
    trial = 1
    while True:
        try:
            return _proposed(session, wish.base, wish.cluster, manner)
        except ConflictError as error:
            if trial == MOST_TRIES:
                raise
            if manner.yes:
                longest_s = min(LONGEST_PAUSE_S, PAUSE_S * 2**trial)
                time.sleep(random.uniform(0, longest_s))  # noqa: S311 - keeps others apart, no secret
            wish, trial = _refreshed(session, wish, error), trial + 1


def _refreshed(session: Session, wish: Wish, lost: ConflictError) -> Wish:
    """Return the wish on top of what is committed now, and tell what that is.

    Raises Overtaken where both contradict each other, and `lost` itself where there is nothing to merge with.
    """
    base = wish.base

    async def look(store: Store, keys: Keys) -> tuple[Committed | None, list[str]]:
        theirs = await configuration.read(store, keys)
        first = base.number + 1 if base else 1
        return theirs, await configuration.since(store, keys, first, theirs.number) if theirs else []

    theirs, lines = session.run(look)
    if base is None or theirs is None or theirs.number < base.number:
        raise lost
    happened = "\n".join(["somebody else committed meanwhile:", *(f"  {printable(line)}" for line in lines)])
    merged = upon(wish, theirs, happened)
    click.echo(f"{happened}\nmerged with that", err=True)
    return merged


def _proposed(session: Session, base: Committed | None, cluster: Cluster, manner: Manner) -> Committed | None:
    found = changes(base.objects if base else {}, objects(cluster))
    if base is not None:
        base = _warned(base, found, manner)
    repaired = base.strays if base else ()
    if base is not None and not found and not repaired:
        _tell(session, base, (), f"nothing to change: this is what commit {base.number} left")
        return base
    if not session.json and (manner.dry_run or not manner.yes):
        for change in found:
            click.echo(printable(str(change)))
    if base is not None and not manner.force:
        _brake(base.cluster, cluster)
    if manner.dry_run:
        _tell(session, None, found, "dry run: nothing was committed")
        return None
    ask(manner)
    pending = manner.pending(base.number + 1 if base else 1)
    done = _commit(session, base, cluster, manner, pending)
    told = _told(found, repaired)
    _tell(session, done, found, f"commit {done.number}: {printable(told)}" + (f"\n{pending.told()}" if pending else ""))
    return done


def _warned(base: Committed, found: Sequence[Change], manner: Manner) -> Committed:
    """Warn of each stray, and return the base with only those whose committed value is written back."""
    changed = {"/".join(change.path.split("/")[: 1 if change.path.startswith("cluster/") else 2]) for change in found}
    adopted = changed.intersection(base.strays) if manner.adopts else frozenset()
    for name in base.strays:
        then = "the value in etcd becomes committed" if name in adopted else "a commit writes the committed value back"
        warn(f"{printable(name)} in etcd is not what was committed; {then}")
    return replace(base, strays=tuple(name for name in base.strays if name not in adopted))


def _told(found: Sequence[Change], repaired: Sequence[str]) -> str:
    """Return what a commit did, in one line."""
    if not repaired:
        return summary(found) or "an empty cluster"
    back = configuration.written_back(repaired)
    return f"{summary(found)} ({back})" if found else back


def wait(session: Session, committed: Committed | None, manner: Manner) -> None:
    """Wait until all live routers applied the commit, where that is asked for."""
    wait_s = manner.wait_s
    if committed is None or wait_s is None:
        return
    number = committed.number
    try:
        session.run(lambda store, keys: until_applied(store, keys, number, wait_s))
    except KeyboardInterrupt as error:
        raise Stopped(f"stopped waiting; commit {number} is done") from error
    if not session.json:
        click.echo(f"commit {number} is applied by all live routers")


def _brake(before: Cluster, after: Cluster) -> None:
    held = brakes.held(before, after)
    if held:
        raise UnsafeChange("\n".join([*held, "nothing was committed"]))


def ask(manner: Manner) -> None:
    """Have a person agree, unless `--yes` did. Raises Stopped where they do not."""
    if manner.yes:
        return
    manner.check_answerable()
    try:
        agreed = click.confirm("commit this?", err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise Stopped("stopped: nothing was committed")


def _commit(
    session: Session, base: Committed | None, cluster: Cluster, manner: Manner, pending: Pending | None
) -> Committed:
    signature = Signature(author(session.settings()), datetime.now(UTC), manner.message)

    async def committed(store: Store, keys: Keys) -> Committed:
        extras = undoing.riders(keys, pending) if pending else Extras()
        if pending and not manner.force:
            await undoing.check_alive(store, keys)
        return await configuration.commit(store, keys, base, cluster, signature, **extras)

    try:
        return session.run(committed)
    except KeyboardInterrupt as error:
        number = base.number + 1 if base else 1
        raise Stopped(
            f"stopped while etcd was asked to commit: `clusterd log` shows whether commit {number} was done"
        ) from error


def _tell(session: Session, committed: Committed | None, found: Sequence[Change], sentence: str) -> None:
    if not session.json:
        click.echo(sentence)
        return
    echo_json(
        {
            "commit": committed.number if committed else None,
            "id": committed.head.id if committed else None,
            "changes": plain(found),
        }
    )
