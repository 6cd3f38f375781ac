"""clusterd doctor as whoever types it meets it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clusterd import settings
from clusterd.doctor import CHECKS, HostFacts
from clusterd.store.etcd import EtcdStore
from tests.clusterd.command_line import CommandLine
from tests.clusterd.doctor.seen import host
from tests.clusterd.examples import manual
from tests.clusterd.live import alive, put, report
from tests.store.etcd_server import etcdctl
from tests.watchers.test_local_socket import listening, sight
from watchers.examining import Examining

pytestmark = pytest.mark.etcd


@contextmanager
def routers(clusterd: CommandLine, **facts: HostFacts) -> Iterator[None]:
    """Have routers that answer what they are asked, each with these facts, in a thread of their own."""
    ready, ended = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        store = EtcdStore([clusterd.endpoint])
        tasks = []
        for name, told in facts.items():
            value = told.model_dump_json(exclude_defaults=True).encode()

            async def examine(_: bytes, value: bytes = value) -> bytes:
                return value

            one = Examining(store, clusterd.keys, name, lambda: b"{}", examine)
            tasks += [asyncio.create_task(one.follow()), asyncio.create_task(one.run())]
        ready.set()
        await ended.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def test_routers_look_at_their_hosts_when_they_are_asked_and_nothing_of_it_stays(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    cluster = manual()
    broken = host(cluster, "r2").model_copy(update={"ipvs": ""})
    with routers(clusterd, r1=host(cluster, "r1"), r2=broken):
        ended = clusterd("doctor")
        told = clusterd("doctor", "--json").json
    assert ended.code == 1
    assert ended.err == "failed: ipvs of r2\n"
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[0][:3] == ["CHECK", "PLACE", "RESULT"]
    assert lines[1][:3] == ["ipvs", "r2", "fail"]
    assert "→ modprobe ip_vs" in ended.out.splitlines()[1]
    assert ["forwarding", "r1,", "r2", "ok"] in [line[:4] for line in lines]
    verdicts = {(one["check"], one["place"]): one["verdict"] for one in told}
    assert verdicts["router-alive", "r1"] == verdicts["service", "web/rs3"] == "ok"
    assert verdicts["public-network", "web/rs1"] == "unknown"
    assert set(told[0]) == {"check", "place", "verdict", "what", "mend"}
    assert etcdctl(clusterd.endpoint, "get", "--prefix", clusterd.keys.doctor_prefix) == ""


def test_what_could_not_be_seen_ends_with_6(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    cluster = manual()
    with routers(clusterd, r1=host(cluster, "r1"), r2=host(cluster, "r2")):
        ended = clusterd("doctor")
    assert ended.code == 6
    assert ended.err.startswith("not seen: default-route of web/rs1, ")
    assert "  fail  " not in ended.out


def test_a_host_whose_router_does_not_run_is_looked_at_where_the_command_runs(clusterd: CommandLine) -> None:
    clusterd.begin()
    told = clusterd("doctor", "--json", CLUSTERD_ROUTER="r2")
    assert told.code == 1
    found = {(one["check"], one["place"]): one for one in told.json}
    assert found["router-alive", "r2"]["verdict"] == "fail"
    assert found["interfaces", "r2"]["what"].startswith("public address 1.2.3.3 is on no interface")
    assert found["tools", "r2"]["verdict"] in ("ok", "warn")
    assert found["interfaces", "r1"]["verdict"] == "unknown"


def test_answers_that_cannot_be_read_are_unknown(clusterd: CommandLine) -> None:
    clusterd.begin()
    report(clusterd, "r1")
    report(clusterd, "stranger")
    put(clusterd, clusterd.keys.doctor_answer("old", "r1"), "gibberish")
    with routers(clusterd, r1=HostFacts()):
        found = {(one["check"], one["place"]): one["verdict"] for one in clusterd("doctor", "--json").json}
    assert found["ipvs", "r1"] == found["interfaces", "r1"] == found["tools", "r1"] == "unknown"


def test_without_a_configuration_etcd_is_looked_at_all_the_same(clusterd: CommandLine) -> None:
    ended = clusterd("doctor")
    assert ended.code == 1
    assert "has no configuration yet" in ended.err
    assert any(line.startswith("etcd-health") for line in ended.out.splitlines())


def test_the_checks_can_be_listed_without_etcd(clusterd: CommandLine) -> None:
    nowhere = {"CLUSTERD_ENDPOINTS": "http://127.0.0.1:1"}
    ended = clusterd("doctor", "--checks", **nowhere)
    assert ended.code == 0
    assert [line.split()[0] for line in ended.out.splitlines() if not line.startswith(" ")] == list(CHECKS)
    assert clusterd("doctor", "--checks", "--json", **nowhere).json["arp"]["where"] == "real server"


def test_while_etcd_is_down_the_router_here_tells_what_there_is_and_the_host_is_looked_at(
    clusterd: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PATIENCE_S", 1.0)
    nowhere = {"CLUSTERD_ENDPOINTS": "http://127.0.0.1:1", "CLUSTERD_CLUSTER": "main"}
    with listening(clusterd.folder / "main.sock", sight()):
        ended = clusterd("doctor", "--json", CLUSTERD_RUN_DIR=str(clusterd.folder), **nowhere)
    assert ended.code == 4
    found = {(one["check"], one["place"]): one["verdict"] for one in ended.json}
    assert found["etcd-reachable", "http://127.0.0.1:1"] == "fail"
    assert found["router-alive", "r1"] == "warn"
    assert found["router-alive", "r2"] == "unknown"
    assert found["interfaces", "r1"] == "fail"
    assert found["service", "web/rs2"] == "fail"
    alone = clusterd("doctor", CLUSTERD_RUN_DIR="/nowhere", **nowhere)
    assert (alone.code, "etcd-reachable" in alone.out) == (4, True)
