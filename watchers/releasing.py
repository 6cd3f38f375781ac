"""Putting back what a router changed in its kernel, for `clusterd-router --release`. The service does not run then."""

from pathlib import Path

from clusterd import desired as wish
from clusterd.dataplane.contract import DataPlane
from clusterd.plan import plan
from clusterd.plane import Failure, Operation, Scope, Verb
from watchers import last_good
from watchers.former_settings import FormerSettings


def released(kernel: DataPlane, configuration: Path, former: FormerSettings) -> tuple[list[str], tuple[Failure, ...]]:
    """Remove our addresses, nft table, services and sync daemons, and put kernel settings back.

    Return what was done, and what the kernel refused. Which services and addresses are ours says the last good
    `configuration`; where there is none, only the table and the settings are known. Safe to repeat.
    """
    good = last_good.load(configuration)
    scope = wish.scope(good.cluster) if good else Scope()
    kept = former.read()
    scope |= Scope(sysctls=frozenset(setting.name for setting in kept))
    actual = kernel.read(scope)
    operations = list(plan(actual, {}))
    operations += [Operation(Verb.SET, setting) for setting in kept if actual.get(setting.key) != setting]
    failures = kernel.apply(operations, 0.0)
    if not failures:
        former.forget()
    refused = {failure.operation for failure in failures}
    return [str(operation) for operation in operations if operation not in refused], failures
