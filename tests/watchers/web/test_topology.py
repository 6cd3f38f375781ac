"""The picture of the cluster: what is in it, and that nothing overlaps."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.counters import Counters
from clusterd.desired import destination_key, service_key
from clusterd.document import from_data
from clusterd.model import Cluster
from clusterd.overview import Holder, Observed, overview
from clusterd.reports import RouterReport, VerdictReport
from tests.clusterd.examples import clusters, manual
from watchers.web.topology import MOST_SERVERS, Box, Picture, picture


def seen(cluster: Cluster, **more: object) -> Observed:
    routers = {name: RouterReport(role="active" if name == "r1" else "backup") for name in cluster.routers}
    given: dict[str, object] = {"routers": routers, "holders": (Holder(group="default", router="r1", token=1),), **more}
    return Observed(**given)  # type: ignore[arg-type] # named by the tests


def drawn(cluster: Cluster, columns: int = 6, width: int = 1080, **more: object) -> Picture:
    return picture(cluster, overview("main", 1, cluster, seen(cluster, **more)), columns, width)


def box(found: Picture, title: str) -> Box:
    return next(each for each in found.boxes if each.label.title == title)


def test_the_manuals_picture() -> None:
    verdicts = {
        ("web", "rs1"): (VerdictReport(observer="r1", up=True),),
        ("web", "rs3"): (VerdictReport(observer="r1", up=False),),
    }
    found = drawn(manual(), verdicts=verdicts)
    assert [each.label.title for each in found.boxes] == [
        "clients", "r1", "r2", "network of the real servers", "rs1", "rs2", "rs3",
    ]  # fmt: skip
    assert box(found, "r1").label.lines == ("active", "web 1.2.3.1:80 tcp")
    assert box(found, "r2").label.lines == ("backup",)
    assert box(found, "network of the real servers").label.lines == ("gateway 192.168.1.254/24",)
    assert box(found, "rs1").label.lines == ("192.168.1.1", "web: up, weight 2")
    assert [box(found, name).label.state for name in ("r1", "r2", "rs1", "rs2", "rs3")] == [
        "active", "backup", "up", "unchecked", "down",
    ]  # fmt: skip
    assert box(found, "rs1").label.href == "/virtuals/web/servers/rs1"


def test_traffic_takes_the_lines_of_the_active_router() -> None:
    found = drawn(manual())
    r1 = box(found, "r1")
    states = {(line.y, line.state) for line in found.lines if line.x == r1.middle}
    assert {(box(found, "clients").bottom, "active"), (r1.bottom, "active")} <= states


def test_rates_are_told_where_somebody_counts() -> None:
    cluster = manual()
    virtual = cluster.virtuals["web"]
    counters = {
        service_key(virtual): Counters(connections_rate=3, bytes_in_rate=1000, bytes_out_rate=2_000_000),
        destination_key(virtual, "rs1"): Counters(active=7),
    }
    found = drawn(cluster, counters=counters, verdicts={("web", "rs1"): (VerdictReport(observer="r1", up=True),)})
    assert box(found, "clients").label.lines == ("3 conn/s, 1.0 kB/s in, 2.0 MB/s out",)
    assert box(found, "rs1").label.lines[1] == "web: up, weight 2, 7 conns"


def many(virtuals: int, servers: int, same: bool = False) -> Cluster:
    def address(virtual: int, server: int) -> str:
        return f"10.0.{0 if same else virtual}.{server + 1}"

    return from_data(
        {
            "routers": {"r1": {"public": "1.2.3.2"}},
            "virtuals": {
                f"v{v}": {
                    "address": f"1.2.3.{100 + v}/24",
                    "interface": "eth0",
                    "port": 80 + v,
                    "forwarding": "direct",
                    "servers": {f"s{s}": {"address": address(v, s), "port": 80 + v} for s in range(servers)},
                }
                for v in range(virtuals)
            },
        }
    )


def test_what_is_too_much_is_counted() -> None:
    found = drawn(many(8, 10))
    assert box(found, f"and {80 - MOST_SERVERS} more real servers").label.kind == "more"
    assert box(found, "r1").label.lines[-1] == "and 2 more"


def test_a_real_server_of_several_virtual_servers_is_drawn_once() -> None:
    found = drawn(many(5, 1, same=True))
    assert [each.label.title for each in found.boxes].count("s0") == 1
    assert box(found, "s0").label.lines[-1] == "and 2 more"


def test_a_router_that_nobody_configured_leads_nowhere() -> None:
    found = drawn(manual(), routers={"odd": RouterReport()}, holders=())
    assert (box(found, "odd").label.href, box(found, "odd").label.state) == ("", "down")


@given(clusters(), st.sampled_from([(6, 1080), (2, 340)]))
@settings(max_examples=40)
def test_no_box_lies_on_another_and_all_are_inside(cluster: Cluster, size: tuple[int, int]) -> None:
    found = drawn(cluster, *size)
    for one, other in combinations(found.boxes, 2):
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart or one.bottom <= other.y or other.bottom <= one.y
    for each in found.boxes:
        assert each.x >= 0
        assert each.x + each.width <= found.width
        assert each.bottom <= found.height


@pytest.mark.parametrize("columns", [1, 2, 6])
def test_an_empty_cluster_has_a_picture_too(columns: int) -> None:
    assert [each.label.title for each in drawn(Cluster(), columns).boxes] == ["clients", "network of the real servers"]
