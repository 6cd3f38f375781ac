"""The kernel's own text of its IPVS table, as /proc/net/ip_vs had it."""

from ipaddress import IPv4Address, IPv6Address

from clusterd.dataplane.ipvs_text import blocks
from clusterd.plane import MarkKey, ServiceKey

HEAD = b"""\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
"""
WEB = b"TCP  01020301:0050 wlc persistent 300 FFFFFF00\n"
LINE = b"  -> C0A80101:0050      Masq    %d      %-10d %-10d\n"
KEY = ServiceKey("tcp", IPv4Address("1.2.3.1"), 80)


def test_an_empty_table_has_no_services() -> None:
    assert blocks(HEAD) == {}


def test_the_text_of_a_service_is_the_same_whatever_connections_there_are() -> None:
    (before,) = blocks(HEAD + WEB + LINE % (2, 0, 0)).values()
    assert blocks(HEAD + WEB + LINE % (2, 17, 123456)) == {KEY: before}
    assert blocks(HEAD + WEB + LINE % (3, 0, 0)) != {KEY: before}
    assert blocks(HEAD + WEB.replace(b"300", b"301") + LINE % (2, 0, 0)) != {KEY: before}
    digits = WEB.replace(b"FFFFFF00", b"80000000")
    assert blocks(HEAD + digits) != blocks(HEAD + digits.replace(b"300", b"301"))


def test_services_are_told_apart_by_protocol_address_port_and_mark() -> None:
    services = (
        WEB,
        LINE % (1, 0, 0),
        b"UDP  01020301:0035 rr ops \n",
        b"SCTP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0E0F mh \n",
        b"  -> [2001:0db8:0000:0000:0000:0000:0000:0002]:0E0F      Route   1      0          0         \n",
        b"FWM  0000000A wlc \n",
        LINE % (4, 0, 0),
    )
    found = blocks(HEAD + b"".join(services))
    assert list(found) == [
        KEY,
        ServiceKey("udp", IPv4Address("1.2.3.1"), 53),
        ServiceKey("sctp", IPv6Address("2001:db8::1"), 3599),
        MarkKey(10, 4),
        MarkKey(10, 6),
    ]
    assert found[KEY].count(b"->") == 1
    assert b"Route" in found[ServiceKey("sctp", IPv6Address("2001:db8::1"), 3599)]


def test_a_mark_of_both_families_is_one_text() -> None:
    found = blocks(HEAD + b"FWM  00000007 rr \n" + LINE % (1, 0, 0) + WEB + b"FWM  00000007 wlc \n")
    assert found[MarkKey(7, 4)] == found[MarkKey(7, 6)]
    assert b" rr " in found[MarkKey(7, 4)]
    assert b" wlc " in found[MarkKey(7, 4)]
