"""What goes wrong around the active router, on a real kernel: what a client sees of it.

Whatever happens, never do two routers answer for the VIP, and at the end one of them serves.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.lab import machine, takeover
from tests.lab.client import PERIOD_S, fetch
from tests.lab.cluster import LabCluster, wait_for
from tests.lab.takeover import Seen, Takeover
from tests.lab.topology import ROUTERS, VIP, Network

pytestmark = pytest.mark.lab

TTL_S = 3
Measure = Callable[[str, str], None]


@pytest.fixture(scope="module")
def cluster(network: Network) -> LabCluster:
    made = LabCluster(network)
    made.start()
    return made


@pytest.fixture(autouse=True)
def _whole(cluster: LabCluster) -> Iterator[None]:
    """Show what the routers logged during a test that fails, and leave a whole cluster behind."""
    with cluster.logs_shown():
        yield
    wait_for("the cluster is whole again", cluster.settled, 60)
    assert len(fetch(cluster.network, 4)) == 4


def never_two(seen: Takeover | Seen) -> None:
    assert seen.arp.dual_answers() == ()
    assert seen.arp.alternations() == 0


def test_a_router_frozen_for_20_s_wakes_up_as_a_backup(cluster: LabCluster, measure: Measure) -> None:
    seen = takeover.frozen(cluster, for_s=20)
    measure("frozen for 20 s", str(seen))
    never_two(seen)
    assert cluster.active() == seen.new
    assert seen.polls.longest_gap_s < TTL_S + 1


def test_a_router_whose_event_loop_hangs_loses_the_addresses_in_time(cluster: LabCluster, measure: Measure) -> None:
    old = cluster.active()
    cluster.routers[old].stop()
    cluster.start_router(old, "tests.lab.hanging_router")
    wait_for("both are ready", cluster.settled, 60)
    takeover.hand_over(cluster)  # to the one that can hang
    takeover.back(cluster, next(router for router in ROUTERS if router != old))
    assert cluster.active() == old
    service = cluster.routers[old].popen
    seen = takeover.watched(cluster.network, old, lambda: os.kill(service.pid, signal.SIGUSR1))
    measure("its event loop hangs", str(seen))
    never_two(seen)
    assert seen.let_go_s is not None
    assert seen.let_go_s < seen.taken_s
    assert seen.polls.longest_gap_s < TTL_S + 1
    wait_for("it goes on as a backup", lambda: cluster.status(old).get("role") == "backup", 30)
    assert cluster.active() == seen.new


@pytest.mark.parametrize("seconds", [2, 8])
def test_a_frozen_etcd_costs_nothing(cluster: LabCluster, measure: Measure, seconds: int) -> None:
    active = cluster.active()

    def freeze() -> None:
        cluster.etcd.pause()
        time.sleep(seconds)
        cluster.etcd.resume()

    seen = takeover.observed(cluster.network, freeze)
    measure(f"etcd frozen for {seconds} s", str(seen))
    never_two(seen)
    assert seen.polls.failures == 0
    assert [node for _, node, has in seen.moves if has] == [active]


@pytest.mark.skipif(machine.inside() and not machine.emulated(), reason="this machine's clock is not the lab's to set")
def test_the_wall_clock_does_not_matter(cluster: LabCluster, measure: Measure) -> None:
    active, hour_s = cluster.active(), 3600

    def jump() -> None:
        for step_s in (hour_s, -2 * hour_s, hour_s):
            time.clock_settime(time.CLOCK_REALTIME, time.time() + step_s)
            time.sleep(1.5)

    seen = takeover.observed(cluster.network, jump)
    measure("the wall clock jumps by hours", str(seen))
    never_two(seen)
    assert seen.polls.failures == 0
    assert [node for _, node, has in seen.moves if has] == [active]


@pytest.mark.parametrize("what", ["lease", "lock"])
def test_what_is_taken_away_by_hand_in_etcd_is_claimed_again(cluster: LabCluster, measure: Measure, what: str) -> None:
    key = "/clusterd/main/active/default"

    def take_away() -> None:
        if what == "lock":
            assert cluster.etcd.ctl("del", key).strip() == "1"
        else:
            lease = int(cluster.etcd.ctl("get", key, "-w", "fields").split('"Lease" : ')[1].split()[0])
            cluster.etcd.ctl("lease", "revoke", f"{lease:x}")
        wait_for("somebody has it again", lambda: cluster.etcd.value(key) != "", 10)
        wait_for("and the addresses", lambda: len(cluster.holders()) == 1, 10)

    seen = takeover.observed(cluster.network, take_away)
    measure(f"the {what} deleted by hand", str(seen))
    never_two(seen)
    assert seen.polls.longest_gap_s < TTL_S + 1
    assert cluster.holders(VIP) == [cluster.etcd.value(key)]


@pytest.fixture
def fast(cluster: LabCluster) -> Iterator[None]:
    """Signs of life every 50 ms, as long as a test runs."""
    for setting in ("{interval_ms: 50, misses: 3}", ""):
        done = cluster.clusterd("set", f"cluster/heartbeat/fast={setting}", "--yes", "--wait=20")
        assert done.returncode == 0, done.stdout + done.stderr
        wait_for("both are ready", cluster.settled, 60)
        if setting:
            yield


@pytest.mark.usefixtures("fast")
def test_in_fast_mode_the_backup_does_not_wait_for_the_lease(cluster: LabCluster, measure: Measure) -> None:
    seen = takeover.power_cut(cluster)
    measure("fast mode (3 x 50 ms), power cut", str(seen))
    never_two(seen)
    assert seen.polls.longest_gap_s < 1
    cluster.network.reboot(seen.old)
    takeover.back(cluster, seen.old)


@pytest.mark.usefixtures("fast")
def test_in_fast_mode_a_killed_routers_addresses_answer_beside_the_new_ones_no_longer_than_the_lease(
    cluster: LabCluster, measure: Measure
) -> None:
    old = cluster.active()
    seen = takeover.watched(cluster.network, old, cluster.routers[old].kill, afterwards=lambda: time.sleep(TTL_S))
    twice_s = len(seen.arp.dual_answers()) * PERIOD_S
    measure("fast mode (3 x 50 ms), kill -9", f"{seen}, for {twice_s:.2f} s")
    assert seen.taken_s < 1
    assert seen.let_go_s is not None
    assert seen.let_go_s < TTL_S
    assert twice_s < TTL_S
    takeover.back(cluster, seen.old)
