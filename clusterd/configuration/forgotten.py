"""What routers follow and etcd no longer has, since it was restored to a time before it; and how that is given up.

A commit is known by its hash: numbers are given again by whoever commits to the restored store.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from clusterd.configuration.reading import Committed, record
from clusterd.errors import ConflictError
from clusterd.history import digest, utc
from clusterd.keys import Keys
from clusterd.reports import Followed, encoded, router_report
from clusterd.store.contract import Modified, Put, Store


async def forgotten(store: Store, keys: Keys, base: Committed) -> dict[str, Followed]:
    """Return what each living router follows that is not in the history of `base`."""
    entries = (await store.snapshot(keys.routers_prefix)).entries
    follows = {entry.key.removeprefix(keys.routers_prefix): router_report(entry.value).follows for entry in entries}
    known = {number: await _hash(store, keys, base, number) for number in {each.number for each in follows.values()}}
    return {name: each for name, each in follows.items() if each.hash and known[each.number] != each.hash}


async def _hash(store: Store, keys: Keys, base: Committed, number: int) -> str:
    """Return the hash of a commit that is in the history, "" where it is not."""
    found = await record(store, keys, number) if 0 < number <= base.number else None
    return digest(found) if found else ""


async def give_up(store: Store, keys: Keys, base: Committed, commits: Iterable[Followed], who: str) -> None:
    """Tell routers that these commits are given up for `base`. Raises ConflictError where that is not the last now."""
    value = {"by": who, "at": utc(datetime.now(UTC)), "instead": base.number}
    puts = {each.hash: Put(keys.adopted(each.hash), encoded({"number": each.number, **value})) for each in commits}
    done = await store.transact([Modified(keys.head, base.head_revision)], list(puts.values()))
    if not done.succeeded:
        raise ConflictError("somebody committed meanwhile, nothing was told to routers: run it again")
