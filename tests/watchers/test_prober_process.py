"""The prober as a process: lines in, lines out, and nothing left behind."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

from clusterd.model import SendExpectCheck, TcpCheck
from tests.clusterd.checks.servers import answering, free_port, saying, serving
from watchers.prober_messages import FROM_PROBER, Assignment, Report, Target

CHECK = TcpCheck(type="tcp", interval_s=0.2, timeout_s=5)
PROBER = ("-m", "watchers.prober")


@asynccontextmanager
async def prober(*arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *(arguments or PROBER), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def assignment(*ports: int) -> bytes:
    address = IPv4Address("127.0.0.1")
    return line(*(Target(("web", f"s{p}"), address=address, port=p, check=CHECK) for p in ports))


def line(*targets: Target) -> bytes:
    return Assignment(targets=targets).model_dump_json().encode() + b"\n"


def tell(process: Process, data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)


async def report(process: Process) -> Report:
    assert process.stdout is not None
    while not isinstance(
        said := FROM_PROBER.validate_json(await asyncio.wait_for(process.stdout.readline(), 5)), Report
    ):
        pass
    return said


def file_limits(pid: int) -> list[str]:
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[3:5] for line in limits if line.startswith("Max open files"))


def entries(pid: int, folder: str) -> int:
    """Return how many files, or threads, a process has: proc(5)."""
    return len(list(Path(f"/proc/{pid}/{folder}").iterdir()))


async def test_a_verdict_is_one_json_line() -> None:
    async with serving(saying()) as port, prober() as process:
        tell(process, assignment(port))
        assert process.stdout is not None
        said = json.loads(await asyncio.wait_for(process.stdout.readline(), 5))
        assert said["identity"] == ["web", f"s{port}"]
        assert said["verdict"]["up"] is True
        assert said["verdict"]["detail"] == "accepted a connection"


async def test_it_ends_with_its_input() -> None:
    async with serving(saying()) as port, prober() as process:
        tell(process, assignment(port))
        await report(process)
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 2) == 0


async def test_lines_that_are_no_assignment_are_logged_and_change_nothing() -> None:
    refused = free_port()
    async with serving(saying()) as port, prober() as process:
        tell(process, assignment(port))
        assert (await report(process)).verdict.up
        for garbage in (
            b"\n",
            b"{\n",
            b"\xff\x00\n",
            b"[]\n",
            b'{"targets": [{"identity": ["web", "rs1"]}]}\n',
            b"9" * 99999 + b"\n",
        ):
            tell(process, garbage)
        tell(process, assignment(port, refused))
        new = await report(process)
        assert (new.identity[1], new.verdict.up) == (f"s{refused}", False)
        assert process.stdin is not None
        process.stdin.close()
        _, log = await process.communicate()
        assert log.count(b"an assignment was not understood, those before it still hold") == 6
        assert b"Traceback" not in log


async def test_an_interrupt_from_the_terminal_is_left_to_the_router() -> None:
    async with serving(saying()) as port, prober() as process:
        tell(process, assignment(port))
        await report(process)
        process.send_signal(signal.SIGINT)
        tell(process, assignment(port, free_port()))
        assert not (await report(process)).verdict.up


async def test_a_regular_expression_that_never_ends_ends_the_prober() -> None:
    check = SendExpectCheck(type="send_expect", expect="^(a+)+$", regex=True)
    impatient = "import watchers.prober as prober; prober.HANG_S = 0.5; prober.main()"
    async with serving(saying(b"a" * 64 + b"!", then_s=9)) as port, prober("-c", impatient) as process:
        tell(process, line(Target(("v", "s"), address=IPv4Address("127.0.0.1"), port=port, check=check)))
        assert process.stderr is not None
        assert await asyncio.wait_for(process.wait(), 5) == 1
        assert b"send_expect.py" in await process.stderr.read()


async def test_it_takes_all_the_file_descriptors_it_may_have() -> None:
    few = "import resource, watchers.prober as p; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256)); p.main()"
    async with prober("-c", few) as process:
        tell(process, assignment(free_port()))
        await report(process)
        assert file_limits(process.pid) == ["256", "256"]


async def test_many_checks_that_wait_at_once_have_no_threads_of_their_own() -> None:
    check = SendExpectCheck(type="send_expect", expect="never", interval_s=2, timeout_s=2)
    count, address = 200, IPv4Address("127.0.0.1")

    async with serving(saying(b"", then_s=9)) as port, prober() as process:
        idle = entries(process.pid, "fd")
        tell(process, line(*(Target(("web", f"s{number}"), address, port, check) for number in range(count))))
        async with asyncio.timeout(5):
            while entries(process.pid, "fd") < idle + count / 2:
                await asyncio.sleep(0.02)
        threads = entries(process.pid, "task")
    assert threads <= 2, "the one that checks, and the one that watches over it"


async def test_it_knows_nothing_of_etcd_and_the_kernel() -> None:
    look = "import sys, watchers.prober; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    async with prober("-c", look) as process:
        out, _ = await process.communicate()
    assert not {"grpc", "google", "etcd3", "pyroute2", "yaml", "paramiko", "jinja2", "click"} & set(
        out.decode().split()
    )


async def test_every_kind_of_check_runs_in_it() -> None:
    http = answering(b"HTTP/1.1 503 Busy\r\n\r\n")
    async with serving(http) as port, prober() as process:
        place = {"address": "127.0.0.1", "port": port}
        wish = [
            {**place, "identity": ["web", "http"], "check": {"type": "http"}},
            {**place, "identity": ["web", "send"], "check": {"type": "send_expect", "send": "x", "expect": "HTTP"}},
            {**place, "identity": ["web", "tcp"], "check": {"type": "tcp"}},
        ]
        tell(process, json.dumps({"targets": wish}).encode() + b"\n")
        said = {new.identity[1]: new.verdict.detail for new in [await report(process) for _ in wish]}
    assert said == {
        "http": "HTTP 503, expected 200",
        "send": "answered as expected",
        "tcp": "accepted a connection",
    }
