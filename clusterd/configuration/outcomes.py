"""What became of a commit that was sent: done, lost, or refused, and by what."""

from collections.abc import Sequence

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from clusterd.changes import summary
from clusterd.configuration.attempts import Attempt
from clusterd.configuration.reading import Committed, changes_of, parsed, record
from clusterd.errors import ClusterdError, ConflictError, StoreError, StoreUnavailable, Uncertain, UnsafeChange
from clusterd.history import Head, Outline, Record
from clusterd.keys import Keys
from clusterd.store.contract import Condition, Created, Store


async def landed(store: Store, keys: Keys, attempt: Attempt, patience_s: float) -> int | None:
    """Find out what became of a commit whose answer was lost: its revision, or None where another took its place.

    Raises StoreUnavailable when it was not done and never will be, Uncertain when that cannot be found out.
    """
    number, stands = attempt.record.number, None
    try:
        async for trial in AsyncRetrying(
            retry=retry_if_exception_type((StoreUnavailable, Uncertain)),
            wait=wait_random_exponential(0.2, max=2),
            stop=stop_after_delay(patience_s),
            reraise=True,
        ):
            with trial:
                barred = await store.transact(attempt.guard, [attempt.barrier])
                stands = None if barred.succeeded else await store.get(keys.history(number))
    except (StoreUnavailable, StoreError, Uncertain) as error:
        raise Uncertain(
            f"commit {number} was sent, and etcd did not say whether it was done ({error}). Do not repeat it: "
            f"when etcd answers again, `clusterd log` shows commit {number} with the id {attempt.record.id} if it was"
        ) from error
    if stands is None:
        raise StoreUnavailable("etcd lost the commit: nothing was committed, and it is safe to try again")
    return stands.mod_revision if parsed(Outline, stands).id == attempt.record.id else None


async def refusal(
    store: Store, keys: Keys, base: Committed | None, attempt: Attempt, riders: Sequence[Condition]
) -> ClusterdError:
    """Return the error for a commit that was refused: whose guard does not hold now, or else whose riders."""
    if await _broken(store, attempt.guard):
        return ConflictError(await _meanwhile(store, keys, base))
    broken = await _broken(store, riders) or [rider.key for rider in riders]
    return UnsafeChange(f"nothing was committed: {', '.join(broken)} is not as it was when this was decided")


async def _broken(store: Store, conditions: Sequence[Condition]) -> list[str]:
    """Return the keys whose conditions do not hold now."""
    found = []
    for condition in conditions:
        entry = await store.get(condition.key)
        created, modified = (entry.create_revision, entry.mod_revision) if entry else (0, 0)
        if condition.revision != (created if isinstance(condition, Created) else modified):
            found.append(condition.key)
    return found


async def _meanwhile(store: Store, keys: Keys, base: Committed | None) -> str:
    """Return a sentence about who committed what since `base`."""
    first = base.number + 1 if base else 1
    head = await store.get(keys.head)
    last = parsed(Head, head).number if head else 0
    found = [await record(store, keys, number) for number in range(max(first, last - 2), last + 1)]
    lines = [_told(one) for one in found if one is not None] or ["  the head was written anew"]
    return "\n".join(["somebody else was first, nothing of yours was written:", *lines, "read again and redo"])


def _told(one: Record) -> str:
    why = f" ({one.message})" if one.message else ""
    return f"  commit {one.number} by {one.author} at {one.time}{why}: {summary(changes_of(one))}"
