"""How often somebody may try a password: counted by address and by user, in a bounded table. Pure.

Each attempt counts before the password is looked at, so many at once are no way around. A good one takes back what its
address and its user had. Who has used up the attempts waits until the oldest of them is `WITHIN_S` old.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable

WITHIN_S = 600.0
EACH_ADDRESS, EACH_USER = 10, 20  # attempts within that time
MOST_KEYS = 10_000


class Attempts:
    """The attempts of the last minutes."""

    def __init__(self) -> None:
        self._times_s: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait_s(self, address: str, user: str, now_s: float) -> float:
        """Count an attempt and return 0, or how long to wait where it is one too many: then it does not count."""
        wait_s = max(self._left_s(key, most, now_s) for key, most in _keys(address, user))
        if wait_s == 0:
            for key, most in _keys(address, user):
                self._times_s.setdefault(key, deque(maxlen=most)).append(now_s)
                self._times_s.move_to_end(key)
            while len(self._times_s) > MOST_KEYS:
                self._times_s.popitem(last=False)
        return wait_s

    def good(self, address: str, user: str) -> None:
        """Forget the attempts of an address and a user of which one was good."""
        for key, _ in _keys(address, user):
            self._times_s.pop(key, None)

    def __len__(self) -> int:
        return len(self._times_s)

    def _left_s(self, key: tuple[str, str], most: int, now_s: float) -> float:
        times_s = self._times_s.get(key, deque())
        return max(0.0, times_s[0] + WITHIN_S - now_s) if len(times_s) == most else 0.0


def _keys(address: str, user: str) -> Iterable[tuple[tuple[str, str], int]]:
    return (("address", address), EACH_ADDRESS), (("user", user.casefold()[:64]), EACH_USER)
