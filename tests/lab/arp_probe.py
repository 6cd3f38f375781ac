"""Asks by ARP who has an address: `python -m tests.lab.arp_probe DEVICE ADDRESS PERIOD_S`, and only watches otherwise.

Every period it broadcasts one probe and it writes every answer and announcement as it comes:

    probe NUMBER TIME_S
    answer NUMBER TIME_S MAC        MAC says the address is its own, in reply to that probe
    announce 0 TIME_S MAC           it says so unasked (gratuitous ARP)

Probes must change nothing that they measure. They carry the sender address 0.0.0.0 (RFC 5227, 2.1), which nobody puts
into a neighbour table, and a hardware address that belongs to no one: answers go there, the client's kernel takes them
for somebody else's, and its neighbour table keeps depending on the gratuitous ARP that routers send. The low bytes of
that hardware address are the number of the probe, so an answer that comes late is still counted to its own question.
"""

import select
import socket
import struct
import sys
import time
from collections.abc import Callable

ETHER_ARP = 0x0806
REQUEST, REPLY = 1, 2
WATCHER = b"\x02\x00\x00\xff"  # the watcher's hardware addresses begin with this, the probe's number follows
NUMBERS = 256  # how many of them there are: 5 s of probes; a bridge remembers each
_ARP = struct.Struct("!HHBBH6s4s6s4s")
Probe = Callable[[int, bytes], bytes]
Read = Callable[[bytes, bytes, int], tuple[str, int, str] | None]
_PACKET_ADD_MEMBERSHIP, _PACKET_MR_PROMISC, _SOL_PACKET = 1, 1, 263  # packet(7)


def asker(number: int) -> bytes:
    """The hardware address from which a probe comes."""
    return WATCHER + struct.pack("!H", number % NUMBERS)


def numbered(mac: bytes, asked: int) -> int:
    """The number of the probe that came from this hardware address, when `asked` was the last one."""
    low: int = struct.unpack("!H", mac[4:])[0]
    return asked - (asked - low) % NUMBERS


def probe(number: int, address: bytes) -> bytes:
    """One frame that asks for the address."""
    own = asker(number)
    arp = _ARP.pack(1, 0x0800, 6, 4, REQUEST, own, bytes(4), bytes(6), address)
    return b"\xff" * 6 + own + struct.pack("!H", ETHER_ARP) + arp


def read(frame: bytes, address: bytes, asked: int) -> tuple[str, int, str] | None:
    """Return kind, number of the probe and MAC, when the frame says who has the address; `asked` is the last probe."""
    if len(frame) < 14 + _ARP.size:
        return None
    *_, operation, sender_mac, sender, target_mac, _target = _ARP.unpack_from(frame, 14)
    if sender != address:
        return None
    mac = sender_mac.hex(":")
    if operation == REPLY and target_mac.startswith(WATCHER):
        return "answer", numbered(target_mac, asked), mac
    return ("announce", 0, mac) if frame[:6] == b"\xff" * 6 else None


def opened(device: str, ether_type: int) -> socket.socket:
    """A socket that sees and sends whole frames of one type, others' too."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ether_type))
    wire.bind((device, ether_type))
    membership = struct.pack("iHH8s", socket.if_nametoindex(device), _PACKET_MR_PROMISC, 0, b"")
    wire.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
    return wire


def watch(wire: socket.socket, address: bytes, period_s: float, probe: Probe, read: Read) -> None:
    """Probe until killed."""
    asked, next_s = 0, time.monotonic()
    while True:
        now_s = time.monotonic()
        if now_s >= next_s:
            asked += 1
            print(f"probe {asked} {now_s:.4f}", flush=True)
            wire.send(probe(asked, address))
            next_s = max(next_s + period_s, now_s + period_s / 2)
        if select.select([wire], [], [], max(0.0, next_s - time.monotonic()))[0]:
            seen = read(wire.recv(2048), address, asked)
            if seen:
                kind, number, mac = seen
                print(f"{kind} {number} {time.monotonic():.4f} {mac}", flush=True)


def main() -> None:
    """Ask by ARP."""
    device, address, period_s = sys.argv[1:]
    watch(opened(device, ETHER_ARP), socket.inet_aton(address), float(period_s), probe, read)


if __name__ == "__main__":
    main()
