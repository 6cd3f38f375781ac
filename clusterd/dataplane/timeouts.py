"""The kernel's timeouts of IPVS connections, over generic netlink (ip_vs_ctl.c, ip_vs_genl_set_config)."""

import os
import struct

from clusterd.dataplane.genetlink import GenericNetlink
from clusterd.dataplane.netlink import ACK, attribute, attributes
from clusterd.plane import Failure, Operation, Timeout
from clusterd.services import TimeoutName

_SET_CONFIG, _GET_CONFIG = 12, 13  # linux/ip_vs.h
_ATTRIBUTES: dict[TimeoutName, int] = {"tcp": 4, "tcpfin": 5, "udp": 6}


class Timeouts:
    """The timeouts of the network namespace in which this was made. Raises ApplyError where there is no IPVS."""

    def __init__(self) -> None:
        self._netlink = GenericNetlink("IPVS")

    def close(self) -> None:
        """Close the socket; the timeouts stay."""
        self._netlink.close()

    def read(self) -> list[Timeout]:
        """Return the timeouts of the protocols that this kernel was built with."""
        (answer,) = self._netlink.ask(_GET_CONFIG, flags=ACK)
        found = dict(attributes(answer))
        return [
            Timeout(name, struct.unpack("=I", found[kind])[0]) for name, kind in _ATTRIBUTES.items() if kind in found
        ]

    def apply(self, operation: Operation, timeout: Timeout) -> Failure | None:
        """Set one timeout; what is not named keeps its value."""
        value = attribute(_ATTRIBUTES[timeout.name], struct.pack("=I", timeout.timeout_s))
        code = self._netlink.send([(_SET_CONFIG, value)]).get(0, 0)
        return Failure(operation, os.strerror(code)) if code else None
