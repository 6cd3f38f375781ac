"""The brakes of the configuration, as whoever types a command meets them."""

import pytest

from tests.clusterd.command_line import CommandLine

pytestmark = pytest.mark.etcd

TWO_OUT = ("set", "virtuals/web/servers/rs1/enabled=false", "virtuals/web/servers/rs2/drain=true")
HELD = "this takes 2 of 3 real servers out of service, the brake is at 50 %; --force does it anyway\n"


def test_a_commit_that_takes_out_too_much_is_refused_with_the_numbers(clusterd: CommandLine) -> None:
    clusterd.begin()
    before = clusterd.state()
    ended = clusterd(*TWO_OUT, "--yes")
    assert (ended.code, ended.out) == (5, "")
    assert ended.err == HELD + "nothing was committed\n"
    assert clusterd.state() == before


def test_a_dry_run_says_what_would_be_refused(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd(*TWO_OUT, "--dry-run")
    assert ended.code == 5
    assert "~ virtuals/web/servers/rs2/drain: false -> true" in ended.out
    assert HELD in ended.err
    assert clusterd(*TWO_OUT, "--dry-run", "--force").code == 0


def test_force_does_it_anyway(clusterd: CommandLine) -> None:
    clusterd.begin()
    assert clusterd(*TWO_OUT, "--yes", "--force").code == 0


@pytest.mark.parametrize("way", ["apply", "edit", "import"])
def test_every_edit_has_the_brakes(clusterd: CommandLine, way: str) -> None:
    clusterd.begin()
    assert clusterd("set", "virtuals/mail={address: 1.2.3.5/24, interface: eth0, port: 25}", "--yes").code == 0
    empty = clusterd.file("empty.yaml", "{}\n")
    lvs_cf = clusterd.file("lvs.cf", "serial_no = 1\nprimary = 1.2.3.2\nservice = lvs\n")
    arguments = {
        "apply": ("apply", "-f", empty),
        "edit": ("edit",),
        "import": ("import", "lvs.cf", lvs_cf, "--apply"),
    }[way]
    ended = clusterd(*arguments, "--yes", EDITOR=f"cp {empty}")
    assert ended.code == 5
    assert "this takes 3 of 3 real servers out of service" in ended.err
    assert "this takes 2 of 2 virtual servers out of service" in ended.err
    assert clusterd(*arguments, "--yes", "--force", EDITOR=f"cp {empty}").code == 0


@pytest.mark.parametrize(
    "change",
    ["virtuals=", "virtuals/web=", "virtuals/web/enabled=false", "routers=", "virtuals/web/servers="],
)
def test_nothing_takes_out_the_last_one_unforced(clusterd: CommandLine, change: str) -> None:
    clusterd.begin()
    ended = clusterd("set", change, "--yes")
    assert (ended.code, ended.out) == (5, "")
    assert ended.err.endswith("--force does it anyway\nnothing was committed\n")
    assert clusterd("set", change, "--yes", "--force").code == 0


def test_the_brakes_are_part_of_the_document(clusterd: CommandLine) -> None:
    clusterd.begin()
    assert clusterd("set", "cluster/brakes/servers=0.7", "--yes").code == 0
    assert clusterd(*TWO_OUT, "--yes").code == 0
    wrong = clusterd("set", "cluster/brakes/server=0.7", "--yes")
    assert (wrong.code, wrong.err) == (1, "cluster/brakes/server: unknown key; did you mean servers?\n")
