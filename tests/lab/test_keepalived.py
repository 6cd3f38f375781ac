"""keepalived in the lab: what a client of the same two routers sees, for comparison."""

from collections.abc import Callable, Iterator

import pytest

from tests.lab import keepalived
from tests.lab.topology import REAL_SERVERS, Network

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module", autouse=True)
def _pages(network: Network) -> Iterator[None]:
    pages = [network.serve_page(node) for node in REAL_SERVERS]
    yield
    for page in pages:
        page.kill()


@pytest.mark.parametrize(("event", "limit_s"), [("hand-over", 1.5), ("kill -9", 5.0), ("power cut", 5.0)])
def test_the_backup_takes_over(
    network: Network, measure: Callable[[str, str], None], event: str, limit_s: float
) -> None:
    seen = keepalived.measured(network, event)
    measure(f"keepalived, {event}", str(seen))
    assert seen.polls.longest_gap_s < limit_s
    assert seen.polls.requests[-1].server in REAL_SERVERS
