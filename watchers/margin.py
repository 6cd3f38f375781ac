"""How near a lease came to its end: the least that was left of it when it was refreshed, in the last minute or two."""

WINDOW_S = 60.0  # a scrape that comes once a minute misses nothing
_NONE = float("inf")


class Margin:
    """Remembers the least of this window of time and of the one before."""

    def __init__(self) -> None:
        self._began_s = float("-inf")
        self._before = self._least = _NONE

    def note(self, until_s: float, now_s: float) -> None:
        """Note that a refresh was answered while the lease lasted until `until_s`; what was no lease does not count."""
        self._turn(now_s)
        if until_s > float("-inf"):
            self._least = min(self._least, until_s - now_s)

    def lowest_s(self, now_s: float) -> float | None:
        """Return the least, None where nothing was noted of late."""
        self._turn(now_s)
        least = min(self._before, self._least)
        return None if least == _NONE else least

    def _turn(self, now_s: float) -> None:
        if now_s - self._began_s >= WINDOW_S:
            self._before = self._least if now_s - self._began_s < 2 * WINDOW_S else _NONE
            self._began_s, self._least = now_s, _NONE
