"""What a real server is asked by ssh, and its answer read. Nothing there is changed, and no right of root is needed."""

from collections.abc import Sequence
from typing import Any

# What it prints: `route …` and `addr …` as ip(8) has them, settings (`eth0/rp_filter:1`), `ping HOST yes|no`, `date S`.
_SCRIPT = """\
LC_ALL=C; PATH=$PATH:/usr/sbin:/sbin; export LC_ALL PATH
ip -o route show default | sed 's/^/route /'
ip -o -6 route show default | sed 's/^/route /'
ip -o address show | sed 's/^/addr /'
cd /proc/sys/net/ipv4/conf && grep -H . */arp_ignore */arp_announce */rp_filter
command -v ping >/dev/null && for host in {hosts}; do
  (if ping -n -c 1 -W 1 $host >/dev/null 2>&1; then echo "ping $host yes"; else echo "ping $host no"; fi) &
done
wait
echo "date $(date +%s)"
"""
_SETTINGS = ("/arp_ignore:", "/arp_announce:", "/rp_filter:")


def script(hosts: Sequence[str]) -> str:
    """Return the shell's commands; `hosts` are addresses to ping."""
    return _SCRIPT.replace("{hosts}", " ".join(hosts))


def answer(text: str, now_s: float) -> dict[str, Any]:
    """Return the fields of ServerFacts that the answer tells; `now_s` is the time here (UTC) when it came."""
    words = [line.split() for line in text.splitlines()]
    found: dict[str, Any] = {
        "sysctls": dict(_setting(line) for line in text.splitlines() if any(name in line for name in _SETTINGS))
    }
    routes = [_gateway(line) for line in words if line[:2] == ["route", "default"]]
    links: dict[str, tuple[str, ...]] = {}
    for line in words:
        match line:
            case ["addr", _, interface, "inet" | "inet6", address, *_]:
                links[interface] = (*links.get(interface, ()), address.partition("/")[0])
            case ["ping", host, said]:
                found["public"] = {**found.get("public", {}), host: said == "yes"}
            case ["date", seconds] if seconds.isdecimal():
                found["clock_offset_s"] = int(seconds) + 0.5 - now_s  # within the second
    if links:  # every host has a loopback address: without any there is no ip(8)
        found |= {"links": links, "default_routes": tuple(routes)}
    return found


def _gateway(words: Sequence[str]) -> str:
    return words[words.index("via") + 1] if "via" in words[:-1] else ""


def _setting(line: str) -> tuple[str, str]:
    name, _, value = line.rpartition(":")  # the name of an interface may have a colon
    return f"ipv4/conf/{name}", value.strip()
