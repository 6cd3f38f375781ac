"""Orders of a router that a group goes from its holder to another one (`clusterd.election.hand_over`)."""

from datetime import UTC, datetime

from clusterd.keys import Keys
from clusterd.reports import Switchover, encoded
from clusterd.store.contract import Created, Put, Store


def asker(router: str) -> str:
    """Return who a router says that it is when it gives an order."""
    return f"router {router}"


async def give(store: Store, keys: Keys, wish: Switchover, lease_id: int) -> bool:
    """Give an order now, unless there is one for the group already; return whether it was given.

    Raises the store's errors.
    """
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    value = encoded(wish.model_copy(update={"at": at}).model_dump(exclude={"group"}))
    key = keys.switchover(wish.group)
    return (await store.transact([Created(key, 0)], [Put(key, value, lease_id)])).succeeded
