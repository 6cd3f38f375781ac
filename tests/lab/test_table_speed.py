"""The whole table of IPVS by the data plane and by ipvsadm, in turns: coarse bounds on what the benchmark tells."""

import pytest

from tests.lab.bench.figures import BUILD, CLUSTERD, FIRST, IPVSADM, READ
from tests.lab.bench.sizes import Size
from tests.lab.bench.tables import of

pytestmark = pytest.mark.lab


def test_the_table_is_built_in_less_time_than_by_ipvsadm_and_read_again_in_twice_its_time_at_most() -> None:
    found = list(of(Size(300, 10)))
    least = {(each.what, each.program): min(each.values) for each in found}
    print(least)
    assert least[BUILD, CLUSTERD] <= least[BUILD, IPVSADM]
    assert least[READ, CLUSTERD] <= 2 * least[READ, IPVSADM]
    assert least[FIRST, CLUSTERD] <= 4 * least[READ, IPVSADM]
