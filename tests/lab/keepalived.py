"""keepalived on the same two routers with the same addresses, services and timers, to measure it beside clusterd."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.cluster import destinations, wait_for
from tests.lab.namespaces import Process, call, ip
from tests.lab.takeover import Takeover, watched
from tests.lab.topology import GATEWAY, REAL_SERVERS, ROUTERS, VIP, Network

SETTLED_S = 3

PRIORITIES = {"r1": 150, "r2": 100}
WEIGHTS = {"192.168.1.1": 2, "192.168.1.2": 1, "192.168.1.3": 1}
_INSTANCE = """\
vrrp_instance {name} {{
    state BACKUP
    interface {device}
    virtual_router_id {number}
    priority {priority}
    advert_int {advert_s:g}
    virtual_ipaddress {{
        {address}/24 dev {device}
    }}
}}
"""
_REAL_SERVER = """\
    real_server {address} 80 {{
        weight {weight}
        HTTP_GET {{
            url {{
                path /
                status_code 200
            }}
            connect_timeout {timeout_s:g}
        }}
    }}
"""


def configuration(router: str, *, advert_s: float = 1, check_s: float = 2) -> str:
    """The text of keepalived.conf(5) for one router: a sync group of both addresses, and the web service by NAT."""
    servers = "".join(_REAL_SERVER.format(address=a, weight=w, timeout_s=check_s) for a, w in WEIGHTS.items())
    values = {"priority": PRIORITIES[router], "advert_s": advert_s}
    return (
        f"global_defs {{\n    router_id {router}\n    vrrp_version 3\n}}\n"
        "vrrp_sync_group both {\n    group {\n        public\n        private\n    }\n}\n"
        + _INSTANCE.format(name="public", device="eth0", number=51, address=VIP, **values)
        + _INSTANCE.format(name="private", device="eth1", number=52, address=GATEWAY, **values)
        + f"virtual_server {VIP} 80 {{\n    delay_loop {check_s:g}\n    lb_algo wrr\n    lb_kind NAT\n"
        f"    protocol TCP\n{servers}}}\n"
    )


class Keepalived:
    """One router's keepalived. Forwarding is not its business: whoever measures it sets ip_forward."""

    def __init__(self, network: Network, router: str, *, advert_s: float = 1, check_s: float = 2) -> None:
        self._network, self._router = network, router
        self._folder = network.directory / f"keepalived-{router}"
        self._folder.mkdir(exist_ok=True)
        self._text = configuration(router, advert_s=advert_s, check_s=check_s)
        self.process: Process | None = None

    def start(self) -> None:
        """Start it; it is active some seconds later, see Network.addresses."""
        path = self._folder / "keepalived.conf"
        path.write_text(self._text)
        identity = [f"--{name}={self._folder}/{name}" for name in ("pid", "vrrp_pid", "checkers_pid")]
        self.process = self._network.spawn(
            *(self._router, "keepalived", "--dont-fork", "--log-console", "--log-detail", f"--use-file={path}"),
            *identity,
            name=f"keepalived-{self._router}",
        )

    def stop(self) -> None:
        """Ask it to hand over and end. For a power cut there is Network.power_off."""
        if self.process is not None:
            self.process.stop()

    def pause(self) -> None:
        """Freeze all of its processes."""
        if self.process is not None:
            self.process.pause()

    def kill(self) -> None:
        """kill -9 all of its processes."""
        if self.process is not None:
            self.process.kill()


@contextlib.contextmanager
def pair(network: Network, advert_s: float = 1) -> Iterator[dict[str, Keepalived]]:
    """Both routers, made anew, with keepalived: r1 active and the service complete. The web servers must run."""
    for router in ROUTERS:
        network.reboot(router)
        call(router, Path("/proc/sys/net/ipv4/ip_forward").write_text, "1")
    for node in ("client", *REAL_SERVERS):
        ip(["neigh flush all"], node)
    daemons = {router: Keepalived(network, router, advert_s=advert_s) for router in ROUTERS}
    try:
        for daemon in daemons.values():
            daemon.start()
        wait_for("r1 is active", lambda: network.has("r1", VIP) and network.has("r1", GATEWAY), 30)
        wait_for("the pool is full", lambda: call("r1", destinations) == len(WEIGHTS), 30)
        time.sleep(SETTLED_S)
        yield daemons
    finally:
        for daemon in daemons.values():
            daemon.kill()


def measured(network: Network, event: str, *, advert_s: float = 1) -> Takeover:
    """Return what is seen when r1 is stopped, killed, frozen for good or loses its power."""
    with pair(network, advert_s) as daemons:
        act = {
            "hand-over": daemons["r1"].stop,
            "kill -9": daemons["r1"].kill,
            "freeze": daemons["r1"].pause,
            "power cut": lambda: network.power_off("r1"),
        }
        return watched(network, "r1", act[event])
