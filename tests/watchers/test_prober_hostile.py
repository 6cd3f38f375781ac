"""Servers that hang, flood, drip, reset, answer 1 GiB or garbage cost only themselves: a real prober beside them."""

import asyncio
import json
import re
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.clusterd.probing.certificates import certificate

TELLING = "import watchers.prober as p; p.LOOKED_AT_S, p.LATE_S = 6.0, -1; p.main()"
EACH = 12  # servers with each fault
MOST_MB = 160
HTTP: dict[str, Any] = {"type": "http", "interval_s": 0.25, "timeout_s": 1, "body": "ok"}
HOW: dict[str, dict[str, Any]] = {
    "well": HTTP,
    "hangs": HTTP,
    "floods": HTTP | {"type": "send_expect", "expect": "never", "regex": True, "body": None},
    "gigabyte": HTTP | {"body": None, "digest": "sha256:" + "0" * 64},
    "resets": HTTP,
    "garbage": HTTP,
    "drips": HTTP,
    "expired": HTTP | {"type": "https", "server_name": "www.example.org"},
}
WORDS = {
    "well": "HTTP 200, and its body is as expected",
    "hangs": "no answer within 1 s",
    "floods": 'answered "xxx',
    "gigabyte": "HTTP 200, and a body of more than 1024 KiB",
    "resets": "connection reset by peer",
    "garbage": "which is not HTTP",
    "drips": "and no more within 1 s",
    "expired": "its certificate is not good: certificate has expired",
}


@asynccontextmanager
async def faults(file: Path) -> AsyncIterator[dict[str, int]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.clusterd.probing.faults", str(file), stdout=PIPE
    )
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


def targets(ports: dict[str, int], authority: Path) -> bytes:
    found = []
    for name, port in ports.items():
        check = {key: value for key, value in HOW[name].items() if value is not None}
        if name == "expired":
            check["ca_file"] = str(authority)
        place = {"address": "127.0.0.1", "port": port, "check": check}
        found += [{**place, "identity": [name, f"s{number}"]} for number in range(EACH)]
    return json.dumps({"targets": found}).encode() + b"\n"


def most_memory_mb(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


async def test_each_costs_only_itself(tmp_path: Path) -> None:
    file = certificate(tmp_path / "expired.pem", days=-1)
    async with faults(file) as ports:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", TELLING, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(targets(ports, file))
        said: dict[str, list[tuple[bool, str]]] = {name: [] for name in HOW}
        began_s = time.monotonic()
        while sum(map(len, said.values())) < EACH * len(HOW):
            report = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
            if "verdict" not in report:
                continue
            said[report["identity"][0]].append((report["verdict"]["up"], report["verdict"]["detail"]))
        async with asyncio.timeout(30):
            while not (late := re.search(rb"1 % of (\d+) more than ([\d.e-]+) s", await process.stderr.readline())):
                pass
        took_s = time.monotonic() - began_s
        memory_mb = most_memory_mb(process.pid)
        process.stdin.close()
        rest = await process.stdout.read()
        await process.wait()
    for name, news in said.items():
        assert len(news) == EACH
        for up, detail in news:
            assert up is (name == "well")
            assert WORDS[name] in detail
    assert b"verdict" not in rest, "no verdict changed afterwards"
    assert memory_mb < MOST_MB
    assert float(late[2]) <= 0.2, f"1 % of {late[1]!r} checks in {took_s:.1f} s"
    assert int(late[1]) > 100
