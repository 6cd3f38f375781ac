"""How a real server is checked: one module per kind, and the list of them.

Everything here decides and nothing waits: `clusterd.probing` runs what these modules say. A kind's module, and the
library that it may need, are imported when the first check of that kind is made.
"""

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Literal, cast, get_args

from clusterd.checks.dialogue import Dialogue, Ended, Place
from clusterd.health import Observation
from clusterd.model import Check

Transport = Literal["stream", "datagram", "echo", "program"]

TRANSPORTS: Mapping[str, Transport] = {"udp": "datagram", "dns": "datagram", "icmp": "echo", "exec": "program"}
MODULES: Mapping[str, str] = {"https": "http", "grpc": "grpc_health"}  # those not called like their type


def kinds() -> tuple[type[Check], ...]:
    """Return the class of every type of check."""
    return get_args(get_args(Check)[0])


def transport(check: Check) -> Transport:
    """Return what carries a check."""
    return TRANSPORTS.get(check.type, "stream")


def dialogue(place: Place, check: Check) -> Dialogue:
    """Return a check of one real server, to be begun when it is connected."""
    talk = _talk(check.type)
    try:
        return (yield from talk(place, check))
    except Ended as ended:
        return Observation(False, str(ended))


@cache
def _talk(kind: str) -> Callable[[Place, Check], Dialogue]:
    module = import_module(f"clusterd.checks.{MODULES.get(kind, kind)}")
    return cast(Callable[[Place, Check], Dialogue], module.talk)
