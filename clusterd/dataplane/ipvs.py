"""IPVS over generic netlink: reads and changes the table of a network namespace.

pyroute2's IPVS wrapper sends one message a call, which takes minutes for a large table; here they go in batches.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from errno import EEXIST, ENOENT, ESRCH
from pathlib import Path

from clusterd.clock import boottime_s
from clusterd.collecting import collecting_seldom
from clusterd.counters import Counters
from clusterd.dataplane import ipvs_messages as messages
from clusterd.dataplane.genetlink import GenericNetlink
from clusterd.dataplane.netlink import DUMP, inside
from clusterd.plane import Failure, Item, Key, Operation, Scope, Service, Verb

_TABLE = Path("/proc/thread-self/net/ip_vs")
_COUNTED = re.compile(rb"^(  -> \S+ +\S+ +[0-9]+) +[0-9]+ +[0-9]+ *$", re.MULTILINE)
# The kernel's text says neither flags, engines, limits nor tunnels, so how long it is trusted depends on what reading
# everything costs: half a percent of the time, but not longer than two minutes.
_TRUST_PER_COST, _LONGEST_TRUST_S = 200, 120.0
# ip_vs_ctl.c: what is there already, a service that is not there, a destination that is not there
_HARMLESS = {Verb.ADD: {EEXIST}, Verb.SET: set[int](), Verb.DELETE: {ESRCH, ENOENT}}


def fingerprint(table: bytes) -> bytes:
    """Return what /proc/net/ip_vs says, less the connections that it counts behind each destination."""
    return hashlib.blake2b(_COUNTED.sub(rb"\1", table)).digest()


class Ipvs:
    """The IPVS table of the network namespace in which this was made. Raises ApplyError where there is no IPVS."""

    def __init__(self) -> None:
        self._netlink = GenericNetlink("IPVS")
        self._known: tuple[bytes, Scope, dict[Key, Item], float] | None = None  # the last: until when it is trusted

    def close(self) -> None:
        """Close the socket; the table stays."""
        self._netlink.close()

    @collecting_seldom()
    def read(self, scope: Scope) -> dict[Key, Item]:
        """Return the services that are ours with their destinations.

        To look again at 10,000 destinations costs seconds over netlink and milliseconds as the kernel's own text, so
        what was read is returned again for a while if that has not changed.
        """
        now, now_s = fingerprint(_TABLE.read_bytes()), boottime_s()
        if self._known and self._known[:2] == (now, scope) and now_s < self._known[3]:
            return dict(self._known[2])
        found, end_s = self._read(scope), boottime_s()
        self._known = (now, scope, found, end_s + min(_LONGEST_TRUST_S, _TRUST_PER_COST * (end_s - now_s)))
        return dict(found)

    def _read(self, scope: Scope) -> dict[Key, Item]:
        found: dict[Key, Item] = {}
        for service, _ in self._services(scope):
            found[service.key] = service
            for data in self._behind(service):
                destination = messages.destination(service.key, data)
                found[destination.key] = destination
        return found

    def _services(self, scope: Scope) -> Iterator[tuple[Service, bytes]]:
        for reply in self._netlink.ask(messages.GET_SERVICE, flags=DUMP):
            data = inside(reply, messages.SERVICE)
            service = messages.service(data)
            if service is not None and scope.owns(service.key):
                yield service, data

    def _behind(self, service: Service) -> Iterator[bytes]:
        for answer in self._netlink.ask(messages.GET_DESTINATION, messages.which(service.key), DUMP):
            yield inside(answer, messages.DESTINATION)

    def counters(self, scope: Scope) -> dict[Key, Counters]:
        """Return what was counted for the services that are ours and for their destinations."""
        found: dict[Key, Counters] = {}
        for service, data in self._services(scope):
            active = inactive = 0
            for behind in self._behind(service):
                counted = messages.destination_counters(behind)
                active, inactive = active + (counted.active or 0), inactive + (counted.inactive or 0)
                found[messages.destination(service.key, behind).key] = counted
            found[service.key] = messages.service_counters(data, active, inactive)
        return found

    @collecting_seldom()
    def apply(self, operations: Sequence[Operation]) -> tuple[Failure, ...]:
        """Carry the operations out in one go; return those that the kernel refused, with its words."""
        self._known = None  # the kernel's text would not show every change
        refused = self._netlink.send([messages.message(operation) for operation in operations])
        failures: list[Failure] = []
        for position, code in refused.items():
            operation = operations[position]
            if code == EEXIST and operation.verb is Verb.ADD:
                code = self._set_existing(operation)
            if code and code not in _HARMLESS[operation.verb]:
                failures.append(Failure(operation, os.strerror(code)))
        return tuple(failures)

    def _set_existing(self, operation: Operation) -> int:
        """Make what exists already what was to be added, so that an ADD says how things are afterwards."""
        return self._netlink.send([messages.message(Operation(Verb.SET, operation.item))]).get(0, 0)


def counters(scope: Scope) -> dict[Key, Counters]:
    """Return what the kernel counted, over a socket of its own, so that nobody who writes has to wait.

    Raises ApplyError where there is no IPVS.
    """
    ipvs = Ipvs()
    try:
        return ipvs.counters(scope)
    finally:
        ipvs.close()
