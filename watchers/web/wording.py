"""Small things in words: places, connections, readiness. Pure."""

from clusterd.overview import RouterLine, ServerLine, VirtualLine


def place(virtual: VirtualLine) -> str:
    """Return where clients connect: 1.2.3.1:80 tcp, or the firewall mark."""
    if virtual.mark is not None:
        return f"mark {virtual.mark}"
    address = virtual.address.partition("/")[0]
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{virtual.port or '*'} {virtual.protocol}"


def used(virtual: VirtualLine) -> str:
    """Return how many real servers get connections: 2 of 3."""
    return f"{sum(1 for server in virtual.servers if server.effective_weight)} of {len(virtual.servers)}"


def connections(line: VirtualLine | ServerLine) -> str:
    """Return how many connections there are now, "" where nobody counts them."""
    if line.counters is None:
        return ""
    return str(line.counters.connections if line.counters.active is None else line.counters.active)


def readiness(router: RouterLine) -> str:
    """Return whether a router could take over, and why not."""
    if router.ready is False or router.not_ready:
        return "not ready: " + ("; ".join(router.not_ready) or "it does not say why")
    told = "ready" if router.ready else "not known"
    return f"{told}, paused" if router.paused else told
