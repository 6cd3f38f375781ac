"""The prober under load: many checks of servers on the loopback, which are a process of their own.

`python -m tests.lab.bench.probes PROGRAM TYPE COUNT SECONDS` prints one line:

    row {"program": "clusterd", "type": "tcp", "count": 10000, "checks_s": 5000.1, "core": 0.42, "cost_us": 84.5, ...}

PROGRAM is clusterd, or keepalived (tcp only, needs IPVS). `… beside SECONDS` measures both, twice and in turns.
"""

import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

INTERVAL_S = 2.0
SETTLING_S = 8.0
ROW = "row "
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
LOADS = (("clusterd", "tcp", 10_000), ("clusterd", "http", 5_000))
BESIDE = (("keepalived", "tcp", 600), ("clusterd", "tcp", 600))
_TICKS = os.sysconf("SC_CLK_TCK")
# The prober itself, but it tells every so often how late its checks begin, also where they are in time.
_PROBER = "import watchers.prober as p; p.LOOKED_AT_S, p.LATE_S = {every_s}, -1; p.main()"
_TOLD = re.compile(r"1 % of (\d+) more than ([\d.e-]+) s, one ([\d.]+) s")


@dataclass(frozen=True, slots=True)
class Load:
    """What a process took while it was measured: `core` is the share of one, `cost_us` that of one check."""

    program: str
    type: str
    count: int
    checks_s: float
    core: float
    cost_us: float
    late_p99_s: float | None
    late_worst_s: float | None
    memory_mb: float
    files: int


def serve(kind: str, port: int = 0) -> None:
    """Answer on every address of this host, at the port that is printed."""
    listening = socket.create_server(("0.0.0.0", port), backlog=4096)
    print(listening.getsockname()[1], flush=True)
    listening.setblocking(False)
    epoll = select.epoll()
    epoll.register(listening, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    while True:
        for fileno, _ in epoll.poll():
            with contextlib.suppress(OSError):
                if fileno == listening.fileno():
                    for _ in range(64):
                        client = listening.accept()[0]
                        if kind == "tcp":
                            client.close()
                        else:
                            clients[client.fileno()] = client
                            epoll.register(client, select.EPOLLIN)
                elif fileno in clients:
                    with clients.pop(fileno) as client:
                        client.recv(65536)
                        client.send(ANSWER)


@contextmanager
def serving(kind: str) -> Iterator[int]:
    """Have the servers in a process of their own, and give their port."""
    code = f"from tests.lab.bench.probes import serve; serve({kind!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def addresses(count: int) -> list[str]:
    """So many addresses of the loopback."""
    return [f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}" for number in range(count)]


def assignment(kind: str, count: int, port: int) -> bytes:
    """The line that tells a prober of so many real servers."""
    check = {"type": kind, "interval_s": INTERVAL_S, "timeout_s": 1.5}
    targets = [
        {"identity": (f"v{number // 10}", f"s{number}"), "address": address, "port": port, "check": check}
        for number, address in enumerate(addresses(count))
    ]
    return json.dumps({"targets": targets}).encode() + b"\n"


def busy_s(pid: int) -> float:
    """Processor time that a process has taken, in user and in kernel mode: proc(5), stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int) -> float:
    """The most memory that a process has had: proc(5), status."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def of_clusterd(kind: str, count: int, seconds: float) -> Load:
    """Measure the prober for so many seconds, once every server has been checked."""
    code = _PROBER.format(every_s=seconds)
    with (
        serving(kind) as port,
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as prober,
    ):
        assert prober.stdin is not None
        assert prober.stdout is not None
        assert prober.stderr is not None
        prober.stdin.write(assignment(kind, count, port))
        prober.stdin.flush()
        first = 0
        while first < count:
            report = json.loads(prober.stdout.readline())
            if "verdict" in report:
                assert report["verdict"]["up"]
                first += 1
        while _is_old(prober.stderr, seconds):
            pass
        before_s, began_s = busy_s(prober.pid), time.monotonic()
        checks, late_p99_s, late_worst_s = told(prober.stderr)
        took_s = time.monotonic() - began_s
        core = (busy_s(prober.pid) - before_s) / took_s
        files = len(list(Path(f"/proc/{prober.pid}/fd").iterdir()))
        load = Load(
            *(
                "clusterd",
                kind,
                count,
                round(checks / took_s, 1),
                round(core, 3),
                round(core / checks * took_s * 1e6, 1),
            ),
            *(late_p99_s, late_worst_s, round(memory_mb(prober.pid), 1), files),
        )
        prober.stdin.close()
    return load


def of_keepalived(count: int, seconds: float) -> Load:
    """Measure keepalived's checker with the same servers; how late its checks begin it does not tell."""
    with serving("tcp") as port, tempfile.TemporaryDirectory(prefix="clusterd-bench.") as folder:
        path, pid_file = Path(folder) / "keepalived.conf", Path(folder) / "checkers.pid"
        path.write_text(configuration(count, port))
        command = ["keepalived", "--dont-fork", "--check", "--log-console", f"--use-file={path}"]
        pids = [f"--pid={folder}/pid", f"--checkers_pid={pid_file}"]
        with subprocess.Popen([*command, *pids], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
            time.sleep(SETTLING_S)
            pid = int(pid_file.read_text())
            before_s, opened, began_s = busy_s(pid), accepted(), time.monotonic()
            time.sleep(seconds)
            took_s, checks = time.monotonic() - began_s, accepted() - opened
            core = (busy_s(pid) - before_s) / took_s
            memory, files = memory_mb(pid), len(list(Path(f"/proc/{pid}/fd").iterdir()))
            daemon.terminate()
    cost_us = round(core / checks * took_s * 1e6, 1)
    return Load(
        *("keepalived", "tcp", count, round(checks / took_s, 1), round(core, 3), cost_us, None, None),
        *(round(memory, 1), files),
    )


def configuration(count: int, port: int) -> str:
    """The same real servers for keepalived.conf(5), ten to a virtual server."""
    check = "TCP_CHECK { connect_timeout 1.5 }"
    text, places = "", addresses(count)
    for number in range(0, count, 10):
        servers = "".join(f"  real_server {each} {port} {{ {check} }}\n" for each in places[number : number + 10])
        text += (
            f"virtual_server 10.{number // 62500}.{number // 250 % 250}.{1 + number % 250} 80 {{\n"
            f"  delay_loop {INTERVAL_S:g}\n  lb_algo rr\n  lb_kind NAT\n  protocol TCP\n{servers}}}\n"
        )
    return text


def accepted() -> int:
    """How many connections this network namespace has accepted: proc(5), net/snmp."""
    names, values = (
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Tcp:")
    )
    return int(values[names.index("PassiveOpens")])


def _is_old(log: Iterator[bytes], seconds: float) -> bool:
    """Read what a prober said, and tell whether it had been there for a while: nothing is measured from then on."""
    began_s = time.monotonic()
    told(log)
    return time.monotonic() - began_s < seconds / 20


def told(log: Iterator[bytes]) -> tuple[int, float, float]:
    """What a prober says next of its lateness: checks, and seconds that 99 % and that none were more late than."""
    for line in log:
        found = _TOLD.search(line.decode())
        if found:
            return int(found[1]), float(found[2]), float(found[3])
        print(line.decode(), end="", flush=True)
    raise EOFError("the prober has ended")


def measured(program: str, kind: str, count: int, seconds: float) -> Load:
    """Measure one of them."""
    return of_clusterd(kind, count, seconds) if program == "clusterd" else of_keepalived(count, seconds)


def main(arguments: Sequence[str]) -> None:
    """Print the rows as they come."""
    first, *rest = arguments
    if first == "beside":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        loads = [(*load, float(rest[0])) for load in BESIDE * 2]
    else:
        loads = [(first, rest[0], int(rest[1]), float(rest[2]))]
    for load in loads:
        print(ROW + json.dumps(asdict(measured(*load))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
