"""The partition matrix: which links are cut, which policy holds, and who has the addresses in the end.

Two routers, r0 is active. For each row the links stay cut for three leases; then one looks who has the addresses, and
that nobody had them beside the holder at any time (the simulation itself raises otherwise).

    paths   router to router          A   r0, the holder, to etcd
    B       r1, the backup, to etcd   Q   etcd has its quorum
"""

import itertools

import pytest

from clusterd.election import Fast, Member, Policy
from tests.clusterd.simulation.scenario import Kind, Scene, scene

GROUP = "default"
POLICIES: tuple[Policy, ...] = ("failsafe", "release")
# What is up (paths, A, B, Q) → who holds with failsafe, with release.
EXPECTED: dict[tuple[bool, bool, bool, bool], tuple[str, str]] = {
    (True, True, True, True): ("r0", "r0"),
    (True, True, False, True): ("r0", "r0"),
    (True, False, True, True): ("r1", "r1"),  # the backup sees the lock become free, and promises nothing from then on
    (True, False, False, True): ("r0", "-"),
    (False, True, True, True): ("r0", "r0"),
    (False, True, False, True): ("r0", "r0"),
    (False, False, True, True): ("r1", "r1"),
    (False, False, False, True): ("-", "-"),
    (True, True, True, False): ("r0", "-"),
    (True, True, False, False): ("r0", "-"),
    (True, False, True, False): ("r0", "-"),
    (True, False, False, False): ("r0", "-"),
    (False, True, True, False): ("-", "-"),
    (False, True, False, False): ("-", "-"),
    (False, False, True, False): ("-", "-"),
    (False, False, False, False): ("-", "-"),
}


def named(row: tuple[bool, bool, bool, bool]) -> str:
    return "+".join(itertools.compress(("paths", "A", "B", "Q"), row)) or "nothing"


ROWS = [
    pytest.param(row, policy, holders[n], id=f"{named(row)}-{policy}")
    for row, holders in EXPECTED.items()
    for n, policy in enumerate(POLICIES)
]


def settled(seed: int, kind: Kind) -> Scene:
    """Return two routers of which r0 is active."""
    for attempt in itertools.count(seed * 100):
        played = scene(attempt, kind)
        if len(played.routers) == 2 and {router.configured.ttl_s for router in played.routers.values()} == {3.0}:
            members = (Member("r0", 100), Member("r1", 50))
            for router in played.routers.values():
                router.configured = type(router.configured)(members, kind.policy, 3.0, None, kind.fast)
            played.step(12)
            assert played.active()[GROUP] == ["r0"]
            return played
    raise AssertionError


def partition(played: Scene, row: tuple[bool, bool, bool, bool]) -> None:
    """Cut what is not up."""
    paths, first, second, quorum = row
    cut = [("r0", "r1")] * (not paths) + [("r0", "etcd")] * (not first) + [("r1", "etcd")] * (not second)
    for one, other in cut:
        played.world.cut((one, other))
        played.world.cut((other, one))
    if not quorum:
        played.etcd.fail()


def test_the_table_has_every_combination() -> None:
    assert set(EXPECTED) == set(itertools.product((True, False), repeat=4))


@pytest.mark.parametrize(("row", "policy", "holder"), ROWS)
def test_who_holds_the_addresses(row: tuple[bool, bool, bool, bool], policy: Policy, holder: str) -> None:
    for seed in range(10):
        played = settled(seed, Kind(policy=policy))
        partition(played, row)
        played.step(9)
        for _ in range(20):
            played.step(0.1)
            assert played.active()[GROUP] == ([holder] if holder != "-" else []), f"seed {seed}"


@pytest.mark.parametrize("row", EXPECTED, ids=named)
def test_with_hold_the_holder_stays_in_every_case_and_the_backup_may_come_beside_it(
    row: tuple[bool, bool, bool, bool],
) -> None:
    """The risk of this policy: where only the backup reaches etcd, both are active. The simulation calls that out."""
    _, first, second, quorum = row
    played = settled(1, Kind(policy="hold"))
    partition(played, row)
    if not first and second and quorum:
        with pytest.raises(AssertionError, match="both"):
            played.step(9)
    else:
        played.step(9)
        assert played.active()[GROUP] == ["r0"]


@pytest.mark.parametrize("row", EXPECTED, ids=named)
def test_with_fast_failover_the_same_router_holds_in_the_end(row: tuple[bool, bool, bool, bool]) -> None:
    """One row differs: the backup hears nothing on any path and reaches etcd, while the holder reaches etcd too."""
    expected = EXPECTED[row][0] if row != (False, True, True, True) else "r1"
    played = settled(2, Kind(policy="failsafe", fast=Fast(0.1, 3)))
    partition(played, row)
    played.step(9)
    assert played.active()[GROUP] == ([expected] if expected != "-" else [])
