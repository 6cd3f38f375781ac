"""The planes that every contract test runs on."""

from collections.abc import Iterator

import pytest

from tests.dataplane.rig import KernelRig, MemoryRig, Rig


@pytest.fixture
def kernel() -> Iterator[KernelRig]:
    """A real kernel; for tests marked `lab`."""
    made = KernelRig()
    yield made
    made.close()


@pytest.fixture(params=["memory", pytest.param("kernel", marks=pytest.mark.lab)])
def rig(request: pytest.FixtureRequest) -> Rig:
    """Each of the two in turn."""
    made: Rig = MemoryRig() if request.param == "memory" else request.getfixturevalue("kernel")
    return made
