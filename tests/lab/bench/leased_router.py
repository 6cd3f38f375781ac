"""The router service, but it tells how near its lease came to its end: `python -m tests.lab.bench.leased_router`.

The lease's end is what the router counts by: when the answered refresh was sent, plus what was granted. It is looked
at each time that an answer was taken in, so a router that was too busy to refresh, or to take it in, shows.
"""

import sys

from clusterd.clock import boottime_s
from clusterd.store.contract import Lease
from clusterd.store.etcd import EtcdStore
from watchers.service import main


class Margin:
    """The lowest so far."""

    def __init__(self) -> None:
        self._end_s = self._lowest_s = float("inf")
        self._ttl_s = 0.0

    def take(self, lease: Lease) -> None:
        """Take a refresh in, and tell what was left before it where that is the least so far."""
        left_s = self._end_s - boottime_s()
        if left_s < self._lowest_s and self._end_s < float("inf"):
            self._lowest_s = left_s
            print(f"lease margin {left_s:.3f} of {self._ttl_s:g} s", file=sys.stderr, flush=True)
        ended = lease.ttl_s <= 0  # the next answer is of another lease
        self._ttl_s, self._end_s = lease.ttl_s, float("inf") if ended else lease.sent_s + lease.ttl_s


def watch() -> None:
    """Have every refresh of this process's leases looked at."""
    margin, refresh = Margin(), EtcdStore.refresh

    async def refreshed(self: EtcdStore, lease_id: int) -> Lease:
        lease = await refresh(self, lease_id)
        margin.take(lease)
        return lease

    EtcdStore.refresh = refreshed  # type: ignore[method-assign]


if __name__ == "__main__":
    watch()
    main()
