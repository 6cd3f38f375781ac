"""The kernel's daemons that synchronise connections between routers, over generic netlink (ip_vs_sync.c).

The kernel cannot change a daemon that runs: it is stopped and started again.
"""

import os
import struct
from errno import EEXIST, ESRCH
from ipaddress import IPv4Address, IPv6Address

from clusterd.dataplane.genetlink import GenericNetlink
from clusterd.dataplane.netlink import DUMP, attribute, attributes, nested
from clusterd.plane import Failure, Item, Key, Operation, Scope, SyncDaemon, SyncRole, Verb, plane

_NEW_DAEMON, _DEL_DAEMON, _GET_DAEMON = 9, 10, 11  # linux/ip_vs.h
_CMD_DAEMON = 3
_STATE, _INTERFACE, _ID, _MAXLEN, _GROUP, _GROUP6, _PORT, _TTL = range(1, 9)
_STATES: dict[SyncRole, int] = {"master": 1, "backup": 2}
_ROLES = {number: role for role, number in _STATES.items()}


class SyncDaemons:
    """The daemons of the network namespace in which this was made. Raises ApplyError where there is no IPVS."""

    def __init__(self) -> None:
        self._netlink = GenericNetlink("IPVS")

    def close(self) -> None:
        """Close the socket; the daemons go on."""
        self._netlink.close()

    def read(self, scope: Scope) -> dict[Key, Item]:
        """Return the daemons that run, where they are ours."""
        if not scope.sync:
            return {}
        answers = (dict(attributes(answer)) for answer in self._netlink.ask(_GET_DAEMON, flags=DUMP))
        return plane(*(decode(answer.get(_CMD_DAEMON, b"")) for answer in answers))

    def apply(self, operation: Operation, daemon: SyncDaemon) -> Failure | None:
        """Start a daemon, or stop it. One of this role that runs otherwise is replaced."""
        if operation.verb is Verb.DELETE:
            code = self._stop(daemon)
        else:
            code = self._start(daemon)
            if code == EEXIST and self.read(Scope(sync=True)).get(daemon.key) != daemon:
                code = self._stop(daemon) or self._start(daemon)
        return Failure(operation, os.strerror(code)) if code not in (0, EEXIST) else None

    def _start(self, daemon: SyncDaemon) -> int:
        return self._netlink.send([(_NEW_DAEMON, nested(_CMD_DAEMON, encode(daemon)))]).get(0, 0)

    def _stop(self, daemon: SyncDaemon) -> int:
        state = attribute(_STATE, struct.pack("=I", _STATES[daemon.role]))
        code = self._netlink.send([(_DEL_DAEMON, nested(_CMD_DAEMON, state))]).get(0, 0)
        return 0 if code == ESRCH else code


def encode(daemon: SyncDaemon) -> bytes:
    """Return the attributes of a daemon."""
    group = _GROUP if daemon.group.version == 4 else _GROUP6
    return b"".join(
        (
            attribute(_STATE, struct.pack("=I", _STATES[daemon.role])),
            attribute(_INTERFACE, daemon.interface.encode() + b"\0"),
            attribute(_ID, struct.pack("=I", daemon.id)),
            attribute(_MAXLEN, struct.pack("=H", daemon.maxlen)),
            attribute(group, daemon.group.packed),
            attribute(_PORT, struct.pack("=H", daemon.port)),
            attribute(_TTL, struct.pack("=B", daemon.ttl)),
        )
    )


def decode(data: bytes) -> SyncDaemon:
    """Return the daemon that these attributes describe."""
    found = dict(attributes(data))
    group = IPv6Address(found[_GROUP6]) if _GROUP6 in found else IPv4Address(found[_GROUP])
    return SyncDaemon(
        _ROLES[struct.unpack("=I", found[_STATE])[0]],
        found[_INTERFACE].rstrip(b"\0").decode(),
        struct.unpack("=I", found[_ID])[0],
        group,
        struct.unpack("=H", found[_PORT])[0],
        found[_TTL][0],
        struct.unpack("=H", found[_MAXLEN])[0],
    )
