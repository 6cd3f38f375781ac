"""Kernel settings below /proc/sys/net (sysctl(8))."""

from collections.abc import Iterable
from pathlib import Path

from clusterd.plane import Failure, Operation, Sysctl

ROOT = Path("/proc/sys/net")


def read(names: Iterable[str], root: Path = ROOT) -> list[Sysctl]:
    """Return the settings that this kernel has, the parts of a value one blank apart."""
    found = []
    for name in names:
        try:
            found.append(Sysctl(name, " ".join((root / name).read_text().split())))
        except OSError:
            continue  # not there yet: setting it will say so
    return found


def apply(operation: Operation, sysctl: Sysctl, root: Path = ROOT) -> Failure | None:
    """Write one setting."""
    try:
        (root / sysctl.name).write_text(sysctl.value)
    except OSError as error:
        return Failure(operation, error.strerror or str(error))
    return None
