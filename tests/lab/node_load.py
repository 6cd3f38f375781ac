"""The load of each real server, on the page `load` of its web server: how much of a processor its own processes take.

`python -m tests.lab.node_load DIRECTORY` writes these pages every second: {"load": 0.42, "cores": 1}. All nodes share
one kernel, and so one load average; but the kernel counts processor time by process, and every process is on one node.
"""

import contextlib
import json
import sys
import time
from pathlib import Path

from tests.lab.bench.probes import busy_s
from tests.lab.guest import ROOT
from tests.lab.namespaces import process_ids
from tests.lab.topology import REAL_SERVERS, SWITCH, Network

PERIOD_S = 1.0


def page(directory: Path, server: str) -> Path:
    """Return the file of a real server's page, below the directory of its network."""
    return directory / f"web-{server}" / "load"


def start(network: Network) -> None:
    """Have the loads measured from now on, from outside: it is no load of theirs."""
    network.spawn(SWITCH, sys.executable, "-m", "tests.lab.node_load", str(network.directory), name="load", cwd=ROOT)


def times_s(node: str) -> dict[int, float]:
    """Return the processor time that each process on a node has taken so far."""
    found = {}
    for number in process_ids(node):
        with contextlib.suppress(OSError):
            found[number] = busy_s(number)
    return found


def main(directory: Path) -> None:
    """Look, and write, for ever. A process that came since the last look counts from its beginning."""
    before: dict[str, dict[int, float]] = {server: times_s(server) for server in REAL_SERVERS}
    began_s = time.monotonic()
    while True:
        time.sleep(PERIOD_S)
        now_s = time.monotonic()
        for server in REAL_SERVERS:
            after = times_s(server)
            taken_s = sum(each_s - before[server].get(number, 0.0) for number, each_s in after.items())
            before[server] = after
            unseen = page(directory, server).with_suffix(".new")
            unseen.write_text(json.dumps({"load": round(taken_s / (now_s - began_s), 2), "cores": 1}))
            unseen.replace(page(directory, server))
        began_s = now_s


if __name__ == "__main__":
    main(Path(sys.argv[1]))
