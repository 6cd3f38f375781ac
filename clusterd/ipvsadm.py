"""Reads what `ipvsadm -Sn` and `ipvsadm-save` print (ipvsadm(8)) as a Cluster. Pure: no name is looked up.

Each line is one invocation of ipvsadm. Only -A, -a and --set say what there is; the format knows neither interfaces
nor prefix lengths nor checks, so these are made up, and the warnings say so.
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
    mark,
    mark_name,
    number,
    scheduler_flags,
    server_name,
    settle_forwarding,
    virtual_name,
)

_LOST = "clusterd has nothing like it"
_MADE_UP_PORT = 80
_SYNC = "it is configured in cluster/sync, which ipvsadm -S does not print"
_EDITS = "only -A and -a can be read: give the output of ipvsadm -Sn"
_UNSCHEDULED = "it takes all ports, and is not persistent: IPVS schedules nothing for it"

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
CHECKSUMS = {"tun-nocsum": "none", "tun-csum": "csum", "tun-remcsum": "remcsum"}
TIMEOUTS = ("tcp_s", "tcpfin_s", "udp_s")
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
        protocol, said = given[0]
        return protocol, f"{said} -6" if protocol == "fwm" and "ipv6" in self.options else said


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
    reader.check_ports()
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
        elif asked[0] == "set":
            self._timeouts(line)
        elif asked[0] in ("start-daemon", "stop-daemon"):
            self.made.warn(count, f"--{asked[0]}", f"not carried over: {_SYNC}")
        elif asked[0] not in ("clear", "zero"):
            raise ValueError(_EDITS)

    def _timeouts(self, line: _Line) -> None:
        said = [number(word) for word in line.options["set"].split()]
        if len(said) != len(TIMEOUTS):
            raise ValueError("three timeouts are expected: tcp, tcpfin and udp")
        for name, timeout_s in zip(TIMEOUTS, said, strict=True):
            if timeout_s:  # 0 leaves the kernel's
                self.made.put(("cluster", "timeouts", name), timeout_s)
                self.made.origins["cluster", "timeouts", name] = (line.number, "--set")

    def _service(self, line: _Line) -> None:
        key = line.service()
        protocol, said = key
        if key in self._names:
            raise ValueError(f"{protocol} {said} is already there")
        self._names[key] = ""
        why = _unlike(line, said)
        if why:
            self.made.warn(line.number, said, f"the virtual server is not carried over: {why}")
            return
        name, data = self._marked(line, said) if protocol == "fwm" else self._addressed(line, protocol, said)
        at = ("virtuals", name)
        self.made.origins[at] = (line.number, said)
        if protocol != "fwm" and self._interface is None:
            what = f"which interface carries {data['address']} is not said: give it with --interface"
            self.made.wrong(line.number, said, what)
            self.made.reported.add((*at, "interface"))
        data |= {"scheduler": line.options.get("scheduler", "wlc"), "forwarding": None}
        self.made.put(at, data | self._scheduling(line, said, data) | {"servers": {}})
        self._names[key] = name
        if protocol in ("udp", "sctp"):
            what = f"{protocol}, but checked with TCP: servers that take no TCP there count as down"
            self.made.warn(line.number, said, what)

    def _addressed(self, line: _Line, protocol: str, said: str) -> tuple[str, dict[str, Any]]:
        host, port = _endpoint(said)
        name = virtual_name(host, port, protocol, self.made.data.get("virtuals", {}))
        return name, {"address": host, "interface": self._interface, "port": port, "protocol": protocol}

    def _marked(self, line: _Line, said: str) -> tuple[str, dict[str, Any]]:
        found, udp = mark(said.removesuffix(" -6")), "ops" in line.options or "pe" in line.options
        name = mark_name(found, self.made.data.get("virtuals", {}))
        data: dict[str, Any] = {"mark": found, "protocol": "udp" if udp else "tcp"}
        return name, data | ({"family": "ipv6"} if said.endswith(" -6") else {})

    def _scheduling(self, line: _Line, said: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return persistence, flags and one-packet scheduling, with a warning of what is not carried over."""
        found = _persistence(line, "ipv6" in line.options or bool(ipv6(data.get("address", ""))))
        words = line.options["sched-flags"].split(",") if "sched-flags" in line.options else []
        flags, lost = scheduler_flags(data["scheduler"], words)
        if lost:
            why = f"not carried over: {data['scheduler']} has no {', '.join(lost)}"
            self.made.warn(line.number, f"{said}/--sched-flags", why)
        for option, fits in (("ops", True), ("pe", bool(found))):
            if option in line.options and not (fits and data["protocol"] == "udp"):
                self.made.warn(line.number, f"{said}/--{option}", "not carried over: it has no effect here")
        if "pe" in line.options and found and data["protocol"] == "udp":
            found["persistence"]["engine"] = line.options["pe"]
        one_packet = "ops" in line.options and data["protocol"] == "udp"
        return found | ({"flags": flags} if flags else {}) | ({"one_packet": True} if one_packet else {})

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
        if way == "nat" and port not in (0, virtual.get("port")):
            server["port"] = port
        elif port and not virtual.get("port"):
            # where the clients' port goes on, it says no more than this
            virtual.setdefault("check", {"type": "tcp", "port": port})
        elif port not in (0, virtual.get("port")):
            self.made.warn(line.number, f"{said}/{host}", f"port {port} is left out: {way} forwarding cannot change it")
        name = server_name(host, port, virtual["servers"])
        virtual["servers"][name] = server | _limits(line) | _tunnel(line, way)
        self.made.origins["virtuals", self._names[key], "servers", name] = (line.number, f"{said}/{host}")

    def check_ports(self) -> None:
        """Make up at which port real servers are checked where nothing says it."""
        for name, virtual in self.made.data.get("virtuals", {}).items():
            servers = virtual["servers"].values()
            if virtual.get("port") or "check" in virtual or all("port" in server for server in servers):
                continue
            virtual["check"] = {"type": "tcp", "port": _MADE_UP_PORT}
            line, where = self.made.origins["virtuals", name]
            self.made.warn(line, where, f"no port says what is checked: {_MADE_UP_PORT} stands in, see check/port")


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
                return found | {name: " ".join(rest)}
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


def _unlike(line: _Line, said: str) -> str:
    """Return why a virtual service is left out, "" where it is not."""
    if "fwmark-service" in line.options or _endpoint(said)[1] or "persistent" in line.options:
        return ""
    return _UNSCHEDULED


def _endpoint(said: str) -> tuple[str, int]:
    host, port = endpoint(said)
    address: Any = ipv6(host) or HOST.read(host)
    said_port: Any = PORT.read(port) if port or said.endswith(":") else 0
    return address, said_port


def _persistence(line: _Line, six: bool) -> dict[str, Any]:
    """Return the persistence: of an IPv6 service the netmask is a prefix length."""
    if "persistent" not in line.options:
        return {}
    kept: dict[str, Any] = {"timeout_s": number(line.options["persistent"])}
    if mask := line.options.get("netmask"):
        kept["prefix"] = number(mask) if six else NETMASK.read(mask)
    return {"persistence": kept}


def _limits(line: _Line) -> dict[str, Any]:
    said = {"upper_threshold": "u-threshold", "lower_threshold": "l-threshold"}
    return {key: number(line.options[option]) for key, option in said.items() if line.options.get(option, "0") != "0"}


def _tunnel(line: _Line, way: str) -> dict[str, Any]:
    kind = line.options.get("tun-type", "ipip")
    if way != "tunnel" or kind == "ipip":
        return {}
    checksum = next((CHECKSUMS[option] for option in line.options if option in CHECKSUMS), "none")
    port = {"port": number(line.options["tun-port"])} if line.options.get("tun-port", "0") != "0" else {}
    return {"tunnel": {"type": kind, "checksum": checksum} | port}
