"""Real servers as one host sees them: servers on loopback, and a real ssh server."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterd.document import from_data
from clusterd.examination.servers import CONNECT_S, LIMIT_S, connection, look_at_servers
from clusterd.model import Cluster, Router
from tests.clusterd.doctor.test_servers import TOLD
from tests.clusterd.loads.test_ssh import UPTIME, Host

HERE = Router.model_validate({"public": "127.0.0.2"})


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.close()


@pytest.fixture
def port() -> Iterator[int]:
    """A port of loopback that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def cluster(port: int, load: dict[str, Any] | None = None, **more: Any) -> Cluster:
    servers = {"rs1": {"address": "127.0.0.1"}, "off": {"address": "127.0.0.9", "enabled": False}}
    web = {"address": "1.2.3.1/24", "interface": "eth0", "port": port, "servers": servers}
    return from_data(
        {
            "cluster": {"nat_router": {"address": "192.168.1.254/24", "interface": "eth1"}},
            "routers": {"r1": {"public": "1.2.3.2"}},
            "virtuals": {"web": {**web, "load": load or {"source": "none"}, **more}},
        }
    )


def ssh(host: Host) -> dict[str, Any]:
    files = {"key_file": str(host.key_file), "known_hosts": str(host.known_hosts)}
    return {"source": "ssh", "port": host.port, **files}


async def test_a_server_is_connected_to_and_from_the_public_address_too(port: int) -> None:
    found = await look_at_servers(cluster(port), ["default"], HERE, "r1")
    assert list(found) == ["web/rs1"]
    seen = found["web/rs1"]
    assert (seen.seen_by, seen.answers, seen.way, seen.load, seen.ssh) == ("r1", "", "", None, None)


async def test_the_way_back_is_only_tried_by_nat_and_from_an_active_router(port: int) -> None:
    found = await look_at_servers(cluster(port, forwarding="direct"), None, HERE, "r1")
    assert (found["web/rs1"].answers, found["web/rs1"].way) == ("", None)
    found = await look_at_servers(cluster(port), None, None, "here")
    assert (found["web/rs1"].answers, found["web/rs1"].way) == ("", None)
    six = Router.model_validate({"public": "fd00::1"})
    assert (await look_at_servers(cluster(port), None, six, "r1"))["web/rs1"].way is None


async def test_only_the_groups_that_are_asked_for_and_what_is_enabled_are_looked_at(port: int) -> None:
    assert await look_at_servers(cluster(port), ["other"], HERE, "r1") == {}
    assert await look_at_servers(cluster(port, enabled=False), None, HERE, "r1") == {}


async def test_over_udp_no_connection_is_made(port: int) -> None:
    check = {"type": "udp"}
    found = await look_at_servers(cluster(port, protocol="udp", check=check), None, HERE, "r1")
    assert (found["web/rs1"].answers, found["web/rs1"].way) == (None, None)


async def test_a_closed_port_is_told_in_words() -> None:
    assert await connection("127.0.0.1", 1) == "port 1: connection refused"


async def test_what_does_not_answer_takes_its_time_and_no_more() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        place = full.getsockname()
        waiting = [socket.create_connection(place, timeout=1)]  # fills the queue: more get no answer
        began_s = time.monotonic()
        assert await connection(*place) == f"no connection to port {place[1]} within {CONNECT_S:g} s"
        assert time.monotonic() - began_s < CONNECT_S + 1
        waiting[0].close()


async def test_a_server_tells_of_itself_by_ssh(host: Host, port: int) -> None:
    host.text = TOLD
    seen = (await look_at_servers(cluster(port, ssh(host)), None, HERE, "r1"))["web/rs1"]
    assert (seen.ssh, seen.default_routes) == ("", ("192.168.1.254", ""))
    assert seen.public == {"1.2.3.2": True, "1.2.3.3": False}
    assert "no number of processors" in (seen.load or "")
    assert seen.clock_offset_s is not None


async def test_a_load_that_can_be_read_is_told(host: Host, port: int) -> None:
    host.text = UPTIME
    seen = (await look_at_servers(cluster(port, ssh(host)), None, HERE, "r1"))["web/rs1"]
    assert (seen.ssh, seen.load, seen.links) == ("", "", None)


async def test_a_server_that_lets_nobody_in_says_so_of_both(host: Host, port: int) -> None:
    told = await look_at_servers(cluster(port, {**ssh(host), "user": "stranger"}), None, HERE, "r1")
    assert told["web/rs1"].ssh == told["web/rs1"].load == "it does not let us in"


async def test_another_source_of_load_is_read_as_the_router_does(port: int) -> None:
    seen = (await look_at_servers(cluster(port, {"source": "http", "port": 1}), None, HERE, "r1"))["web/rs1"]
    assert (seen.ssh, seen.load) == (None, "port 1: connection refused")
    agent = (await look_at_servers(cluster(port, {"source": "agent"}), None, HERE, "r1"))["web/rs1"]
    assert agent.load is None


async def test_all_of_it_has_an_end() -> None:
    """Hundreds of servers that never answer cost no more than the limit, and are told as not seen."""
    assert LIMIT_S < 15
    servers = {f"s{n}": {"address": f"192.0.2.{n % 250 + 1}", "port": 1000 + n} for n in range(500)}
    many = cluster(80, servers=servers)
    began_s = time.monotonic()
    async with asyncio.timeout(6):
        found = await look_at_servers(many, None, HERE, "r1", limit_s=2.0)
    assert len(found) == 500
    assert time.monotonic() - began_s < 5
