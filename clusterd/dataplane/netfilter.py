"""Our own nft table, replaced as a whole in one transaction by `nft -j -f -` (libnftables-json(5)).

Nobody else's table is looked at. A table that does not read back as exactly what we write counts as not intact, and
is replaced.
"""

import json
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any

from clusterd.errors import ApplyError
from clusterd.plane import Failure, Masquerade, Netfilter, Operation, Verb

TABLE = "clusterd"
_CHAIN = "postrouting"
_TIMEOUT_S = 10
_TABLE: dict[str, Any] = {"family": "ip", "name": TABLE}
_CHAIN_OBJECT = {
    "family": "ip",
    "table": TABLE,
    "name": _CHAIN,
    "type": "nat",
    "hook": "postrouting",
    "prio": 100,  # srcnat
    "policy": "accept",
}


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
    commands += [{"add": {"table": _TABLE}}, {"add": {"chain": _CHAIN_OBJECT}}]
    commands += [{"add": {"rule": _rule(masquerade)}} for masquerade in table.masquerades]
    return commands


def decode(objects: Sequence[dict[str, Any]]) -> Netfilter:
    """Return what a listing of our table says."""
    masquerades: list[Masquerade] = []
    intact = True
    chains = [entry["chain"] for entry in objects if "chain" in entry]
    if [{k: chain.get(k) for k in _CHAIN_OBJECT} for chain in chains] != [_CHAIN_OBJECT]:
        intact = False
    for entry in objects:
        kind = next(iter(entry))
        if kind == "rule":
            masquerade = _masquerade(entry["rule"].get("expr", []))
            masquerades += [masquerade] if masquerade else []
            intact = intact and masquerade is not None
        elif kind not in ("metainfo", "table", "chain"):
            intact = False
    return Netfilter(tuple(sorted(masquerades)), intact)


def _rule(masquerade: Masquerade) -> dict[str, Any]:
    return {"family": "ip", "table": TABLE, "chain": _CHAIN, "expr": _expressions(masquerade)}


def _expressions(masquerade: Masquerade) -> list[dict[str, Any]]:
    source: Any = {"prefix": {"addr": str(masquerade.source.network_address), "len": masquerade.source.prefixlen}}
    if masquerade.source.prefixlen == 32:
        source = str(masquerade.source.network_address)  # nft lists a host without its prefix
    return [
        {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": source}},
        {"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": masquerade.interface}},
        {"masquerade": None},
    ]


def _masquerade(expressions: list[dict[str, Any]]) -> Masquerade | None:
    """Return the masquerade that would be written as these expressions, if one would."""
    try:
        source = expressions[0]["match"]["right"]
        interface = str(expressions[1]["match"]["right"])
        prefix = source["prefix"] if isinstance(source, dict) else {"addr": source, "len": 32}
        masquerade = Masquerade(IPv4Network((prefix["addr"], prefix["len"])), interface)
    except (LookupError, TypeError, ValueError):
        return None
    return masquerade if _expressions(masquerade) == expressions else None


def _nft(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["nft", *arguments], input=text, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise ApplyError("the program nft is not there: install the package nftables") from error
    except subprocess.TimeoutExpired as error:
        raise ApplyError(f"nft did not end within {_TIMEOUT_S} s") from error
