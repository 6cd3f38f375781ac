"""Small things in words."""

import pytest

from clusterd.counters import Counters
from clusterd.overview import RouterLine, ServerLine, VirtualLine
from clusterd.reports import Pause
from watchers.web.wording import connections, place, readiness, used


def virtual(**fields: object) -> VirtualLine:
    given = {
        "name": "web",
        "group": "default",
        "address": "1.2.3.1/24",
        "port": 80,
        "protocol": "tcp",
        "scheduler": "wlc",
    }
    more = {"enabled": True, "sorry_server": None, "sorry_server_in_use": False, "servers": ()}
    return VirtualLine.model_validate({**given, **more, **fields})


def server(weight: int | None) -> ServerLine:
    return ServerLine(name="rs", address="10.0.0.1", port=80, weight=1, effective_weight=weight, state="up", up=True)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "1.2.3.1:80 tcp"),
        ({"port": 0}, "1.2.3.1:* tcp"),
        ({"address": "2001:db8::1/64"}, "[2001:db8::1]:80 tcp"),
        ({"mark": 7}, "mark 7"),
    ],
)
def test_where_clients_connect(fields: dict[str, object], told: str) -> None:
    assert place(virtual(**fields)) == told


def test_how_many_real_servers_are_used() -> None:
    assert used(virtual(servers=(server(1), server(0), server(None)))) == "1 of 3"


def test_how_many_connections_there_are() -> None:
    counters = [None, Counters(connections=5), Counters(connections=5, active=2)]
    assert [connections(virtual(counters=one)) for one in counters] == ["", "5", "2"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"ready": True}, "ready"),
        ({"ready": True, "paused": Pause(router="all")}, "ready, paused"),
        ({"ready": False, "not_ready": ("a", "b")}, "not ready: a; b"),
        ({"ready": False}, "not ready: it does not say why"),
        ({}, "not known"),
    ],
)
def test_whether_a_router_could_take_over(fields: dict[str, object], told: str) -> None:
    line = RouterLine.model_validate({"name": "r1", "alive": True, "configured": True, "role": "backup", **fields})
    assert readiness(line) == told
