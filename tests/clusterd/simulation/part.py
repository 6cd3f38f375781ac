"""A router's part in one group in the simulation: the real election, its conversation, and what the kernel has.

process   state, conversation    lost by a restart, stands still while paused
kernel    the addresses' end     survives a restart, goes on while the process is paused
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterd import election
from clusterd.dataplane import lifetime
from clusterd.election import Action, Cleared, Event, State
from clusterd.election.hand_over import given_up
from tests.clusterd.simulation.world import Violation
from watchers.asking import Asking
from watchers.renewal import Renewal

if TYPE_CHECKING:
    from tests.clusterd.simulation.router import Router


@dataclass
class Part:
    """The part of a router in a group."""

    router: "Router"
    group: str
    gone_s: float = 0.0  # until then its kernel has the addresses
    state: State = field(default_factory=lambda: State(""))
    asking: Asking = field(default_factory=Asking)
    _renewal: Renewal = field(default_factory=Renewal)
    _renewing: bool = False

    @property
    def has_addresses(self) -> bool:
        return self.gone_s > self.router.world.now_s

    @property
    def in_doubt(self) -> bool:
        """Whether the lock is ours only until it is given away or moved: a restart must not go on with its lease."""
        return given_up(self.state) or self.state.next_lease.lease_id != 0

    @property
    def others(self) -> "list[Part]":
        return [other.parts[self.group] for other in self.router.others.values()]

    @property
    def excused(self) -> bool:
        """Whether it may go on for a moment beside another one, which ended its lease (fast failover's bound)."""
        until_s = self.router.etcd.excused_until_s.get(self.router.name, 0.0)
        return max(self.gone_s, election.active_until(self.state)) <= until_s

    def begin(self) -> None:
        """Be born with the process."""
        self.asking, self._renewing, self._renewal = Asking(), False, Renewal()
        router = self.router
        self.state = election.start(
            router.name, router.configured.ttl_s, router.world.now_s, frozenset(router.tokens_on_disk)
        )

    def step(self, event: Event) -> tuple[Action, ...]:
        """Decide; see to it that the kernel follows; return what else is to be done."""
        now_s = self.router.world.now_s
        before = self.state
        self.state, actions = election.step(before, event, now_s)
        if self.state.acting != before.acting:
            self._change_role()
        busy = self._renewing or not self.state.acting
        if not busy and self._renewal.due(election.active_until(self.state), now_s):
            self._renewing = True
            self.router.write(self.renew)
        return actions

    def converge(self) -> None:
        """Look whether the kernel is as it should be."""
        if self.state.acting != self.has_addresses:
            self.router.write(self._add if self.state.acting else self.clear)
        elif not self.state.acting:
            self.router.elect(self.group, Cleared())

    def clear(self) -> None:
        """Remove the addresses and read back."""
        if self.state.acting:
            return
        self.gone_s = min(self.gone_s, self.router.world.now_s)
        self.router.elect(self.group, Cleared())

    def _change_role(self) -> None:
        now_s = self.router.world.now_s
        self.router.world.note(f"{self.router.name} is {'' if self.state.acting else 'not '}active in {self.group}")
        if not self.state.acting:
            self._renewal = Renewal()
            self.router.write(self.clear)
            return
        for other in self.others:
            if election.active_until(other.state) > now_s and not (self.excused or other.excused):
                raise Violation(f"{self.router.name} and {other.router.name} are both active")
        self.router.write(self._add)

    def _add(self) -> None:
        now_s = self.router.world.now_s
        seconds = lifetime.lifetime_s(election.active_until(self.state), now_s)
        if not seconds:
            return
        self.gone_s = now_s + seconds + self.router.world.rng.uniform(0.01, 0.25)
        for other in self.others:
            if other.has_addresses and not (self.excused or other.excused):
                raise Violation(f"{self.router.name} and {other.router.name} both have the addresses")

    def shorten(self) -> bool:
        """Cut what the process before this one told the kernel down to what is claimed; return whether that is done."""
        if not self.state.acting or not self.has_addresses:
            return True
        now_s = self.router.world.now_s
        if not lifetime.lifetime_s(election.active_until(self.state), now_s):
            return False
        self._add()
        return True

    def renew(self) -> None:
        """Renew the lifetimes now, whether that is due or not."""
        until_s, now_s = election.active_until(self.state), self.router.world.now_s
        if self.has_addresses:
            self._add()
        self._renewal.done(until_s, now_s, now_s)
        self._renewing = False
