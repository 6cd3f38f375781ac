"""A router's own host, looked at: this one."""

from clusterd.examination.host import Here, addresses, look, printed, why_not
from clusterd.health import Observation
from clusterd.model import Router
from clusterd.store.endpoints import Credentials
from tests.clusterd.examples import manual

CLUSTER = manual()


async def test_this_host_is_looked_at_without_changing_it() -> None:
    routers = {"r1": CLUSTER.routers["r1"], "r2": Router.model_validate({"public": "127.0.0.1"})}
    here = Here("r1", CLUSTER.model_copy(update={"routers": routers}), (), ("http://127.0.0.1:1",), Credentials())
    facts = await look(here)
    lo = next(link for link in facts.links or () if link.name == "lo")
    assert lo.up
    assert "127.0.0.1/8" in lo.addresses
    assert facts.settings["ipv4/ip_forward"] in ("0", "1")
    assert facts.ipvs is not None
    assert set(facts.modules) == {"ip_vs_wlc"}
    assert facts.programs["nft"].startswith("nftables v")
    assert facts.peers == {"r2": {"127.0.0.1": ""}}
    assert facts.clocks == {"http://127.0.0.1:1": None}
    assert facts.servers == {}


async def test_a_program_that_is_not_there_or_does_not_end_tells_nothing() -> None:
    assert await printed("no-such-program-anywhere") == (None, -1)
    assert await printed("sleep", "60") == (None, -1)
    assert await printed("sh", "-c", "echo v1; exit 3") == ("v1\n", 3)


def test_a_ping_that_could_not_be_sent_says_nothing_about_the_peer() -> None:
    assert why_not(Observation(True, "answered")) == ""
    assert why_not(Observation(False, "no answer")) == "no answer"
    assert why_not(Observation(False, "not permitted", conclusive=False)) is None


def test_a_router_has_up_to_four_addresses() -> None:
    all_ = Router.model_validate(
        {"public": "1.2.3.2", "private": "192.168.1.252", "public6": "fd00::2", "private6": "fd01::2"}
    )
    assert addresses(all_) == ["1.2.3.2", "192.168.1.252", "fd00::2", "fd01::2"]
