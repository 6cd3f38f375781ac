"""keepalived in the lab: what a client of the same two routers sees, for comparison."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.client import HolderWatcher, Poller, Polls
from tests.lab.keepalived import Keepalived
from tests.lab.namespaces import call, ip
from tests.lab.topology import GATEWAY, REAL_SERVERS, ROUTERS, VIP, Network

pytestmark = pytest.mark.lab
SETTLED_S = 3


def until(condition: Callable[[], bool], limit_s: float) -> None:
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s, "it did not come to pass"
        time.sleep(0.1)


@pytest.fixture
def pair(network: Network) -> Iterator[dict[str, Keepalived]]:
    """Both routers with keepalived, r1 active and the service complete."""
    pages = [network.serve_page(node) for node in REAL_SERVERS]
    for router in ROUTERS:
        network.reboot(router)
        call(router, Path("/proc/sys/net/ipv4/ip_forward").write_text, "1")
    for node in ("client", *REAL_SERVERS):
        ip(["neigh flush all"], node)
    daemons = {router: Keepalived(network, router) for router in ROUTERS}
    for daemon in daemons.values():
        daemon.start()
    until(lambda: {VIP, GATEWAY} <= set(network.addresses("r1")), 30)
    until(lambda: network.run("r1", "ipvsadm", "-Sn").stdout.count("-a ") == len(REAL_SERVERS), 30)
    time.sleep(SETTLED_S)
    yield daemons
    for process in [*pages, *(daemon.process for daemon in daemons.values())]:
        if process is not None:
            process.kill()


def takeover(network: Network, act: Callable[[], None]) -> tuple[Polls, float]:
    """Do something to r1; return what the client saw and after how many seconds r2 had the address."""
    poller, holders = Poller(network), HolderWatcher(network)
    time.sleep(1)
    start_s = time.monotonic()
    act()
    until(lambda: VIP in network.addresses("r2"), 15)
    time.sleep(2.5)
    taken_s = [time_s for time_s, node, has in holders.stop() if node == "r2" and has and time_s > start_s]
    return poller.stop(), taken_s[0] - start_s


@pytest.mark.parametrize(("event", "limit_s"), [("graceful stop", 1.5), ("power cut", 5.0)])
def test_the_backup_takes_over(
    network: Network,
    pair: dict[str, Keepalived],
    measure: Callable[[str, str], None],
    event: str,
    limit_s: float,
) -> None:
    act = pair["r1"].stop if event == "graceful stop" else lambda: network.power_off("r1")
    polls, taken_s = takeover(network, act)
    measure(
        f"keepalived, {event}",
        f"client's gap {polls.longest_gap_s:.2f} s, longest wait {polls.longest_wait_s:.2f} s, "
        f"{polls.failures} failures; r2 has the address after {taken_s:.2f} s",
    )
    assert polls.longest_gap_s < limit_s
    assert polls.requests[-1].server in REAL_SERVERS
