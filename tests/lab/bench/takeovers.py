"""Takeovers, many times: clusterd and keepalived on the same routers and the same kernel, one after the other.

`python -m tests.lab.bench.takeovers ROUNDS EVENT...`, inside the lab's machine; it prints one line for each takeover:

    row {"system": "clusterd, leases of 3 s", "event": "power cut", "gap_s": 2.61, "wait_s": 2.61, ...}
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab import keepalived, takeover
from tests.lab.cluster import DOCUMENT, LabCluster
from tests.lab.takeover import Takeover
from tests.lab.topology import REAL_SERVERS, Network

FAST = DOCUMENT.replace("deadtime_s: 3}", "deadtime_s: 3, fast: {interval_ms: 50, misses: 3}}")
CLUSTERD = {"clusterd, leases of 3 s": DOCUMENT, "clusterd, fast 3 x 50 ms": FAST}
KEEPALIVED_S = {"keepalived, adverts of 1 s": 1.0, "keepalived, adverts of 50 ms": 0.05}
EVENTS: dict[str, Callable[[LabCluster], Takeover]] = {
    "hand-over": takeover.hand_over,
    "kill -9": takeover.killed,
    "freeze": takeover.frozen,
    "power cut": takeover.power_cut,
}
ROW = "row "


@dataclass(frozen=True, slots=True)
class Row:
    """One takeover as the client saw it; `twice` counts the ARP probes (one every 20 ms) that two routers answered."""

    system: str
    event: str
    gap_s: float
    wait_s: float
    requests: int
    failed: int
    twice: int


def row(system: str, event: str, seen: Takeover) -> Row:
    """Return what is kept of a takeover."""
    polls = seen.polls
    gap_s, wait_s = round(polls.longest_gap_s, 3), round(polls.longest_wait_s, 3)
    return Row(system, event, gap_s, wait_s, len(polls.requests), polls.failures, len(seen.arp.dual_answers()))


def of_clusterd(network: Network, system: str, rounds: int, events: Sequence[str]) -> Iterator[Row]:
    """The events, in turns."""
    cluster = LabCluster(network)
    cluster.start(CLUSTERD[system])
    try:
        for _ in range(rounds):
            for event in events:
                seen = EVENTS[event](cluster)
                yield row(system, event, seen)
                if event == "power cut":
                    network.reboot(seen.old)
                if event != "freeze":
                    takeover.back(cluster, seen.old)
    finally:
        for process in [*cluster.routers.values(), *cluster.webs.values()]:
            process.kill()
        cluster.etcd.stop()


def of_keepalived(network: Network, system: str, rounds: int, events: Sequence[str]) -> Iterator[Row]:
    """The events, in turns."""
    pages = [network.serve_page(server) for server in REAL_SERVERS]
    try:
        for _ in range(rounds):
            for event in events:
                yield row(system, event, keepalived.measured(network, event, advert_s=KEEPALIVED_S[system]))
    finally:
        for page in pages:
            page.kill()


def rows(rounds: int, events: Sequence[str]) -> Iterator[Row]:
    """Every system, each with a network of its own."""
    for system in [*KEEPALIVED_S, *CLUSTERD]:
        with tempfile.TemporaryDirectory(prefix="clusterd-bench.") as folder:
            network = Network(Path(folder))
            network.build()
            try:
                measure = of_clusterd if system in CLUSTERD else of_keepalived
                yield from measure(network, system, rounds, events)
            finally:
                network.close()


def main() -> None:
    """Print the rows as they come."""
    for each in rows(int(sys.argv[1]), sys.argv[2:]):
        print(ROW + json.dumps(asdict(each)), flush=True)


if __name__ == "__main__":
    main()
