"""IPVS over generic netlink: reads and changes the table of a network namespace.

pyroute2's IPVS wrapper sends one message a call, which takes minutes for a large table; here they go in batches.
"""

import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from errno import EEXIST, ENOENT, ESRCH
from itertools import islice
from pathlib import Path

from clusterd.clock import boottime_s
from clusterd.collecting import collecting_seldom
from clusterd.counters import Counters
from clusterd.dataplane import ipvs_messages as messages
from clusterd.dataplane.genetlink import GenericNetlink
from clusterd.dataplane.ipvs_text import blocks
from clusterd.dataplane.netlink import ACK, DUMP, HEAD
from clusterd.plane import AnyServiceKey, Destination, Failure, Item, Key, Operation, Scope, Service, Verb, plane

_TABLE = Path("/proc/thread-self/net/ip_vs")
# For what the kernel's text does not say everything is read over netlink in turn: so that nothing waits longer, and for
# half a percent of the time at least, which is enough for a small table each time.
_WITHIN_S, _SHARE = 30.0, 0.005
_FEW, _AT_A_STEP = 20, 50  # services: that are asked for one by one, that are read in one go
# ip_vs_ctl.c: what is there already, a service that is not there, a destination that is not there
_HARMLESS = {Verb.ADD: {EEXIST}, Verb.SET: set[int](), Verb.DELETE: {ESRCH, ENOENT}}


@dataclass(slots=True)
class _Read:
    """What was read of a service, and hashes: of the kernel's own bytes for its destinations, and of its text before.

    The latter two are none where it was written to since: the text does not show every change.
    """

    items: Mapping[Key, Item] = field(default_factory=dict)
    said: int | None = None
    text: int | None = None


class Ipvs:
    """The IPVS table of the network namespace in which this was made. Raises ApplyError where there is no IPVS."""

    def __init__(self) -> None:
        self._netlink = GenericNetlink("IPVS")
        self._known: dict[AnyServiceKey, _Read] = {}  # that which was read longest ago comes first
        self._written: dict[Key, Item] = {}  # what was, and not read since
        self._text: int | None = None  # the hash of all of the text as it was compared last
        self._scope = Scope()  # as it was then
        self._looked_s = boottime_s()

    def close(self) -> None:
        """Close the socket; the table stays."""
        self._netlink.close()

    def read(self, scope: Scope) -> dict[Key, Item]:
        """Return the services that are ours with their destinations."""
        for _ in self.reading(scope):
            pass
        return self.found()

    def found(self) -> dict[Key, Item]:
        """Return what was read last."""
        return _together(self._known.values())

    def reading(self, scope: Scope) -> Iterator[None]:
        """Read the services that are ours with their destinations, a few at a step.

        The kernel's own text is read in a third of the time. So only services of which that has changed are asked for
        at once, and all others in turn.
        """
        began_s = boottime_s()
        text = _TABLE.read_bytes()
        if (hash(text), scope) != (self._text, self._scope):
            yield from self._comparing({key: hash(block) for key, block in blocks(text).items() if scope.owns(key)})
            self._text, self._scope = hash(text), scope
        passed_s, self._looked_s = began_s - self._looked_s, began_s
        turn = iter(tuple(self._known))
        yield from self._asking(tuple(islice(turn, math.ceil(len(self._known) * passed_s / _WITHIN_S))))
        while boottime_s() < began_s + _SHARE * passed_s and (some := tuple(islice(turn, _FEW))):
            yield from self._asking(some)

    def _comparing(self, text: Mapping[AnyServiceKey, int]) -> Iterator[None]:
        """Ask for the services whose text has another hash than before, and forget those that it does not have."""
        for key in [key for key in self._known if key not in text]:
            del self._known[key]
        changed = [key for key, said in text.items() if key not in self._known or self._known[key].text != said]
        yield from self._asking(changed)
        for key in changed:
            self._known[key].text = text[key]

    def review(self, keys: Collection[AnyServiceKey]) -> dict[Key, Item]:
        """Return those of the services that exist, with their destinations."""
        for _ in self._asking(keys):
            pass
        return _together(self._known[key] for key in keys)

    def _asking(self, keys: Collection[AnyServiceKey]) -> Iterator[None]:
        """Read these services, with all that is behind them, a few at a step.

        What is as it was before is the same object. The kernel's bytes are compared before they are decoded: that
        takes twenty times as long.
        """
        services = self._listed(keys) if len(keys) > _FEW else self._asked_one_by_one(keys)
        rest = iter(keys)
        while some := tuple(islice(rest, _AT_A_STEP)):
            with collecting_seldom():
                self._take_in(some, services)
            yield

    def _take_in(self, keys: Iterable[AnyServiceKey], services: Mapping[AnyServiceKey, Service]) -> None:
        """Keep what is behind these services, of which those exist that are in `services`."""
        for key in keys:
            service, known = services.get(key), self._known.get(key, _Read())
            behind = self._behind(key) if service else []
            said = hash(b"".join(map(messages.uncounted, behind)))
            if service and (said != known.said or service != known.items.get(key)):
                items = self._items(service, behind, known.items)
            else:
                items = known.items if service else {}
            self._known.pop(key, None)
            self._known[key] = _Read(items, said, known.text)

    def _items(self, service: Service, behind: Iterable[bytes], before: Mapping[Key, Item]) -> Mapping[Key, Item]:
        """Return what was read as items: as the objects that there are of them already where there are."""
        found: list[Item] = [service, *(messages.destination(service.key, data) for data in behind)]
        items = plane(*(self._as_known(item, before) for item in found))
        for key in items if self._written else ():
            self._written.pop(key, None)
        return items

    def _as_known(self, item: Item, before: Mapping[Key, Item]) -> Item:
        known = (self._written.get(item.key), before.get(item.key))
        return next((each for each in known if each == item), item)

    def _listed(self, keys: Collection[AnyServiceKey]) -> dict[AnyServiceKey, Service]:
        wanted = set(keys)
        return {service.key: service for service, _ in self._services() if service.key in wanted}

    def _asked_one_by_one(self, keys: Iterable[AnyServiceKey]) -> dict[AnyServiceKey, Service]:
        found = {}
        for key in keys:
            try:
                answers = self._netlink.ask(messages.GET_SERVICE, messages.which(key), ACK, HEAD)
            except OSError as error:
                if error.errno != ESRCH:
                    raise
                continue
            found[key] = next(service for service, _ in _decoded(answers))
        return found

    def _services(self) -> Iterator[tuple[Service, bytes]]:
        return _decoded(self._netlink.ask(messages.GET_SERVICE, b"", DUMP, HEAD))

    def _behind(self, key: AnyServiceKey) -> list[bytes]:
        return self._netlink.ask(messages.GET_DESTINATION, messages.which(key), DUMP, HEAD)

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
        """Remember that what was read of a service is not how it is any more."""
        item = operation.item
        if not isinstance(item, Service | Destination):
            return
        known = self._known.get(item.key.service if isinstance(item, Destination) else item.key)
        if known:
            known.said = known.text = None
        self._text = None
        if operation.verb is not Verb.DELETE:
            self._written[item.key] = item

    def _set_existing(self, operation: Operation) -> int:
        """Make what exists already what was to be added, so that an ADD says how things are afterwards."""
        return self._netlink.send([messages.message(Operation(Verb.SET, operation.item))]).get(0, 0)


def _together(readings: Iterable[_Read]) -> dict[Key, Item]:
    found: dict[Key, Item] = {}
    for reading in readings:
        found.update(reading.items)  # which makes no key's hash anew
    return found


def _decoded(answers: Iterable[bytes]) -> Iterator[tuple[Service, bytes]]:
    for data in answers:
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
