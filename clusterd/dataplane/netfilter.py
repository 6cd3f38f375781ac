"""Our own nft table, replaced as a whole in one transaction by `nft -j -f -` (libnftables-json(5)).

Nobody else's table is looked at. A table that does not read back as exactly what we write counts as not intact, and
is replaced. It is of the family inet, for IPv4 and IPv6. One of the same name and of family ip is ours as well: it is
what a router had before, and goes with the first replacement.

To start nft takes a hundred times as long as to ask the kernel by netlink whether any table has changed, so what was
read is returned again as long as none has.
"""

import json
import struct
import subprocess
from typing import Any

from clusterd.dataplane import ruleset
from clusterd.dataplane.netlink import ACK, Netlink
from clusterd.dataplane.ruleset import OURS
from clusterd.errors import ApplyError
from clusterd.netfilter import Netfilter
from clusterd.plane import Failure, Operation

_TIMEOUT_S = 10
_NETLINK_NETFILTER = 12  # linux/netlink.h
_GET_GENERATION = 10 << 8 | 16  # linux/nfnetlink.h, NFNL_SUBSYS_NFTABLES; linux/netfilter/nf_tables.h, NFT_MSG_GETGEN
_HEADER = struct.pack("=BBH", 0, 0, 0)  # nfgenmsg


class Nftables:
    """Our table in the network namespace in which this was made."""

    def __init__(self) -> None:
        self._netlink = Netlink(_NETLINK_NETFILTER)
        self._known: tuple[list[bytes], Netfilter | None] | None = None

    def close(self) -> None:
        """Close the socket; the table stays."""
        self._netlink.close()

    def read(self) -> Netfilter | None:
        """Return our table, or None where there is none. Raises ApplyError where nft cannot be run."""
        generation = self._generation()
        if not self._known or self._known[0] != generation or not generation:
            self._known = (generation, listed())
        return self._known[1]

    def apply(self, operation: Operation, table: Netfilter) -> Failure | None:
        """Replace the table, or delete it."""
        commands = ruleset.encode(operation.verb, table)
        done = _nft("-j", "-f", "-", text=json.dumps({"nftables": commands}))
        return Failure(operation, done.stderr.strip()) if done.returncode else None

    def _generation(self) -> list[bytes]:
        """Return what the kernel counts one up with every transaction; nothing where it does not say."""
        try:
            return self._netlink.ask(_GET_GENERATION, _HEADER, ACK)
        except OSError:
            return []


def listed() -> Netfilter | None:
    """Return our table as nft lists it. Raises ApplyError where nft cannot be run."""
    names = {(each["table"]["family"], each["table"]["name"]) for each in _list("tables") if "table" in each}
    objects = [each for family, name in OURS if (family, name) in names for each in _list("table", family, name)]
    return ruleset.decode(objects) if objects else None


def _list(*what: str) -> list[dict[str, Any]]:
    command = ("list", *what)
    done = _nft("-j", *command)
    if done.returncode:
        raise ApplyError(f"nft {' '.join(command)}: {done.stderr.strip()}")
    try:
        return list(json.loads(done.stdout)["nftables"])
    except (ValueError, LookupError, TypeError) as error:
        raise ApplyError(f"nft {' '.join(command)}: its answer is not what nft 1.0 prints: {error}") from error


def _nft(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["nft", *arguments], input=text, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise ApplyError("the program nft is not there: install the package nftables") from error
    except subprocess.TimeoutExpired as error:
        raise ApplyError(f"nft did not end within {_TIMEOUT_S} s") from error
