"""How long addresses live, on every data plane: what every data plane does (test_contract.py) where time counts."""

import pytest

from clusterd.plane import Address, Verb
from tests.dataplane.rig import SECOND, VIP, VIP6, Rig, do, there


def test_an_address_is_announced_only_while_the_kernel_has_it(rig: Rig) -> None:
    assert do(rig, Verb.ADD, SECOND) == ()
    assert do(rig, Verb.ADD, VIP, for_s=1.5) == ()
    assert rig.announced([VIP, SECOND]) == {VIP.address.ip, SECOND.address.ip}
    rig.wait(2)
    assert rig.announced([VIP, SECOND]) == {SECOND.address.ip}
    assert rig.announced([VIP]) == set()


def test_an_address_is_gone_after_the_whole_seconds_of_its_claim(rig: Rig) -> None:
    assert do(rig, Verb.ADD, VIP, for_s=1.4) == ()
    rig.wait(0.7)
    assert there(rig, Address) == {VIP}
    rig.wait(0.7)
    assert there(rig, Address) == set()


def test_an_address_that_is_renewed_stays_without_a_gap(rig: Rig) -> None:
    assert do(rig, Verb.ADD, VIP, for_s=1.4) == ()
    for _ in range(4):
        rig.wait(0.6)
        assert rig.plane.renew([VIP], rig.now_s() + 1.4) == ()
        assert there(rig, Address) == {VIP}
    rig.wait(1.4)
    assert there(rig, Address) == set()


@pytest.mark.parametrize("for_s", [-1.0, 0.0, 0.9, float("-inf")])
def test_an_address_is_not_added_and_not_renewed_when_its_time_is_over(rig: Rig, for_s: float) -> None:
    (failure,) = do(rig, Verb.ADD, VIP, for_s=for_s)
    assert failure.reason == "its time was over before it could be added"
    assert there(rig, Address) == set()
    assert do(rig, Verb.ADD, VIP, for_s=1.4) == ()
    (failure,) = rig.plane.renew([VIP], rig.now_s() + for_s)
    assert failure.operation.item == VIP
    assert do(rig, Verb.DELETE, VIP, for_s=for_s) == ()
    assert there(rig, Address) == set()


def test_an_address_of_ipv6_lives_as_long_as_its_claim_and_is_renewed(rig: Rig) -> None:
    assert do(rig, Verb.ADD, VIP6, for_s=1.4) == ()
    assert there(rig, Address) == {VIP6}
    rig.wait(0.7)
    assert rig.plane.renew([VIP6], rig.now_s() + 1.4) == ()
    rig.wait(0.7)
    assert there(rig, Address) == {VIP6}
    rig.wait(0.9)
    assert there(rig, Address) == set()
