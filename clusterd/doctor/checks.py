"""The checks by name: what each looks at, and how to mend what it finds."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """What a check looks at, where, and how to mend what it finds."""

    where: str  # etcd | router | real server
    looks: str
    mend: str


ETCD, ROUTER, SERVER = "etcd", "router", "real server"

CHECKS: Mapping[str, Check] = {
    "etcd-reachable": Check(
        ETCD,
        "every member that is configured, and every one that the others list, answers",
        "start etcd there and open its client port (2379) to the routers; --endpoints says which members are asked",
    ),
    "etcd-health": Check(
        ETCD,
        "each member answers a linearizable read, so it knows a leader and has a quorum, and raises no alarm",
        "see `etcdctl endpoint health --cluster`, `etcdctl alarm list` and the member's log",
    ),
    "etcd-version": Check(
        ETCD,
        "each member's release has the corrections that matter here",
        "upgrade etcd, one member after the other: 3.5.18 or newer; with a login 3.5.28, 3.6.9 or newer",
    ),
    "etcd-members": Check(
        ETCD,
        "there are three members or more, and an odd number, so that one may fail",
        "add members: `etcdctl member add`; three for most clusters, five where two may fail at once",
    ),
    "router-alive": Check(
        ROUTER,
        "the service runs and tells of itself, and has applied the last commit",
        "start it (`systemctl start clusterd-router`) and read its log; `clusterd status` shows its problems",
    ),
    "interfaces": Check(
        ROUTER,
        "the router's own addresses are on its interfaces, those of the floating ones are there, up and connected, "
        "and for NAT the public and the private side are two interfaces",
        "set the addresses and interfaces of the host, or correct routers/NAME and the interfaces in the document",
    ),
    "forwarding": Check(
        ROUTER,
        "the kernel forwards packets, IPv6 too where it is used",
        "the router service sets it: see that it runs, and who else sets net.ipv4.ip_forward "
        "(grep -r forward /etc/sysctl.d)",
    ),
    "settings": Check(
        ROUTER,
        "the other kernel settings are those that the configuration wants",
        "the router service sets them: see who else does; cluster/sysctls in the document overrides some",
    ),
    "ipvs": Check(
        ROUTER,
        "the kernel has IPVS and the schedulers that are used",
        "modprobe ip_vs, and ip_vs_NAME for the scheduler; containers need it loaded on their host",
    ),
    "tools": Check(
        ROUTER,
        "nft, which the router uses, and ipvsadm and etcdctl, which people use, are there; their versions",
        "install the packages nftables, ipvsadm and etcd-client",
    ),
    "peers": Check(
        ROUTER,
        "every other router answers pings at each of its addresses",
        "check cables and firewalls between the routers: ICMP, and UDP port heartbeat/port (5390)",
    ),
    "clock": Check(
        ROUTER,
        "the host's clock agrees with those of etcd's members, by the Date that they answer over HTTP (whole seconds)",
        "run a time service (chrony, systemd-timesyncd): no lease depends on it, but certificates and all times "
        "that are shown do",
    ),
    "service": Check(
        SERVER,
        "it answers at the port of its virtual server: the verdict of the routers' checks, else a connection",
        "start the service there, at the virtual server's port unless `port` of the real server says another",
    ),
    "default-route": Check(
        SERVER,
        "NAT: its default route is the floating gateway (unless clients are masqueraded as well). By ssh; else a "
        "connection that begins at the active router's public address is answered",
        "there: ip route replace default via GATEWAY; clusterd render real-server VIRTUAL/SERVER prints it",
    ),
    "public-network": Check(
        SERVER,
        "NAT: it reaches hosts of the public network through the gateway (reachability/hosts, else the routers' public "
        "addresses), by ssh",
        "see its default route, cluster/masquerade, and the network between it and the active router",
    ),
    "load-source": Check(
        SERVER,
        "its load can be read from the source that the document names",
        "see load/source of the virtual server, keys and known_hosts of ssh, or the program that answers there",
    ),
    "vip": Check(
        SERVER,
        "direct routing and tunnels: it has the VIP, on an interface that tells nobody (lo, dummy, the tunnel's)",
        "clusterd render real-server VIRTUAL/SERVER prints what it needs",
    ),
    "arp": Check(
        SERVER,
        "direct routing and tunnels: it does not answer ARP for the VIP (arp_ignore 1 or more, arp_announce 2)",
        "clusterd render real-server VIRTUAL/SERVER prints what it needs",
    ),
    "rp-filter": Check(
        SERVER,
        "tunnels: rp_filter is not strict on the tunnel's interface, else what comes out of it is dropped",
        "clusterd render real-server VIRTUAL/SERVER prints what it needs",
    ),
    "server-clock": Check(
        SERVER,
        "its clock agrees with that of the host that asks, by ssh",
        "run a time service (chrony, systemd-timesyncd) there",
    ),
}
