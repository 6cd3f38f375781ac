"""IPVS over generic netlink (linux/ip_vs.h): services and destinations as plane items.

pyroute2's IPVS wrapper sends one message a call, which takes minutes for a large table; here they go in batches.
"""

import hashlib
import os
import re
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from errno import EEXIST, ENOENT, ESRCH
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import get_args

from clusterd.clock import boottime_s
from clusterd.counters import Counters
from clusterd.dataplane.genetlink import GenericNetlink
from clusterd.dataplane.netlink import DUMP, attribute, attributes, nested
from clusterd.model import Forwarding, Protocol
from clusterd.plane import (
    Destination,
    DestinationKey,
    Failure,
    HostAddress,
    Item,
    Key,
    Operation,
    Scope,
    Service,
    ServiceKey,
    Verb,
)

_NEW_SERVICE, _SET_SERVICE, _DEL_SERVICE, _GET_SERVICE, _NEW_DEST, _SET_DEST, _DEL_DEST, _GET_DEST = range(1, 9)
_CMD_SERVICE, _CMD_DEST = 1, 2
_SVC_AF, _SVC_PROTOCOL, _SVC_ADDR, _SVC_PORT, _SVC_FWMARK = range(1, 6)
_SVC_SCHED, _SVC_FLAGS, _SVC_TIMEOUT, _SVC_NETMASK = range(6, 10)
_DEST_ADDR, _DEST_PORT, _DEST_FWD, _DEST_WEIGHT, _DEST_UPPER, _DEST_LOWER = range(1, 7)
_DEST_FAMILY = 11
_DEST_ACTIVE, _DEST_INACTIVE = 7, 8
_SVC_STATS64 = _DEST_STATS64 = 12  # linux/ip_vs.h; since Linux 4.1
_STATS = (  # by their numbers there, from 1 on: each of 64 bits
    "connections",
    "packets_in",
    "packets_out",
    "bytes_in",
    "bytes_out",
    "connections_rate",
    "packets_in_rate",
    "packets_out_rate",
    "bytes_in_rate",
    "bytes_out_rate",
)

_TABLE = Path("/proc/thread-self/net/ip_vs")
_COUNTED = re.compile(rb"^(  -> \S+ +\S+ +[0-9]+) +[0-9]+ +[0-9]+ *$", re.MULTILINE)
_LONGEST_TRUST_S = 120.0  # the text does not say everything
_FLAG_PERSISTENT = 0x1
_FORWARDING_MASK = 0x7
_PROTOCOLS: dict[Protocol, int] = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_METHODS: dict[Forwarding, int] = {"nat": 0, "tunnel": 2, "direct": 3}
_WAYS = {number: way for way, number in _METHODS.items()}
assert set(_METHODS) == set(get_args(Forwarding))  # noqa: S101 - a new way of forwarding needs its number here

_SERVICE_COMMANDS = {Verb.ADD: _NEW_SERVICE, Verb.SET: _SET_SERVICE, Verb.DELETE: _DEL_SERVICE}
_DESTINATION_COMMANDS = {Verb.ADD: _NEW_DEST, Verb.SET: _SET_DEST, Verb.DELETE: _DEL_DEST}
# ip_vs_ctl.c: what is there already, a service that is not there, a destination that is not there
_HARMLESS = {Verb.ADD: {EEXIST}, Verb.SET: set[int](), Verb.DELETE: {ESRCH, ENOENT}}


def _u16(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=H", value))


def _u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _port(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">H", value))


def _address(kind: int, address: HostAddress) -> bytes:
    return attribute(kind, address.packed.ljust(16, b"\0"))  # union nf_inet_addr is always sixteen bytes


def _host(data: bytes, family: int) -> HostAddress:
    return IPv6Address(data[:16]) if family == socket.AF_INET6 else IPv4Address(data[:4])


def _family(kind: int, address: HostAddress) -> bytes:
    return _u16(kind, socket.AF_INET6 if address.version == 6 else socket.AF_INET)


def _service_key(key: ServiceKey) -> bytes:
    protocol = _u16(_SVC_PROTOCOL, _PROTOCOLS[key.protocol])
    return _family(_SVC_AF, key.address) + protocol + _address(_SVC_ADDR, key.address) + _port(_SVC_PORT, key.port)


def _service(service: Service) -> bytes:
    flags = _FLAG_PERSISTENT if service.persistence_s else 0
    return (
        _service_key(service.key)
        + attribute(_SVC_SCHED, service.scheduler.encode() + b"\0")
        + attribute(_SVC_FLAGS, struct.pack("=II", flags, 0xFFFFFFFF))
        + _u32(_SVC_TIMEOUT, service.persistence_s)
        + attribute(_SVC_NETMASK, _netmask(service))
    )


def _netmask(service: Service) -> bytes:
    """Return a netmask, or for IPv6 the number of its bits (ip_vs_ctl.c, ip_vs_add_service)."""
    if service.key.address.version == 6:
        return struct.pack("=I", service.persistence_prefix if service.persistence_s else 128)
    return struct.pack(">I", (0xFFFFFFFF << (32 - service.persistence_prefix)) & 0xFFFFFFFF)


def _destination_key(key: DestinationKey) -> bytes:
    return _address(_DEST_ADDR, key.address) + _port(_DEST_PORT, key.port) + _family(_DEST_FAMILY, key.address)


def _destination(destination: Destination) -> bytes:
    return (
        _destination_key(destination.key)
        + _u32(_DEST_FWD, _METHODS[destination.forwarding])
        + _u32(_DEST_WEIGHT, destination.weight)
        + _u32(_DEST_UPPER, 0)
        + _u32(_DEST_LOWER, 0)
    )


def _message(operation: Operation) -> tuple[int, bytes]:
    match operation.item:
        case Service() as service:
            body = _service_key(service.key) if operation.verb is Verb.DELETE else _service(service)
            return _SERVICE_COMMANDS[operation.verb], nested(_CMD_SERVICE, body)
        case Destination() as destination:
            gone = operation.verb is Verb.DELETE
            body = _destination_key(destination.key) if gone else _destination(destination)
            behind = nested(_CMD_SERVICE, _service_key(destination.key.service))
            return _DESTINATION_COMMANDS[operation.verb], behind + nested(_CMD_DEST, body)
        case other:
            raise TypeError(f"not an IPVS item: {other}")


def fingerprint(table: bytes) -> bytes:
    """Return what /proc/net/ip_vs says, less the connections that it counts behind each destination."""
    return hashlib.blake2b(_COUNTED.sub(rb"\1", table)).digest()


class Ipvs:
    """The IPVS table of the network namespace in which this was made. Raises ApplyError where there is no IPVS."""

    def __init__(self) -> None:
        self._netlink = GenericNetlink("IPVS")
        self._known: tuple[bytes, Scope, dict[Key, Item], float] | None = None

    def close(self) -> None:
        """Close the socket; the table stays."""
        self._netlink.close()

    def read(self, scope: Scope) -> dict[Key, Item]:
        """Return the services on the scope's VIPs with their destinations. Firewall marks are others'.

        To look again at 10,000 destinations costs seconds over netlink and milliseconds as the kernel's own text, so
        what was read is returned again as long as that has not changed.
        """
        now, now_s = fingerprint(_TABLE.read_bytes()), boottime_s()
        if self._known and self._known[:2] == (now, scope) and now_s - self._known[3] < _LONGEST_TRUST_S:
            return dict(self._known[2])
        found = self._read(scope)
        self._known = (now, scope, found, now_s)
        return dict(found)

    def _read(self, scope: Scope) -> dict[Key, Item]:
        found: dict[Key, Item] = {}
        for reply in self._netlink.ask(_GET_SERVICE, flags=DUMP):
            service = _decode_service(dict(attributes(reply)).get(_CMD_SERVICE, b""))
            if service is None or service.key.address not in scope.vips:
                continue
            found[service.key] = service
            query = nested(_CMD_SERVICE, _service_key(service.key))
            for answer in self._netlink.ask(_GET_DEST, query, DUMP):
                destination = _decode_destination(service.key, dict(attributes(answer)).get(_CMD_DEST, b""))
                found[destination.key] = destination
        return found

    def counters(self, scope: Scope) -> dict[Key, Counters]:
        """Return what was counted for the services on the scope's VIPs and for their destinations."""
        found: dict[Key, Counters] = {}
        for reply in self._netlink.ask(_GET_SERVICE, flags=DUMP):
            data = dict(attributes(reply)).get(_CMD_SERVICE, b"")
            service = _decode_service(data)
            if service is None or service.key.address not in scope.vips:
                continue
            active = inactive = 0
            for answer in self._netlink.ask(_GET_DEST, nested(_CMD_SERVICE, _service_key(service.key)), DUMP):
                behind = dict(attributes(answer)).get(_CMD_DEST, b"")
                fields = dict(attributes(behind))
                now = (_number(fields, _DEST_ACTIVE), _number(fields, _DEST_INACTIVE))
                active, inactive = active + now[0], inactive + now[1]
                found[_decode_destination(service.key, behind).key] = _counted(fields, _DEST_STATS64, *now)
            found[service.key] = _counted(dict(attributes(data)), _SVC_STATS64, active, inactive)
        return found

    def apply(self, operations: Sequence[Operation]) -> tuple[Failure, ...]:
        """Carry the operations out in one go; return those that the kernel refused, with its words."""
        refused = self._netlink.send([_message(operation) for operation in operations])
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
        return self._netlink.send([_message(Operation(Verb.SET, operation.item))]).get(0, 0)


def _decode_service(data: bytes) -> Service | None:
    found = dict(attributes(data))
    (family,) = struct.unpack("=H", found[_SVC_AF])
    if _SVC_FWMARK in found:
        return None
    (number,) = struct.unpack("=H", found[_SVC_PROTOCOL])
    protocol = next((name for name, value in _PROTOCOLS.items() if value == number), None)
    if protocol is None:
        return None
    key = ServiceKey(protocol, _host(found[_SVC_ADDR], family), struct.unpack(">H", found[_SVC_PORT])[0])
    flags, _ = struct.unpack("=II", found[_SVC_FLAGS])
    scheduler = found[_SVC_SCHED].rstrip(b"\0").decode()
    if not flags & _FLAG_PERSISTENT:
        return Service(key, scheduler)
    (netmask,) = struct.unpack(">I", found[_SVC_NETMASK])
    (bits,) = struct.unpack("=I", found[_SVC_NETMASK])
    prefix = bits if family == socket.AF_INET6 else netmask.bit_count()
    return Service(key, scheduler, struct.unpack("=I", found[_SVC_TIMEOUT])[0], prefix)


def _decode_destination(service: ServiceKey, data: bytes) -> Destination:
    found = dict(attributes(data))
    (port,) = struct.unpack(">H", found[_DEST_PORT])
    (method,) = struct.unpack("=I", found[_DEST_FWD])
    way = _WAYS.get(method & _FORWARDING_MASK, "nat")  # a nat destination on a local address reads back as local
    (weight,) = struct.unpack("=I", found[_DEST_WEIGHT])
    (family,) = struct.unpack("=H", found[_DEST_FAMILY])
    return Destination(DestinationKey(service, _host(found[_DEST_ADDR], family), port), way, weight)


def counters(scope: Scope) -> dict[Key, Counters]:
    """Return what the kernel counted, over a socket of its own, so that nobody who writes has to wait.

    Raises ApplyError where there is no IPVS.
    """
    ipvs = Ipvs()
    try:
        return ipvs.counters(scope)
    finally:
        ipvs.close()


def _number(fields: Mapping[int, bytes], kind: int) -> int:
    return int.from_bytes(fields.get(kind, b"")[:8], sys.byteorder)


def _counted(fields: Mapping[int, bytes], kind: int, active: int, inactive: int) -> Counters:
    stats = dict(attributes(fields.get(kind, b"")))
    counted = {name: _number(stats, number) for number, name in enumerate(_STATS, start=1)}
    return Counters(active=active, inactive=inactive, **counted)
