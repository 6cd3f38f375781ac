"""Announcing many addresses takes no time in which others would end: a takeover may bring thousands."""

import subprocess
import sys

from tests.lab.guest import ROOT

PROGRAM = """
import socket, subprocess, time
from ipaddress import IPv4Interface, IPv6Interface
from clusterd.dataplane.addresses import tell
from clusterd.plane import Address

for words in ("add here type veth peer name there", "set here up", "set there up"):
    subprocess.run(["ip", "link", *words.split()], check=True)
many = [Address("here", IPv4Interface(f"10.0.{n // 200}.{n % 200 + 1}/32")) for n in range(400)]
more = [Address("away", IPv4Interface("10.9.0.1/32")), Address("here", IPv6Interface("fd00::1/128"))]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as heard:
    heard.bind(("there", 3))
    heard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    heard.settimeout(1)
    began_s = time.monotonic()
    tell([*more, *many])
    took_s = time.monotonic() - began_s
    frames = set()
    while len(frames) < 2 * len(many) + 1:
        frame = heard.recv(200)
        if frame[12:14] == b"\\x08\\x06" or frame[14 + 40] == 136:
            frames.add(frame)
print(took_s)
"""


def test_hundreds_of_addresses_are_announced_at_once_those_of_a_missing_interface_left_out() -> None:
    command = ["unshare", "-n", sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) < 0.5
