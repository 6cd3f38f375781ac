"""The kernel settings that a router should have for a cluster, by their names below net (sysctl(8)).

What is not named here stays as the administrator has it: above all rp_filter, which on a router stands in nobody's way
(clients' packets come in where the answers would go out, or the answers do not pass at all), and vs/conntrack while
nothing needs it, since the administrator's own firewall might.
"""

from collections.abc import Iterable

from clusterd.groups import gateways
from clusterd.model import Cluster, family, forwarding
from clusterd.plane import Address, Sysctl

# ip_forward: a router forwards.
# send_redirects: real servers must not learn a way around the router. It counts if `all` or the interface says so, and
# promote_secondaries as well (inetdevice.h, IN_DEV_ORCONF). Without that an address that goes takes all later ones of
# its network along (devinet.c, __inet_del_ifa).
# expire_nodest_conn, expire_quiescent_template: connections to a removed server end at once, and persistence yields
# to a weight of 0. conn_reuse_mode: a client that uses its port again gets a server that is alive
# (Documentation/networking/ipvs-sysctl.rst).
SYSCTLS = (
    Sysctl("ipv4/ip_forward", "1"),
    Sysctl("ipv4/conf/all/send_redirects", "0"),
    Sysctl("ipv4/conf/all/promote_secondaries", "1"),
    Sysctl("ipv4/vs/expire_nodest_conn", "1"),
    Sysctl("ipv4/vs/expire_quiescent_template", "1"),
    Sysctl("ipv4/vs/conn_reuse_mode", "1"),
)
# arp_ignore, arp_announce: an address is answered for, and asked from, only on the interface that carries it, so that
# no second interface in the same network tells another hardware address. The higher of `all` and this counts
# (Documentation/networking/ip-sysctl.rst).
_CARRIER = (("send_redirects", "0"), ("arp_ignore", "1"), ("arp_announce", "2"))
# accept_local: the VIP answers a check through the data path. It is an address of the active router itself, which would
# take the answer for forged (fib_frontend.c, fib_validate_source). Which interface it comes in by is not known here.
_DATA_PATH = Sysctl("ipv4/conf/all/accept_local", "1")
# All routers must tell of connections in the same words and as soon: after 3 packets, then every 50 (ip_vs_sync.c).
_SYNC = (Sysctl("ipv4/vs/sync_version", "1"), Sysctl("ipv4/vs/sync_threshold", "3 50"))


def sysctls(cluster: Cluster, floating: Iterable[Address]) -> tuple[Sysctl, ...]:
    """Return the settings of every router, active or not, each once. The document's own values override the others."""
    addresses = tuple(floating)
    wanted = [*SYSCTLS, *(_SYNC if cluster.settings.sync else ())]
    for interface in sorted({each.interface for each in addresses}):
        wanted += [Sysctl(f"ipv4/conf/{interface}/{name}", value) for name, value in _CARRIER]
    if any(each.address.version == 6 for each in addresses):
        wanted.append(Sysctl("ipv6/conf/all/forwarding", "1"))
    if hides_clients(cluster):
        wanted.append(Sysctl("ipv4/vs/conntrack", "1"))
    if any(each.enabled and each.check.data_path and family(each) == 4 for each in cluster.virtuals.values()):
        wanted.append(_DATA_PATH)
    wanted += [Sysctl(path(name), str(value)) for name, value in cluster.settings.sysctls.items()]
    return tuple({each.key: each for each in wanted}.values())


def path(name: str) -> str:
    """Return where a setting of the document (net.ipv4.vs.conntrack) is found below /proc/sys/net."""
    return name.removeprefix("net.").replace(".", "/")


def hides_clients(cluster: Cluster) -> bool:
    """Tell whether clients' packets to real servers are masqueraded, and not only what the servers themselves begin.

    That is so where everybody's packets do, or those that go out to the real servers' side. IPVS keeps its packets from
    connection tracking, and so from masquerading, unless vs/conntrack is 1 (ip_vs_xmit.c, ip_vs_nat_send_or_cont).
    """
    sides = {gateway.interface for gateway in gateways(cluster)}
    nat = any(forwarding(cluster, v, each) == "nat" for v in cluster.virtuals.values() for each in v.servers.values())
    hiding = (each.interface in sides or each.source.prefixlen == 0 for each in cluster.settings.masquerade)
    return nat and any(hiding)
