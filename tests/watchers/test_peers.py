"""The channel between routers, over real datagrams on loopback: 127.0.0.1 is r1, and so on."""

import asyncio
import hmac
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from clusterd.clock import boottime_s
from clusterd.election import Alive, Answer, Asked, AskPeers, Promised, SayAlive
from watchers.envelope import Question, Reply, Sign, seal, unseal
from watchers.peers import Peers

KEY = b"common key"
GROUP = "default"
ASK = AskPeers(("r2", "r3"), 2.0)


@dataclass
class Router:
    """One end of the channel, and what it heard. It answers what `agrees` says; None is silence."""

    name: str
    agrees: bool | None = True
    peers: Peers = field(init=False)
    asked: list[Asked] = field(default_factory=list)
    promised: list[Promised] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.peers = Peers(self.name, self.hear, hosts=(f"127.0.0.{self.name[1:]}",))

    def hear(self, group: str, event: Promised | Asked | Alive) -> None:
        self.groups.add(group)
        if isinstance(event, Alive):
            self.alive.append(event.token)
            return
        if isinstance(event, Promised):
            self.promised.append(event)
            return
        self.asked.append(event)
        if self.agrees is not None:
            self.peers.answer(GROUP, Answer(event.peer, event.question, self.agrees))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def quiet() -> None:
    """Let everything arrive that is on its way; on loopback a datagram is there when it is sent."""
    for _ in range(20):
        await asyncio.sleep(0)
    await asyncio.sleep(0.02)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def routers() -> AsyncIterator[tuple[Router, Router, Router]]:
    made = (Router("r1"), Router("r2"), Router("r3"))
    port = free_port()
    for router in made:
        await router.peers.configure(KEY, {o.name: [o.peers.hosts[0]] for o in made if o is not router}, port)
    yield made
    for router in made:
        router.peers.close()


Three = tuple[Router, Router, Router]


async def test_when_all_promise_the_asker_hears_it_counted_from_when_it_asked(routers: Three) -> None:
    before_s = boottime_s()
    routers[0].peers.ask(GROUP, ASK)
    asked_s = boottime_s()
    await until(lambda: routers[0].promised)
    (promised,) = routers[0].promised
    assert before_s <= promised.sent_s <= asked_s
    assert promised.for_s == 2.0
    assert [(a.peer, a.for_s) for a in routers[1].asked] == [("r1", 2.0)]


@pytest.mark.parametrize("agrees", [False, None])
async def test_without_the_promise_of_one_there_is_none(routers: Three, agrees: bool | None) -> None:
    routers[2].agrees = agrees
    routers[0].peers.ask(GROUP, ASK)
    await until(lambda: routers[1].asked and routers[2].asked)
    await quiet()
    assert routers[0].promised == []


async def test_the_promise_of_all_is_as_old_as_the_oldest_of_them(routers: Three) -> None:
    first_s = boottime_s()
    routers[0].peers.ask(GROUP, ASK)
    await until(lambda: len(routers[0].promised) == 1)
    routers[2].agrees = None
    routers[0].peers.ask(GROUP, ASK)
    await until(lambda: len(routers[2].asked) == 2)
    await quiet()
    assert len(routers[0].promised) == 1
    routers[2].agrees, routers[1].agrees = True, None
    second_s = boottime_s()
    routers[0].peers.ask(GROUP, ASK)
    await until(lambda: len(routers[0].promised) == 2)
    one, two = routers[0].promised
    assert first_s <= one.sent_s < two.sent_s < second_s


async def test_promises_of_another_length_do_not_count(routers: Three) -> None:
    routers[0].peers.ask(GROUP, ASK)
    await until(lambda: routers[0].promised)
    routers[1].agrees = None
    routers[0].peers.ask(GROUP, AskPeers(ASK.peers, 9.0))
    await until(lambda: len(routers[2].asked) == 2)
    await quiet()
    assert len(routers[0].promised) == 1


async def test_without_others_the_promise_is_there_at_once() -> None:
    alone = Router("r1")
    alone.peers.ask(GROUP, AskPeers((), 2.0))
    assert [promised.for_s for promised in alone.promised] == [2.0]


def question(number: int, name: str = "q", sender: str = "r1") -> Question:
    return Question(sender, GROUP, name, number, 2.0)


def test_a_question_that_is_repeated_or_older_is_not_heard_again() -> None:
    router = Router("r2")
    router.peers.secret, router.peers.addresses = KEY, {"r1": ["127.0.0.1"]}
    for number, name in ((5, "a"), (5, "a"), (5, "b"), (4, "c"), (6, "d")):
        router.peers.datagram_received(seal(question(number, name), KEY), ("127.0.0.1", 1))
    assert [asked.question for asked in router.asked] == ["a", "d"]


@pytest.mark.parametrize("answered_first", [True, False])
async def test_a_question_that_came_by_two_paths_is_answered_on_both(routers: Three, answered_first: bool) -> None:
    r2 = routers[1]
    r2.agrees = None
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        for path in (one, two):
            path.setblocking(False)
            path.bind(("127.0.0.1", 0))
        datagram = seal(question(1), KEY)
        r2.peers.datagram_received(datagram, one.getsockname())
        if answered_first:
            r2.peers.answer(GROUP, Answer("r1", "q", True))
        r2.peers.datagram_received(datagram, two.getsockname())
        if not answered_first:
            r2.peers.answer(GROUP, Answer("r1", "q", True))
        for path in (one, two):
            received = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(path, 2000), 5)
            assert unseal(received, KEY) == Reply("r2", GROUP, "q", True)
    assert len(r2.asked) == 1


async def test_an_answer_to_an_older_question_is_not_given(routers: Three) -> None:
    r2 = routers[1]
    r2.agrees = None
    for number, name in ((1, "old"), (2, "new")):
        r2.peers.datagram_received(seal(question(number, name), KEY), ("127.0.0.1", 9))
    r2.peers.answer(GROUP, Answer("r1", "old", True))
    r2.peers.answer(GROUP, Answer("r9", "new", True))
    assert r2.peers._groups[GROUP]._askers["r1"].answer is None


async def test_strangers_and_other_keys_are_not_heard(routers: Three, caplog: pytest.LogCaptureFixture) -> None:
    r1, r2, _ = routers
    from_ = ("127.0.0.9", 9)
    r2.peers.datagram_received(seal(question(1), b"another key"), from_)
    assert "127.0.0.9" in caplog.text
    r2.peers.datagram_received(seal(question(1, sender="r9"), KEY), from_)
    r2.peers.datagram_received(b"", from_)
    assert r2.asked == []
    r1.agrees = None
    routers[1].agrees = routers[2].agrees = None
    r1.peers.ask(GROUP, ASK)
    (name,) = r1.peers._groups[GROUP]._sent_s
    for sender in ("r9", "r1", "r2"):
        r1.peers.datagram_received(seal(Reply(sender, GROUP, name, True), KEY), from_)
    r1.peers.datagram_received(seal(Reply("r3", GROUP, "another question", True), KEY), from_)
    assert r1.promised == []
    r1.peers.datagram_received(seal(Reply("r3", GROUP, name, True), KEY), from_)
    assert len(r1.promised) == 1


async def test_an_answer_that_came_too_late_for_its_question_is_not_counted(routers: Three) -> None:
    r1 = routers[0]
    for router in routers:
        router.agrees = None
    r1.peers.ask(GROUP, ASK)
    (first,) = r1.peers._groups[GROUP]._sent_s
    for _ in range(25):
        r1.peers.ask(GROUP, ASK)
    for sender in ASK.peers:
        r1.peers.datagram_received(seal(Reply(sender, GROUP, first, True), KEY), ("127.0.0.1", 9))
    assert r1.promised == []


async def test_without_a_key_nothing_is_said_and_nothing_is_heard(routers: Three) -> None:
    for router in routers:
        router.peers.secret = b""
    routers[0].peers.ask(GROUP, ASK)
    body = json.dumps(
        {"kind": "question", "sender": "r1", "group": GROUP, "name": "q", "number": 1, "for_s": 1}
    ).encode()
    routers[1].peers.datagram_received(hmac.digest(b"", body, "sha256") + body, ("127.0.0.1", 9))
    await quiet()
    assert routers[1].asked == []


async def test_routers_hear_each_other_over_ipv6_as_well() -> None:
    r1, r2 = Router("r1"), Router("r2")
    r1.peers.hosts, r2.peers.hosts = ("127.0.0.1", "::1"), ("127.0.0.2",)
    port = free_port()
    for router, other in ((r1, "::1"), (r2, "127.0.0.1")):
        await router.peers.configure(KEY, {"r1": [other], "r2": [other]}, port)
    r1.peers.say(GROUP, SayAlive(7))
    await until(lambda: r1.alive)  # the only one there with IPv6 is itself
    assert r2.alive == []
    r1.peers.close()
    r2.peers.close()


async def test_a_port_that_is_taken_leaves_the_old_one_working(routers: Three) -> None:
    r1, r2, _ = routers
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((r1.peers.hosts[0], 0))
        with pytest.raises(OSError, match="in use"):
            await r1.peers.configure(KEY, r1.peers.addresses, taken.getsockname()[1])
    r1.peers.ask(GROUP, ASK)
    await until(lambda: r1.promised)
    assert r2.asked


async def test_after_a_change_of_port_they_hear_each_other_again(routers: Three) -> None:
    port = free_port()
    for router in routers:
        await router.peers.configure(KEY, router.peers.addresses, port)
        await router.peers.configure(KEY, router.peers.addresses, port)
    routers[0].peers.ask(GROUP, ASK)
    await until(lambda: routers[0].promised)


async def test_a_peer_that_is_not_there_is_no_error(routers: Three) -> None:
    routers[1].peers.close()
    routers[1].peers.close()
    for _ in range(3):
        routers[0].peers.ask(GROUP, ASK)
        await quiet()
    routers[0].peers.error_received(ConnectionRefusedError())
    assert routers[0].promised == []


async def test_groups_are_asked_about_by_themselves(routers: Three) -> None:
    r1, r2, r3 = routers
    r1.peers.ask("shop", ASK)
    await until(lambda: r2.asked and r3.asked)
    await quiet()
    assert r2.groups == r3.groups == {"shop"}
    assert r1.promised == []  # they answered about another group
    r1.peers.ask(GROUP, ASK)
    await until(lambda: r1.promised)
    assert len(r1.promised) == 1


async def test_a_sign_of_life_reaches_every_other_router(routers: Three) -> None:
    r1, r2, r3 = routers
    r1.peers.say("shop", SayAlive(7))
    r1.peers.say("shop", SayAlive(7))
    await until(lambda: len(r2.alive) == len(r3.alive) == 2)
    assert r2.alive == [7, 7]
    assert r2.groups == {"shop"}
    assert r1.alive == []


def test_a_sign_of_life_is_heard_once_and_never_again_when_it_is_played_back() -> None:
    router = Router("r2")
    router.peers.secret, router.peers.addresses = KEY, {"r1": ["127.0.0.1"]}
    for token, number in ((7, 1), (7, 1), (7, 3), (7, 2), (8, 1), (7, 3), (7, 4), (9, 0), (10, 0), (11, 0), (11, 0)):
        router.peers.datagram_received(seal(Sign("r1", GROUP, token, number), KEY), ("127.0.0.1", 1))
    assert router.alive == [7, 7, 8, 7, 9, 10, 11]


def test_questions_are_numbered_upwards_whatever_the_wall_clock_does() -> None:
    peers = Router("r1").peers
    assert peers._number(boottime_s() + 1) - peers._number(boottime_s()) > 0.9e9
