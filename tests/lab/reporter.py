"""The end of the bridge inside the lab: pytest there is started with `-p tests.lab.reporter` and loads this.

Each report becomes one line on standard output, marked by the record separator of RFC 7464 so that no other output is
taken for one. plugin.py reads them.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

MARK = "\x1e"
# Taken when pytest loads its plugins, because it captures what file descriptor 1 gets from then on.
_OUTPUT = os.dup(1)


def _send(message: dict[str, Any]) -> None:
    data = ("\n" + MARK + json.dumps(message, default=str) + "\n").encode()
    while data:
        data = data[os.write(_OUTPUT, data) :]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lab-order", type=Path, help="a file with the node ids of the tests, in their order")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Any:
    """Run the tests in the order that the outer pytest wants; others have no reader."""
    result = yield
    order = {line: i for i, line in enumerate(config.getoption("--lab-order").read_text().splitlines())}
    items[:] = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])
    return result


class _Sender:
    """Sends reports, and the end of each test; registered late, so that every plugin has seen the report."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        _send({"report": self._config.hook.pytest_report_to_serializable(config=self._config, report=report)})

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        _send({"finished": nodeid})


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Sender(config))
