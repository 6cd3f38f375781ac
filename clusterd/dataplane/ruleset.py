"""Our nft table as JSON (libnftables-json(5)). A chain is there only where it has rules: connection tracking costs."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeVar, get_args

from clusterd.model import Protocol
from clusterd.netfilter import LET_IN, Mark, Masquerade, Netfilter, Opening, PortRange, Protection, Untracked, ranges
from clusterd.plane import HostAddress, Verb

Json = dict[str, Any]
_T = TypeVar("_T")

TABLE = "clusterd"
OURS = (("inet", TABLE), ("ip", TABLE))  # the second is what a router had before
_ABOUT = {"family": "inet", "table": TABLE}
_CHAINS: Mapping[str, tuple[str, str, int]] = {  # type, hook, priority
    "prerouting": ("filter", "prerouting", -300),  # raw
    "marking": ("filter", "prerouting", -150),  # mangle
    "protection": ("filter", "input", 0),  # filter
    "postrouting": ("nat", "postrouting", 100),  # srcnat
}
_COMPARED = ("family", "table", "name", "flags", "chain", "type", "hook", "prio", "policy", "expr")
_ANSWER: Json = {"match": {"op": "==", "left": {"ct": {"key": "direction"}}, "right": "reply"}}
_NOT_HERE: Json = {"match": {"op": "!=", "left": {"fib": {"result": "type", "flags": ["daddr"]}}, "right": "local"}}


def encode(verb: Verb, table: Netfilter) -> list[Json]:
    """Return the commands of one transaction: whatever was there is gone, what is wanted is there."""
    commands: list[Json] = []
    for family, name in OURS:
        one = {"family": family, "name": name}
        commands += [{"add": {"table": one}}, {"delete": {"table": one}}]
    return commands if verb is Verb.DELETE else [*commands, *({"add": each} for each in _objects(table))]


def decode(objects: Sequence[Json]) -> Netfilter:
    """Return what a listing of our table says, as far as it could be ours."""
    rules: dict[str, list[Any]] = {name: [] for name in _CHAINS}
    for entry in objects:
        rule = entry.get("rule", {})
        if rule.get("chain") in rules:
            rules[rule["chain"]].append(rule.get("expr"))
    found = Netfilter(
        tuple(_understood(_masquerade, rules["postrouting"])),
        tuple(_understood(_untracked, rules["prerouting"])),
        tuple(_understood(_mark, rules["marking"])),
        _protection(rules["protection"]),
    )
    listed = [_compared(entry) for entry in objects if "metainfo" not in entry]
    return replace(found, intact=listed == [_compared(each) for each in _objects(found)])


def _objects(table: Netfilter) -> list[Json]:
    rules = {
        "prerouting": [_untracking(each) for each in table.untracked],
        "marking": [_marking(each) for each in table.marks],
        "protection": list(_protecting(table.protection)),
        "postrouting": [_masquerading(each) for each in table.masquerades],
    }
    used = [name for name in _CHAINS if rules[name]]
    return [
        {"table": {"family": "inet", "name": TABLE}},
        *({"chain": _chain(name)} for name in used),
        *({"rule": _ABOUT | {"chain": name, "expr": expr}} for name in used for expr in rules[name]),
    ]


def _chain(name: str) -> Json:
    kind, hook, priority = _CHAINS[name]
    return _ABOUT | {"name": name, "type": kind, "hook": hook, "prio": priority, "policy": "accept"}


def _understood(reading: Callable[[Any], _T], rules: Iterable[Any]) -> Iterator[_T]:
    """Yield what rules say, those left out that are not of ours."""
    for expressions in rules:
        try:
            yield reading(expressions)
        except (LookupError, TypeError, ValueError, AttributeError):
            continue


def _compared(entry: Json) -> Any:
    """Return an object of a listing in one form: without what nft only tells, such as its handle."""
    return {kind: _one_form({key: told.get(key) for key in _COMPARED}) for kind, told in entry.items()}


def _one_form(value: Any) -> Any:
    """Return the same with sets in order, and addresses as Python writes them."""
    if isinstance(value, dict):
        inner = {key: _one_form(each) for key, each in value.items()}
        if isinstance(inner.get("set"), list):
            inner["set"] = sorted(inner["set"], key=json.dumps)
        return inner
    if isinstance(value, list):
        return [_one_form(each) for each in value]
    try:
        return str(ip_address(value)) if isinstance(value, str) else value
    except ValueError:
        return value


# --- parts of rules -------------------------------------------------------------------------------------------------


def _payload(protocol: str, field: str) -> Json:
    return {"payload": {"protocol": protocol, "field": field}}


def _is(left: Any, right: Any) -> Json:
    return {"match": {"op": "==", "left": left, "right": right}}


def _one_of(values: Sequence[Any]) -> Any:
    """Return a set; nft lists one of a single value as that value."""
    return {"set": list(values)} if len(values) > 1 else values[0]


def _values(right: Any) -> list[Any]:
    return list(right["set"]) if isinstance(right, dict) and "set" in right else [right]


def _ip(version: int) -> str:
    return "ip" if version == 4 else "ip6"


def _range(ports: PortRange) -> Any:
    return ports[0] if ports[0] == ports[1] else {"range": list(ports)}


def _port_range(value: Any) -> PortRange:
    first, last = value["range"] if isinstance(value, dict) else (value, value)
    return int(first), int(last)


# --- rules ----------------------------------------------------------------------------------------------------------


def _untracking(untracked: Untracked) -> list[Json]:
    family = _ip(untracked.addresses[0].version)
    return [
        _is({"meta": {"key": "iifname"}}, untracked.interface),
        _is(_payload(family, "daddr"), _one_of([str(address) for address in untracked.addresses])),
        _NOT_HERE,
        {"notrack": None},
    ]


def _untracked(expressions: Any) -> Untracked:
    family = expressions[1]["match"]["left"]["payload"]["protocol"]
    addresses = _values(expressions[1]["match"]["right"])
    interface = str(expressions[0]["match"]["right"])
    if family == "ip":
        return Untracked(interface, tuple(sorted(map(IPv4Address, addresses))))
    return Untracked(interface, tuple(sorted(map(IPv6Address, addresses))))


def _marking(mark: Mark) -> list[Json]:
    return [
        _is(_payload(_ip(mark.address.version), "daddr"), str(mark.address)),
        _is(_payload(mark.protocol, "dport"), _one_of([_range(each) for each in mark.ports])),
        {"mangle": {"key": {"meta": {"key": "mark"}}, "value": mark.mark}},
    ]


def _mark(expressions: Any) -> Mark:
    ports = _values(expressions[1]["match"]["right"])
    return Mark(
        expressions[1]["match"]["left"]["payload"]["protocol"],
        ip_address(expressions[0]["match"]["right"]),
        ranges(map(_port_range, ports)),
        int(expressions[2]["mangle"]["value"]),
    )


def _masquerading(masquerade: Masquerade) -> list[Json]:
    network = masquerade.source
    family = _ip(network.version)
    source: Any = {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}
    if network.prefixlen == network.max_prefixlen:
        source = str(network.network_address)  # nft lists a host without its prefix
    address = masquerade.address
    return [
        _is(_payload(family, "saddr"), source),
        _is({"meta": {"key": "oifname"}}, masquerade.interface),
        {"snat": {"family": family, "addr": str(address)}} if address else {"masquerade": None},
    ]


def _masquerade(expressions: Any) -> Masquerade:
    source, address = expressions[0]["match"]["right"], expressions[2].get("snat", {}).get("addr")
    network: IPv4Network | IPv6Network = ip_network(
        (source["prefix"]["addr"], source["prefix"]["len"]) if isinstance(source, dict) else str(source)
    )
    return Masquerade(network, str(expressions[1]["match"]["right"]), ip_address(address) if address else None)


def _protecting(protection: Protection) -> Iterator[list[Json]]:
    """Yield rules whose number does not grow with the addresses: the kernel looks a packet up in a set."""
    families = sorted({address.version for address in protection.addresses})
    for family in families:
        for protocol in get_args(Protocol):
            found = [
                each for each in protection.openings if (each.address.version, each.protocol) == (family, protocol)
            ]
            if found:
                place = {"concat": [_payload(_ip(family), "daddr"), _payload(protocol, "dport")]}
                pairs = [{"concat": [str(each.address), _range(ports)]} for each in found for ports in each.ports]
                yield [_is(place, {"set": pairs}), {"accept": None}]
    if families:
        for protocol, kinds in LET_IN.items():
            yield [_is(_payload(protocol, "type"), _one_of(kinds)), {"accept": None}]
        yield [_ANSWER, {"accept": None}]
    for family in families:
        addresses = [str(address) for address in protection.addresses if address.version == family]
        yield [_is(_payload(_ip(family), "daddr"), _one_of(addresses)), {"drop": None}]


def _protection(rules: Iterable[Any]) -> Protection:
    addresses: list[HostAddress] = []
    ports: dict[tuple[Protocol, HostAddress], list[PortRange]] = {}
    for found in _understood(_protected, rules):
        for place in found:
            if isinstance(place, tuple):
                protocol, address, each = place
                ports.setdefault((protocol, address), []).append(each)
            else:
                addresses.append(place)
    openings = [Opening(protocol, address, ranges(found)) for (protocol, address), found in ports.items()]
    return Protection(
        tuple(sorted(addresses, key=lambda address: (address.version, int(address)))),
        tuple(sorted(openings, key=lambda opening: opening.order)),
    )


def _protected(expressions: Any) -> list[Any]:
    """Return the addresses that a rule drops all else to, or (protocol, address, ports) of those that it lets in."""
    match, verdict = expressions[0]["match"], expressions[1]
    if "drop" in verdict:
        return [ip_address(address) for address in _values(match["right"])]
    protocol = match["left"]["concat"][1]["payload"]["protocol"]
    pairs = [each["concat"] for each in _values(match["right"])]
    return [(protocol, ip_address(address), _port_range(ports)) for address, ports in pairs]
