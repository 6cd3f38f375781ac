"""What children of a service may do that runs as a user of its own, with the capabilities of its unit and no others."""

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.lab.guest import ROOT
from watchers.unprivileged import unprivileged

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become the service's user")

NET_RAW = 1 << 13
SERVICE = "net_admin", "net_raw", "dac_read_search"  # the last one to reach this checkout, wherever it is

PROGRAM = """\
import asyncio
from clusterd import programs
from clusterd.programs import Terms
script = "id -un; echo $USER; sed -n 's/^Cap[IPEA].*:.//p' /proc/self/status"
outcome = asyncio.run(programs.run(("/bin/sh", "-c", script), Terms("daemon", 10, 1000), {"PATH": "/bin:/usr/bin"}))
print(outcome.output.decode(), end="")
"""
CHILDREN = """\
import asyncio
from pathlib import Path
from watchers.prober_link import ProberLink
async def main():
    prober = ProberLink(print)
    prober.watch((), ())
    prober.start()
    while prober.pid is None or "prober" not in Path(f"/proc/{prober.pid}/cmdline").read_text().split("\\0")[2]:
        await asyncio.sleep(0.05)
    lines = Path(f"/proc/{prober.pid}/status").read_text().splitlines()
    print(*(line.split()[1] for line in lines if line.startswith(("CapEff", "CapAmb", "NoNewPrivs", "Uid"))))
    await prober.close()
asyncio.run(main())
"""


def as_service(program: str, more: Sequence[str] = ()) -> list[str]:
    """Run Python as nobody with ambient capabilities, as systemd gives them; return the words that it prints."""
    kept = ",".join(f"+{name}" for name in (*SERVICE, *more))
    nobody = pwd.getpwnam("nobody")
    become = ("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
    capabilities = [f"--{which}=-all,{kept}" for which in ("inh-caps", "ambient-caps", "bounding-set")]
    command = [*become, *capabilities, "--", sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout.split()


def test_a_program_of_a_service_that_may_become_nobody_else_runs_as_its_own_user_without_capabilities() -> None:
    user, said, *capabilities = as_service(PROGRAM)
    assert (user, said) == ("nobody", "nobody")
    assert {int(each, 16) for each in capabilities} == {0}


def test_a_program_runs_as_the_user_that_is_configured_where_the_service_may_become_that_one() -> None:
    user, said, *capabilities = as_service(PROGRAM, ("setuid", "setgid"))
    assert (user, said) == ("daemon", "daemon")
    assert {int(each, 16) for each in capabilities} == {0}


def test_the_prober_cannot_change_the_kernel() -> None:
    uid, effective, ambient, no_new_privileges = as_service(CHILDREN)
    assert uid == str(pwd.getpwnam("nobody").pw_uid)
    assert int(effective, 16) == int(ambient, 16) == NET_RAW
    assert no_new_privileges == "1"


def test_a_child_of_root_is_started_as_it_is() -> None:
    assert unprivileged(("program", "-x"), ("net_raw",)) == ("program", "-x")
