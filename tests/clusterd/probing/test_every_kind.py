"""What holds for every kind of check: limited in time, errors in words, nothing raised, nothing left open."""

import asyncio
import os
import resource
import socket
import time
from importlib import import_module
from typing import get_args

import pytest

from clusterd.checks import MODULES, TRANSPORTS, kinds, transport
from clusterd.checks.dialogue import quoted
from clusterd.health import Observation
from clusterd.model import Check, Cluster, SendExpectCheck, TcpCheck
from clusterd.probing import probe
from clusterd.probing.engine import Engine
from tests.clusterd.checks.servers import free_port, saying, serving

GIVEN: dict[str, dict[str, object]] = {
    "send_expect": {"expect": "220"},
    "exec": {"command": ["/bin/true"]},
}
EVERY_KIND: list[Check] = [
    kind.model_validate({"type": name, "timeout_s": 0.3, **GIVEN.get(name, {})})
    for kind in kinds()
    for name in get_args(kind.model_fields["type"].annotation)
]
STREAMS = [check for check in EVERY_KIND if transport(check) == "stream"]
every_kind = pytest.mark.parametrize("check", STREAMS, ids=lambda check: check.type)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not used as paths


@pytest.mark.parametrize("check", EVERY_KIND, ids=lambda check: check.type)
def test_every_kind_of_check_can_be_in_a_document_and_has_its_module(check: Check) -> None:
    said = {"address": "10.0.0.1/24", "interface": "eth0", "port": 80, "check": check.model_dump()}
    assert Cluster.model_validate({"virtuals": {"web": said}}).virtuals["web"].check == check
    name = MODULES.get(check.type, check.type)
    assert hasattr(import_module(f"clusterd.checks.{name}"), "judged" if name == "exec" else "talk")


def test_what_is_no_stream_is_a_type_of_check() -> None:
    assert set(TRANSPORTS) <= {check.type for check in EVERY_KIND}


@every_kind
async def test_a_closed_port_is_a_refused_connection(check: Check) -> None:
    assert await probe("127.0.0.1", free_port(), check) == Observation(False, "connection refused")


@every_kind
async def test_a_server_that_accepts_nothing_gives_no_answer_in_time(check: Check) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = int(full.getsockname()[1])
        with (
            socket.create_connection(("127.0.0.1", port)),
            socket.socket() as second,
        ):  # the queue holds one more than it says
            second.setblocking(False)
            second.connect_ex(("127.0.0.1", port))
            before_s = time.monotonic()
            assert await probe("127.0.0.1", port, check) == Observation(False, "no answer within 0.3 s")
            assert 0.25 < time.monotonic() - before_s < 1.0


@every_kind
async def test_an_unreachable_network_is_said_in_words(check: Check) -> None:
    found = await probe("255.255.255.255", 80, check)  # the kernel refuses TCP to a broadcast address
    assert not found.ok
    assert found.conclusive
    assert found.detail in ("network is unreachable", "permission denied")


@every_kind
async def test_no_socket_stays_open(check: Check) -> None:
    async with serving(saying(b"no\r\n", then_s=9)) as port:
        before = open_files()
        cancelled = asyncio.create_task(probe("127.0.0.1", port, check))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        await asyncio.gather(*(probe("127.0.0.1", port, check) for _ in range(5)), probe("127.0.0.1", 1, check))
    await asyncio.sleep(0.05)
    assert open_files() <= before


@every_kind
async def test_a_check_ends_when_it_is_cancelled(check: Check) -> None:
    async with serving(saying(then_s=9)) as port:
        task = asyncio.create_task(probe("127.0.0.1", port, check))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("check", [each for each in EVERY_KIND if each.type != "exec"], ids=lambda check: check.type)
async def test_a_check_without_a_file_descriptor_says_nothing_about_the_server(check: Check) -> None:
    found: list[Observation] = []
    engine = Engine()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        engine.check("127.0.0.1", 9, check, found.append)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        engine.close()
    assert found == [Observation(False, "too many open files", conclusive=False)]


async def test_a_check_that_was_held_up_says_nothing_about_the_server() -> None:
    async with serving(saying(then_s=9)) as port:
        check = SendExpectCheck(type="send_expect", expect="220", timeout_s=0.1)
        probing = asyncio.create_task(probe("127.0.0.1", port, check))
        await asyncio.sleep(0)
        time.sleep(0.7)  # noqa: ASYNC251 - the whole process stands still, as when it is stopped
        assert await probing == Observation(False, "the check was held up", conclusive=False)


async def test_an_answer_that_came_in_time_counts_however_late_it_is_looked_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        check = TcpCheck(type="tcp", timeout_s=0.1)
        probing = asyncio.create_task(probe("127.0.0.1", listening.getsockname()[1], check))
        await asyncio.sleep(0)
        time.sleep(0.7)  # noqa: ASYNC251 - the whole process stands still, as when it is stopped
        assert (await probing).ok


async def test_a_part_of_an_answer_is_shown_when_no_more_comes() -> None:
    check = SendExpectCheck(type="send_expect", expect="220 ready", timeout_s=0.3)
    async with serving(saying(b"220", then_s=9)) as port:
        assert await probe("127.0.0.1", port, check) == Observation(False, 'answered "220", and no more within 0.3 s')


def test_an_answer_is_quoted_in_one_printable_line() -> None:
    assert quoted(b"\x00\xff\r\n\xe9 yes") == r'"\x00\xff\r\n\xe9 yes"'
    assert quoted(b"x" * 61) == '"' + "x" * 60 + '…"'
