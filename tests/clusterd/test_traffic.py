"""What goes through a router: rates between two readings, and the order in which they are shown."""

from dataclasses import replace

import pytest

from clusterd.counters import Counters, Rates, rates
from clusterd.desired import destination_key, service_key
from clusterd.document import parse
from clusterd.overview import Observed, Overview, overview
from clusterd.plane import Key
from clusterd.reports import RouterReport
from clusterd.traffic import NAME, ORDERS, Line, Sample, arranged, lines, routers_line
from tests.clusterd.examples import MANUAL

CLUSTER = parse(
    MANUAL
    + """\
  mail:
    address: 1.2.3.9/24
    interface: eth0
    port: 25
    enabled: false
    servers:
      mx: {address: 192.168.1.9}
  marked:
    mark: 7
    check: {type: tcp, port: 80}
    servers:
      rs1: {address: 192.168.1.1}
"""
)
WEB = CLUSTER.virtuals["web"]


def view(counters: dict[Key, Counters] | None) -> Overview:
    seen = Observed(
        routers={"r1": RouterReport(role="active", ready=True), "r2": RouterReport(role="backup", ready=False)},
        leases_s={"r1": 2.6},
        counters=counters,
        counted_by="r1",
    )
    return overview("main", 1, CLUSTER, seen)


def counted(connections: int, byte: int = 0, packets: int = 0) -> dict[Key, Counters]:
    """What was counted of web in all, by rs1 alone but for one connection."""
    all_ = Counters(connections=connections, active=3, bytes_in=byte, packets_in=packets)
    return {
        service_key(WEB): all_,
        destination_key(WEB, "rs1"): Counters(connections=connections - 1, active=2, bytes_in=byte, packets_in=packets),
        destination_key(WEB, "rs2"): Counters(connections=1, active=1),
    }


def test_a_rate_is_what_came_in_the_time_between() -> None:
    before, after = Counters(connections=10, bytes_out=500), Counters(connections=16, bytes_out=500, packets_in=8)
    assert rates(before, after, 4.0) == Rates(connections=1.5, packets_in=2.0)


def test_a_counter_that_began_anew_counts_from_there() -> None:
    assert rates(Counters(connections=1000), Counters(connections=6), 2.0).connections == 3.0


def test_virtual_servers_come_with_their_real_servers_and_their_rates() -> None:
    found = lines(Sample(100.0, view(counted(11))), Sample(102.0, view(counted(21, byte=400, packets=4))))
    by_name = {(line.virtual, line.server): line for line in found}
    web, rs1, rs3 = by_name["web", ""], by_name["web", "rs1"], by_name["web", "rs3"]
    assert (web.rates, web.active) == (Rates(connections=5.0, bytes_in=200.0, packets_in=2.0), 3)
    assert (rs1.rates and rs1.rates.connections, rs1.address, rs1.active) == (5.0, "192.168.1.1:80", 2)
    assert (rs3.rates, rs3.active, rs3.state, rs3.weight) == (None, None, "unchecked", "")
    assert by_name["mail", ""].state == "disabled"
    assert by_name["marked", ""].address == "mark 7"
    assert web.address == "1.2.3.1:80 tcp"


def test_nothing_is_known_from_one_reading_or_of_what_was_not_there_before() -> None:
    sample = Sample(100.0, view(counted(11)))
    assert {line.rates for line in lines(sample, sample)} == {None}
    assert {line.rates for line in lines(Sample(98.0, view(None)), sample)} == {None}
    nothing = replace(sample, at_s=98.0, view=sample.view.model_copy(update={"virtuals": ()}))
    assert {line.rates for line in lines(nothing, sample)} == {None}


def line(virtual: str, server: str = "", active: int | None = None, **per_s: float) -> Line:
    return Line(virtual, server, f"10.0.0.1:{len(virtual)}", "up", "1", active, Rates(**per_s) if per_s else None)


BUSY = (
    line("a", connections=1, bytes_in=5, packets_out=1, active=9),
    line("a", "s2", connections=1),
    line("a", "s1"),
    line("bb", connections=7, bytes_out=2, packets_in=9),
    line("bb", "s3", connections=7),
    line("c"),
)


@pytest.mark.parametrize(
    ("order", "virtuals"),
    [
        ("connections", ["bb", "a", "c"]),
        ("packets", ["bb", "a", "c"]),
        ("bytes", ["a", "bb", "c"]),
        ("active", ["a", "bb", "c"]),
        (NAME, ["a", "bb", "c"]),
    ],
)
def test_the_busiest_come_first_and_real_servers_stay_with_theirs(order: str, virtuals: list[str]) -> None:
    shown = arranged(BUSY, order)
    assert [one.virtual for one in shown if not one.server] == virtuals
    assert [one.server for one in shown if one.virtual == "a"] == (
        ["", "s1", "s2"] if order == NAME else ["", *order_of(order)]
    )


def order_of(order: str) -> list[str]:
    return ["s2", "s1"] if order == "connections" else ["s1", "s2"]


def test_a_filter_keeps_whole_virtual_servers_or_the_real_servers_that_have_it() -> None:
    assert [one.server for one in arranged(BUSY, NAME, "10.0.0.1:2") if one.virtual == "bb"] == ["", "s3"]
    assert [(one.virtual, one.server) for one in arranged(BUSY, NAME, "S2")] == [("a", ""), ("a", "s2")]
    assert arranged(BUSY, NAME, "nowhere") == ()


def test_a_folded_virtual_server_hides_its_real_servers() -> None:
    assert [one.virtual for one in arranged(BUSY, NAME, folded={"a"})] == ["a", "bb", "bb", "c"]


def test_each_order_is_about_something_that_is_counted() -> None:
    assert list(ORDERS) == ["connections", "packets", "bytes", "active"]


def test_the_routers_are_one_line_with_role_and_margin() -> None:
    assert routers_line(view(None)) == "r1 active, lease 3 s  r2 backup, not ready"
