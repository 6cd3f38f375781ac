"""Our own nft table, replaced as a whole in one transaction by `nft -j -f -` (libnftables-json(5)).

Nobody else's table is looked at. A table that does not read back as exactly what we write counts as not intact, and
is replaced.
"""

import json
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from clusterd.errors import ApplyError
from clusterd.plane import Failure, Masquerade, Netfilter, Operation, Untracked, Verb

TABLE = "clusterd"
_TIMEOUT_S = 10
_TABLE: dict[str, Any] = {"family": "ip", "name": TABLE}
_ABOUT = {"family": "ip", "table": TABLE}
_CHAINS = [
    _ABOUT | {"name": "prerouting", "type": "filter", "hook": "prerouting", "prio": -300, "policy": "accept"},
    _ABOUT | {"name": "postrouting", "type": "nat", "hook": "postrouting", "prio": 100, "policy": "accept"},  # srcnat
]


def read() -> Netfilter | None:
    """Return our table, or None where there is none. Raises ApplyError where nft cannot be run."""
    listed = _nft("-j", "list", "table", "ip", TABLE)
    if listed.returncode:
        if "No such file or directory" in listed.stderr:
            return None
        raise ApplyError(f"nft list table ip {TABLE}: {listed.stderr.strip()}")
    try:
        objects = json.loads(listed.stdout)["nftables"]
    except (ValueError, LookupError, TypeError) as error:
        raise ApplyError(f"nft list table ip {TABLE}: its answer is not what nft 1.0 prints: {error}") from error
    return decode(objects)


def apply(operation: Operation, table: Netfilter) -> Failure | None:
    """Replace the table, or delete it."""
    done = _nft("-j", "-f", "-", text=json.dumps({"nftables": encode(operation.verb, table)}))
    return Failure(operation, done.stderr.strip()) if done.returncode else None


def encode(verb: Verb, table: Netfilter) -> list[dict[str, Any]]:
    """Return the commands of one transaction: whatever was there is gone, what is wanted is there."""
    commands: list[dict[str, Any]] = [{"add": {"table": _TABLE}}, {"delete": {"table": _TABLE}}]
    if verb is Verb.DELETE:
        return commands
    commands += [{"add": {"table": _TABLE}}, *({"add": {"chain": chain}} for chain in _CHAINS)]
    rules = [*map(_rule, table.untracked), *map(_rule, table.masquerades)]
    return commands + [{"add": {"rule": rule}} for rule in rules]


def decode(objects: Sequence[dict[str, Any]]) -> Netfilter:
    """Return what a listing of our table says."""
    chains = [{key: entry["chain"].get(key) for key in _CHAINS[0]} for entry in objects if "chain" in entry]
    rules = [_read(entry["rule"]) for entry in objects if "rule" in entry]
    kinds = {next(iter(entry)) for entry in objects}
    intact = chains == _CHAINS and None not in rules and kinds <= {"metainfo", "table", "chain", "rule"}
    untracked = sorted(rule for rule in rules if isinstance(rule, Untracked))
    masquerades = sorted(rule for rule in rules if isinstance(rule, Masquerade))
    return Netfilter(tuple(masquerades), tuple(untracked), intact)


def _rule(rule: Masquerade | Untracked) -> dict[str, Any]:
    if isinstance(rule, Untracked):
        return _ABOUT | {"chain": "prerouting", "expr": _untracking(rule)}
    return _ABOUT | {"chain": "postrouting", "expr": _masquerading(rule)}


def _read(rule: Any) -> Masquerade | Untracked | None:
    """Return what would be written as this rule, if anything would."""
    try:
        rule = rule | {"expr": _in_order(rule["expr"])}
        of_chain = _untracked if rule["chain"] == "prerouting" else _masquerade
        found: Masquerade | Untracked = of_chain(rule["expr"])
        written = _rule(found)
    except (LookupError, TypeError, ValueError):
        return None
    return found if written == {key: rule.get(key) for key in written} else None


def _in_order(expressions: Any) -> Any:
    """Return the expressions with a set of addresses in order: nft lists it in one of its own."""
    match = expressions[1]["match"]
    if not isinstance(match["right"], dict) or "set" not in match["right"]:
        return expressions
    ordered = {"set": sorted(match["right"]["set"], key=IPv4Address)}
    return [expressions[0], {"match": match | {"right": ordered}}, *expressions[2:]]


def _untracking(untracked: Untracked) -> list[dict[str, Any]]:
    addresses: Any = [str(address) for address in untracked.addresses]
    return [
        {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": untracked.interface}},
        {
            "match": {
                "op": "==",
                "left": {"payload": {"protocol": "ip", "field": "daddr"}},
                "right": {"set": addresses} if len(addresses) > 1 else addresses[0],
            }
        },
        {"match": {"op": "!=", "left": {"fib": {"result": "type", "flags": ["daddr"]}}, "right": "local"}},
        {"notrack": None},
    ]


def _untracked(expressions: Any) -> Untracked:
    addresses = expressions[1]["match"]["right"]
    found = addresses["set"] if isinstance(addresses, dict) else [addresses]
    return Untracked(str(expressions[0]["match"]["right"]), tuple(map(IPv4Address, found)))


def _masquerading(masquerade: Masquerade) -> list[dict[str, Any]]:
    source: Any = {"prefix": {"addr": str(masquerade.source.network_address), "len": masquerade.source.prefixlen}}
    if masquerade.source.prefixlen == 32:
        source = str(masquerade.source.network_address)  # nft lists a host without its prefix
    return [
        {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": source}},
        {"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": masquerade.interface}},
        {"masquerade": None},
    ]


def _masquerade(expressions: Any) -> Masquerade:
    source = expressions[0]["match"]["right"]
    interface = str(expressions[1]["match"]["right"])
    prefix = source["prefix"] if isinstance(source, dict) else {"addr": source, "len": 32}
    return Masquerade(IPv4Network((prefix["addr"], prefix["len"])), interface)


def _nft(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["nft", *arguments], input=text, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise ApplyError("the program nft is not there: install the package nftables") from error
    except subprocess.TimeoutExpired as error:
        raise ApplyError(f"nft did not end within {_TIMEOUT_S} s") from error
