"""Tests marked `lab` need a kernel with IPVS; this lets them be selected and reported like any other test.

They are collected here. When the first one is to run, one machine (machine.py) is started with a pytest of its own that
runs exactly the selected ones in the same order and sends its reports back; here they are replayed, test by test, as
they come.

    pytest ──selects──> lab tests a, b, c          a: logstart, reports, logfinish   b: ...
       └── machine ── pytest a b c ── reporter.py ──────^──────────────────────────────^

So -v, -k, -x, --lf and JUnit files work, a failure shows what it printed, and a machine that cannot start, dies or
takes too long fails the tests that it has not answered for. They are never skipped.
"""

import json
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import lifetime, machine, reporter

MACHINE = (sys.executable, "-m", "tests.lab.machine")
_MEASURED = "measured: "
_TAIL_LINES = 60
# Plugins that no test in there needs; loading them takes a guest 4 s of its own time and 15 s of everyone's.
_LEFT_OUT = ("hypothesispytest", "docker", "pytest_cov")
_DONE = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


class LostError(Exception):
    """The machine ended before a test did; the message has the end of its output."""


class _Guest:
    """The pytest in the machine."""

    def __init__(self, config: pytest.Config, nodeids: list[str]) -> None:
        self._show = config.option.capture == "no"
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._reports: dict[str, list[dict[str, Any]]] = {nodeid: [] for nodeid in nodeids}
        self._unfinished = set(nodeids)
        self._folder = tempfile.TemporaryDirectory(prefix="clusterd-lab-order.", dir="/tmp")
        order = Path(self._folder.name) / "order"
        order.write_text("".join(f"{nodeid}\n" for nodeid in nodeids))
        self._process = subprocess.Popen(
            [*MACHINE, *_machine_options(config), "--", *_pytest_command(config, order)],
            cwd=config.rootpath,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=lifetime.die_with_parent,
        )

    def reports(self, nodeid: str) -> Iterator[dict[str, Any]]:
        """Yield the reports of one test as they come. Raises LostError when the machine ends first."""
        waiting = self._reports[nodeid]
        while True:
            while waiting:
                yield waiting.pop(0)
            if nodeid not in self._unfinished:
                return
            self._read()

    def _read(self) -> None:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            status = self._process.wait()
            raise LostError(f"the lab ended with status {status} before this test did:\n" + "\n".join(self._tail))
        if line.startswith(reporter.MARK):
            message = json.loads(line[len(reporter.MARK) :])
            if "finished" in message:
                self._unfinished.discard(message["finished"])
            else:
                self._reports[message["report"]["nodeid"]].append(message["report"])
        elif line := line.rstrip():
            self._tail.append(line)
            if self._show:
                print(line)

    def end(self) -> str | None:
        """Stop the machine; return what is wrong when all tests were reported but pytest in it did not end well."""
        try:
            if self._unfinished:
                self._process.terminate()
                self._process.wait(30)
                return None
            output, _ = self._process.communicate(timeout=60)
            if self._process.returncode not in _DONE:
                return "\n".join(
                    [f"pytest in the lab ended with status {self._process.returncode}:", *self._tail, output]
                )
        except subprocess.TimeoutExpired:
            return "the lab does not end"
        finally:
            lifetime.end(self._process)
            if self._process.stdout:
                self._process.stdout.close()
            self._folder.cleanup()
        return None


def _machine_options(config: pytest.Config) -> list[str]:
    return ["--mode", config.getoption("--lab-mode"), "--limit", str(config.getoption("--lab-limit"))]


def _pytest_command(config: pytest.Config, order: Path) -> list[str]:
    option = config.option
    command = [sys.executable, "-m", "pytest", "-p", "tests.lab.reporter", f"--lab-order={order}", f"@{order}"]
    command += ["-q", "-p", "no:cacheprovider", f"--rootdir={config.rootpath}", f"--tb={option.tbstyle}"]
    command += [f"-c{config.inipath}"] if config.inipath else []
    command += ["--showlocals"] if option.showlocals else []
    command += ["-s"] if option.capture == "no" else []
    command += [f"--override-ini={setting}" for setting in option.override_ini or ()]
    command += [f"-pno:{name}" for name in _LEFT_OUT]
    return command + ["-v"] * (option.verbose + 1)


class _Bridge:
    """Runs the tests marked `lab` elsewhere and all others as ever."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._guest: _Guest | None = None
        self._lost: str | None = None  # why the machine answers for no more tests
        self._trouble: str | None = None  # what went wrong after the last one

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in filter(_in_lab, items):
            # The limit of a test holds inside, on the machine's clock; here it would count booting and emulation.
            item.add_marker(pytest.mark.timeout(0), append=False)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if not _in_lab(item):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._run(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        # What earlier tests here have set up and the next one does not need.
        item.session._setupstate.teardown_exact(nextitem)
        return True

    def _run(self, item: pytest.Item) -> Iterator[pytest.TestReport]:
        try:
            if self._lost is None:
                if self._guest is None:
                    self._guest = _Guest(self._config, [i.nodeid for i in item.session.items if _in_lab(i)])
                for data in self._guest.reports(item.nodeid):
                    yield _read_report(self._config, data)
                return
        except LostError as error:
            self._lost = str(error)
        yield _failure(item, self._lost or "")
        yield _failure(item, None)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._trouble = self._guest.end() if self._guest else None
        if self._trouble:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._trouble:
            terminalreporter.section("the lab did not end well")
            terminalreporter.write_line(self._trouble)


def _in_lab(item: pytest.Item) -> bool:
    return item.get_closest_marker("lab") is not None


def _read_report(config: pytest.Config, data: dict[str, Any]) -> pytest.TestReport:
    if isinstance(data["longrepr"], list):  # a skip's place and reason; JSON has no tuples
        data["longrepr"] = tuple(data["longrepr"])
    for key in ("user_properties", "sections"):
        data[key] = [tuple(pair) for pair in data[key]]
    report: pytest.TestReport = config.hook.pytest_report_from_serializable(config=config, data=data)
    return report


def _failure(item: pytest.Item, reason: str | None) -> pytest.TestReport:
    """A failed call with the reason, or, without one, the teardown that reporters wait for."""
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords=dict.fromkeys(item.keywords, 1),
        outcome="passed" if reason is None else "failed",
        longrepr=reason,
        when="teardown" if reason is None else "call",
    )


class _Summary:
    """Prints what tests measured, at the end and in their order."""

    def __init__(self) -> None:
        self._measured: list[tuple[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            for name, value in report.user_properties:
                if name.startswith(_MEASURED):
                    self._measured.append((name.removeprefix(_MEASURED), str(value)))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._measured:
            terminalreporter.section("measured on the real kernel")
            width = max(len(name) for name, _ in self._measured)
            for name, value in self._measured:
                terminalreporter.write_line(f"{name:{width}}  {value}")


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Note a figure, for example `measure("client's gap, hand-over", "0.12 s")`; it is printed in the summary."""

    def note(name: str, value: str) -> None:
        request.node.user_properties.append((_MEASURED + name, value))

    return note


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lab", "tests that need a kernel with IPVS")
    group.addoption("--lab-mode", choices=("steady", "fast"), default="steady", help="how the guest's clock runs")
    group.addoption("--lab-limit", type=float, default=3600, help="seconds of wall time for all tests in the lab")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Summary(), "lab summary")
    if not machine.inside():
        config.pluginmanager.register(_Bridge(config), "lab bridge")
