"""A router in the simulation: the real elections, in loops shaped like those of the router service.

process   parts, loops, what waits to be read    lost by a restart, stands still while paused
disk      the lease's number, the tokens for which it acted, the configuration: survives a restart
"""

from dataclasses import dataclass, field
from functools import partial

from clusterd.election import (
    Action,
    Alive,
    Answer,
    Asked,
    AskHandOver,
    AskPeers,
    Claim,
    ClaimFailed,
    Configured,
    Event,
    GiveAway,
    LeaseSeen,
    LockSeen,
    Move,
    Paused,
    Promised,
    Ready,
    Revoke,
    SayAlive,
    State,
    Stop,
    Switchover,
    Tick,
)
from tests.clusterd.simulation.etcd import News
from tests.clusterd.simulation.part import Part
from tests.clusterd.simulation.process import Process
from tests.clusterd.simulation.world import Act
from watchers.elections import RESTART_S
from watchers.envelope import Question, Reply

TICK_S, RETRY_S, RELIST_S, CONVERGE_S = 0.1, 0.25, 30.0, 1.0
REFRESH_TIMEOUT_S, TIMEOUT_S, INHERIT_TIMEOUT_S, LEAVING_S = 2.0, 5.0, 5.0, 5.0
ORDER_S = 10.0
_PATH = ("", 0)


@dataclass
class Router(Process):
    """One router. `others` are its peers by name."""

    configured: Configured = field(default_factory=lambda: Configured((), "failsafe", 3.0))
    others: dict[str, "Router"] = field(default_factory=dict)
    lease_on_disk: int = 0
    tokens_on_disk: set[int] = field(default_factory=set)
    parts: dict[str, Part] = field(default_factory=dict)
    _questions: int = 0
    _stream: int = 0
    _read: int = 0  # how much of etcd's history it has read
    _inbox: list[News] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parts = {group: Part(self, group) for group in self.etcd.groups}

    @property
    def own(self) -> State:
        """The state of the first group: the lease is the same in all."""
        return self.parts[self.etcd.groups[0]].state

    def start(self) -> None:
        """Begin, or begin again: go on with the lease from before if it still lives."""
        self.begin()
        self._inbox = []
        for part in self.parts.values():
            part.begin()
        self.tell(self.configured)
        number, sent_s = self.lease_on_disk, self.world.now_s

        def found(answer: tuple[float, list[News]]) -> None:
            if answer[0] > 0:
                self.tell(LeaseSeen(number, min(answer[0], self.configured.ttl_s), sent_s, granted=True))
                for news in answer[1]:
                    if isinstance(news.event, LockSeen):
                        self.elect(news.group, news.event)
                if not all(part.shorten() for part in self.parts.values()):
                    self.end()
                    self.world.after(0.5, lambda: None if self.running else self.start())
                    return
            self._work({number: answer[0]} if answer[0] > 0 else {})

        if number:
            self.request(
                lambda: (self.etcd.refresh(number), self.etcd.seen()), found, lambda: self._work({}), INHERIT_TIMEOUT_S
            )
        else:
            self._work({})

    def _work(self, leases: dict[int, float]) -> None:
        self._keep_lease(leases)
        self._watch()
        self.later(TICK_S, self._tick)
        self.later(0.05, self._converge)
        self.tell(Ready(True))

    def end(self) -> None:
        """Die, as by kill -9: the kernel and the disk stay."""
        super().end()
        for part in self.parts.values():
            part.state = State(self.name)
        self.etcd.watchers.pop(self.name, None)

    def cut_power(self) -> None:
        """Lose the kernel, too, and /run, where the lease is."""
        self.end()
        self.lease_on_disk = 0
        for part in self.parts.values():
            part.gone_s = 0.0

    def stop(self) -> None:
        """Hand over and end."""
        self.tell(Stop())
        for part in self.parts.values():
            self.write(part.clear)
        self.later(0.1, self._hand_over)

    def leave(self) -> None:
        """End for a restart: leave everything as it is, under a lease that lasts until the next process goes on."""
        short = self.configured.ttl_s < RESTART_S and not self.configured.fast
        acting = any(part.state.acting for part in self.parts.values())
        if not (acting and short) or any(part.in_doubt for part in self.parts.values()):
            self._leave_under(self.own.lease_id)
            return
        sent_s = self.world.now_s

        def granted(lease: tuple[int, float]) -> None:
            self.tell(LeaseSeen(lease[0], lease[1], sent_s, granted=True, follows=True))
            self._leave_under(lease[0])

        self.request(lambda: self.etcd.grant(self.name, RESTART_S), granted, self.end, LEAVING_S)
        self.later(LEAVING_S, self.end)

    def _leave_under(self, number: int) -> None:
        if {part.state.lease_id for part in self.parts.values()} != {number}:
            self.later(TICK_S, lambda: self._leave_under(number))
            return
        sent_s = self.world.now_s

        def refreshed(left_s: float) -> None:
            self.tell(LeaseSeen(number, left_s, sent_s))
            for part in self.parts.values():
                part.renew()
            self.end()

        self.request(lambda: self.etcd.refresh(number), refreshed, self.end, LEAVING_S)

    # --- decisions ------------------------------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Let something happen in every group."""
        before = self.own.lease_id
        for group in self.parts:
            self.elect(group, event)
        if self.own.lease_id != before and not any(part.in_doubt for part in self.parts.values()):
            self.lease_on_disk = self.own.lease_id

    def elect(self, group: str, event: Event) -> None:
        """Decide, and do what is to be done."""
        before = self.parts[group].in_doubt
        actions = self.parts[group].step(event)
        if self.parts[group].state.acting:
            self.tokens_on_disk.add(self.parts[group].state.token)
        if self.parts[group].in_doubt != before:
            doubt = any(part.in_doubt for part in self.parts.values())
            self.lease_on_disk = 0 if doubt else self.own.lease_id
        for action in actions:
            self._do(group, action)

    def _do(self, group: str, action: Action) -> None:
        etcd, name = self.etcd, self.name
        match action:
            case Claim(lease_id):
                self._claim(group, lease_id)
            case Move():
                self._move(group, action)
            case GiveAway(token):
                self._deed(lambda: etcd.release(name, group, token))
            case Revoke(token, lease_id):
                self._deed(lambda: etcd.revoke_holder(group, token, lease_id))
            case AskHandOver(token):
                self._deed(lambda: etcd.order(group, Switchover(name, token), ORDER_S))
            case AskPeers():
                self._ask(group, action)
            case Answer():
                self._answer(group, action)
            case SayAlive(token):
                for other in self.others.values():
                    self.world.udp(name, other.name, partial(other.hear, group, Alive(token)))

    def _deed(self, work: Act) -> None:
        self.request(work, lambda _: None, lambda: None, TIMEOUT_S)

    def _tick(self) -> None:
        self.later(TICK_S, self._tick)
        self.tell(Tick())

    def write(self, act: Act) -> None:
        """Do it in the thread that writes to the kernel, which may be busy."""
        self.later(self.world.rng.choice((0.001, 0.001, 0.03)), act)

    def _converge(self) -> None:
        self.later(CONVERGE_S, self._converge)
        for part in self.parts.values():
            part.converge()

    # --- etcd -----------------------------------------------------------------------------------------------------

    def _keep_lease(self, asked: dict[int, float], turn: int = 0) -> None:
        """Refresh the leases, one that follows first; make one where none lasts as configured."""
        sent_s, ttl_s, numbers = self.world.now_s, self.configured.ttl_s, list(reversed(asked))

        def refreshed(left_s: float) -> None:
            lasts_s = min(left_s, ttl_s) if asked[numbers[turn]] > ttl_s else left_s
            self.tell(LeaseSeen(numbers[turn], lasts_s, sent_s))
            if left_s <= 0:
                del asked[numbers[turn]]
            self._keep_lease(asked, turn + (left_s > 0))

        def granted(lease: tuple[int, float]) -> None:
            self.tell(LeaseSeen(lease[0], lease[1], sent_s, granted=True, follows=bool(asked)))
            rest({**asked, lease[0]: ttl_s})

        def rest(asked: dict[int, float]) -> None:
            self.later(min(1.0, *(seconds / 3 for seconds in asked.values())), lambda: again(asked))

        def again(asked: dict[int, float]) -> None:
            used = {part.state.lease_id for part in self.parts.values()}
            oldest = next(iter(asked), 0)
            self._keep_lease({n: s for n, s in asked.items() if len(asked) == 1 or n != oldest or n in used})

        def lost() -> None:
            self.later(RETRY_S, lambda: again(asked))

        if turn < len(numbers):
            self.request(lambda: self.etcd.refresh(numbers[turn]), refreshed, lost, REFRESH_TIMEOUT_S)
        elif not asked or (len(asked) == 1 and ttl_s not in asked.values()):
            self.request(lambda: self.etcd.grant(self.name, ttl_s), granted, lost, TIMEOUT_S)
        else:
            rest(asked)

    def _watch(self) -> None:
        self._stream += 1
        stream = self._stream

        def work() -> tuple[int, list[News], bool]:
            return len(self.etcd.history), self.etcd.seen(), self.name in self.etcd.paused

        def listed(answer: tuple[int, list[News], bool]) -> None:
            self._read, there, paused = answer
            self.tell(Paused(paused))
            for news in there:
                self.elect(news.group, news.event)
            self.etcd.watchers[self.name] = lambda: self._flow(stream)
            self._flow(stream)
            self.later(RELIST_S, self._watch)

        self.request(work, listed, lambda: self.later(RETRY_S, self._watch), TIMEOUT_S)

    def _flow(self, stream: int) -> None:
        """Bring what has changed since, in its order, as soon as the link carries it."""
        life = self.life

        def arrive() -> None:
            if stream != self._stream or life != self.life:
                return
            if ("etcd", self.name) in self.world.cuts:
                self.world.after(0.3, arrive)
                return
            news, self._read = self.etcd.history[self._read :], len(self.etcd.history)
            self._inbox += [each for each in news if each.router in ("", self.name)]
            self.bound(self._drain)()

        self.world.after(self.world.delay_s(), arrive)

    def _drain(self) -> None:
        """Read what the stream brought, in its order, however long the process stood still."""
        inbox, self._inbox = self._inbox, []
        for news in inbox:
            self.elect(news.group, news.event)

    def _claim(self, group: str, lease_id: int) -> None:
        def work() -> tuple[LockSeen | None, list[News]]:
            return self.etcd.claim(self.name, group, lease_id), self.etcd.seen()

        def answered(answer: tuple[LockSeen | None, list[News]]) -> None:
            won, there = answer
            if won:
                self.elect(group, won)
                return
            for news in there:
                if news.group == group and isinstance(news.event, LockSeen):
                    self.elect(group, news.event)
            self.elect(group, ClaimFailed())

        self.request(work, answered, lambda: self.elect(group, ClaimFailed()), TIMEOUT_S)

    def _move(self, group: str, wish: Move) -> None:
        def work() -> LockSeen:
            return self.etcd.move(self.name, group, wish)

        self.request(work, lambda seen: self.elect(group, seen), lambda: None, TIMEOUT_S)

    def _hand_over(self) -> None:
        tokens, lease_id = {group: part.state.token for group, part in self.parts.items()}, self.own.lease_id

        def work() -> None:
            for group, token in tokens.items():
                self.etcd.release(self.name, group, token)
            self.etcd.revoke(lease_id)

        self.lease_on_disk = 0
        self.request(work, lambda _: self.end(), self.end, RETRY_S * 8)

    # --- the others -----------------------------------------------------------------------------------------------

    def _ask(self, group: str, action: AskPeers) -> None:
        if not action.peers:
            self.elect(group, Promised(self.world.now_s, action.for_s))
            return
        self._questions += 1
        name = f"{self._questions}"
        self.parts[group].asking.ask(action, name, self.world.now_s)
        question = Question(self.name, group, name, self._questions, action.for_s)
        for peer in action.peers:
            self.world.udp(self.name, peer, partial(self.others[peer].question, question))

    def question(self, question: Question) -> None:
        """Take a question from the network; one that was heard before, or is older, is not heard."""

        def heard() -> None:
            if self.parts[question.group].asking.asked(question, _PATH)[0]:
                self.elect(question.group, Asked(question.sender, question.name, question.for_s))

        if self.running:
            self.bound(heard)()

    def hear(self, group: str, event: Alive) -> None:
        """Take a sign of life from the network."""
        if self.running:
            self.bound(lambda: self.elect(group, event))()

    def _answer(self, group: str, action: Answer) -> None:
        other, reply = self.others[action.peer], Reply(self.name, group, action.question, action.agreed)

        def replied() -> None:
            promised = other.parts[group].asking.replied(reply)
            if promised:
                other.elect(group, promised)

        self.world.udp(self.name, other.name, other.bound(replied))
