"""What is wanted of a router, worked out step by step: the same as from nothing, for the work of what changed."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.desired import carried, desired, scope, sync_daemons
from clusterd.document import changed, from_data, objects
from clusterd.model import Cluster
from clusterd.plan import plan
from clusterd.plane import Destination, Item, Key, Plane
from clusterd.weights import Pool, Standing
from clusterd.wishes import Role, Wish, around, wish
from tests.clusterd.big import big_data
from tests.strategies import clusters


def pools_of(cluster: Cluster, weights: Mapping[str, int]) -> dict[str, Pool]:
    """Return pools in which every real server has the weight that is said of its virtual server."""
    return {
        name: Pool({label: Standing(weights[name]) for label in virtual.servers}, sorry=not weights[name])
        for name, virtual in cluster.virtuals.items()
        if name in weights
    }


def from_nothing(cluster: Cluster, pools: Mapping[str, Pool], role: Role) -> dict[Key, Item]:
    return desired(cluster, {}, role.active, pools) | sync_daemons(cluster, role.carrying)


def part(plane: Plane, keys: frozenset[Key]) -> Plane:
    return {key: item for key, item in plane.items() if key in keys}


def step(draw: Any, before: Cluster, other: Cluster) -> Cluster:
    """Return a cluster with some objects of another one, as a commit would lead to it; the same where that is none."""
    old, new = objects(before), objects(other)
    names = draw(st.sets(st.sampled_from(sorted({*old, *new}))))
    there = {name: new[name] for name in sorted(names) if name in new and old.get(name) != new[name]}
    gone = {name for name in names if name not in new}
    return changed(before, there, gone) or before


roles = st.builds(Role, st.frozensets(st.sampled_from(["default", "shop", "mail"])), st.booleans())


@given(st.data(), clusters(), clusters())
@settings(max_examples=120)
def test_step_by_step_the_same_is_wanted_as_from_nothing(data: Any, one: Cluster, other: Cluster) -> None:
    cluster, pools = one, dict[str, Pool]()
    known: Wish | None = None
    for _ in range(4):
        role = data.draw(roles)
        names = data.draw(st.sets(st.sampled_from(sorted(cluster.virtuals) or ["none"])))
        pools = {name: pool for name, pool in pools.items() if name in cluster.virtuals}
        pools |= pools_of(cluster, {name: data.draw(st.integers(0, 3)) for name in sorted(names)})
        here = around(cluster, known.cluster, known.around) if known else around(cluster)
        now = wish(cluster, here, pools, role, known)
        wanted = from_nothing(cluster, pools, role)
        assert now.plane == wanted
        assert now.around.scope == scope(cluster)
        assert dict(now.around.carried) == carried(cluster)
        if known is not None and now.news.since is known.plane:
            quick = plan(part(known.plane, now.news.keys), part(now.plane, now.news.keys))
            assert set(quick) == set(plan(known.plane, wanted))
        known, cluster = now, step(data.draw, cluster, data.draw(st.sampled_from([one, other])))


def test_one_weight_among_many_is_the_work_of_its_virtual_server() -> None:
    cluster = from_data(big_data(300, 4))
    pools = pools_of(cluster, dict.fromkeys(cluster.virtuals, 1))
    first = wish(cluster, around(cluster), pools, Role())
    value = objects(cluster)["virtuals/v0007"]
    value["servers"]["rs2"]["weight"] = 5
    after = changed(cluster, {"virtuals/v0007": value}, ())
    assert after is not None
    here = around(after, cluster, first.around)
    now = wish(after, here, pools | pools_of(after, {"v0007": 5}), Role(), first)
    assert now.news.since is first.plane
    assert len(now.news.keys) == 1 + 4
    assert now.around is first.around
    untouched = [key for key in now.plane if key not in now.news.keys]
    assert len(untouched) > 300 * 5 - 5
    assert all(now.plane[key] is first.plane[key] for key in untouched)
    weights = {item.weight for item in map(now.plane.get, now.news.keys) if isinstance(item, Destination)}
    assert weights == {5}


def test_another_way_of_forwarding_is_another_wish_for_all() -> None:
    data = big_data(3, 2)
    cluster = from_data(data)
    first = wish(cluster, around(cluster), pools_of(cluster, dict.fromkeys(cluster.virtuals, 1)), Role())
    data["cluster"]["forwarding"] = "direct"
    after = from_data(data)
    here = around(after, cluster, first.around)
    now = wish(after, here, pools_of(after, dict.fromkeys(after.virtuals, 1)), Role(), first)
    assert now.news.since is not first.plane
    assert {item.forwarding for item in now.plane.values() if isinstance(item, Destination)} == {"direct"}
