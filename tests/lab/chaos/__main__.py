"""`python -m tests.lab.chaos --seconds N --seed S`, where there is a kernel with IPVS."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.lab.chaos.run import Run
from tests.lab.chaos.schedule import schedule
from tests.lab.cluster import LabCluster
from tests.lab.topology import ROUTERS, Network

MEMBERS = 3


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Play one run and say what is broken."""
    parser = argparse.ArgumentParser(
        prog="script/chaos", description="A whole cluster under everything that goes wrong."
    )
    parser.add_argument("--seconds", type=float, default=600, help="how long (600)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="which schedule")
    options = parser.parse_args()
    name = f"script/chaos --seconds {options.seconds:g} --seed {options.seed}"
    _say(f"{name}: this is the run")
    with tempfile.TemporaryDirectory(prefix="clusterd-chaos.") as folder:
        network = Network(Path(folder))
        try:
            network.build()
            cluster = LabCluster(network, members=MEMBERS)
            cluster.start()
            findings = Run(cluster, schedule(options.seed, options.seconds), _say).play()
            for router in ROUTERS if findings else ():
                _say(f"--- the log of {router}\n{cluster.routers[router].output()}")
        finally:
            network.close()
    for finding in findings:
        _say(f"BROKEN: {finding}")
    _say(f"{name}: {'broken, see above' if findings else 'all of it held'}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
