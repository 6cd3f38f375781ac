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
from clusterd.election import Action, Asked, ClaimFailed, Event, LeaseSeen, LockSeen, Promised, State, machine, promises
from tests.clusterd.simulation import router, scenario
from tests.clusterd.simulation.world import Violation

SEEDS = int(os.environ.get("CLUSTERD_SEEDS", "300"))
MOST_SEEDS_A_MUTATION = 600
Step = tuple[State, tuple[Action, ...]]


@pytest.mark.parametrize("part", range(6))
def test_never_two_are_active_and_somebody_is_when_all_is_well(part: int) -> None:
    for seed in range(part, SEEDS, 6):
        scenario.run(seed, "failsafe" if seed % 3 else "release")


@pytest.mark.parametrize("ttl_s", [2.0, 3.0, 6.0])
def test_while_etcd_is_away_and_all_routers_are_there_the_holder_keeps_its_addresses(ttl_s: float) -> None:
    for seed in range(SEEDS // 30):
        scenario.outage(seed, ttl_s)


def test_promises_too_short_for_a_whole_second_would_not_keep_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "SHORTEST_PROMISE_S", 0.0)
    with pytest.raises(Violation, match="lost the addresses"):
        scenario.outage(0, 2.0)


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


def is_content_with_one_promise(promised: Callable[..., None]) -> Callable[..., None]:
    def broken(self: router.Router, sender: str, number: int, agreed: bool) -> None:
        for name in self.others if agreed else ():
            promised(self, name, number, agreed)

    return broken


def takes_a_refusal_for_consent(promised: Callable[..., None]) -> Callable[..., None]:
    return lambda self, sender, number, agreed: promised(self, sender, number, True)


def gives_the_lock_away_first(stop: Callable[..., None]) -> Callable[..., None]:
    def broken(self: router.Router) -> None:
        self._hand_over()
        stop(self)

    return broken


def never_claims_again(state: State, event: Event, now_s: float) -> tuple[State, Event]:
    return replace(state, claim_again_s=math.inf) if isinstance(event, ClaimFailed) else state, event


def rounds_up(until_s: float, now_s: float) -> int:
    return math.ceil(min(max(until_s - now_s, 0.0), 3600))


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
        changed("start", lambda _: lambda me, ttl_s, now_s: State(me, ttl_s=ttl_s), election),
        CUTS_AND_RESTARTS,
    ),
    "a promise is shorter than was asked": (
        changed("promise", promises_less_than_it_says),
        (scenario.commit_ttl, scenario.cut_from_etcd),
    ),
    "one promise is enough": (changed("promised", is_content_with_one_promise, router.Router), CUTS_AND_PAUSES),
    "a refusal counts as a promise": (changed("promised", takes_a_refusal_for_consent, router.Router), CUTS_AND_PAUSES),
    "lifetimes are rounded up": (changed("lifetime_s", lambda _: rounds_up, lifetime), ()),
    "the lock goes before the addresses": (changed("stop", gives_the_lock_away_first, router.Router), ()),
    "nobody claims again after a refusal": (on_event(never_claims_again), ()),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_rule_is_missed_when_it_is_broken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks, faults = MUTATIONS[name]
    breaks(monkeypatch)
    for seed in range(MOST_SEEDS_A_MUTATION):
        try:
            scenario.run(seed, "failsafe", faults)
        except Violation as found:
            print(f"{name}: {str(found).splitlines()[0]}")
            return
    pytest.fail(f"{name}: {MOST_SEEDS_A_MUTATION} seeds did not notice")
