"""One cluster of a given size in everybody's words: a plane, rules for ipvsadm, clusterd's document, keepalived.conf.

Ten virtual servers share a VIP. Every real server has an address of its own, is checked by tcp, and has the weight 5.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from clusterd.document import from_data
from clusterd.model import Cluster
from clusterd.plane import Destination, DestinationKey, Item, Key, Scope, Service, ServiceKey, plane

NETWORK = "10.128.0.0/9"  # of the real servers
WEIGHT = 5
_PORTS = range(8000, 8010)
_SERVED_PORT = 80
_FIRST_VIP, _FIRST_SERVER = IPv4Address("10.64.0.1"), IPv4Address("10.128.0.1")
_CHECKS_S, _SHORTEST_S, _TIMEOUT_S = 50, 2.0, 1.5
_ROUTERS = {
    "r1": {"public": "1.2.3.2", "private": "192.168.1.252", "priority": 100},
    "r2": {"public": "1.2.3.3", "private": "192.168.1.253", "priority": 50},
}
_SETTINGS = {"forwarding": "nat", "nat_router": {"address": "192.168.1.254/24", "interface": "eth1"}}


@dataclass(frozen=True, slots=True)
class Size:
    """So many virtual servers with so many real servers each."""

    virtuals: int
    each: int

    def __str__(self) -> str:
        return f"{self.virtuals:,} x {self.each}"

    @classmethod
    def of(cls, name: str) -> "Size":
        """Return the size that a word like 1000x30 names."""
        virtuals, _, each = name.partition("x")
        return cls(int(virtuals), int(each))

    @property
    def name(self) -> str:
        """That word."""
        return f"{self.virtuals}x{self.each}"

    @property
    def servers(self) -> int:
        """How many real servers there are."""
        return self.virtuals * self.each

    @property
    def check_s(self) -> float:
        """How often each real server is checked: of many less often, so that checking takes little of a processor.

        On the emulated one of the lab 200 checks a second take half of it, for each router.
        """
        return max(_SHORTEST_S, self.servers / _CHECKS_S)

    def keys(self) -> Iterator[ServiceKey]:
        """The virtual servers."""
        for number in range(self.virtuals):
            vip, port = divmod(number, len(_PORTS))
            yield ServiceKey("tcp", _FIRST_VIP + vip, _PORTS[port])

    def behind(self, number: int) -> Iterator[DestinationKey]:
        """The real servers of a virtual server."""
        vip, port = divmod(number, len(_PORTS))
        service, first = ServiceKey("tcp", _FIRST_VIP + vip, _PORTS[port]), _FIRST_SERVER + number * self.each
        return (DestinationKey(service, first + place, _SERVED_PORT) for place in range(self.each))

    def last(self) -> DestinationKey:
        """The real server whose weight changes."""
        return list(self.behind(self.virtuals - 1))[-1]

    def scope(self) -> Scope:
        """What of IPVS is ours."""
        return Scope(frozenset(key.address for key in self.keys()))

    def plane(self) -> dict[Key, Item]:
        """What IPVS is to have; equal to another such plane, but of other objects."""
        items: list[Item] = []
        for number, key in enumerate(self.keys()):
            items.append(Service(key, "wrr"))
            items += (Destination(each, "nat", WEIGHT) for each in self.behind(number))
        return plane(*items)

    def rules(self) -> str:
        """The same for `ipvsadm -R`."""
        lines = []
        for number, key in enumerate(self.keys()):
            where = f"-t {key.address}:{key.port}"
            lines.append(f"-A {where} -s wrr\n")
            lines += (f"-a {where} -r {each.address}:{each.port} -m -w {WEIGHT}\n" for each in self.behind(number))
        return "".join(lines)

    def cluster(self) -> Cluster:
        """The same as a document of clusterd, for the lab's two routers."""
        check = {"type": "tcp", "interval_s": self.check_s, "timeout_s": _TIMEOUT_S, "initial": "up"}
        virtuals: dict[str, Any] = {
            f"v{number}": {
                **{"address": f"{key.address}/32", "interface": "eth0", "port": key.port},
                **{"scheduler": "wrr", "check": check},
                "servers": {
                    f"s{place}": {"address": str(each.address), "port": each.port, "weight": WEIGHT}
                    for place, each in enumerate(self.behind(number))
                },
            }
            for number, key in enumerate(self.keys())
        }
        return from_data({"cluster": _SETTINGS, "routers": _ROUTERS, "virtuals": virtuals})

    def reweighted(self, cluster: Cluster, weight: int) -> Cluster:
        """The cluster, with another weight of its last real server."""
        name, label = f"v{self.virtuals - 1}", f"s{self.each - 1}"
        virtual = cluster.virtuals[name]
        server = virtual.servers[label].model_copy(update={"weight": weight})
        virtual = virtual.model_copy(update={"servers": {**virtual.servers, label: server}})
        return cluster.model_copy(update={"virtuals": {**cluster.virtuals, name: virtual}})

    def keepalived(self, weight: int = WEIGHT) -> str:
        """The same for keepalived.conf(5), with this weight of the last real server."""
        check, last, parts = f"TCP_CHECK {{ connect_timeout {_TIMEOUT_S:g} }}", self.last(), list[str]()
        for number, key in enumerate(self.keys()):
            parts.append(
                f"virtual_server {key.address} {key.port} {{\n  delay_loop {self.check_s:g}\n"
                "  lb_algo wrr\n  lb_kind NAT\n  protocol TCP\n"
            )
            for each in self.behind(number):
                its = weight if each == last else WEIGHT
                parts.append(f"  real_server {each.address} {each.port} {{\n    weight {its}\n    {check}\n  }}\n")
            parts.append("}\n")
        return "".join(parts)
