"""The clock of leases."""

import time


def boottime_s() -> float:
    """Return seconds since boot (CLOCK_BOOTTIME): unlike CLOCK_MONOTONIC it goes on while the machine sleeps."""
    seconds: float = time.clock_gettime(time.CLOCK_BOOTTIME)
    return seconds
