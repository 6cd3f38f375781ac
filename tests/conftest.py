"""What every test may use.

The lab (tests marked `lab`, the fixture `measure`) comes from tests/lab/plugin.py, the members of etcd that tests break
(the fixture `members`) from tests/store/plugin.py.
"""

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no finding; what is to be quick is measured where it stands beside something else.
settings.register_profile("clusterd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("clusterd")

pytest_plugins = ["tests.lab.plugin", "tests.store.plugin"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="FOLDER", help="where the tests of the console leave the docs' pictures")
