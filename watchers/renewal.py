"""When the lifetimes of the floating addresses are renewed. Pure.

The kernel counts whole seconds. So an address is renewed whenever that lets it live noticeably longer, which is once
right after each refresh of the lease, and once more just before the claim comes under a whole second:

    claim ends in   2.7 s            2.0 s                      (the kernel gets 2, and 2 again: 0.7 s won)
"""

from dataclasses import dataclass

from clusterd.dataplane.lifetime import lifetime_s

WORTH_S = 0.45


@dataclass(slots=True)
class Renewal:
    """Remembers until when the kernel keeps the addresses."""

    kept_until_s: float = 0.0

    def due(self, until_s: float, now_s: float) -> bool:
        """Return whether renewing now would be worth it."""
        lifetime = lifetime_s(until_s, now_s)
        return lifetime > 0 and now_s + lifetime - self.kept_until_s >= WORTH_S

    def done(self, until_s: float, began_s: float, ended_s: float) -> None:
        """Remember a renewal that ran between these moments: the kernel keeps the addresses at least so long."""
        self.kept_until_s = began_s + lifetime_s(until_s, ended_s)
