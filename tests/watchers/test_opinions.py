"""What a router makes of its own and of others' verdicts: events told once, and its own network at fault."""

from ipaddress import IPv4Address

import pytest

from clusterd.document import from_data
from clusterd.health import Verdict
from clusterd.model import Cluster
from clusterd.reports import encoded
from watchers.opinions import Opinions
from watchers.prober_messages import Identity
from watchers.problems import Problems

SETTLE_S = 2 * 2 + 1.0  # two checks, 2 s apart, and the time of one


def cluster(servers: int = 3) -> Cluster:
    first = IPv4Address("10.0.0.1")
    web = {
        "address": "1.2.3.1/24",
        "interface": "eth0",
        "port": 80,
        "servers": {f"rs{i + 1}": {"address": str(first + i)} for i in range(servers)},
    }
    routers = {name: {"public": f"1.2.3.{i}"} for i, name in enumerate(("r1", "r2", "r3"), 2)}
    return from_data({"routers": routers, "virtuals": {"web": web}})


class Rig:
    """The opinions of r1, which checks three servers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.problems = Problems()
        self.opinions = Opinions("r1", lambda kind, text: self.events.append((kind, text)), self.problems)
        own = {("web", f"rs{i}"): Verdict(True, 0, "asked") for i in (1, 2, 3)}
        self.opinions.configure(cluster(), own, 0)

    def mine(self, up: bool, *servers: str, now_s: float = 0) -> None:
        for server in servers:
            self.opinions.learned(("web", server), Verdict(up, 0, "asked"), now_s)

    def theirs(self, up: bool | None, *servers: str, by: str = "r2", now_s: float = 0) -> set[Identity]:
        value = None if up is None else encoded({"up": up, "since": "", "detail": "asked"})
        return self.opinions.heard({f"web/{server}/{by}": value for server in servers}, False, now_s)

    def up(self, server: str, active: str = "r1") -> bool | None:
        return self.opinions.decision(("web", server), active).up


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_disagreement_is_told_once_when_it_lasts_by_the_router_that_sees_less(rig: Rig) -> None:
    rig.theirs(True, "rs1")
    rig.mine(False, "rs1", now_s=10)
    rig.opinions.tick(10 + SETTLE_S - 0.1)
    assert rig.events == []
    for now_s in (10 + SETTLE_S, 60, 600):
        rig.opinions.tick(now_s)
    assert rig.events == [("disagreement", "r1 cannot reach web/rs1, r2 can")]
    rig.theirs(False, "rs1", now_s=700)
    rig.theirs(True, "rs1", now_s=800)
    rig.opinions.tick(900)
    assert len(rig.events) == 2, "it ended in between"


def test_the_active_routers_word_counts_at_a_backup(rig: Rig) -> None:
    assert rig.theirs(False, "rs1") == {("web", "rs1")}
    assert rig.up("rs1", active="r2") is False
    assert rig.up("rs1", active="r1") is True
    assert rig.theirs(None, "rs1") == {("web", "rs1")}
    assert rig.up("rs1", active="r2") is True


def test_own_keys_strange_keys_and_strangers_say_nothing(rig: Rig) -> None:
    assert rig.theirs(False, "rs1", by="r1") == set()
    assert rig.opinions.heard({"web/rs1": b"{}", "x": b""}, False, 0) == set()
    rig.theirs(False, "rs1", by="stranger")
    assert rig.up("rs1", active="stranger") is True


def test_an_external_party_forces_a_server_down_until_its_key_goes(rig: Rig) -> None:
    rig.theirs(False, "rs1", by="external-ops")
    assert rig.opinions.decision(("web", "rs1"), "r1").forced
    assert rig.opinions.heard({}, True, 0) == {("web", "rs1")}
    assert rig.up("rs1") is True


def test_a_router_that_alone_sees_most_servers_down_holds_tells_and_names_who_sees_better(rig: Rig) -> None:
    rig.theirs(True, "rs1", "rs2", "rs3")
    rig.theirs(True, "rs1", by="r3")
    rig.mine(False, "rs1", "rs2", now_s=10)
    assert rig.opinions.faulty
    assert (rig.up("rs1"), rig.up("rs2")) == (True, True)
    rig.opinions.tick(11)
    assert (rig.opinions.fault(11), rig.events) == ((), [])
    for now_s in (10 + SETTLE_S, 20):
        rig.opinions.tick(now_s)
    sentence = "2 of 3 real servers cannot be reached, r2 and r3 can"
    assert rig.opinions.fault(20) == rig.problems.all() == (sentence,)
    assert rig.events == [("network fault", f"r1: {sentence}: its own network is taken to be at fault")]
    assert rig.opinions.better() == ["r2", "r3"]
    rig.mine(True, "rs1", now_s=30)
    rig.opinions.tick(30)
    assert (rig.opinions.faulty, rig.problems.all(), rig.up("rs2")) == (False, (), False)


def test_a_failure_that_others_see_a_little_later_is_held_for_that_moment_and_not_told(rig: Rig) -> None:
    rig.theirs(True, "rs1", "rs2", "rs3")
    rig.mine(False, "rs1", "rs2", "rs3", now_s=10)
    assert rig.up("rs1") is True
    rig.theirs(False, "rs1", "rs2", "rs3", now_s=12)
    rig.opinions.tick(60)
    assert (rig.up("rs1"), rig.events, rig.opinions.fault(60)) == (False, [], ())


def test_a_list_of_all_keys_says_only_what_is_new(rig: Rig) -> None:
    down, up = (encoded({"up": up, "since": "", "detail": "asked"}) for up in (False, True))
    everything: dict[str, bytes | None] = {"web/rs1/r2": down, "web/rs2/r2": up, "web/rs1/r1": up}
    assert rig.opinions.heard(everything, True, 0) == {("web", "rs1"), ("web", "rs2")}
    assert rig.opinions.heard(everything, True, 1) == set()
    assert rig.opinions.heard({"web/rs1/r2": None, "web/rs3/r2": None}, False, 2) == {("web", "rs1")}
    assert rig.opinions.heard({"web/rs2/r2": down}, True, 3) == {("web", "rs2")}


def test_while_etcd_is_silent_ones_own_verdicts_count(rig: Rig) -> None:
    rig.theirs(True, "rs1", "rs2", "rs3")
    rig.mine(False, "rs1", "rs2", now_s=10)
    assert rig.opinions.listening(deaf=True, now_s=11)
    assert not rig.opinions.listening(deaf=True, now_s=12)
    assert (rig.up("rs1", active="r2"), rig.opinions.faulty) == (False, False)
    assert rig.opinions.listening(deaf=False, now_s=13)
    assert (rig.up("rs1"), rig.opinions.faulty) == (True, True)


def test_while_etcd_is_silent_what_an_external_party_said_last_holds_on(rig: Rig) -> None:
    rig.theirs(False, "rs1", by="external-ops")
    rig.theirs(False, "rs1", "rs2")
    rig.opinions.listening(deaf=True, now_s=10)
    assert rig.opinions.decision(("web", "rs1"), "r2").forced
    assert rig.up("rs2", active="r2") is True


def test_what_is_no_longer_configured_is_forgotten(rig: Rig) -> None:
    rig.theirs(True, "rs1", "rs2", "rs3")
    rig.mine(False, "rs1", "rs2", now_s=10)
    gone = {("web", name): None for name in ("rs2", "rs3")}
    rig.opinions.configure(cluster(1), {("web", "rs1"): Verdict(False, 0, "asked"), **gone}, 11)
    assert not rig.opinions.faulty
    rig.opinions.tick(10 + SETTLE_S)
    assert rig.events == [("disagreement", "r1 cannot reach web/rs1, r2 can")]
