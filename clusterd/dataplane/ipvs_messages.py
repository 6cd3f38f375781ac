"""What IPVS is told and tells over generic netlink (linux/ip_vs.h): items of a plane as attributes, and back.

Ports are in network byte order, all else is in the host's. A netmask is four bytes in network order for IPv4, and the
number of its bits for IPv6 (ip_vs_ctl.c, ip_vs_add_service).
"""

import socket
import struct
import sys
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import get_args

from clusterd.counters import Counters
from clusterd.dataplane.netlink import HEAD, Layout, attribute, attributes, nested
from clusterd.model import Checksum, Forwarding, Protocol, TunnelType
from clusterd.plane import (
    AnyServiceKey,
    Destination,
    DestinationKey,
    HostAddress,
    MarkKey,
    Operation,
    Service,
    ServiceKey,
    Tunnel,
    Verb,
)
from clusterd.services import IPIP

_NEW_SERVICE, _SET_SERVICE, _DEL_SERVICE, GET_SERVICE, _NEW_DEST, _SET_DEST, _DEL_DEST, GET_DESTINATION = range(1, 9)
SERVICE, DESTINATION = 1, 2
_SVC_AF, _SVC_PROTOCOL, _SVC_ADDR, _SVC_PORT, _SVC_FWMARK = range(1, 6)
_SVC_SCHED, _SVC_FLAGS, _SVC_TIMEOUT, _SVC_NETMASK = range(6, 10)
_SVC_ENGINE = 11
_DEST_ADDR, _DEST_PORT, _DEST_FWD, _DEST_WEIGHT, _DEST_UPPER, _DEST_LOWER, _DEST_ACTIVE, _DEST_INACTIVE = range(1, 9)
_DEST_PERSISTENT, _DEST_FAMILY = 9, 11
_DEST_TUN_TYPE, _DEST_TUN_PORT, _DEST_TUN_FLAGS = range(13, 16)
_SVC_STATS64 = _DEST_STATS64 = 12  # since Linux 4.1
_SVC_STATS = 10
# What a service counted stands at the end (ip_vs_ctl.c, ip_vs_genl_fill_service): 5 numbers and 5 rates, in two sizes.
_STATS_HEAD, _STATS64_HEAD = struct.pack("=HH", 92, _SVC_STATS), struct.pack("=HH", 124, _SVC_STATS64)
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

_PERSISTENT, _ONE_PACKET = 0x1, 0x4
_SCHEDULERS_OWN = (0x8, 0x10, 0x20)
_FLAGS = {"sh-fallback": 0x8, "sh-port": 0x10, "mh-fallback": 0x8, "mh-port": 0x10}  # ip_vs_mh.c has the same two bits
_FLAGS |= {f"flag-{number}": bit for number, bit in enumerate(_SCHEDULERS_OWN, start=1)}
_FORWARDING_MASK = 0x7  # the low bits of IP_VS_CONN_F_…
_PROTOCOLS: dict[Protocol, int] = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_METHODS: dict[Forwarding, int] = {"nat": 0, "tunnel": 2, "direct": 3}
_WAYS: dict[int, Forwarding] = dict.fromkeys(range(8), "nat")  # nat to a local address reads as local
_WAYS |= {number: way for way, number in _METHODS.items()}
_TUNNELS: tuple[TunnelType, ...] = ("ipip", "gue", "gre")  # by their numbers, from 0 on
_CHECKSUMS: tuple[Checksum, ...] = ("none", "csum", "remcsum")
assert set(_METHODS) == set(get_args(Forwarding))  # noqa: S101 - a new way of forwarding needs its number here
assert set(_TUNNELS) == set(get_args(TunnelType))  # noqa: S101 - and so does a new tunnel

_FAMILIES = {4: int(socket.AF_INET), 6: int(socket.AF_INET6)}
_KEY_LAYOUT = Layout((_DEST_ADDR, "16s"), (_DEST_PORT, "2s"), (_DEST_FAMILY, "H"))
_NUMBERS_LAYOUT = Layout((_DEST_FWD, "I"), (_DEST_WEIGHT, "I"), (_DEST_UPPER, "I"), (_DEST_LOWER, "I"))
_READ_LAYOUT = Layout(  # as kernels since Linux 5.3 fill it in (ip_vs_ctl.c, ip_vs_genl_fill_dest)
    *((_DEST_ADDR, "16s"), (_DEST_PORT, "2s"), (_DEST_FWD, "I"), (_DEST_WEIGHT, "I")),
    *((_DEST_TUN_TYPE, "B"), (_DEST_TUN_PORT, "2s"), (_DEST_TUN_FLAGS, "H"), (_DEST_UPPER, "I"), (_DEST_LOWER, "I")),
    *((_DEST_ACTIVE, "I"), (_DEST_INACTIVE, "I"), (_DEST_PERSISTENT, "I"), (_DEST_FAMILY, "H")),
)

_COUNTED = _READ_LAYOUT.span(_DEST_ACTIVE, _DEST_PERSISTENT)
_COUNTED_HEAD = attribute(_DEST_ACTIVE, bytes(4))[:HEAD]

_SERVICE_COMMANDS = {Verb.ADD: _NEW_SERVICE, Verb.SET: _SET_SERVICE, Verb.DELETE: _DEL_SERVICE}
_DESTINATION_COMMANDS = {Verb.ADD: _NEW_DEST, Verb.SET: _SET_DEST, Verb.DELETE: _DEL_DEST}


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


def _family(kind: int, version: int) -> bytes:
    return _u16(kind, _FAMILIES[version])


def _service_key(key: AnyServiceKey) -> bytes:
    family = _family(_SVC_AF, key.version)
    if isinstance(key, MarkKey):
        return family + _u32(_SVC_FWMARK, key.mark)
    protocol = _u16(_SVC_PROTOCOL, _PROTOCOLS[key.protocol])
    return family + protocol + _address(_SVC_ADDR, key.address) + _port(_SVC_PORT, key.port)


def _service(service: Service) -> bytes:
    flags = _PERSISTENT if service.persistence_s else 0
    flags |= _ONE_PACKET if service.one_packet else 0
    for flag in service.flags:
        flags |= _FLAGS[flag]
    engine = attribute(_SVC_ENGINE, service.engine.encode() + b"\0") if service.engine else b""
    return (
        _service_key(service.key)
        + attribute(_SVC_SCHED, service.scheduler.encode() + b"\0")
        + attribute(_SVC_FLAGS, struct.pack("=II", flags, 0xFFFFFFFF))
        + _u32(_SVC_TIMEOUT, service.persistence_s)
        + attribute(_SVC_NETMASK, _netmask(service))
        + engine  # a service that is told none has none
    )


def _netmask(service: Service) -> bytes:
    if service.key.version == 6:
        return struct.pack("=I", service.persistence_prefix if service.persistence_s else 128)
    return struct.pack(">I", (0xFFFFFFFF << (32 - service.persistence_prefix)) & 0xFFFFFFFF)


def _destination_key(key: DestinationKey) -> bytes:
    address = key.address
    return _KEY_LAYOUT.pack(address.packed, key.port.to_bytes(2), _FAMILIES[address.version])


def _destination(destination: Destination) -> bytes:
    method = _METHODS[destination.forwarding]
    numbers = _NUMBERS_LAYOUT.pack(method, destination.weight, destination.upper, destination.lower)
    told = _destination_key(destination.key) + numbers
    return told + _tunnel(destination.tunnel) if destination.forwarding == "tunnel" else told


def _tunnel(tunnel: Tunnel) -> bytes:
    return (
        attribute(_DEST_TUN_TYPE, bytes([_TUNNELS.index(tunnel.type)]))
        + _port(_DEST_TUN_PORT, tunnel.port)
        + _u16(_DEST_TUN_FLAGS, _CHECKSUMS.index(tunnel.checksum))
    )


@lru_cache(maxsize=64)  # a service's destinations mostly follow each other
def which(key: AnyServiceKey) -> bytes:
    """Return what names a service."""
    return nested(SERVICE, _service_key(key))


def message(operation: Operation) -> tuple[int, bytes]:
    """Return the command and the body that carry an operation out."""
    match operation.item:
        case Destination() as destination:
            gone = operation.verb is Verb.DELETE
            body = _destination_key(destination.key) if gone else _destination(destination)
            return _DESTINATION_COMMANDS[operation.verb], which(destination.key.service) + nested(DESTINATION, body)
        case Service() as service:
            body = _service_key(service.key) if operation.verb is Verb.DELETE else _service(service)
            return _SERVICE_COMMANDS[operation.verb], nested(SERVICE, body)
        case other:
            raise TypeError(f"not an IPVS item: {other}")


def service(data: bytes) -> Service | None:
    """Return the service that these attributes describe, None where it is of a protocol that we do not know."""
    if data[-216:-212] == _STATS_HEAD and data[-124:-120] == _STATS64_HEAD:
        return _service_of(data[:-216])
    return _service_of(
        b"".join(attribute(*each) for each in attributes(data) if each[0] not in (_SVC_STATS, _SVC_STATS64))
    )


@lru_cache(maxsize=1 << 14)  # all services are looked at every few seconds, and are mostly as they were
def _service_of(told: bytes) -> Service | None:
    found = dict(attributes(told))
    key = _decoded_key(found)
    if key is None:
        return None
    flags, _ = struct.unpack("=II", found[_SVC_FLAGS])
    scheduler = _word(found, _SVC_SCHED)
    kept_s, prefix = (_number(found, _SVC_TIMEOUT), _prefix(found, key)) if flags & _PERSISTENT else (0, 32)
    named, one_packet = _decoded_flags(scheduler, flags), bool(flags & _ONE_PACKET)
    return Service(key, scheduler, kept_s, prefix, named, one_packet, _word(found, _SVC_ENGINE))


def _decoded_key(found: Mapping[int, bytes]) -> AnyServiceKey | None:
    (family,) = struct.unpack("=H", found[_SVC_AF])
    if _SVC_FWMARK in found:
        return MarkKey(_number(found, _SVC_FWMARK), 6 if family == socket.AF_INET6 else 4)
    (number,) = struct.unpack("=H", found[_SVC_PROTOCOL])
    protocol = next((name for name, value in _PROTOCOLS.items() if value == number), None)
    if protocol is None:
        return None
    return ServiceKey(protocol, _host(found[_SVC_ADDR], family), struct.unpack(">H", found[_SVC_PORT])[0])


def _decoded_flags(scheduler: str, flags: int) -> frozenset[str]:
    bits = [bit for bit in _SCHEDULERS_OWN if flags & bit]
    names = {bit: name for name, bit in _FLAGS.items() if name.startswith("flag-")}
    names |= {bit: name for name, bit in _FLAGS.items() if name.startswith(f"{scheduler}-")}
    return frozenset(names[bit] for bit in bits)


def _prefix(found: Mapping[int, bytes], key: AnyServiceKey) -> int:
    (netmask,) = struct.unpack(">I", found[_SVC_NETMASK])
    return _number(found, _SVC_NETMASK) if key.version == 6 else int(netmask).bit_count()


def destination(behind: AnyServiceKey, data: bytes) -> Destination:
    """Return the destination that these attributes describe."""
    parts = _READ_LAYOUT.unpack(data)
    if parts is None:
        return _destination_of(behind, dict(attributes(data)))
    address, port, method, weight, kind, tunnel_port, flags, upper, lower, _, _, _, family = parts
    key = DestinationKey(behind, _host(address, family), int.from_bytes(port))
    way = _WAYS[method & _FORWARDING_MASK]
    tunnel = _tunnel_of(kind, tunnel_port, flags) if way == "tunnel" else IPIP
    return Destination(key, way, weight, tunnel, upper, lower)


def uncounted(data: bytes) -> bytes:
    """Return a destination's attributes without what is counted: while they are the same, so is the destination.

    Attributes in another order are all of them returned.
    """
    if data[_COUNTED.start : _COUNTED.start + HEAD] != _COUNTED_HEAD:
        return data
    return data[: _COUNTED.start] + data[_COUNTED.stop : _READ_LAYOUT.size]


def _destination_of(behind: AnyServiceKey, found: Mapping[int, bytes]) -> Destination:
    """Return it whatever the order of its attributes; a kernel before Linux 5.3 says nothing about tunnels."""
    key = DestinationKey(
        behind, _host(found[_DEST_ADDR], _number(found, _DEST_FAMILY)), int.from_bytes(found[_DEST_PORT])
    )
    way = _WAYS[_number(found, _DEST_FWD) & _FORWARDING_MASK]
    numbers = _number(found, _DEST_UPPER), _number(found, _DEST_LOWER)
    kind, flags = _number(found, _DEST_TUN_TYPE), _number(found, _DEST_TUN_FLAGS)
    tunnel = _tunnel_of(kind, found.get(_DEST_TUN_PORT, b""), flags) if way == "tunnel" else IPIP
    return Destination(key, way, _number(found, _DEST_WEIGHT), tunnel, *numbers)


def _tunnel_of(kind: int, port: bytes, flags: int) -> Tunnel:
    return Tunnel(_TUNNELS[kind], int.from_bytes(port), _CHECKSUMS[min(flags, len(_CHECKSUMS) - 1)])


def service_counters(data: bytes, active: int, inactive: int) -> Counters:
    """Return what was counted for a service whose destinations have these connections."""
    return _counted(dict(attributes(data)), _SVC_STATS64, active, inactive)


def destination_counters(data: bytes) -> Counters:
    """Return what was counted for a destination."""
    found = dict(attributes(data))
    return _counted(found, _DEST_STATS64, _number(found, _DEST_ACTIVE), _number(found, _DEST_INACTIVE))


def _counted(found: Mapping[int, bytes], kind: int, active: int, inactive: int) -> Counters:
    stats = dict(attributes(found.get(kind, b"")))
    counted = {name: _number(stats, number) for number, name in enumerate(_STATS, start=1)}
    return Counters(active=active, inactive=inactive, **counted)


def _number(found: Mapping[int, bytes], kind: int) -> int:
    return int.from_bytes(found.get(kind, b"")[:8], sys.byteorder)


def _word(found: Mapping[int, bytes], kind: int) -> str:
    return found.get(kind, b"").rstrip(b"\0").decode()
