"""What should exist on one router, worked out from what should have existed before: only what is other now costs.

`clusterd.desired` says the same of a whole cluster from nothing. Here each virtual server's items are taken over while
the virtual server, its pool and the settings are the very same, and what follows from all virtual servers together
(addresses, the nft table, kernel settings) while their places are. The plane that comes out tells in which keys it may
differ from the one before, so that nobody has to look at all of it. Pure.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from clusterd.desired import carried, common, scope, served, sync_daemons
from clusterd.model import Cluster, forwarding, others, place
from clusterd.plane import Address, AddressKey, Item, Key, Plane, Scope, plane
from clusterd.sharing import changed_keys, patched
from clusterd.weights import Pool


@dataclass(frozen=True, slots=True)
class Role:
    """What a router is at the moment: the groups in which it is active, and whether traffic goes through it."""

    active: frozenset[str] = frozenset()
    carrying: bool = False


@dataclass(frozen=True, slots=True)
class Around:
    """What follows from the settings and from the places of all virtual servers."""

    items: tuple[Item, ...] = ()
    carried: Mapping[Address, str] = field(default_factory=dict)  # every floating address with its group
    groups: Mapping[AddressKey, str] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)

    def floating(self, groups: Collection[str]) -> tuple[Address, ...]:
        """Return the floating addresses of these groups."""
        return tuple(address for address, group in self.carried.items() if group in groups)


@dataclass(frozen=True, slots=True)
class News:
    """In which keys at most a plane differs from the one that it was made of."""

    since: Plane
    keys: frozenset[Key]


@dataclass(frozen=True, slots=True)
class Wish:
    """What should exist on one router, and what the next wish takes over from it."""

    cluster: Cluster = field(default_factory=Cluster)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    role: Role = field(default_factory=Role)
    around: Around = field(default_factory=Around)
    own: tuple[Item, ...] = ()  # what belongs to no virtual server
    blocks: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)  # by virtual server
    plane: Plane = field(default_factory=dict)
    news: News = field(default_factory=lambda: News({}, frozenset()))


def around(cluster: Cluster, before: Cluster | None = None, known: Around | None = None) -> Around:
    """Return what follows from settings and places; what is `known` of the cluster `before`, where that is the same."""
    alike = before is not None and before.settings is cluster.settings
    if before and known and alike and all(_stays(before, cluster, name) for name in others(before, cluster)):
        return known
    addresses = carried(cluster)
    groups = {address.key: group for address, group in addresses.items()}
    return Around(common(cluster), addresses, groups, scope(cluster))


def wish(cluster: Cluster, here: Around, pools: Mapping[str, Pool], role: Role, before: Wish | None = None) -> Wish:
    """Return what this cluster, with what is `around` it, wants of a router in this role.

    `before` is what was wanted last. Pools are told apart by identity, like virtual servers: whoever changes one makes
    another.
    """
    first = before is None or before.cluster.settings is not cluster.settings
    known = Wish() if before is None or first else before
    own = known.own if not first and here is known.around and role == known.role else _own(cluster, here, role)
    names = others(known.cluster, cluster) | changed_keys(known.pools, pools)
    fresh = {name: _block(cluster, name, pools) for name in names}
    replaced = [(known.blocks.get(name, ()), block) for name, block in fresh.items()]
    replaced += [] if own is known.own else [(known.own, own)]
    if not replaced:
        return known
    blocks = patched(known.blocks, fresh, names - cluster.virtuals.keys())
    return Wish(cluster, pools, role, here, own, blocks, *_patched(known.plane, replaced))


def _stays(before: Cluster, after: Cluster, name: str) -> bool:
    """Return whether what follows from all virtual servers together is the same in respect of this one."""
    old, new = before.virtuals.get(name), after.virtuals.get(name)
    if old is None or new is None or place(old) != place(new):
        return False
    ways = (
        {forwarding(cluster, v, each) for each in v.servers.values()} for cluster, v in ((before, old), (after, new))
    )
    return next(ways) == next(ways)


def _block(cluster: Cluster, name: str, pools: Mapping[str, Pool]) -> tuple[Item, ...]:
    return tuple(served(cluster, name, pools.get(name))) if name in cluster.virtuals else ()


def _own(cluster: Cluster, here: Around, role: Role) -> tuple[Item, ...]:
    return *here.items, *here.floating(role.active), *sync_daemons(cluster, role.carrying).values()


def _patched(before: Plane, replaced: list[tuple[tuple[Item, ...], tuple[Item, ...]]]) -> tuple[Plane, News]:
    """Return a plane with parts of it replaced, old by new, and what that says of it."""
    after, keys = dict(before), set[Key]()
    for old, _ in replaced:
        for key in plane(*old):  # of which two may have the same
            del after[key]
            keys.add(key)
    for _, new in replaced:
        there = plane(*new)
        keys.update(there)
        after.update(there)
    return after, News(before, frozenset(keys))
