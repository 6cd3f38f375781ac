"""How each fault of a schedule is done to the lab's cluster, and undone: entered when it begins, left when it is over.

Each yields what it was done to: roles are those of the moment.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from tests.lab.chaos.schedule import WEB_STOPPED, Fault
from tests.lab.cluster import LabCluster
from tests.lab.etcd import Member
from tests.lab.namespaces import ip
from tests.lab.topology import ETCD, ROUTERS, SWITCH, VIP

Doing = Callable[[LabCluster, Fault], AbstractContextManager[str]]
Role = Callable[[LabCluster], str]


def active(cluster: LabCluster) -> str:
    """Return the router that has the VIP now, any where none has."""
    return next(iter(cluster.holders()), ROUTERS[0])


def backup(cluster: LabCluster) -> str:
    """Return another router than the active one."""
    return next(router for router in ROUTERS if router != active(cluster))


def leader(cluster: LabCluster) -> Member:
    """Return the member of etcd that leads now."""
    return cluster.etcd.leader()


def follower(cluster: LabCluster) -> Member:
    """Return a member of etcd that does not lead."""
    leading = leader(cluster)
    return next(member for member in cluster.etcd.members if member is not leading)


def _killed(role: Role) -> Doing:
    @contextmanager
    def doing(cluster: LabCluster, _: Fault) -> Iterator[str]:
        router = role(cluster)
        cluster.routers[router].kill()
        yield router
        cluster.start_router(router)

    return doing


def _frozen(role: Role) -> Doing:
    @contextmanager
    def doing(cluster: LabCluster, _: Fault) -> Iterator[str]:
        router = role(cluster)
        cluster.routers[router].pause()
        yield router
        cluster.routers[router].resume()

    return doing


def _ended(number: signal.Signals) -> Doing:
    """By a signal that its service ends with by itself."""

    @contextmanager
    def doing(cluster: LabCluster, _: Fault) -> Iterator[str]:
        router = active(cluster)
        os.kill(cluster.routers[router].popen.pid, number)
        yield router
        cluster.routers[router].popen.wait(20)
        cluster.start_router(router)

    return doing


def _member_killed(role: Callable[[LabCluster], Member]) -> Doing:
    @contextmanager
    def doing(cluster: LabCluster, _: Fault) -> Iterator[str]:
        member = role(cluster)
        member.running.kill()
        yield member.endpoint
        member.start()

    return doing


@contextmanager
def _etcd_killed(cluster: LabCluster, _: Fault) -> Iterator[str]:
    cluster.etcd.kill()
    yield ""
    for member in cluster.etcd.members:
        member.start()


@contextmanager
def _etcd_frozen(cluster: LabCluster, _: Fault) -> Iterator[str]:
    cluster.etcd.pause()
    yield ""
    cluster.etcd.resume()


@contextmanager
def _leader_and_active_killed(cluster: LabCluster, _: Fault) -> Iterator[str]:
    member, router = leader(cluster), active(cluster)
    member.running.kill()
    cluster.routers[router].kill()
    yield f"{member.endpoint}, {router}"
    member.start()
    cluster.start_router(router)


@contextmanager
def _cut_off_from_etcd(cluster: LabCluster, _: Fault) -> Iterator[str]:
    router = active(cluster)
    rule = f"table inet cut {{ chain out {{ type filter hook output priority 0; ip daddr {ETCD} drop; }}; }}"
    cluster.network.run(router, "nft", "-f", "-", input_text=rule).check_returncode()
    yield router
    cluster.network.run(router, "nft", "delete", "table", "inet", "cut").check_returncode()


@contextmanager
def _public_cable_pulled(cluster: LabCluster, _: Fault) -> Iterator[str]:
    router = active(cluster)
    ip([f"link set {router}.0 down"], SWITCH)
    yield router
    ip([f"link set {router}.0 up"], SWITCH)


def _cables_pulled(role: Role) -> Doing:
    @contextmanager
    def doing(cluster: LabCluster, _: Fault) -> Iterator[str]:
        router = role(cluster)
        cluster.network.cut(router)
        yield router
        cluster.network.restore(router)

    return doing


def _typed(role: Role, *command: str) -> Doing:
    """By somebody who types a command on a router. Nobody undoes it: the router itself has to."""

    @contextmanager
    def doing(cluster: LabCluster, _: Fault) -> Iterator[str]:
        router = role(cluster)
        cluster.network.run(router, *command)
        yield router

    return doing


@contextmanager
def _web_server_stopped(cluster: LabCluster, fault: Fault) -> Iterator[str]:
    cluster.stop_web(fault.target)
    yield fault.target
    cluster.start_web(fault.target)


FAULTS: Mapping[str, Doing] = {
    "active router killed": _killed(active),
    "active router frozen": _frozen(active),
    "active router frozen for a moment": _frozen(active),
    "active router restarted": _ended(signal.SIGHUP),
    "active router stopped": _ended(signal.SIGTERM),
    "backup router killed": _killed(backup),
    "backup router frozen": _frozen(backup),
    "leader of etcd killed": _member_killed(leader),
    "follower of etcd killed": _member_killed(follower),
    "all of etcd killed": _etcd_killed,
    "all of etcd frozen": _etcd_frozen,
    "leader of etcd and active router killed": _leader_and_active_killed,
    "active router cut off from etcd": _cut_off_from_etcd,
    "public cable of the active router pulled": _public_cable_pulled,
    "all cables of the active router pulled": _cables_pulled(active),
    "all cables of the backup router pulled": _cables_pulled(backup),
    "active router: ipvsadm -C": _typed(active, "ipvsadm", "-C"),
    "active router: ipvsadm -d": _typed(active, "ipvsadm", "-d", "-t", f"{VIP}:80", "-r", "192.168.1.2:80"),
    "active router: nft delete table": _typed(active, "nft", "delete", "table", "inet", "clusterd"),
    "active router: ip addr del": _typed(active, "ip", "addr", "del", f"{VIP}/24", "dev", "eth0"),
    "active router: sysctl ip_forward=0": _typed(active, "sysctl", "-w", "net.ipv4.ip_forward=0"),
    "backup router: ipvsadm -C": _typed(backup, "ipvsadm", "-C"),
    WEB_STOPPED: _web_server_stopped,
}
