"""A router in the simulation: the real election and renewal, in loops shaped like those of the router service.

process   state, loops, what waits to be read    lost by a restart, stands still while paused
disk      the lease's number, the configuration  survives a restart
kernel    the floating addresses with their end  survives a restart, goes on while the process is paused
"""

from dataclasses import dataclass, field
from functools import partial

from clusterd import election
from clusterd.dataplane import lifetime
from clusterd.election import (
    Answer,
    Asked,
    AskPeers,
    Claim,
    ClaimFailed,
    Configured,
    LeaseSeen,
    LockSeen,
    Promised,
    Ready,
    State,
    Stop,
    Tick,
)
from tests.clusterd.simulation.process import Process
from tests.clusterd.simulation.world import Act, Violation
from watchers.renewal import Renewal

TICK_S, RETRY_S, RELIST_S, CONVERGE_S = 0.1, 0.25, 30.0, 1.0
REFRESH_TIMEOUT_S, TIMEOUT_S, INHERIT_TIMEOUT_S = 2.0, 5.0, 1.5


@dataclass
class Router(Process):
    """One router. `others` are its peers by name."""

    configured: Configured = field(default_factory=lambda: Configured((), "failsafe", 3.0))
    others: dict[str, "Router"] = field(default_factory=dict)
    gone_s: float = 0.0  # until then its kernel has the addresses
    lease_on_disk: int = 0
    state: State = field(default_factory=lambda: State(""))
    _renewal: Renewal = field(default_factory=Renewal)
    _renewing: bool = False
    _sent_s: dict[int, float] = field(default_factory=dict)  # of each question
    _promises: dict[str, float] = field(default_factory=dict)  # by peer: when the question was sent
    _for_s: float = 0.0
    _questions: int = 0
    _heard: dict[str, int] = field(default_factory=dict)
    _stream: int = 0
    _next_revision: int = 0

    @property
    def has_addresses(self) -> bool:
        return self.gone_s > self.world.now_s

    def start(self) -> None:
        """Begin, or begin again: go on with the lease from before if it still lives."""
        self.begin()
        self._sent_s, self._promises, self._heard, self._renewing, self._renewal = {}, {}, {}, False, Renewal()
        self.state = election.start(self.name, self.configured.ttl_s, self.world.now_s)
        self.elect(self.configured)
        number, sent_s = self.lease_on_disk, self.world.now_s

        def found(answer: tuple[float, LockSeen]) -> None:
            if answer[0] > 0:
                self.elect(LeaseSeen(number, answer[0], sent_s, granted=True))
                self.elect(answer[1])
            self._work(number if answer[0] > 0 else 0)

        if number:
            self.request(
                lambda: (self.etcd.refresh(number), self.etcd.seen()), found, lambda: self._work(0), INHERIT_TIMEOUT_S
            )
        else:
            self._work(0)

    def _work(self, lease_id: int) -> None:
        self._keep_lease(lease_id)
        self._watch()
        self.later(TICK_S, self._tick)
        self.later(0.05, self._converge)
        self.elect(Ready(True))

    def end(self) -> None:
        """Die, as by kill -9: the kernel and the disk stay."""
        super().end()
        self.state = State(self.name)
        self.etcd.watchers.pop(self.name, None)

    def cut_power(self) -> None:
        """Lose the kernel, too, and /run, where the lease is."""
        self.end()
        self.gone_s, self.lease_on_disk = 0.0, 0

    def stop(self) -> None:
        """Hand over and end."""
        self.elect(Stop())
        self._write(self._delete)

    # --- decisions ------------------------------------------------------------------------------------------------

    def elect(self, event: election.Event) -> None:
        """Decide, and do what is to be done."""
        before = self.state
        self.state, actions = election.step(before, event, self.world.now_s)
        for action in actions:
            match action:
                case Claim(lease_id):
                    self._claim(lease_id)
                case AskPeers(peers, for_s):
                    self._ask(peers, for_s)
                case Answer(peer, question, agreed):
                    self._answer(peer, int(question), agreed)
        if self.state.lease_id != before.lease_id:
            self.lease_on_disk = self.state.lease_id
        if self.state.acting != before.acting:
            self._change_role()
        until_s = election.active_until(self.state)
        if self.state.acting and not self._renewing and self._renewal.due(until_s, self.world.now_s):
            self._renewing = True
            self._write(self._renew)

    def _change_role(self) -> None:
        self.world.note(f"{self.name} is {'active' if self.state.acting else 'not active'}")
        if not self.state.acting:
            self._renewal = Renewal()
            self._write(self._delete)
            return
        for other in self.others.values():
            if election.active_until(other.state) > self.world.now_s:
                raise Violation(f"{self.name} and {other.name} are both active")
        self._write(self._add)

    def _tick(self) -> None:
        self.later(TICK_S, self._tick)
        self.elect(Tick())

    # --- the kernel -----------------------------------------------------------------------------------------------

    def _write(self, act: Act) -> None:
        """Do it in the thread that writes to the kernel, which may be busy."""
        self.later(self.world.rng.choice((0.001, 0.001, 0.03)), act)

    def _add(self) -> None:
        seconds = lifetime.lifetime_s(election.active_until(self.state), self.world.now_s)
        if not seconds:
            return
        for other in self.others.values():
            if other.has_addresses:
                raise Violation(f"{self.name} and {other.name} both have the addresses")
        self.gone_s = self.world.now_s + seconds + self.world.rng.uniform(0.01, 0.25)

    def _renew(self) -> None:
        until_s = election.active_until(self.state)
        if self.has_addresses:
            self._add()
        self._renewal.done(until_s, self.world.now_s, self.world.now_s)
        self._renewing = False

    def _delete(self) -> None:
        if self.state.acting:
            return
        self.gone_s = min(self.gone_s, self.world.now_s)
        if self.state.stopping:
            self._hand_over()

    def _converge(self) -> None:
        self.later(CONVERGE_S, self._converge)
        if self.state.acting != self.has_addresses:
            self._write(self._add if self.state.acting else self._delete)

    # --- etcd -----------------------------------------------------------------------------------------------------

    def _keep_lease(self, number: int) -> None:
        sent_s, ttl_s = self.world.now_s, self.configured.ttl_s

        def refreshed(left_s: float) -> None:
            self.elect(LeaseSeen(number, left_s, sent_s))
            self.later(min(1.0, left_s / 3), lambda: self._keep_lease(number if left_s > 0 else 0))

        def granted(lease: tuple[int, float]) -> None:
            self.elect(LeaseSeen(lease[0], lease[1], sent_s, granted=True))
            self.later(min(1.0, lease[1] / 3), lambda: self._keep_lease(lease[0]))

        def again() -> None:
            self.later(RETRY_S, lambda: self._keep_lease(number))

        if number:
            self.request(lambda: self.etcd.refresh(number), refreshed, again, REFRESH_TIMEOUT_S)
        else:
            self.request(lambda: self.etcd.grant(self.name, ttl_s), granted, again, TIMEOUT_S)

    def _watch(self) -> None:
        self._stream += 1
        stream = self._stream

        def listed(seen: LockSeen) -> None:
            self.elect(seen)
            self._next_revision = seen.revision + 1
            self.etcd.watchers[self.name] = lambda: self._flow(stream)
            self._flow(stream)
            self.later(RELIST_S, self._watch)

        self.request(self.etcd.seen, listed, lambda: self.later(RETRY_S, self._watch), TIMEOUT_S)

    def _flow(self, stream: int) -> None:
        """Bring what has changed since, in its order, as soon as the link carries it."""
        life = self.life

        def arrive() -> None:
            if stream != self._stream or life != self.life:
                return
            if ("etcd", self.name) in self.world.cuts:
                self.world.after(0.3, arrive)
                return
            for seen in self.etcd.history:
                if seen.revision >= self._next_revision:
                    self._next_revision = seen.revision + 1
                    self.bound(partial(self.elect, seen))()

        self.world.after(self.world.delay_s(), arrive)

    def _claim(self, lease_id: int) -> None:
        def answered(answer: tuple[LockSeen | None, LockSeen]) -> None:
            won, seen = answer
            self.elect(won or seen)
            if not won:
                self.elect(ClaimFailed())

        def work() -> tuple[LockSeen | None, LockSeen]:
            return self.etcd.claim(self.name, lease_id), self.etcd.seen()

        self.request(work, answered, lambda: self.elect(ClaimFailed()), TIMEOUT_S)

    def _hand_over(self) -> None:
        token, lease_id = self.state.token, self.state.lease_id

        def work() -> None:
            self.etcd.release(self.name, token)
            self.etcd.revoke(lease_id)

        self.lease_on_disk = 0
        self.request(work, lambda _: self.end(), self.end, RETRY_S * 8)

    # --- the others -----------------------------------------------------------------------------------------------

    def _ask(self, peers: tuple[str, ...], for_s: float) -> None:
        if not peers:
            self.elect(Promised(self.world.now_s, for_s))
            return
        if for_s != self._for_s:
            self._sent_s, self._promises, self._for_s = {}, {}, for_s
        self._questions += 1
        number = self._questions
        self._sent_s[number] = self.world.now_s
        for peer in peers:
            self.world.udp(self.name, peer, partial(self.others[peer].question, self.name, number, for_s))

    def question(self, sender: str, number: int, for_s: float) -> None:
        """Take a question from the network; one that was heard before, or is older, is not heard."""

        def hear() -> None:
            if number > self._heard.get(sender, 0):
                self._heard[sender] = number
                self.elect(Asked(sender, str(number), for_s))

        if self.running:
            self.bound(hear)()

    def _answer(self, peer: str, number: int, agreed: bool) -> None:
        me, other = self.name, self.others[peer]
        self.world.udp(me, peer, other.bound(lambda: other.promised(me, number, agreed)))

    def promised(self, sender: str, number: int, agreed: bool) -> None:
        """Take an answer."""
        if agreed and number in self._sent_s:
            self._promises[sender] = max(self._sent_s[number], self._promises.get(sender, 0.0))
            if len(self._promises) == len(self.others):
                self.elect(Promised(min(self._promises.values()), self._for_s))
