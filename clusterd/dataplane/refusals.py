"""What a kernel refuses of IPVS, and with which errno: the rules that the plane in memory obeys (ip_vs_ctl.c)."""

from errno import EINVAL, ENOENT, ERANGE, ESRCH
from typing import get_args

from clusterd.model import Engine, Scheduler
from clusterd.plane import (
    Destination,
    DestinationKey,
    Operation,
    Plane,
    Service,
    SyncDaemon,
    SyncDaemonKey,
    Timeout,
    Verb,
)

_TICKS_PER_S = 250  # Debian's CONFIG_HZ
_LONGEST_TIMEOUT_S = (2**31 - 1) // _TICKS_PER_S


def refusal(actual: Plane, operation: Operation) -> int:
    """Return the errno with which an operation is refused, 0 where it is carried out."""
    if operation.verb is Verb.DELETE:
        return 0  # of what is not there: no failure to us
    match operation.item:
        case Service() as service:
            return _service(actual, service, operation.verb)
        case Destination() as destination:
            return _destination(actual, destination, operation.verb)
        case SyncDaemon():
            mixed = any(isinstance(key, DestinationKey) and key.mixed for key in actual)
            return EINVAL if mixed else 0  # its protocol has one family for a service and its servers
        case Timeout(timeout_s=timeout_s):
            return 0 if timeout_s <= _LONGEST_TIMEOUT_S else EINVAL
        case _:
            return 0


def _service(actual: Plane, service: Service, verb: Verb) -> int:
    if verb is Verb.SET and service.key not in actual:
        return ESRCH
    known = service.scheduler in get_args(Scheduler) and service.engine in ("", *get_args(Engine))
    return 0 if known else ENOENT


def _destination(actual: Plane, destination: Destination, verb: Verb) -> int:
    key = destination.key
    if key.service not in actual:
        return ESRCH
    if key.mixed and (destination.forwarding != "tunnel" or _synchronises(actual)):
        return EINVAL
    if destination.lower > destination.upper:
        return ERANGE
    if destination.tunnel.type == "gue" and not destination.tunnel.port:
        return EINVAL
    return ENOENT if verb is Verb.SET and key not in actual else 0


def _synchronises(actual: Plane) -> bool:
    return any(isinstance(key, SyncDaemonKey) for key in actual)
