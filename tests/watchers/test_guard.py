"""Held addresses stay ours: put back when removed, announced when claimed, but not too often."""

import time
from ipaddress import IPv4Interface
from itertools import pairwise

from clusterd.plane import Address, AddressKey, Claimed, Removed
from watchers.guard import IN_A_ROW, LONGER_S, MOST_NAMED, QUIET_S, SHORTEST_S, TOLD_S, Guard, Restraint
from watchers.problems import Problems

VIP, GATEWAY = Address("eth0", IPv4Interface("1.2.3.1/24")), Address("eth1", IPv4Interface("192.168.1.254/24"))
CLAIM = Claimed(VIP.key, "02:00:00:00:00:99")


class Rig:
    """A guard, and what it did."""

    def __init__(self) -> None:
        self.held: tuple[Address, ...] = (VIP, GATEWAY)
        self.put_back: list[Address] = []
        self.announced: list[Address] = []
        self.recorded: list[tuple[str, str]] = []
        self.problems = Problems()
        self.guard = Guard(self._held, self.put_back.extend, self.announced.extend, self._record, self.problems)

    def _held(self) -> dict[AddressKey, Address]:
        return {address.key: address for address in self.held}

    def _record(self, kind: str, text: str) -> None:
        self.recorded.append((kind, text))


def test_a_removed_address_is_put_back_at_once() -> None:
    rig = Rig()
    rig.guard.noticed([Removed(GATEWAY.key)], 0.0)
    assert (rig.put_back, rig.announced, rig.guard.repairs) == ([GATEWAY], [], 1)
    assert rig.recorded == [("drift", "192.168.1.254 on eth1 was removed by somebody else, it is put back")]


def test_thousands_that_are_removed_at_once_are_told_and_put_back_together_in_no_time() -> None:
    rig = Rig()
    rig.held = tuple(Address("eth0", IPv4Interface((0x0A000001 + n, 16))) for n in range(3000))
    began_s = time.monotonic()
    rig.guard.noticed([Removed(address.key) for address in rig.held], 0.0)
    assert time.monotonic() - began_s < 1  # each alone, looking through all that is held, takes 16 s
    assert (rig.put_back, rig.guard.repairs) == (list(rig.held), 3000)
    ((kind, text),) = rig.recorded
    named = ", ".join(f"10.0.0.{n + 1} on eth0" for n in range(MOST_NAMED))
    assert (kind, text) == ("drift", f"{named} and 2990 more were removed by somebody else, they are put back")


def test_a_few_that_are_removed_together_are_all_named() -> None:
    rig = Rig()
    rig.guard.noticed([Removed(VIP.key), Removed(GATEWAY.key), Removed(VIP.key)], 0.0)
    assert rig.put_back == [VIP, GATEWAY]
    told = "1.2.3.1 on eth0, 192.168.1.254 on eth1 were removed by somebody else, they are put back"
    assert rig.recorded == [("drift", told)]


def test_a_claimed_address_is_announced_at_once_and_the_claim_is_a_problem_for_a_while() -> None:
    rig = Rig()
    rig.guard.noticed([CLAIM], 0.0)
    assert (rig.put_back, rig.announced) == ([], [VIP])
    assert rig.problems.all() == ("another host (02:00:00:00:00:99) claims 1.2.3.1 on eth0",)
    rig.guard.tick(TOLD_S - 1)
    assert rig.problems.all()
    rig.guard.tick(TOLD_S)
    assert rig.problems.all() == ()


def test_what_is_not_held_is_nobodys_business() -> None:
    rig = Rig()
    rig.held = (GATEWAY,)
    rig.guard.noticed([CLAIM], 0.0)
    rig.guard.noticed([Removed(VIP.key)], 0.0)
    rig.guard.tick(1.0)
    assert (rig.put_back, rig.announced, rig.problems.all()) == ([], [], ())


def test_an_address_that_was_let_go_meanwhile_stays_away_and_its_problem_ends() -> None:
    rig = Rig()
    rig.guard.noticed([CLAIM], 0.0)
    rig.guard.noticed([Removed(VIP.key)], 0.01)
    rig.held = ()
    rig.guard.tick(1.0)
    assert (rig.put_back, rig.problems.all()) == ([], ())


def test_what_comes_too_soon_is_answered_later_and_once() -> None:
    rig = Rig()
    for hundredth in range(10):
        rig.guard.noticed([CLAIM], hundredth / 100)
    assert rig.announced == [VIP]
    assert [kind for kind, _ in rig.recorded] == ["claim"]
    rig.guard.tick(SHORTEST_S)
    rig.guard.tick(SHORTEST_S * 2)
    assert rig.announced == [VIP, VIP]


def test_a_claim_and_a_removal_together_are_one_putting_back() -> None:
    rig = Rig()
    rig.guard.noticed([CLAIM], 0.0)
    rig.guard.noticed([CLAIM], 0.01)
    rig.guard.noticed([Removed(VIP.key)], 0.02)
    rig.guard.noticed([Removed(VIP.key)], 0.03)
    rig.guard.tick(SHORTEST_S)
    assert (rig.put_back, rig.announced) == ([VIP], [VIP])


def test_one_address_does_not_hold_another_one_back() -> None:
    rig = Rig()
    rig.guard.noticed([CLAIM], 0.0)
    rig.guard.noticed([Claimed(GATEWAY.key, CLAIM.mac)], 0.01)
    assert rig.announced == [VIP, GATEWAY]


def test_after_ten_in_a_row_it_is_once_a_second_until_it_was_quiet_for_a_while() -> None:
    restraint, now_s, done = Restraint(), 0.0, []
    for _ in range(IN_A_ROW + 3):
        now_s = restraint.next_s(now_s)
        restraint.done(now_s)
        done.append(now_s)
    gaps = [round(after - before, 6) for before, after in pairwise(done)]
    assert gaps == [SHORTEST_S] * (IN_A_ROW - 1) + [LONGER_S] * 3
    now_s += QUIET_S
    assert restraint.next_s(now_s) == now_s
    restraint.done(now_s)
    assert restraint.next_s(now_s) == now_s + SHORTEST_S
