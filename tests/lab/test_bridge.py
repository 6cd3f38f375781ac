"""The bridge from the lab to this pytest: what goes wrong there fails here. A process stands in for the machine."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.lab import guest, lifetime
from tests.lab.machine import CANNOT_START

# Takes the machine's options and runs the command here, as if inside; or ends as a machine does that has died.
STAND_IN = f"""
import os, sys
command = sys.argv[sys.argv.index("--") + 1:]
os.environ[{lifetime.INSIDE!r}] = "1"
os.execv(command[0], command)
"""
CONFTEST = """
import sys

pytest_plugins = ["tests.lab.plugin"]

def pytest_configure():
    from tests.lab import plugin

    plugin.MACHINE = (sys.executable, {machine!r})
"""
SETTINGS = """
[pytest]
markers = lab
filterwarnings = error
asyncio_default_fixture_loop_scope = function
timeout = 60
"""


class Outer:
    """A small project whose lab tests go through the bridge."""

    def __init__(self, folder: Path, tests: str, machine: str = STAND_IN) -> None:
        self.folder = folder
        stand_in = folder / "stand_in.py"
        stand_in.write_text(machine)
        (folder / "conftest.py").write_text(CONFTEST.format(machine=str(stand_in)))
        (folder / "pytest.ini").write_text(SETTINGS)
        (folder / "test_it.py").write_text("import os, pytest\nlab = pytest.mark.lab\n" + tests)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(guest.ROOT)}
        environment.pop(lifetime.INSIDE, None)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *options]
        return subprocess.run(
            command, cwd=self.folder, env=environment, text=True, capture_output=True, timeout=60, check=False
        )


def test_a_failure_inside_fails_here_with_its_text_and_output(tmp_path: Path) -> None:
    outer = Outer(
        tmp_path,
        "@lab\ndef test_bad():\n    print('what it printed')\n    assert 1 + 1 == 3, 'the reason'\n"
        "@lab\ndef test_good(): pass\n",
    )
    done = outer.run("--junitxml=out.xml")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "the reason" in done.stdout
    assert "what it printed" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    suite = ET.parse(tmp_path / "out.xml").getroot().find("testsuite")  # noqa: S314 # pytest's own file
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


def test_errors_skips_and_expected_failures_arrive_as_such(tmp_path: Path) -> None:
    outer = Outer(
        tmp_path,
        "@pytest.fixture\ndef broken():\n    yield\n    raise OSError('in teardown')\n"
        "@lab\ndef test_error(broken): pass\n"
        "@lab\n@pytest.mark.skip(reason='why not')\ndef test_skip(): pass\n"
        "@lab\n@pytest.mark.xfail(strict=True)\ndef test_xfail(): assert False\n"
        "@lab\n@pytest.mark.timeout(0.2)\ndef test_slow():\n    import time\n    time.sleep(30)\n",
    )
    done = outer.run()
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed, 1 error" in done.stdout
    assert "in teardown" in done.stdout
    assert "why not" in done.stdout
    assert "Timeout" in done.stdout


def test_a_machine_that_dies_fails_what_it_has_not_answered_for(tmp_path: Path) -> None:
    outer = Outer(
        tmp_path,
        "@lab\ndef test_before(): pass\n"
        "@lab\ndef test_death():\n    os.write(2, b'Kernel panic')\n    os._exit(125)\n"
        "@lab\ndef test_after(): pass\n"
        "def test_here(): pass\n",
    )
    done = outer.run("--capture=no")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "2 failed, 2 passed" in done.stdout
    assert "status 125" in done.stdout
    assert "Kernel panic" in done.stdout


def test_a_machine_that_cannot_start_fails_every_lab_test_and_says_why(tmp_path: Path) -> None:
    machine = f"import sys\nprint('run script/install', file=sys.stderr)\nsys.exit({CANNOT_START})\n"
    outer = Outer(tmp_path, "@lab\ndef test_a(): pass\n@lab\ndef test_b(): pass\n", machine)
    done = outer.run()
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "2 failed" in done.stdout
    assert "run script/install" in done.stdout
    assert outer.run("-m", "not lab").returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_pytest_that_ends_badly_after_its_last_test_fails_the_run(tmp_path: Path) -> None:
    outer = Outer(
        tmp_path,
        "import atexit\ndef end():\n    os.write(2, b'too late')\n    os._exit(9)\n"
        "@lab\ndef test_last(): atexit.register(end)\n",
    )
    done = outer.run()
    assert "1 passed" in done.stdout
    assert done.returncode == pytest.ExitCode.INTERNAL_ERROR
    assert "ended with status 9" in done.stdout


def test_order_selection_and_measurements_are_the_outer_runs(tmp_path: Path) -> None:
    outer = Outer(
        tmp_path,
        "@pytest.mark.parametrize('name', ['a b', 'c::d', '[x]'])\n"
        "@lab\ndef test_it(name, measure): measure('figure of ' + name, '1.5 s')\n"
        "@lab\ndef test_other(): assert False\n"
        "def test_here(): assert 'CLUSTERD_LAB_INSIDE' not in os.environ\n"
        "@lab\ndef test_there(): assert 'CLUSTERD_LAB_INSIDE' in os.environ\n",
    )
    done = outer.run("-v", "-k", "not other")
    assert "5 passed, 1 deselected" in done.stdout
    assert "measured on the real kernel" in done.stdout
    assert "figure of c::d  1.5 s" in done.stdout
    stopped = outer.run("-x", "test_it.py::test_other", "test_it.py::test_there")
    assert "1 failed" in stopped.stdout
    assert "passed" not in stopped.stdout


def test_what_the_guest_needs_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(guest, "KERNEL", tmp_path)
    with pytest.raises(guest.MachineError, match="run script/install"):
        guest.boot(["true"], limit_s=1, on_line=print, mode="steady")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(guest.MachineError, match="needs root"):
        guest.boot(["true"], limit_s=1, on_line=print, mode="steady")
