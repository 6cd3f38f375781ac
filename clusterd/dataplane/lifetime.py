"""How long a floating address may live in the kernel: never longer than the claim to it."""

# The kernel counts lifetimes in whole seconds and sweeps up to a quarter of a second late (devinet.c, check_lifetime,
# and addrconf.c, addrconf_verify_rtnl); the election's margin covers the sweep. It does not cover that two sweeps are a
# second apart: an address that somebody adds in the last second of another makes the kernel late by up to a second.
LONGEST_S = 3600


def lifetime_s(until_s: float, now_s: float) -> int:
    """Return the lifetime in whole seconds for an address claimed until `until_s`; 0 when it may not be there."""
    if until_s <= now_s:
        return 0
    return int(min(until_s - now_s, LONGEST_S))
