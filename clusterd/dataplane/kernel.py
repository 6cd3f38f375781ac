"""The real kernel of this router, or of the network namespace in which it runs."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby

from clusterd.dataplane import sysctl
from clusterd.dataplane.addresses import Addresses
from clusterd.dataplane.ipvs import Ipvs
from clusterd.dataplane.listening import Listener
from clusterd.dataplane.netfilter import Nftables
from clusterd.dataplane.sync import SyncDaemons
from clusterd.dataplane.timeouts import Timeouts
from clusterd.netfilter import Netfilter
from clusterd.plane import (
    Address,
    AddressKey,
    Destination,
    Failure,
    HostAddress,
    Item,
    Key,
    MarkKey,
    Notice,
    Operation,
    Scope,
    Service,
    ServiceKey,
    SyncDaemon,
    SyncDaemonKey,
    Sysctl,
    SysctlKey,
    Timeout,
    plane,
)


class Kernel:
    """A `DataPlane` on netlink, nft and /proc/sys. Raises ApplyError where the kernel has no IPVS."""

    def __init__(self) -> None:
        self._ipvs = Ipvs()
        self._addresses = Addresses()
        self._sync = SyncDaemons()
        self._nftables = Nftables()
        self._timeouts = Timeouts()
        self._listener = Listener()

    def read(self, scope: Scope) -> dict[Key, Item]:
        """Return what exists of ours."""
        return next(found for found in self.reading(scope) if found is not None)

    def reading(self, scope: Scope) -> Iterator[dict[Key, Item] | None]:
        """Read what exists of ours, step by step. The addresses come last: they may come and go between the steps."""
        for _ in self._ipvs.reading(scope):
            yield None
        yield self._around(scope) | self._ipvs.found()

    def review(self, keys: Collection[Key]) -> dict[Key, Item]:
        """Return what exists of these."""
        services = [key for key in keys if isinstance(key, ServiceKey | MarkKey)]
        found = self._ipvs.review(services)
        if len(services) < len(keys):
            found |= {key: item for key, item in self._around(_scope(keys)).items() if key in keys}
        return found

    def _around(self, scope: Scope) -> dict[Key, Item]:
        """Return what exists of ours beside the services."""
        table = self._nftables.read()
        settings = sysctl.read(scope.sysctls)
        others = plane(*settings, *self._timeouts.read(), *([table] if table else []))
        return others | self._addresses.read(scope) | self._sync.read(scope)

    def apply(self, operations: Sequence[Operation], until_s: float) -> tuple[Failure, ...]:
        """Carry the operations out in their order; those of IPVS, or of addresses, that follow each other together."""
        failures: list[Failure] = []
        for kind, group in groupby(operations, key=_kind):
            if kind is Service:
                failures += self._ipvs.apply(list(group))
            elif kind is Address:
                failures += self._addresses.apply(list(group), until_s)
            else:
                failures += filter(None, map(self._apply, group))
        return tuple(failures)

    def _apply(self, operation: Operation) -> Failure | None:
        match operation.item:
            case Netfilter() as table:
                return self._nftables.apply(operation, table)
            case Sysctl() as setting:
                return sysctl.apply(operation, setting)
            case SyncDaemon() as daemon:
                return self._sync.apply(operation, daemon)
            case Timeout() as timeout:
                return self._timeouts.apply(operation, timeout)
            case other:
                raise TypeError(f"not an item of this kernel: {other}")

    def renew(self, addresses: Iterable[Address], until_s: float) -> tuple[Failure, ...]:
        """Let existing addresses live until `until_s`."""
        return tuple(self._addresses.renew(addresses, until_s))

    def announce(self, addresses: Iterable[Address]) -> None:
        """Tell the neighbours of those that are there."""
        self._addresses.announce(addresses)

    def listen(self, keys: Iterable[AddressKey], hosts: Iterable[HostAddress] = ()) -> None:
        """Heed claims to these addresses, and what these hosts say."""
        self._listener.listen(keys, hosts)

    def ask(self, hosts: Iterable[HostAddress]) -> None:
        """Ask neighbours whether they are there."""
        self._addresses.ask(hosts)

    def without_carrier(self, interfaces: Iterable[str]) -> frozenset[str]:
        """Return the interfaces that cannot carry anything."""
        return self._listener.without_carrier(interfaces)

    def sources(self) -> tuple[int, ...]:
        """Return what becomes readable when there are notices."""
        return self._listener.sources

    def notices(self) -> list[Notice]:
        """Return what others did to addresses."""
        return self._listener.notices()

    def close(self) -> None:
        """Close the sockets."""
        self._ipvs.close()
        self._addresses.close()
        self._sync.close()
        self._nftables.close()
        self._timeouts.close()
        self._listener.close()


def _kind(operation: Operation) -> type[Item] | None:
    """Return what an operation is carried out together with: Service for all of IPVS, Address for addresses."""
    if isinstance(operation.item, Service | Destination):
        return Service
    return Address if isinstance(operation.item, Address) else None


def _scope(keys: Collection[Key]) -> Scope:
    """Return the smallest scope, services left aside, that has these in it."""
    addresses = frozenset(key for key in keys if isinstance(key, AddressKey))
    names = frozenset(key.name for key in keys if isinstance(key, SysctlKey))
    sync = any(isinstance(key, SyncDaemonKey) for key in keys)
    return Scope(addresses=addresses, sync=sync, sysctls=names)
