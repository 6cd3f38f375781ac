"""Every key of lvs.cf, one line each: its kind of value, and where in the document it goes.

A key is *carried* (its value goes to these paths as it is), *composed* (`mapping` makes the values at these paths
from several keys), or *lost* (clusterd has nothing like it; a warning says so unless the value asks for nothing).
Paths are relative to the object that the block describes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from clusterd.lvscf.values import BOOLEAN, HOST, HOST_AND_DEVICE, LIST, NETMASK, NUMBER, PORT, WORD, Kind, choice

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a block."""

    kind: Kind
    to: tuple[Path, ...] = ()
    copied: bool = False
    lost: str = ""  # why, for the warning
    nothing: tuple[object, ...] = ()  # values that lose nothing


def _carried(kind: Kind, *paths: str) -> Key:
    return Key(kind, tuple(tuple(path.split("/")) for path in paths), copied=True)


def _composed(kind: Kind, *paths: str) -> Key:
    return Key(kind, tuple(tuple(path.split("/")) for path in paths))


def _lost(kind: Kind, *nothing: object, why: str = "clusterd has nothing like it") -> Key:
    return Key(kind, lost=why, nothing=nothing)


SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh")

_FAILOVER = "it belongs to failover services"

GLOBAL: Mapping[str, Key] = {
    "serial_no": _composed(NUMBER),
    "service": _lost(choice("lvs", "fos"), "lvs", why="clusterd has no plain failover services"),
    "primary": _composed(HOST, "routers/primary/public"),
    "primary_private": _composed(HOST, "routers/primary/private"),
    "primary_shared": _lost(WORD, why=_FAILOVER),
    "backup": _composed(HOST, "routers/backup/public"),
    "backup_private": _composed(HOST, "routers/backup/private"),
    "backup_shared": _lost(WORD, why=_FAILOVER),
    "backup_active": _composed(BOOLEAN),
    "heartbeat": _composed(BOOLEAN),
    "heartbeat_port": _carried(PORT, "cluster/heartbeat/port"),
    "keepalive": _composed(NUMBER, "cluster/heartbeat/keepalive_s"),
    "deadtime": _composed(NUMBER, "cluster/heartbeat/deadtime_s"),
    "reservation_conflict_action": _lost(choice("nothing", "preempt"), "nothing", why=_FAILOVER),
    "rsh_command": _lost(choice("rsh", "ssh"), "ssh", why="no files are copied, and load is read by ssh"),
    "sync": _lost(BOOLEAN, False, why="etcd holds the configuration, no files are copied"),
    "network": _carried(choice("nat", "direct", "tunnel"), "cluster/forwarding"),
    "nat_router": _composed(HOST_AND_DEVICE, "cluster/nat_router/address", "cluster/nat_router/interface"),
    "nat_nmask": _composed(NETMASK, "cluster/nat_router/address"),
    "debug_level": _lost(WORD, "NONE"),
    "ipvsadm": _lost(WORD, "/sbin/ipvsadm", why="clusterd speaks to the kernel itself"),
    "syncdaemon": _composed(BOOLEAN),
    "syncd_iface": _composed(WORD, "cluster/sync/interface"),
    "syncd_id": _composed(NUMBER, "cluster/sync/id"),
    "tcp_timeout": _composed(NUMBER, "cluster/timeouts/tcp_s"),
    "tcpfin_timeout": _composed(NUMBER, "cluster/timeouts/tcpfin_s"),
    "udp_timeout": _composed(NUMBER, "cluster/timeouts/udp_s"),
    "active_cmd": _lost(WORD, "", why="clusterd runs no programs when the active router changes"),
    "inactive_cmd": _lost(WORD, "", why="clusterd runs no programs when the active router changes"),
    "monitor_links": _lost(NUMBER, 0, why="the lease in etcd decides, not the state of links"),
    "hard_shutdown": _lost(BOOLEAN, True, why="a router that stops always hands over"),
}

VIRTUAL: Mapping[str, Key] = {
    "active": _carried(BOOLEAN, "enabled"),
    "address": _composed(HOST_AND_DEVICE, "address", "interface"),
    "vip_nmask": _composed(NETMASK, "address"),
    "fwmark": _composed(NUMBER, "mark"),
    "protocol": _carried(choice("tcp", "udp"), "protocol"),
    "port": _carried(PORT, "port"),  # with a mark it is the port that is checked
    "scheduler": _carried(choice(*SCHEDULERS), "scheduler"),
    "persistent": _composed(NUMBER, "persistence/timeout_s"),
    "pmask": _composed(NETMASK, "persistence/prefix"),
    "sorry_server": _carried(HOST, "sorry_server"),
    "load_monitor": _composed(choice("uptime", "rup", "ruptime", "none"), "load/source"),
    "timeout": _carried(NUMBER, "check/interval_s", "check/timeout_s"),
    "reentry": _carried(NUMBER, "check/reentry_s"),
    "quiesce_server": _carried(BOOLEAN, "quiesce"),
    "send": _composed(WORD, "check/send"),
    "expect": _composed(WORD, "check/expect"),
    "use_regex": _composed(BOOLEAN, "check/regex"),
    "send_program": _composed(WORD, "check/command"),
    "client_monitor": _lost(WORD, "/usr/sbin/nanny", why="clusterd checks the real servers itself"),
    "start_cmd": _lost(WORD, "", why=_FAILOVER),
    "stop_cmd": _lost(WORD, "", why=_FAILOVER),
    "master": _lost(WORD, why=_FAILOVER),
    "dirs": _lost(LIST, (), why=_FAILOVER),
}

SERVER: Mapping[str, Key] = {
    "address": _carried(HOST, "address"),
    "active": _carried(BOOLEAN, "enabled"),
    "weight": _carried(NUMBER, "weight"),
    "port": _carried(PORT, "port"),
}

KEYS: Mapping[str, Mapping[str, Key]] = {"": GLOBAL, "virtual": VIRTUAL, "failover": VIRTUAL, "server": SERVER}
OPENS: Mapping[str, tuple[str, ...]] = {
    "": ("virtual", "failover"),
    "virtual": ("server",),
    "failover": ("server",),
    "server": (),
}
