"""The clock that leases are counted on."""

import time


def boottime_s() -> float:
    """Return CLOCK_BOOTTIME in seconds, which goes on while the machine sleeps (clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
