"""How long etcd has been silent, and whether what stands in it can still be from before that.

    etcd answers ... silence ............ answers again ............................................
                     |-- deadtime --|-- deaf: own verdicts count ----------- 2 x deadtime --|-- others' too

When etcd is back, it has the keys of before its outage, and lets their leases live on for their whole time and an
election's (etcd, lease.Lessor.Promote). A router that has not written its keys anew by then has none any more.
"""

AGAIN_LEASES = 2  # a lease's whole time, and what etcd takes for an election and until it looks


class Hearing:
    """When etcd answered. Times are those of one clock; `lease_s` is how long a router's lease lasts."""

    def __init__(self, now_s: float) -> None:
        self.heard_s = now_s  # when it answered last
        self._again_s = float("-inf")  # until when others' keys can be from before a silence

    def heard(self, now_s: float, lease_s: float) -> None:
        """Take in that etcd answered."""
        if self._silent(now_s, lease_s):
            self._again_s = now_s + AGAIN_LEASES * lease_s
        self.heard_s = now_s

    def deaf(self, now_s: float, lease_s: float) -> bool:
        """Return whether others' words are old: etcd is silent, or was until a moment ago."""
        return self._silent(now_s, lease_s) or now_s < self._again_s

    def _silent(self, now_s: float, lease_s: float) -> bool:
        return now_s > self.heard_s + lease_s
