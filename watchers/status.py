"""What a router says of itself in its status key. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clusterd.model import Cluster
from clusterd.plane import Failure, Operation

_MOST = 10


@dataclass(frozen=True, slots=True)
class Status:
    """One router as others see it. `since` is when its role began, UTC."""

    role: str  # active | backup
    since: str
    token: int
    head: int
    applied: int
    converged: bool
    problems: tuple[str, ...]

    def fields(self) -> dict[str, Any]:
        """Return the fields under their stable names."""
        return {name: getattr(self, name) for name in self.__slots__}


def kernel_problems(failures: Iterable[Failure], left: Iterable[Operation]) -> tuple[str, ...]:
    """Return what the kernel refused, and what differs without having been refused; the first ones of many."""
    refused = [f"the kernel refused: {failure}" for failure in failures]
    told = refused or [f"the kernel is not yet as wanted: {operation}" for operation in left]
    more = [f"and {len(told) - _MOST} more"] if len(told) > _MOST else []
    return tuple(told[:_MOST] + more)


def notices(cluster: Cluster) -> tuple[str, ...]:
    """Return what the configuration asks for and this version does not do yet."""
    return tuple(
        f"virtuals/{name}: load from {virtual.load.source} is not read by this version, the configured weights apply"
        for name, virtual in cluster.virtuals.items()
        if virtual.load.source != "none"
    )
