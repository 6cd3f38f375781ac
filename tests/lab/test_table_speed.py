"""The whole table of IPVS by the data plane and by ipvsadm, in turns: coarse bounds on what the benchmark tells."""

from collections.abc import Iterator

import pytest

from tests.lab.bench.figures import BUILD, CLUSTERD, FIRST, IPVSADM, READ
from tests.lab.bench.sizes import Size
from tests.lab.bench.tables import PLACE, of
from tests.lab.namespaces import call, ip

pytestmark = pytest.mark.lab


@pytest.fixture
def place() -> Iterator[str]:
    ip([f"netns add {PLACE}"])
    ip(["link set lo up"], PLACE)
    yield PLACE
    ip([f"netns del {PLACE}"])


def test_the_table_is_built_in_less_time_than_by_ipvsadm_and_read_again_in_twice_its_time_at_most(place: str) -> None:
    found = call(place, lambda: list(of(Size(300, 10))))
    least = {(each.what, each.program): min(each.values) for each in found}
    print(least)
    assert least[BUILD, CLUSTERD] <= least[BUILD, IPVSADM]
    assert least[READ, CLUSTERD] <= 2 * least[READ, IPVSADM]
    assert least[FIRST, CLUSTERD] <= 4 * least[READ, IPVSADM]
