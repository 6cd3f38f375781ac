"""The interfaces of this network namespace, with their addresses: for looking at, over route netlink (rtnetlink(7))."""

import os
from collections import defaultdict
from contextlib import closing

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from clusterd.doctor.facts import Link
from clusterd.errors import ApplyError

_UP, _LOWER_UP = 0x1, 0x10000  # linux/if.h


def links() -> tuple[Link, ...]:
    """Return all interfaces. Raises ApplyError where the kernel does not list them."""
    try:
        with closing(IPRoute()) as route:
            addresses: defaultdict[int, list[str]] = defaultdict(list)
            for found in route.get_addr():
                address = found.get("IFA_LOCAL") or found.get("IFA_ADDRESS")
                addresses[found["index"]].append(f"{address}/{found['prefixlen']}")
            return tuple(
                Link(
                    name=found.get("IFLA_IFNAME"),
                    up=bool(found["flags"] & _UP),
                    carrier=bool(found["flags"] & _LOWER_UP),
                    addresses=tuple(addresses[found["index"]]),
                )
                for found in route.get_links()
            )
    except NetlinkError as error:
        raise ApplyError(f"the kernel does not list its interfaces: {os.strerror(error.code)}") from error
    except OSError as error:
        raise ApplyError(f"the kernel does not list its interfaces: {error.strerror}") from error
