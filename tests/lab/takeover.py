"""What is seen from outside while a router stops being active: by the client, by ARP, and in the routers' kernels.

An address of IPv6 is watched in the same way, with neighbour discovery in ARP's place.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.client import ArpLog, ArpWatcher, HolderWatcher, Poller, Polls
from tests.lab.cluster import LabCluster, wait_for
from tests.lab.namespaces import ip
from tests.lab.topology import ETCD, ROUTERS, SWITCH, VIP, Network

TAKEOVER_S = 20.0  # nothing takes so long
QUIET_S = 1.0  # before the event
AFTER_S = 2.0  # after the address is served again


@dataclass(frozen=True, slots=True)
class Takeover:
    """One event: who was active before and after, and when (seconds after the event) the addresses moved.

    `let_go_s` is None where the old router's kernel was not left by the address in the time that was watched.
    """

    old: str
    new: str
    polls: Polls
    arp: ArpLog
    let_go_s: float | None
    taken_s: float

    def __str__(self) -> str:
        let_go = "never" if self.let_go_s is None else f"{self.let_go_s:.2f} s"
        return (
            f"client's gap {self.polls.longest_gap_s:.2f} s, longest wait {self.polls.longest_wait_s:.2f} s, "
            f"{self.polls.failures} of {len(self.polls.requests)} requests failed; {self.old} let go after {let_go}, "
            f"{self.new} had the address after {self.taken_s:.2f} s; "
            f"{len(self.arp.dual_answers())} of {self.arp.probes} ARP probes answered twice"
        )


def watched(
    network: Network,
    old: str,
    event: Callable[[], object],
    *,
    afterwards: Callable[[], object] = lambda: None,
    address: str = VIP,
) -> Takeover:
    """Let something happen to the active router `old` while everything is watched; return what was seen."""
    new = next(router for router in ROUTERS if router != old)
    holder, probe = HolderWatcher(network, address), ArpWatcher(network, address)
    poller = Poller(network, address)
    time.sleep(QUIET_S)
    began_s = time.monotonic()
    event()
    wait_for(f"{new} has taken over", lambda: network.has(new, address), TAKEOVER_S, step_s=0.05)
    afterwards()
    time.sleep(AFTER_S)
    moves = [(at_s - began_s, node, has) for at_s, node, has in holder.stop() if at_s >= began_s]
    let_go = [at_s for at_s, node, has in moves if node == old and not has]
    taken = [at_s for at_s, node, has in moves if node == new and has]
    return Takeover(old, new, poller.stop(), probe.stop(), let_go[0] if let_go else None, taken[0])


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen while something happened that need not move the addresses."""

    polls: Polls
    arp: ArpLog
    moves: tuple[tuple[float, str, bool], ...]

    def __str__(self) -> str:
        moves = ", ".join(f"{node} {'has' if has else 'lost'} it" for _, node, has in self.moves)
        return (
            f"client's gap {self.polls.longest_gap_s:.2f} s, longest wait {self.polls.longest_wait_s:.2f} s, "
            f"{self.polls.failures} of {len(self.polls.requests)} requests failed; {moves}; "
            f"{len(self.arp.dual_answers())} of {self.arp.probes} ARP probes answered twice"
        )


def observed(network: Network, event: Callable[[], object]) -> Seen:
    """Let something happen while everything is watched; the event says itself how long it takes."""
    holder, probe, poller = HolderWatcher(network), ArpWatcher(network), Poller(network)
    time.sleep(QUIET_S)
    event()
    time.sleep(AFTER_S)
    return Seen(poller.stop(), probe.stop(), holder.stop())


def hand_over(cluster: LabCluster, address: str = VIP) -> Takeover:
    """Stop the active router's service as its administrator would."""
    old = cluster.active()
    return watched(cluster.network, old, cluster.routers[old].popen.terminate, address=address)


def power_cut(cluster: LabCluster) -> Takeover:
    """Pull all cables of the active router and kill everything on it."""
    old = cluster.active()
    return watched(cluster.network, old, lambda: cluster.network.power_off(old))


def killed(cluster: LabCluster, address: str = VIP) -> Takeover:
    """kill -9 the active router's service; its kernel and its links go on."""
    old = cluster.active()
    return watched(cluster.network, old, cluster.routers[old].kill, address=address)


def frozen(cluster: LabCluster, for_s: float = 0) -> Takeover:
    """Freeze the active router's service, and let it go on once another has taken over and some seconds are over."""
    old = cluster.active()
    service = cluster.routers[old]
    end_s = time.monotonic() + for_s

    def resume() -> None:
        time.sleep(max(0.0, end_s - time.monotonic()))
        service.resume()

    return watched(cluster.network, old, service.pause, afterwards=resume)


def without_etcd(cluster: LabCluster) -> Takeover:
    """Cut the active router off from etcd alone; clients and the other router still reach it."""
    old = cluster.active()
    rule = f"table inet cut {{ chain out {{ type filter hook output priority 0; ip daddr {ETCD} drop; }}; }}"
    seen = watched(cluster.network, old, lambda: cluster.network.run(old, "nft", "-f", "-", input_text=rule))
    cluster.network.run(old, "nft", "delete", "table", "inet", "cut")
    wait_for(f"{old} is back", cluster.settled, 60)
    return seen


def cable_pulled(cluster: LabCluster) -> Takeover:
    """Pull the cable of the active router's public side alone: the other routers and etcd still reach it."""
    old = cluster.active()
    cable = [f"link set {old}.0 down"]
    seen = watched(cluster.network, old, lambda: ip(cable, SWITCH))
    ip([f"link set {old}.0 up"], SWITCH)
    wait_for(f"{old} is back", cluster.settled, 60)
    return seen


def back(cluster: LabCluster, router: str) -> None:
    """Start the service again on a router, and wait until the cluster has settled."""
    cluster.routers[router].popen.wait()
    cluster.start_router(router)
    wait_for(f"{router} is back", cluster.settled, 60)
