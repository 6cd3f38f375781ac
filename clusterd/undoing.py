"""Pending commits in etcd: made with a commit, confirmed by a person, undone by a router or an undoer."""

from dataclasses import dataclass

from clusterd import configuration, document
from clusterd.configuration import Committed, Extras
from clusterd.errors import ConfigError, ConflictError, Problem, StoreError, UnsafeChange
from clusterd.history import Signature
from clusterd.keys import Keys
from clusterd.pending import Pending, parsed, undone
from clusterd.reports import router_report
from clusterd.store.contract import Created, Delete, Modified, Put, Store

_NEVER = 2**63 - 1  # the last revision that there can be


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pending commit as it stands in etcd."""

    key: str
    revision: int
    pending: Pending


def riders(keys: Keys, pending: Pending) -> Extras:
    """Return what rides along with a commit that is to be undone by itself."""
    key = keys.pending(pending.number)
    return {"conditions": (Created(key, 0),), "operations": (Put(key, pending.as_json()),)}


async def check_alive(store: Store, keys: Keys) -> None:
    """Raise UnsafeChange where nobody is there who would undo a commit when its time has come."""
    entries = (await store.snapshot(keys.routers_prefix, keys.undoers_prefix)).entries
    if not entries:
        raise UnsafeChange("no router is alive, so nobody would undo it; --force commits it all the same")
    if all(
        entry.key.startswith(keys.routers_prefix) and router_report(entry.value).undoes is False for entry in entries
    ):
        raise UnsafeChange(
            "the routers have no right to commit, and no clusterd-undoer runs, so nobody would undo it; "
            "--force commits it all the same"
        )


async def allowed(store: Store, keys: Keys) -> bool:
    """Whether we have the right to commit. It is asked for by a commit that never happens: etcd looks at rights first.

    Raises the store's errors but its refusal.
    """
    try:
        await store.transact([Created(keys.head, _NEVER)], [Put(keys.head, b"")])
    except StoreError:
        return False
    return True


async def waiting(store: Store, keys: Keys) -> tuple[Waiting, ...]:
    """Return all pending commits, oldest first. Raises ConfigError where a key cannot be read."""
    snapshot = await store.snapshot(keys.pending_prefix)
    return tuple(Waiting(entry.key, entry.mod_revision, parsed(entry.key, entry.value)) for entry in snapshot.entries)


async def confirm(store: Store, found: Waiting) -> None:
    """Keep the commit. Raises ConflictError where it was undone or confirmed meanwhile."""
    outcome = await store.transact([Modified(found.key, found.revision)], [Delete(found.key)])
    if not outcome.succeeded:
        number = found.pending.number
        raise ConflictError(f"commit {number} was undone or confirmed meanwhile: `clusterd log` shows which")


async def undo(store: Store, keys: Keys, found: Waiting, signature: Signature) -> Committed | None:
    """Undo the commit, and return what is committed then; None where nothing of it was left to undo.

    Raises ConflictError or UnsafeChange where somebody else wrote meanwhile (look again), ConfigError where the
    document would not be valid without that commit: then it stays pending.
    """
    base = await configuration.read(store, keys)
    record = await configuration.record(store, keys, found.pending.number)
    if base is None or record is None:
        raise ConfigError([Problem(0, found.key, f"commit {found.pending.number} is not in the history")])
    cluster = document.from_objects(undone(base.objects, record.changes))
    gone = Modified(found.key, found.revision)
    extras: Extras = {"conditions": (gone,), "operations": (Delete(found.key),)}
    committed = await configuration.commit(store, keys, base, cluster, signature, **extras)
    if committed.number != base.number:
        return committed
    await store.transact([gone], [Delete(found.key)])
    return None
