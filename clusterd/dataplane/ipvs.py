"""IPVS over generic netlink: reads and changes the table of a network namespace.

pyroute2's IPVS wrapper sends one message a call, which takes minutes for a large table; here they go in batches.
"""

import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from errno import EEXIST, ENOENT, ESRCH
from pathlib import Path

from clusterd.clock import boottime_s
from clusterd.collecting import collecting_seldom
from clusterd.counters import Counters
from clusterd.dataplane import ipvs_messages as messages
from clusterd.dataplane.genetlink import GenericNetlink
from clusterd.dataplane.ipvs_text import blocks
from clusterd.dataplane.netlink import ACK, DUMP, inside
from clusterd.plane import AnyServiceKey, Destination, Failure, Item, Key, Operation, Scope, Service, Verb

_TABLE = Path("/proc/thread-self/net/ip_vs")
# What the kernel's text does not say is looked for behind the service that was read longest ago, and the next ones: for
# half a percent of the time, and so that none waits longer than two minutes.
_SHARE, _WITHIN_S = 0.005, 120.0
_FEW = 20  # services that are asked for one by one
# ip_vs_ctl.c: what is there already, a service that is not there, a destination that is not there
_HARMLESS = {Verb.ADD: {EEXIST}, Verb.SET: set[int](), Verb.DELETE: {ESRCH, ENOENT}}


@dataclass(slots=True)
class _Read:
    """What was read of a service, and what the kernel's text said of it before: "" where it has changed since."""

    text: bytes
    items: Mapping[Key, Item]


class Ipvs:
    """The IPVS table of the network namespace in which this was made. Raises ApplyError where there is no IPVS."""

    def __init__(self) -> None:
        self._netlink = GenericNetlink("IPVS")
        self._known: dict[AnyServiceKey, _Read] = {}  # that which was read longest ago comes first
        self._said: dict[Key, Item] = {}  # what was written and not read since
        self._looked_s = boottime_s()

    def close(self) -> None:
        """Close the socket; the table stays."""
        self._netlink.close()

    @collecting_seldom()
    def read(self, scope: Scope) -> dict[Key, Item]:
        """Return the services that are ours with their destinations.

        To look again at 10,000 destinations costs seconds over netlink and milliseconds as the kernel's own text, so
        only services of which that has changed are asked for, and a few others.
        """
        began_s = boottime_s()
        text = {key: block for key, block in blocks(_TABLE.read_bytes()).items() if scope.owns(key)}
        for key in [key for key in self._known if key not in text]:
            del self._known[key]
        self._ask([key for key, block in text.items() if self._text(key) != block], text)
        passed_s, self._looked_s = began_s - self._looked_s, began_s
        due = math.ceil(len(text) * passed_s / _WITHIN_S)
        for done, key in enumerate(tuple(self._known)):
            if done >= due and boottime_s() >= began_s + _SHARE * passed_s:
                break
            self._ask([key], text)
        found: dict[Key, Item] = {}
        for read in self._known.values():
            found.update(read.items)
        return found

    def review(self, keys: Collection[AnyServiceKey]) -> dict[Key, Item]:
        """Return those of the services that exist, with their destinations."""
        self._ask(keys, {})
        return {key: item for each in keys for key, item in self._known[each].items.items()}

    def _text(self, key: AnyServiceKey) -> bytes:
        known = self._known.get(key)
        return known.text if known else b""

    def _ask(self, keys: Collection[AnyServiceKey], text: Mapping[AnyServiceKey, bytes]) -> None:
        """Read these services, with all that is behind them. What is as it was before is the same object."""
        services = self._listed(keys) if len(keys) > _FEW else self._asked_one_by_one(keys)
        for key in keys:
            items: dict[Key, Item] = {}
            if key in services:
                items[key] = self._one_of(key, services[key])
                for data in self._behind(key):
                    destination = messages.destination(key, data)
                    items[destination.key] = self._one_of(key, destination)
            self._known.pop(key, None)
            self._known[key] = _Read(text.get(key, b""), items)

    def _one_of(self, service: AnyServiceKey, read: Service | Destination) -> Item:
        """Return what was read, as the object that there is of it already where there is one."""
        before = self._known.get(service)
        for known in (self._said.pop(read.key, None), before.items.get(read.key) if before else None):
            if known == read:
                return known
        return read

    def _listed(self, keys: Collection[AnyServiceKey]) -> dict[AnyServiceKey, Service]:
        wanted = set(keys)
        return {service.key: service for service, _ in self._services() if service.key in wanted}

    def _asked_one_by_one(self, keys: Iterable[AnyServiceKey]) -> dict[AnyServiceKey, Service]:
        found = {}
        for key in keys:
            try:
                answers = self._netlink.ask(messages.GET_SERVICE, messages.which(key), ACK)
            except OSError as error:
                if error.errno != ESRCH:
                    raise
                continue
            found[key] = next(service for service, _ in _decoded(answers))
        return found

    def _services(self) -> Iterator[tuple[Service, bytes]]:
        return _decoded(self._netlink.ask(messages.GET_SERVICE, flags=DUMP))

    def _behind(self, key: AnyServiceKey) -> Iterator[bytes]:
        for answer in self._netlink.ask(messages.GET_DESTINATION, messages.which(key), DUMP):
            yield inside(answer, messages.DESTINATION)

    def counters(self, scope: Scope) -> dict[Key, Counters]:
        """Return what was counted for the services that are ours and for their destinations."""
        found: dict[Key, Counters] = {}
        for service, data in self._services():
            if not scope.owns(service.key):
                continue
            active = inactive = 0
            for behind in self._behind(service.key):
                counted = messages.destination_counters(behind)
                active, inactive = active + (counted.active or 0), inactive + (counted.inactive or 0)
                found[messages.destination(service.key, behind).key] = counted
            found[service.key] = messages.service_counters(data, active, inactive)
        return found

    @collecting_seldom()
    def apply(self, operations: Sequence[Operation]) -> tuple[Failure, ...]:
        """Carry the operations out in one go; return those that the kernel refused, with its words."""
        for operation in operations:
            self._note(operation)
        refused = self._netlink.send([messages.message(operation) for operation in operations])
        failures: list[Failure] = []
        for position, code in refused.items():
            operation = operations[position]
            if code == EEXIST and operation.verb is Verb.ADD:
                code = self._set_existing(operation)
            if code and code not in _HARMLESS[operation.verb]:
                failures.append(Failure(operation, os.strerror(code)))
        return tuple(failures)

    def _note(self, operation: Operation) -> None:
        """Remember that what was read of a service is not how it is any more: the text does not show every change."""
        item = operation.item
        if not isinstance(item, Service | Destination):
            return
        known = self._known.get(item.key.service if isinstance(item, Destination) else item.key)
        if known:
            known.text = b""
        if operation.verb is not Verb.DELETE:
            self._said[item.key] = item

    def _set_existing(self, operation: Operation) -> int:
        """Make what exists already what was to be added, so that an ADD says how things are afterwards."""
        return self._netlink.send([messages.message(Operation(Verb.SET, operation.item))]).get(0, 0)


def _decoded(answers: Iterable[bytes]) -> Iterator[tuple[Service, bytes]]:
    for answer in answers:
        data = inside(answer, messages.SERVICE)
        service = messages.service(data)
        if service is not None:
            yield service, data


def counters(scope: Scope) -> dict[Key, Counters]:
    """Return what the kernel counted, over a socket of its own, so that nobody who writes has to wait.

    Raises ApplyError where there is no IPVS.
    """
    ipvs = Ipvs()
    try:
        return ipvs.counters(scope)
    finally:
        ipvs.close()
