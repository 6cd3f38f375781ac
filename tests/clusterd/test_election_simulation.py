"""Routers, etcd, a network and pauses, all from one seed: never two active, and somebody as soon as it is possible.

`CLUSTERD_SEEDS=20000 pytest tests/clusterd/test_election_simulation.py` plays more of them.

A simulation that finds nothing proves nothing by itself, so each rule of the election is broken once, and the
simulation has to find it.
"""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from clusterd import election
from clusterd.dataplane import lifetime
from clusterd.election import (
    Action,
    Asked,
    ClaimFailed,
    Event,
    LeaseSeen,
    LockSeen,
    Promised,
    State,
    Switchover,
    claiming,
    fast,
    machine,
    promises,
)
from tests.clusterd.simulation import router, scenario, stories
from tests.clusterd.simulation.part import Part
from tests.clusterd.simulation.world import Violation
from watchers.asking import Asking
from watchers.envelope import Reply

SEEDS = int(os.environ.get("CLUSTERD_SEEDS", "1000"))
MOST_SEEDS_A_MUTATION = 600
Step = tuple[State, tuple[Action, ...]]


@pytest.mark.parametrize("part", range(6))
def test_never_two_are_active_and_somebody_is_when_all_is_well(part: int) -> None:
    for seed in range(part, SEEDS, 6):
        scenario.run(seed)


@pytest.mark.parametrize("ttl_s", [2.0, 3.0, 6.0])
def test_while_etcd_is_away_and_all_routers_are_there_the_holder_keeps_its_addresses(ttl_s: float) -> None:
    for seed in range(SEEDS // 100):
        stories.outage(seed, ttl_s)


def test_a_switchover_moves_one_group_to_the_ordered_router_soon_and_to_no_other() -> None:
    for seed in range(SEEDS // 50):
        stories.switchover(seed)


def test_in_fast_mode_a_dead_holder_is_replaced_before_its_lease_ends() -> None:
    for seed in range(SEEDS // 50):
        stories.sudden_death(seed)


def test_in_fast_mode_backups_that_stand_still_take_nothing_from_a_living_holder() -> None:
    for seed in range(SEEDS // 50):
        stories.slow_backups(seed)


def test_leases_last_as_configured_soon_and_no_lock_is_lost_for_it() -> None:
    for seed in range(SEEDS // 50):
        stories.another_ttl(seed)


def test_a_service_that_is_restarted_keeps_its_locks_however_long_it_takes_and_is_replaced_as_soon_as_ever_after() -> (
    None
):
    for seed in range(SEEDS // 50):
        stories.restart(seed)


def test_a_better_router_gets_its_group_back_in_order() -> None:
    for seed in range(SEEDS // 50):
        stories.preemption(seed)


def counts_on_after_it_stood_still(beat: Callable[[State, float], Step]) -> Callable[[State, float], Step]:
    def broken(state: State, now_s: float) -> Step:
        return beat(replace(state, pulse=replace(state.pulse, tick_s=now_s)), now_s)

    return broken


def acts_again(state: State, event: Event, now_s: float) -> tuple[State, Event]:
    taken_back = isinstance(event, Switchover) and not event.token
    return (replace(state, hand_over=replace(state.hand_over, given_up=0)) if taken_back else state), event


def needs_no_clear_kernel(give: Callable[[State, float], Step]) -> Callable[[State, float], Step]:
    return lambda state, now_s: give(replace(state, hand_over=replace(state.hand_over, cleared=True)), now_s)


def test_promises_too_short_for_a_whole_second_would_not_keep_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "SHORTEST_PROMISE_S", 0.0)
    with pytest.raises(Violation, match="lost the addresses"):
        stories.outage(0, 2.0)


Patch = Callable[[pytest.MonkeyPatch], None]


def changed(name: str, change: Callable[[Callable[..., Any]], Callable[..., Any]], where: Any = machine) -> Patch:
    """Return a patch that replaces a function by what `change` makes of it."""
    return lambda patch: patch.setattr(where, name, change(getattr(where, name)))


def constant(name: str, value: float) -> Patch:
    """Return a patch that gives a constant another value."""
    return lambda patch: patch.setattr(machine, name, value)


def on_event(change: Callable[[State, Event, float], tuple[State, Event]]) -> Patch:
    """Return a patch that changes state or event before the event is taken."""

    def around(take: Callable[[State, Event, float], Step]) -> Callable[[State, Event, float], Step]:
        return lambda state, event, now_s: take(*change(state, event, now_s), now_s)

    return changed("_take", around)


def counts_from_the_answer(state: State, event: Event, now_s: float) -> tuple[State, Event]:
    return state, replace(event, sent_s=now_s) if isinstance(event, LeaseSeen) and event.ttl_s > 0 else event


def counts_promises_from_the_answer(state: State, event: Event, now_s: float) -> tuple[State, Event]:
    return state, replace(event, sent_s=now_s) if isinstance(event, Promised) else event


def takes_any_lock_of_its_name_for_its_own(state: State, event: Event, now_s: float) -> tuple[State, Event]:
    if isinstance(event, LockSeen) and event.holder == state.me:
        return state, replace(event, lease_id=state.lease_id)
    return state, event


def forgets_what_it_promised(state: State, event: Event, now_s: float) -> tuple[State, Event]:
    return replace(state, promised_until_s=-math.inf), event


def promises_less_than_it_says(promise: Callable[..., Step]) -> Callable[..., Step]:
    def broken(state: State, event: Asked, now_s: float) -> Step:
        return promise(state, replace(event, for_s=min(event.for_s, election.promise_s(state.ttl_s))), now_s)

    return broken


def is_content_with_one_promise(replied: Callable[..., Promised | None]) -> Callable[..., Promised | None]:
    def broken(self: Asking, reply: Reply) -> Promised | None:
        found = [replied(self, replace(reply, sender=peer)) for peer in self._asked.peers if reply.agreed]
        return found[-1] if found else None

    return broken


def takes_a_refusal_for_consent(replied: Callable[..., Promised | None]) -> Callable[..., Promised | None]:
    return lambda self, reply: replied(self, replace(reply, agreed=True))


def moves_whatever_was_claimed(move: Callable[[State, float], Step]) -> Callable[[State, float], Step]:
    def broken(state: State, now_s: float) -> Step:
        moved, actions = move(replace(state, lease_until_s=-math.inf), now_s)
        return replace(moved, lease_until_s=state.lease_until_s), actions

    return broken


def claims_as_ever_while_a_lease_follows(state: State, event: Event, now_s: float) -> tuple[State, Event]:
    if isinstance(event, LeaseSeen) and event.lease_id == state.lease_id and event.ttl_s > 0:
        until_s = event.sent_s + event.ttl_s - machine.MARGIN_S
        return replace(state, lease_until_s=max(state.lease_until_s, until_s)), event
    return state, event


def gives_the_lock_away_first(stop: Callable[..., None]) -> Callable[..., None]:
    def broken(self: router.Router) -> None:
        self._hand_over()
        stop(self)

    return broken


def never_claims_again(state: State, event: Event, now_s: float) -> tuple[State, Event]:
    return replace(state, claim_again_s=math.inf) if isinstance(event, ClaimFailed) else state, event


def rounds_up(until_s: float, now_s: float) -> int:
    return math.ceil(min(max(until_s - now_s, 0.0), 3600))


COMMITS = (scenario.commit_ttl, scenario.cut_from_etcd, scenario.pause)
ORDERS = (scenario.order_a_switchover, scenario.pause)
CUTS_AND_PAUSES = (scenario.cut_from_etcd, scenario.pause)
CUTS_AND_RESTARTS = (scenario.cut_from_etcd, scenario.kill)
MUTATIONS: dict[str, tuple[Patch, tuple[scenario.Fault, ...]]] = {
    "the margin is negative": (constant("MARGIN_S", -0.3), ()),
    "there is no margin": (constant("MARGIN_S", 0.0), CUTS_AND_RESTARTS),
    "the lease is counted from the answer": (on_event(counts_from_the_answer), CUTS_AND_PAUSES),
    "promises are counted from the answer": (on_event(counts_promises_from_the_answer), CUTS_AND_PAUSES),
    "the lock of an older lease is its own": (on_event(takes_any_lock_of_its_name_for_its_own), ()),
    "a promise is forgotten": (on_event(forgets_what_it_promised), CUTS_AND_PAUSES),
    "a restart forgets its promise": (
        changed("start", lambda _: lambda me, ttl_s, now_s, acted: State(me, ttl_s=ttl_s, acted=acted), election),
        CUTS_AND_RESTARTS,
    ),
    "a promise is shorter than was asked": (
        changed("promise", promises_less_than_it_says),
        (scenario.commit_ttl, scenario.cut_from_etcd),
    ),
    "one promise is enough": (changed("replied", is_content_with_one_promise, Asking), CUTS_AND_PAUSES),
    "a refusal counts as a promise": (changed("replied", takes_a_refusal_for_consent, Asking), CUTS_AND_PAUSES),
    "lifetimes are rounded up": (changed("lifetime_s", lambda _: rounds_up, lifetime), ()),
    "the lock goes before the addresses": (changed("stop", gives_the_lock_away_first, router.Router), ()),
    "whoever hands over may act again": (on_event(acts_again), ORDERS),
    "a restart goes on with a lock that is being given away": (
        lambda patch: patch.setattr(Part, "in_doubt", False),
        (scenario.stop, scenario.kill, scenario.order_a_switchover),
    ),
    "the lock is given away before the kernel is clear": (changed("give", needs_no_clear_kernel), ORDERS),
    "a lock moves whatever was claimed": (changed("move", moves_whatever_was_claimed), COMMITS),
    "nobody claims again after a refusal": (on_event(never_claims_again), ()),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_rule_is_missed_when_it_is_broken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks, faults = MUTATIONS[name]
    breaks(monkeypatch)
    for seed in range(MOST_SEEDS_A_MUTATION):
        try:
            scenario.run(seed, scenario.PLAIN, faults)
        except Violation as found:
            print(f"{name}: {str(found).splitlines()[0]}")
            return
    pytest.fail(f"{name}: {MOST_SEEDS_A_MUTATION} seeds did not notice")


def broken_in(played: Callable[[int], object]) -> None:
    """Play a special scenario until it finds what is broken."""
    for seed in range(MOST_SEEDS_A_MUTATION):
        played(seed)


SPECIAL: dict[str, tuple[Patch, Callable[[int], object]]] = {
    "others do not wait at a switchover": (
        lambda patch: patch.setattr(claiming, "SWITCHOVER_WAIT_S", -1.0),
        stories.switchover,
    ),
    "an order is not obeyed": (changed("obey", lambda _: lambda state: state), stories.switchover),
    "whoever stood still counts on": (changed("beat", counts_on_after_it_stood_still), stories.slow_backups),
    "a silent holder is waited for": (
        lambda patch: patch.setattr(fast, "_may_revoke", lambda state, now_s: False),
        stories.sudden_death,
    ),
    "claims go on as ever when a shorter lease follows": (
        on_event(claims_as_ever_while_a_lease_follows),
        stories.another_ttl,
    ),
    "locks stay under their first lease": (
        changed("move", lambda _: lambda state, now_s: (state, ())),
        stories.another_ttl,
    ),
    "a lease for a restart is claimed as long as it lasts": (
        lambda patch: patch.setattr(router, "min", max, raising=False),
        stories.restart,
    ),
    "a restart has no more time than its lease": (
        lambda patch: patch.setattr(router, "RESTART_S", 0),
        stories.restart,
    ),
    "nobody asks for the lock": (
        changed("preempt", lambda _: lambda state, rank, now_s: (state, ())),
        stories.preemption,
    ),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_each_rule_of_handing_over_is_missed_when_it_is_broken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks, played = SPECIAL[name]
    breaks(monkeypatch)
    with pytest.raises(Violation):
        broken_in(played)
