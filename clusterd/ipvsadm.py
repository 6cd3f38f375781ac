"""Reads what `ipvsadm -Sn` and `ipvsadm-save` print (ipvsadm(8)) as a Cluster. Pure: no name is looked up.

Each line is one invocation of ipvsadm. Only -A and -a say what there is; the format knows neither interfaces nor
prefix lengths nor checks, so these are made up, and the warnings say so.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clusterd.document import suggestion
from clusterd.lvscf.values import HOST, NETMASK, PORT
from clusterd.reading import (
    Draft,
    Reading,
    decoded,
    endpoint,
    ipv6,
    lines,
    number,
    server_name,
    settle_forwarding,
    virtual_name,
)

_LOST = "clusterd has nothing like it"
_SYNC = "it is configured in cluster/sync, which ipvsadm -S does not print"
_EDITS = "only -A and -a can be read: give the output of ipvsadm -Sn"

COMMANDS = {"add-service": "A", "add-server": "a", "clear": "C", "set": "set"}
COMMANDS |= {"start-daemon": "start-daemon", "stop-daemon": "stop-daemon", "zero": "Z"}
COMMANDS |= {"edit-service": "E", "delete-service": "D", "edit-server": "e", "delete-server": "d", "restore": "R"}
COMMANDS |= {"save": "S", "list": "L"}
SHORT = {"A": "add-service", "a": "add-server", "C": "clear", "Z": "zero", "E": "edit-service", "D": "delete-service"}
SHORT |= {"e": "edit-server", "d": "delete-server", "R": "restore", "S": "save", "L": "list", "l": "list"}
SHORT |= {"t": "tcp-service", "u": "udp-service", "f": "fwmark-service", "s": "scheduler", "p": "persistent"}
SHORT |= {"M": "netmask", "b": "sched-flags", "o": "ops", "6": "ipv6", "n": "numeric", "r": "real-server"}
SHORT |= {"g": "gatewaying", "i": "ipip", "m": "masquerading", "w": "weight", "x": "u-threshold", "y": "l-threshold"}
FLAGS = {*COMMANDS, "ops", "ipv6", "numeric", "gatewaying", "ipip", "masquerading", "tun-nocsum", "tun-csum"}
FLAGS |= {"tun-remcsum"}
VALUES = {"tcp-service", "udp-service", "sctp-service", "fwmark-service", "scheduler", "netmask", "sched-flags", "pe"}
VALUES |= {"real-server", "weight", "u-threshold", "l-threshold", "tun-type", "tun-port", "persistent"}
SERVICES = {"tcp-service": "tcp", "udp-service": "udp", "sctp-service": "sctp", "fwmark-service": "fwm"}
WAYS = {"gatewaying": "direct", "ipip": "tunnel", "masquerading": "nat"}
NOTHING: Mapping[str, tuple[str, ...]] = {
    "u-threshold": ("0",),
    "l-threshold": ("0",),
    "tun-type": ("ipip",),
    "tun-port": ("0",),
    "tun-nocsum": ("",),
}  # values that ask for nothing
DEFAULT_TIMEOUT = "300"


@dataclass(slots=True)
class _Line:
    """One invocation: the options by their long names, in the order in which they were given."""

    number: int
    options: dict[str, str] = field(default_factory=dict)

    def service(self) -> tuple[str, str]:
        """Return the protocol and the address of the virtual service. Raises ValueError where there is not one."""
        given = [(SERVICES[name], value) for name, value in self.options.items() if name in SERVICES]
        if len(given) != 1:
            raise ValueError("which virtual service: give one of -t, -u and -f")
        return given[0]


def read(text: str | bytes, interface: str | None = None) -> Reading:
    """Read rules as ipvsadm saves them; `interface` carries the addresses. Raises ConfigError with every problem."""
    text, warnings = decoded(text)
    reader = _Reader(interface)
    reader.made.warnings += warnings
    for count, line in lines(text):
        try:
            reader.line(count, line)
        except ValueError as error:
            reader.made.wrong(count, "", str(error))
    settle_forwarding(reader.made, "nat")
    if reader.made.data.get("virtuals"):
        reader.made.warn(0, "", "ipvsadm knows no checks: every real server is checked by connecting to it with TCP")
    return reader.made.reading()


class _Reader:
    def __init__(self, interface: str | None) -> None:
        self.made = Draft()
        self._interface = interface
        self._names: dict[tuple[str, str], str] = {}  # of the services so far; "" where one is left out

    def line(self, count: int, text: str) -> None:
        words = shlex.split(text, comments=True)
        if words and words[0].rpartition("/")[2] == "ipvsadm":
            words = words[1:]
        if not words:
            return
        line = _Line(count, _options(words))
        asked = [name for name in line.options if name in COMMANDS]
        if len(asked) != 1:
            raise ValueError("one command is expected in each line: -A or -a")
        if asked[0] == "add-service":
            self._service(line)
        elif asked[0] == "add-server":
            self._server(line)
        elif asked[0] in ("set", "start-daemon", "stop-daemon"):
            why = "the kernel's timeouts stay as they are" if asked[0] == "set" else _SYNC
            self.made.warn(count, f"--{asked[0]}", f"not carried over: {why}")
        elif asked[0] not in ("clear", "zero"):
            raise ValueError(_EDITS)

    def _service(self, line: _Line) -> None:
        key = line.service()
        protocol, said = key
        if key in self._names:
            raise ValueError(f"{protocol} {said} is already there")
        self._names[key] = ""
        why = _unlike(protocol)
        if why:
            self.made.warn(line.number, said, f"the virtual server is not carried over: {why}")
            return
        host, port = _endpoint(said)
        if not port:
            why = "it takes all ports, and clusterd's have one each"
            self.made.warn(line.number, said, f"the virtual server is not carried over: {why}")
            return
        name = virtual_name(host, port, protocol, self.made.data.get("virtuals", {}))
        at = ("virtuals", name)
        self.made.origins[at] = (line.number, said)
        data: dict[str, Any] = {"address": host, "port": port, "protocol": protocol}
        if self._interface is None:
            self.made.wrong(line.number, said, f"which interface carries {host} is not said: give it with --interface")
            self.made.reported.add((*at, "interface"))
        data |= {"interface": self._interface, "scheduler": line.options.get("scheduler", "wlc"), "forwarding": None}
        self.made.put(at, data | _persistence(line, host) | {"servers": {}})
        self._names[key] = name
        if protocol == "udp":
            self.made.warn(line.number, said, "udp, but checked with TCP: servers that take no TCP there count as down")
        self._lost(line, said, "sched-flags", "ops", "pe")

    def _server(self, line: _Line) -> None:
        key = line.service()
        protocol, said = key
        if key not in self._names:
            raise ValueError(f"there is no virtual service {protocol} {said} before this line")
        if not self._names[key]:
            return
        virtual = self.made.data["virtuals"][self._names[key]]
        if "real-server" not in line.options:
            raise ValueError("which real server: -r is missing")
        host, port = _endpoint(line.options["real-server"])
        way = next((WAYS[option] for option in line.options if option in WAYS), "direct")
        server: dict[str, Any] = {"address": host, "weight": number(line.options.get("weight", "1"))}
        virtual["forwarding"] = virtual["forwarding"] or way
        if way != virtual["forwarding"]:
            server["forwarding"] = way
        if way == "nat" and port not in (0, virtual["port"]):
            server["port"] = port
        elif port not in (0, virtual["port"]):
            self.made.warn(line.number, f"{said}/{host}", f"port {port} is left out: {way} forwarding cannot change it")
        name = server_name(host, port, virtual["servers"])
        virtual["servers"][name] = server
        self.made.origins["virtuals", self._names[key], "servers", name] = (line.number, f"{said}/{host}")
        self._lost(line, f"{said}/{host}", *NOTHING, "tun-csum", "tun-remcsum")

    def _lost(self, line: _Line, path: str, *options: str) -> None:
        for option in options:
            if option in line.options and line.options[option] not in NOTHING.get(option, ()):
                self.made.warn(line.number, f"{path}/--{option}", f"not carried over: {_LOST}")


def _options(words: list[str]) -> dict[str, str]:
    """Return the options of one invocation. Raises ValueError for what ipvsadm does not have."""
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equal, value = _named(word)
        if name in FLAGS:
            found[name] = ""
            if name in ("set", "start-daemon", "stop-daemon", "zero"):  # what follows belongs to it alone
                return found
            if equal:
                raise ValueError(f"{word}: this option takes no value")
            continue
        if not equal and name == "persistent":
            value = rest.pop(0) if rest and rest[0].isdigit() else DEFAULT_TIMEOUT
        elif not equal:
            if not rest:
                raise ValueError(f"{word}: its value is missing")
            value = rest.pop(0)
        found[name] = value
    return found


def _named(word: str) -> tuple[str, bool, str]:
    """Return an option's long name, whether its value is in the same word, and that value."""
    if word.startswith("--"):
        name, equal, value = word[2:].partition("=")
        if name not in FLAGS | VALUES:
            raise ValueError(f"unknown option --{name}{suggestion(name, sorted(FLAGS | VALUES))}")
        return name, bool(equal), value
    if not word.startswith("-") or word[1:2] not in SHORT:
        raise ValueError(f"unknown word {word!r}: a line is as ipvsadm -Sn prints it")
    return SHORT[word[1]], len(word) > 2, word[2:]


def _unlike(protocol: str) -> str:
    if protocol == "fwm":
        return "virtual servers are matched by address and port, not by firewall mark"
    return "clusterd has tcp and udp" if protocol == "sctp" else ""


def _endpoint(said: str) -> tuple[str, int]:
    host, port = endpoint(said)
    address: Any = ipv6(host) or HOST.read(host)
    said_port: Any = PORT.read(port) if port or said.endswith(":") else 0
    return address, said_port


def _persistence(line: _Line, host: str) -> dict[str, Any]:
    """Return the persistence: of an IPv6 service the netmask is a prefix length."""
    if "persistent" not in line.options:
        return {}
    kept: dict[str, Any] = {"timeout_s": number(line.options["persistent"])}
    if mask := line.options.get("netmask"):
        kept["prefix"] = number(mask) if ipv6(host) else NETMASK.read(mask)
    return {"persistence": kept}
