"""A router is isolated without carrier, and when none of the hosts that it asks answers."""

from collections.abc import Iterable
from ipaddress import IPv4Address

from clusterd.model import Reachability as Settings
from clusterd.plane import HostAddress
from watchers.reachability import Reachability

GATEWAY, OTHER = IPv4Address("1.2.3.254"), IPv4Address("1.2.3.253")
TWO = Settings(hosts=(GATEWAY, OTHER), interval_s=1, timeout_s=3)


class Rig:
    """The surroundings of a router."""

    def __init__(self, settings: Settings) -> None:
        self.dead: frozenset[str] = frozenset()
        self.asked: list[HostAddress] = []
        self.around = Reachability(self._dead, self.asked.extend)
        self.around.configure(settings, ["eth0", "eth1", "eth0"], 0.0)

    def _dead(self, interfaces: Iterable[str]) -> frozenset[str]:
        return self.dead & frozenset(interfaces)


def test_without_hosts_the_carrier_of_each_interface_counts() -> None:
    rig = Rig(Settings())
    assert rig.around.missing(1e6) == ()
    rig.dead = frozenset({"eth0", "eth7"})
    assert rig.around.missing(1e6) == ()
    rig.around.look()
    assert rig.around.missing(1e6) == ("eth0 has no carrier",)
    rig.around.tick(1e6)
    assert rig.asked == []


def test_hosts_are_asked_every_interval() -> None:
    rig = Rig(TWO)
    for tenth in range(25):
        rig.around.tick(tenth / 10)
    assert rig.asked == [GATEWAY, OTHER] * 3


def test_one_host_that_answers_is_enough_and_none_is_isolation() -> None:
    rig = Rig(TWO)
    assert rig.around.missing(2.9) == ()
    rig.around.answered(OTHER, 2.0)
    rig.around.answered(IPv4Address("9.9.9.9"), 4.9)
    assert rig.around.missing(4.9) == ()
    assert rig.around.missing(5.0) == ("1.2.3.254 does not answer", "1.2.3.253 does not answer")
    rig.around.answered(GATEWAY, 5.1)
    assert rig.around.missing(5.1) == ()


def test_a_new_host_has_its_time_to_answer_and_an_old_one_keeps_what_it_said() -> None:
    rig = Rig(Settings(hosts=(GATEWAY,), timeout_s=3))
    rig.around.configure(TWO, ["eth0"], 10.0)
    assert rig.around.missing(12.9) == ()
    assert len(rig.around.missing(13.0)) == 2
    rig.around.configure(Settings(), [], 13.0)
    assert rig.around.missing(99.0) == ()
