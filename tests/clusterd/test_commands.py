import json
import subprocess
import sys

import pytest
from click import Context

from clusterd import __version__
from clusterd.commands import main
from clusterd.document import parse
from tests.clusterd.command_line import CommandLine
from tests.clusterd.examples import MANUAL, manual
from tests.store.etcd_server import etcdctl

pytestmark = pytest.mark.etcd


def test_init_makes_an_empty_cluster_where_there_is_none(clusterd: CommandLine) -> None:
    ended = clusterd("init", "-m", "here we go")
    assert (ended.code, ended.out, ended.err) == (0, "commit 1: an empty cluster\n", "")
    assert clusterd("show").out == "{}\n"
    before = clusterd.content()
    again = clusterd("init")
    assert (again.code, again.out) == (5, "")
    assert "has a configuration already (commit 1)" in again.err
    assert clusterd.content() == before


def test_init_takes_a_document(clusterd: CommandLine) -> None:
    clusterd.begin()
    assert parse(clusterd("show").out) == manual()


def test_without_a_configuration_it_is_said_how_to_make_one(clusterd: CommandLine) -> None:
    for arguments in (("show",), ("log",), ("render", "lvs.cf"), ("set", "a=1", "--yes"), ("edit", "--yes")):
        ended = clusterd(*arguments)
        assert (ended.code, ended.out) == (1, "")
        assert "make one with clusterd init" in ended.err


def test_set_commits_all_values_at_once(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("set", "virtuals/web/servers/rs1/weight=1", "-m", "they are equal now", "--yes")
    assert (ended.code, ended.out) == (0, "commit 2: virtuals/web/servers/rs1/weight 2 -> 1\n")
    ended = clusterd(
        "set",
        "virtuals/web/servers/rs4={address: 192.168.1.4}",
        "virtuals/web/servers/rs2=",
        "virtuals/web/check/timeout_s=0.5",
        "cluster/heartbeat/deadtime_s=5",
        "--yes",
        "--json",
    )
    assert ended.code == 0
    assert (ended.json["commit"], {change["path"] for change in ended.json["changes"]}) == (
        3,
        {
            "cluster/heartbeat/deadtime_s",
            "virtuals/web/check/timeout_s",
            "virtuals/web/servers/rs2",
            "virtuals/web/servers/rs4",
        },
    )
    assert list(clusterd("show", "virtuals/web/servers", "-o", "json").json) == ["rs1", "rs3", "rs4"]


def test_a_dry_run_shows_what_would_change_and_commits_nothing(clusterd: CommandLine) -> None:
    clusterd.begin()
    before = clusterd.state()
    ended = clusterd("set", "virtuals/web/port=81", "--dry-run")
    assert (ended.code, ended.out) == (0, "~ virtuals/web/port: 80 -> 81\ndry run: nothing was committed\n")
    ended = clusterd("--json", "set", "virtuals/web/port=81", "--dry-run")
    assert ended.json == {
        "commit": None,
        "id": None,
        "changes": [{"path": "virtuals/web/port", "before": 80, "after": 81}],
    }
    assert clusterd.state() == before


def test_show_gives_objects_and_single_values(clusterd: CommandLine) -> None:
    clusterd.begin()
    assert clusterd("show", "routers/r2").out == "public: 1.2.3.3\nprivate: 192.168.1.253\npriority: 50\n"
    assert clusterd("show", "virtuals/web/scheduler").out == "wlc\n"
    assert clusterd("show", "cluster/masquerade").out == "[{source: 192.168.1.0/24, interface: eth0}]\n"
    assert clusterd("show", "virtuals/web/servers/rs2", "-o", "json").json == {
        "address": "192.168.1.2",
        "weight": 1,
        "enabled": True,
        "drain": False,
        "upper_threshold": 0,
        "lower_threshold": 0,
    }
    assert set(clusterd("--json", "show").json) == {"cluster", "routers", "virtuals"}
    ended = clusterd("show", "virtuals/wbe")
    assert (ended.code, ended.err) == (1, "virtuals/wbe: is not there; did you mean web?\n")


def test_what_is_shown_can_be_applied_again_without_a_change(clusterd: CommandLine) -> None:
    clusterd.begin()
    for more in ((), ("-o", "json")):
        text = clusterd("show", *more).out
        ended = clusterd("apply", "-f", "-", "--yes", given=text)
        assert ended.out == "nothing to change: this is what commit 1 left\n"


def test_log_has_the_newest_commit_first(clusterd: CommandLine) -> None:
    clusterd("init", "-m", "at first")
    clusterd("set", "cluster/forwarding=direct", "--yes", SUDO_USER="alice")
    clusterd("set", "cluster/forwarding=tunnel", "--yes", "-m", "red \x1b[31m\nalert")
    lines = clusterd("log").out.splitlines()
    assert [line.split()[0] for line in lines] == ["3", "2", "1"]
    assert lines[0].endswith("red \\u001b[31m\\nalert")
    assert "alice@" in lines[1]
    assert lines[1].endswith("cluster/forwarding nat -> direct")
    assert lines[2].endswith("at first")
    assert [record["number"] for record in clusterd("log", "-n", "2", "--json").json] == [3, 2]


def test_validate_counts_what_is_there_or_names_every_problem(clusterd: CommandLine) -> None:
    file = clusterd.file("document.yaml", MANUAL)
    assert clusterd("validate", file).out == "valid: 2 routers, 1 virtual server, 3 real servers\n"
    assert clusterd("validate", "-", "--json", given=MANUAL).json == {
        "valid": True,
        "problems": [],
        "routers": 2,
        "virtual_servers": 1,
        "real_servers": 3,
    }
    ended = clusterd("--json", "validate", "-", given="routers: {r1: {}}\nx: 1\n")
    assert ended.code == 1
    assert ended.json["problems"][0] == {"line": 1, "path": "routers/r1/public", "message": "is missing"}
    assert [problem["path"] for problem in ended.json["problems"]] == ["routers/r1/public", "x"]


def test_render_and_import_are_each_others_way_back(clusterd: CommandLine) -> None:
    clusterd.begin()
    rendered = clusterd("render", "lvs.cf")
    assert rendered.code == 0
    assert "serial_no = 1\n" in rendered.out
    assert "warning: " in rendered.err
    assert clusterd("render", "lvs.cf", "-f", "-", given=MANUAL).out == rendered.out
    file = clusterd.file("lvs.cf", rendered.out)
    imported = clusterd("import", "lvs.cf", file)
    assert list(parse(imported.out).virtuals["web"].servers) == ["rs1", "rs2", "rs3"]
    committed = clusterd("import", "lvs.cf", file, "--apply", "--yes")
    assert committed.code == 0
    assert parse(clusterd("show").out) == parse(imported.out)


def test_import_apply_makes_the_first_commit_too(clusterd: CommandLine) -> None:
    file = clusterd.file("lvs.cf", "serial_no = 1\nprimary = 1.2.3.2\nservice = lvs\n")
    assert clusterd("import", "lvs.cf", file, "--apply", "--yes").out.startswith("commit 1: ")


def report(clusterd: CommandLine, router: str, value: object) -> None:
    etcdctl(
        clusterd.endpoint, "put", clusterd.keys.router(router), value if isinstance(value, str) else json.dumps(value)
    )


def test_waiting_ends_when_all_live_routers_applied_the_commit(clusterd: CommandLine) -> None:
    clusterd.begin()
    report(clusterd, "r1", {"applied": 2})
    report(clusterd, "r2", {"applied": 3})
    ended = clusterd("set", "virtuals/web/port=81", "--yes", "--wait")
    assert (ended.code, ended.out.splitlines()[1:]) == (0, ["commit 2 is applied by all live routers"])
    assert clusterd("set", "virtuals/web/port=81", "--yes", "--wait=1").code == 0  # said twice, it waits twice


def test_who_lags_behind_is_named(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("set", "virtuals/web/port=81", "--wait=0", "--yes")
    assert (ended.code, ended.out) == (6, "commit 2: virtuals/web/port 80 -> 81\n")
    assert ended.err == "commit 2 is done, but not applied everywhere after 0 s: no router is alive\n"
    report(clusterd, "r1", {"applied": 2})
    report(clusterd, "r2", {"applied": 1})
    report(clusterd, "r3", "gibberish")
    ended = clusterd("apply", "-f", "-", "--wait=0.3", "--yes", "--json", given=MANUAL)
    assert (ended.code, ended.json["commit"]) == (6, 3)
    assert '"message": "commit 3 is done, but not applied everywhere' in ended.err
    assert "r1 is at commit 2, r2 is at commit 1, r3 is at commit 0" in ended.err


def test_what_routers_in_a_dry_run_applied_is_applied_only_beside_one_that_is_not(clusterd: CommandLine) -> None:
    clusterd.begin()
    report(clusterd, "r1", {"applied": 2, "role": "dry run"})
    ended = clusterd("set", "virtuals/web/port=81", "--yes", "--wait=0.3")
    assert ended.code == 6
    assert ended.err.endswith("not applied everywhere after 0.3 s: every router is in a dry run\n")
    report(clusterd, "r2", {"applied": 2, "role": "backup"})
    assert clusterd("set", "virtuals/web/port=81", "--yes", "--wait=0.3").code == 0


def test_what_somebody_wrote_with_etcdctl_is_told_and_written_back(clusterd: CommandLine) -> None:
    clusterd.begin()
    etcdctl(clusterd.endpoint, "put", clusterd.keys.config_object(1, "routers/r1"), "{}")
    shown = clusterd("show", "routers/r1")
    assert (shown.code, "routers/r1 in etcd is not what was committed" in shown.err) == (0, True)
    assert shown.out == "public: 1.2.3.2\nprivate: 192.168.1.252\n"
    ended = clusterd("apply", "-f", "-", "--yes", given=MANUAL)
    assert (ended.code, ended.out) == (0, "commit 2: writes back routers/r1\n")
    assert clusterd("show").err == ""


def test_etcdctl_shows_a_person_what_is_going_on(clusterd: CommandLine) -> None:
    clusterd.begin()
    assert f'{clusterd.keys.config_object(1, "routers/r1")}\n{{"public": "1.2.3.2", ' in clusterd.content()


def test_nobody_at_home_in_the_password_database_is_no_obstacle(
    clusterd: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    clusterd("init")
    assert "4000000@" in clusterd("log").out


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("validate", "FILE"), ("edit", "--help")])
def test_what_needs_no_etcd_starts_quickly_and_loads_no_grpc(clusterd: CommandLine, arguments: tuple[str, ...]) -> None:
    file = clusterd.file("document.yaml", MANUAL)
    said = [file if argument == "FILE" else argument for argument in arguments]
    program = (
        "import sys, time\nbefore_s = time.process_time()\nfrom clusterd.commands import main\n"
        f"try:\n    main({said!r})\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "assert 'grpc' not in sys.modules\nassert time.process_time() - before_s < 0.5\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=clusterd.environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    if said == ["--version"]:
        assert __version__ in done.stdout


@pytest.mark.parametrize("name", [*main.list_commands(Context(main)), "audit verify"])
def test_the_help_of_each_command_has_an_example(clusterd: CommandLine, name: str) -> None:
    assert f"clusterd {name}" in clusterd(*name.split(), "--help").out
