"""What neighbours say, as frames: written as the RFCs have them, read back, and garbage read as nothing."""

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.dataplane.neighbours import (
    announcements,
    question,
    said_by_advertisement,
    said_by_arp,
    solicitation,
    unsolicited_advertisement,
)
from clusterd.plane import HostAddress

MAC, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
MACS = st.binary(min_size=6, max_size=6)
HOSTS4, HOSTS6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
VIP6 = IPv6Address("2001:db8::12:3456")
ADVERTISED = unsolicited_advertisement(MAC, VIP6)[14:]


def checksum_fits(packet: bytes) -> bool:
    """Whether an IPv6 packet of ICMP is whole: words and pseudo-header add up to all ones (RFC 8200, section 8.1)."""
    length, protocol = struct.unpack_from("!HB", packet, 4)
    data = packet[8:40] + struct.pack("!II", length, protocol) + packet[40:]
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return len(packet) == 40 + length and total % 0xFFFF == 0


@given(MACS, HOSTS4)
def test_an_ipv4_address_is_announced_to_everybody_as_request_and_as_reply(mac: bytes, address: IPv4Address) -> None:
    frames = announcements(mac, address)
    assert [frame[:14] for frame in frames] == [b"\xff" * 6 + mac + b"\x08\x06"] * 2
    assert [struct.unpack_from("!H", frame, 20)[0] for frame in frames] == [1, 2]
    assert [said_by_arp(frame[14:]) for frame in frames] == [(address, mac)] * 2
    assert [frame[38:42] for frame in frames] == [address.packed] * 2


@given(MACS, HOSTS6)
def test_an_ipv6_address_is_announced_to_all_nodes_by_an_advertisement(mac: bytes, address: IPv6Address) -> None:
    (frame,) = announcements(mac, address)
    assert frame[:14] == bytes.fromhex("333300000001") + mac + b"\x86\xdd"
    packet = frame[14:]
    assert checksum_fits(packet)
    assert (packet[0] >> 4, packet[7]) == (6, 255)
    assert (packet[8:24], packet[24:40]) == (address.packed, IPv6Address("ff02::1").packed)
    assert packet[44:48] == b"\xa0\0\0\0", "of a router, not asked for, overriding"
    assert said_by_advertisement(packet, bytes(6)) == (address, mac)


@given(MACS, HOSTS6, HOSTS6)
def test_a_solicitation_goes_to_the_group_of_whoever_has_the_address(
    mac: bytes, own: IPv6Address, host: IPv6Address
) -> None:
    frame = question(mac, own, host)
    assert frame == solicitation(mac, own, host)
    packet, last = frame[14:], host.packed[-3:]
    assert frame[:14] == b"\x33\x33\xff" + last + mac + b"\x86\xdd"
    assert checksum_fits(packet)
    assert packet[7] == 255
    assert (packet[8:24], packet[24:40]) == (own.packed, IPv6Address("ff02::1:ff00:0").packed[:13] + last)
    assert packet[40:42] == bytes((135, 0))
    assert packet[44:] == bytes(4) + host.packed + b"\1\1" + mac
    assert said_by_advertisement(packet, mac) is None, "a question is no claim"


@given(MACS, HOSTS4, HOSTS4)
def test_a_question_by_arp_names_who_asks_and_who_is_meant(mac: bytes, own: IPv4Address, host: IPv4Address) -> None:
    frame = question(mac, own, host)
    assert frame[:14] == b"\xff" * 6 + mac + b"\x08\x06"
    assert struct.unpack("!HHBBH6s4s6s4s", frame[14:]) == (1, 0x0800, 6, 4, 1, mac, own.packed, bytes(6), host.packed)


@pytest.mark.parametrize(("own", "host"), [(IPv4Address(1), IPv6Address(2)), (IPv6Address(1), IPv4Address(2))])
def test_one_family_does_not_ask_for_the_other(own: HostAddress, host: HostAddress) -> None:
    with pytest.raises(ValueError, match=f"^{own} cannot ask for {host}$"):
        question(MAC, own, host)


def test_a_known_advertisement_is_written_byte_by_byte() -> None:
    assert ADVERTISED.hex(" ", 4) == (
        "60000000 00203aff 20010db8 00000000 00000000 00123456 ff020000 00000000 00000000 00000001 "
        "8800105c a0000000 20010db8 00000000 00000000 00123456 02010200 00000001"
    )


def changed(place: int, value: int) -> bytes:
    return ADVERTISED[:place] + bytes((value,)) + ADVERTISED[place + 1 :]


@pytest.mark.parametrize(
    "packet",
    [changed(6, 17), changed(7, 254), changed(40, 135), changed(41, 1), ADVERTISED[:63], b""],
    ids=["no ICMPv6", "forwarded", "a solicitation", "an unknown code", "cut off", "empty"],
)
def test_what_is_no_advertisement_from_the_link_says_nothing(packet: bytes) -> None:
    assert said_by_advertisement(packet, OTHER) is None


@pytest.mark.parametrize(
    "packet",
    [ADVERTISED[:64], ADVERTISED[:65], ADVERTISED[:71], changed(64, 1), changed(65, 2)],
    ids=["no option", "half an option", "half a MAC", "another option", "a longer option"],
)
def test_an_advertisement_that_names_no_mac_is_of_the_mac_that_it_came_from(packet: bytes) -> None:
    assert said_by_advertisement(packet, OTHER) == (VIP6, OTHER)


def test_arp_that_is_cut_off_says_nothing() -> None:
    packet = announcements(MAC, IPv4Address("1.2.3.1"))[0][14:]
    assert said_by_arp(packet[:27]) is None
    assert said_by_arp(packet + bytes(18)) == (IPv4Address("1.2.3.1"), MAC), "Ethernet pads what is short"


@given(st.binary(max_size=100), MACS)
def test_no_bytes_make_reading_raise(data: bytes, source: bytes) -> None:
    said = said_by_advertisement(data, source)
    assert said is None or said[0].packed == data[48:64]
    heard = said_by_arp(data)
    assert (heard is None) == (len(data) < 28)


@given(st.binary(max_size=80), MACS)
def test_no_bytes_behind_an_advertisement_make_reading_raise(rest: bytes, source: bytes) -> None:
    said = said_by_advertisement(ADVERTISED[:64] + rest, source)
    assert said is not None
    assert said[0] == VIP6
    assert said[1] in (source, rest[2:8])
