"""A minute of `script/chaos`: everything goes wrong at once, as one seed has it, and nothing is lost."""

from collections.abc import Callable

import pytest

from tests.lab.chaos.run import Run
from tests.lab.chaos.schedule import schedule
from tests.lab.cluster import LabCluster
from tests.lab.topology import Network

pytestmark = pytest.mark.lab

SEED, SECONDS = 2, 60  # something of each row: routers, etcd, cables, the kernel changed by hand


@pytest.mark.timeout(400)
def test_a_minute_of_faults_breaks_nothing(network: Network, measure: Callable[[str, str], None]) -> None:
    cluster = LabCluster(network, members=3)
    cluster.start()
    run = Run(cluster, schedule(SEED, SECONDS))
    with cluster.logs_shown():
        findings = run.play()
    measure(f"chaos for {SECONDS} s, seed {SEED}", f"{len(run.windows)} windows, {len(findings)} findings")
    assert findings == [], f"script/chaos --seconds {SECONDS} --seed {SEED}"
