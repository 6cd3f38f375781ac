"""What neighbours say on Ethernet of who has an address, as frames: ARP (RFC 826) and discovery (RFC 4861). No I/O."""

import struct
from ipaddress import IPv4Address, IPv6Address

from clusterd.plane import HostAddress

_ETHERTYPE_ARP = 0x0806
_ETHERTYPE_IP = 0x0800
_ETHERTYPE_IPV6 = 0x86DD
_BROADCAST = b"\xff" * 6
_REQUEST, _REPLY = 1, 2
_ALL_NODES = IPv6Address("ff02::1")
_SOLICITED_NODES = int(IPv6Address("ff02::1:ff00:0"))  # and the last three bytes of the address (RFC 4291, 2.7.1)
_ICMPV6, _SOLICITATION, _ADVERTISEMENT, _HOP_LIMIT = 58, 135, 136, 255
_ROUTER_AND_OVERRIDE = 0xA0000000
_SOURCE_LINK_ADDRESS, _TARGET_LINK_ADDRESS = 1, 2
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_NEIGHBOUR = struct.Struct("!6xBB32xBB6x16s")  # an IPv6 header and the message behind it, up to its options
SENDER_AT = 14  # of the sender's protocol address in ARP
ICMPV6_AT, ADVERTISEMENT_AT, TARGET_END_AT = 6, 40, 60  # in IPv6: next header and hop limit, type, last word of target
FROM_THE_LINK = _ICMPV6 << 8 | _HOP_LIMIT  # nobody forwarded it (RFC 4861, 7.1.2)
ADVERTISEMENT = _ADVERTISEMENT


def announcements(mac: bytes, address: HostAddress) -> tuple[bytes, ...]:
    """Return the frames by which a host tells everybody that an address is its own.

    By ARP as a request and as a reply: some hosts heed only one (RFC 5227, section 3). By neighbour discovery unasked
    (RFC 4861, section 7.2.6).
    """
    if isinstance(address, IPv6Address):
        return (unsolicited_advertisement(mac, address),)
    return gratuitous_arp(mac, address, _REQUEST), gratuitous_arp(mac, address, _REPLY)


def question(mac: bytes, own: HostAddress, host: HostAddress) -> bytes:
    """Return the frame that asks who has an address. Raises ValueError where the two are of different families."""
    if isinstance(own, IPv4Address) and isinstance(host, IPv4Address):
        return arp(mac, own, bytes(6), host, _REQUEST)
    if isinstance(own, IPv6Address) and isinstance(host, IPv6Address):
        return solicitation(mac, own, host)
    raise ValueError(f"{own} cannot ask for {host}")


def gratuitous_arp(mac: bytes, address: IPv4Address, operation: int) -> bytes:
    """Return an Ethernet frame in which a host names itself as the owner of its own address (RFC 826)."""
    return arp(mac, address, mac if operation == _REPLY else bytes(6), address, operation)


def arp(mac: bytes, address: IPv4Address, target_mac: bytes, target: IPv4Address, operation: int) -> bytes:
    """Return an Ethernet frame to everybody, from the owner of a hardware address and an IPv4 address (RFC 826)."""
    ethernet = _BROADCAST + mac + struct.pack("!H", _ETHERTYPE_ARP)
    return ethernet + _ARP.pack(1, _ETHERTYPE_IP, 6, 4, operation, mac, address.packed, target_mac, target.packed)


def unsolicited_advertisement(mac: bytes, address: IPv6Address) -> bytes:
    """Return an Ethernet frame in which a router names itself as the owner of its own address (RFC 4861, 4.4)."""
    rest = struct.pack("!I", _ROUTER_AND_OVERRIDE) + address.packed
    return _discovery(mac, address, _ALL_NODES, _ADVERTISEMENT, rest + _option(_TARGET_LINK_ADDRESS, mac))


def solicitation(mac: bytes, own: IPv6Address, host: IPv6Address) -> bytes:
    """Return an Ethernet frame that asks whoever has an address for its hardware address (RFC 4861, 4.3)."""
    to = IPv6Address(_SOLICITED_NODES | int(host) & 0xFFFFFF)
    return _discovery(mac, own, to, _SOLICITATION, bytes(4) + host.packed + _option(_SOURCE_LINK_ADDRESS, mac))


def _option(kind: int, mac: bytes) -> bytes:
    return struct.pack("!BB", kind, 1) + mac


def _discovery(mac: bytes, own: IPv6Address, to: IPv6Address, kind: int, rest: bytes) -> bytes:
    length = 4 + len(rest)
    pseudo = own.packed + to.packed + struct.pack("!II", length, _ICMPV6)
    start = struct.pack("!BB", kind, 0)
    checksum = _internet_checksum(pseudo + start + b"\0\0" + rest)
    header = struct.pack("!IHBB", 6 << 28, length, _ICMPV6, _HOP_LIMIT) + own.packed + to.packed
    ethernet = b"\x33\x33" + to.packed[-4:] + mac + struct.pack("!H", _ETHERTYPE_IPV6)  # RFC 2464, section 7
    return ethernet + header + start + struct.pack("!H", checksum) + rest


def _internet_checksum(data: bytes) -> int:
    """Return the checksum of RFC 1071 over an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def said_by_arp(packet: bytes) -> tuple[IPv4Address, bytes] | None:
    """Return whose address an ARP packet (without its Ethernet header) says is where, as address and MAC."""
    if len(packet) < _ARP.size:
        return None
    *_, mac, sender, _, _ = _ARP.unpack_from(packet)
    return IPv4Address(sender), mac


def said_by_advertisement(packet: bytes, source: bytes) -> tuple[IPv6Address, bytes] | None:
    """Return whose address an IPv6 packet says is where; `source` is the MAC that it came from.

    None where it is no advertisement. One that answers may leave its own MAC out (RFC 4861, 4.4).
    """
    if len(packet) < _NEIGHBOUR.size:
        return None
    protocol, hop_limit, kind, code, target = _NEIGHBOUR.unpack_from(packet)
    if (protocol, hop_limit, kind, code) != (_ICMPV6, _HOP_LIMIT, _ADVERTISEMENT, 0):
        return None
    option, mac = packet[_NEIGHBOUR.size : _NEIGHBOUR.size + 2], packet[_NEIGHBOUR.size + 2 : _NEIGHBOUR.size + 8]
    named = option == bytes((_TARGET_LINK_ADDRESS, 1)) and len(mac) == len(source)
    return IPv6Address(target), mac if named else source
