import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clusterd import __version__
from clusterd.document import parse
from tests.clusterd.command_line import CommandLine
from tests.clusterd.examples import MANUAL, manual
from tests.store.etcd_server import etcdctl, free_ports

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


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ("virtuals/web/servers/rs1/weight=-1", "virtuals/web/servers/rs1/weight: Input should be greater"),
        ("virtuals/web/port=99999", "virtuals/web/port: Input should be less than or equal to 65535, not 99999"),
        ("virtuals/web/prot=1", "virtuals/web/prot: unknown key; did you mean port?"),
        ("virtuals/web/prot=", "virtuals/web/prot: unknown key; did you mean port?"),
        ("virtuals/wbe/port=1", "virtuals/wbe: is not there; did you mean web?"),
        ("virtals/web/port=1", "virtals: is not there; did you mean virtuals?"),
        ("virtuals/web/port/number=1", "virtuals/web/port: has nothing inside that could be set"),
        ("virtuals/web/check/host/name=1", "virtuals/web/check/host: is not there"),
        ("virtuals/web/port={", "virtuals/web/port: not valid YAML"),
        ("=1", "is not a path"),
        ("virtuals/web/address=", "virtuals/web/address: is missing"),
    ],
)
def test_set_names_what_is_wrong_and_commits_nothing(clusterd: CommandLine, assignment: str, problem: str) -> None:
    clusterd.begin()
    before = clusterd.everything()
    ended = clusterd("set", assignment, "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert problem in ended.err
    assert values(clusterd.everything()) == values(before)


def values(fields: str) -> list[str]:
    """Return etcdctl's output without what the reading itself changes (the member's term and the like)."""
    return [line for line in fields.splitlines() if line.startswith(('"Key', '"Value', '"ModRev', '"CreateRev'))]


BAD_DOCUMENTS = {
    "an unknown key": ("port: 80", "prot: 80", ["line 11: virtuals/web/prot: unknown key; did you mean port?"]),
    "a VIP that is there twice": (
        "virtuals:\n",
        "virtuals:\n  www: {address: 1.2.3.1/24, interface: eth0, port: 80}\n",
        ["line 10: virtuals/web/address: tcp 1.2.3.1:80 is already virtuals/www"],
    ),
    "a negative weight": (
        "weight: 2",
        "weight: -1",
        ["line 14: virtuals/web/servers/rs1/weight: Input should be greater than or equal to 0, not -1"],
    ),
    "a port that is too large": (
        "port: 80",
        "port: 99999",
        ["line 11: virtuals/web/port: Input should be less than or equal to 65535, not 99999"],
    ),
    "invalid YAML": ("port: 80", "port: [80", ["line 12: not valid YAML"]),
    "two things at once": ("weight: 2", "weight: -1, wieght: 2", ["rs1/weight: Input", "rs1/wieght: unknown key"]),
    "nothing": (MANUAL, "", ["the document is empty"]),
}


@pytest.mark.parametrize("case", BAD_DOCUMENTS)
@pytest.mark.parametrize("way", ["apply", "edit", "stdin"])
def test_a_bad_document_commits_nothing_and_each_problem_has_its_line(
    clusterd: CommandLine, case: str, way: str
) -> None:
    clusterd.begin()
    before = clusterd.everything()
    old, new, problems = BAD_DOCUMENTS[case]
    file = clusterd.file("bad.yaml", MANUAL.replace(old, new))
    if way == "apply":
        ended = clusterd("apply", "-f", file, "--yes")
    elif way == "stdin":
        ended = clusterd("apply", "-f", "-", "--yes", given=Path(file).read_bytes())
    else:
        ended = clusterd("edit", "--yes", EDITOR=clusterd.script(f'cp "{file}" "$1"'))
        assert [kept.read_text() for kept in clusterd.kept()] == [Path(file).read_text()]
        assert f"your text stays in {clusterd.kept()[0]}" in ended.err
    assert (ended.code, ended.out) == (1, "")
    for problem in problems:
        assert problem in ended.err
    assert values(clusterd.everything()) == values(before)


def test_an_lvs_cf_with_an_unknown_command_commits_nothing(clusterd: CommandLine) -> None:
    clusterd.begin()
    before = clusterd.everything()
    file = clusterd.file("lvs.cf", "serial_no = 1\nprimary = 1.2.3.2\nservice = lvs\nspeed = high\n")
    for more in ((), ("--apply", "--yes")):
        ended = clusterd("import", "lvs.cf", file, *more)
        assert (ended.code, ended.out) == (1, "")
        assert "line 4" in ended.err
        assert "speed" in ended.err
    assert values(clusterd.everything()) == values(before)


def test_a_new_cluster_is_not_made_of_a_bad_document(clusterd: CommandLine) -> None:
    assert clusterd("init", "-f", clusterd.file("bad.yaml", "virtuals: {web: {}}")).code == 1
    assert clusterd.content() == ""


def test_edit_commits_what_the_editor_left(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("edit", "--yes", "-m", "for the feast", EDITOR="sed -i s/weight:.2/weight:\\ 3/")
    assert (ended.code, ended.out) == (0, "commit 2: virtuals/web/servers/rs1/weight 2 -> 3\n")
    assert clusterd.kept() == []
    visual = clusterd(
        "edit", "--yes", "virtuals/web/servers/rs1", VISUAL="sed -i s/weight:.3/weight:\\ 4/", EDITOR="false"
    )
    assert visual.out == "commit 3: virtuals/web/servers/rs1/weight 3 -> 4\n"


def test_edit_of_an_unchanged_text_commits_nothing(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("edit", "--yes", EDITOR="true")
    assert (ended.code, ended.out) == (0, "nothing to change: this is what commit 1 left\n")
    assert clusterd.kept() == []


def test_edit_shows_one_object_alone_and_changes_no_other(clusterd: CommandLine) -> None:
    clusterd.begin()
    seen = clusterd.folder / "seen"
    clusterd("edit", "routers/r2", "--yes", EDITOR=clusterd.script(f'cp "$1" {seen}'))
    assert seen.read_text() == "routers:\n  r2: {public: 1.2.3.3, private: 192.168.1.253, priority: 50}\n"
    ended = clusterd("edit", "routers/r2", "--yes", EDITOR="sed -i s/50/60/")
    assert ended.out == "commit 2: routers/r2/priority 50 -> 60\n"
    gone = clusterd("edit", "routers/r2", "--yes", EDITOR=clusterd.script('echo "routers: {}" > "$1"'))
    assert gone.out == "commit 3: - routers/r2\n"
    new = clusterd(
        "edit", "routers/r9", "--yes", EDITOR=clusterd.script('echo "routers: {r9: {public: 1.2.3.9}}" > "$1"')
    )
    assert new.out == "commit 4: + routers/r9\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "routers: {r1: {public: 1.2.3.2}, r2: {public: 1.2.3.3}}",
            "line 1: routers/r2: only routers/r1 is edited here",
        ),
        ("routers: {}\\nvirtuals: {}", "line 2: virtuals: only routers is edited here"),
        ("routers: 5", "line 1: routers: is not a mapping"),
        ("", "the text is empty; to remove routers/r1, leave routers: {}"),
        ("routers:\\n  r1:\\n    public: 1.2.3.3", "line 3: routers/r1/public: 1.2.3.3 is already routers/r2/public"),
        ("routers: {r1: {publik: 1.2.3.2}}", "line 1: routers/r1/publik: unknown key; did you mean public?"),
    ],
)
def test_edit_of_one_object_names_problems_by_the_lines_of_its_text(
    clusterd: CommandLine, text: str, problem: str
) -> None:
    clusterd.begin()
    if "already" in problem:  # the later one is told, so it is r1 that stands later here
        problem = "routers/r2/public: 1.2.3.3 is already routers/r1/public"
    ended = clusterd("edit", "routers/r1", "--yes", EDITOR=clusterd.script(f"printf '{text}' > \"$1\""))
    assert (ended.code, ended.out) == (1, "")
    assert problem in ended.err


def test_edit_of_something_unknown_suggests_what_is_there(clusterd: CommandLine) -> None:
    clusterd.begin()
    for path, problem in (
        ("virtals/web", "virtals: is not there; did you mean virtuals?"),
        ("virtuals/web/x", "x: is"),
    ):
        ended = clusterd("edit", path, "--yes", EDITOR="true")
        assert ended.code == 1
        assert problem in ended.err


def test_the_editor_opens_again_on_the_own_text_with_the_problems_above(clusterd: CommandLine) -> None:
    clusterd.begin()
    seen = clusterd.folder / "seen"
    editor = clusterd.script(
        f"""if [ -e {seen} ]; then cp "$1" {seen}; sed -i 's/-7/7/' "$1"
        else touch {seen}; sed -i 's/weight: 2/weight: -7/' "$1"; fi"""
    )
    ended = clusterd("edit", "--yes", EDITOR=editor)
    assert (ended.code, ended.out) == (0, "commit 2: virtuals/web/servers/rs1/weight 2 -> 7\n")
    marked, wrong, *rest = seen.read_text().splitlines()
    assert marked.startswith("#! This is not valid yet")
    assert "virtuals/web/servers/rs1/weight: Input should be greater than or equal to 0, not -7" in wrong
    line = int(wrong.removeprefix("#! line ").partition(":")[0])
    assert "weight: -7" in [marked, wrong, *rest][line - 1]
    assert clusterd.kept() == []


def test_an_editor_that_is_wrong_in_a_new_way_each_time_is_given_up(clusterd: CommandLine) -> None:
    clusterd.begin()
    rounds = clusterd.folder / "rounds"
    ended = clusterd("edit", "--yes", EDITOR=clusterd.script(f'echo "x$$: 1" >> "$1"; echo >> {rounds}'))
    assert ended.code == 1
    assert len(rounds.read_text()) == 10


def test_a_failing_editor_commits_nothing_and_keeps_the_text(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("edit", "--yes", EDITOR=clusterd.script('sed -i s/80/81/ "$1"; exit 3'))
    assert ended.code == 1
    assert "the editor ended with 3: nothing was committed" in ended.err
    (kept,) = clusterd.kept()
    assert "port: 81" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


def test_an_editor_that_is_missing_or_takes_the_file_away_is_told(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("edit", "--yes", EDITOR="/no/such/editor")
    assert (ended.code, "cannot run the editor /no/such/editor" in ended.err) == (2, True)
    ended = clusterd("edit", "--yes", EDITOR="'unclosed")
    assert (ended.code, "EDITOR cannot be read" in ended.err) == (2, True)
    ended = clusterd("edit", "--yes", EDITOR="rm")
    assert (ended.code, "the editor left no text" in ended.err) == (1, True)
    ended = clusterd("edit", "--yes", EDITOR=clusterd.script("printf '\\377' > \"$1\""))
    assert (ended.code, "not valid YAML" in ended.err) == (1, True)
    assert clusterd.kept()[0].read_bytes() == b"\xff"


def test_who_was_too_late_is_told_who_was_first_and_keeps_the_text(clusterd: CommandLine) -> None:
    clusterd.begin()
    other = f"{sys.executable} -m clusterd set virtuals/web/port=8080 --yes -m 'first!'"
    ended = clusterd(
        "edit", "--yes", EDITOR=clusterd.script(f'sed -i "s/weight: 2/weight: 9/" "$1"; {other} >/dev/null')
    )
    assert (ended.code, ended.out) == (3, "")
    assert "commit 2 by " in ended.err
    assert "(first!): virtuals/web/port 80 -> 8080" in ended.err
    assert "weight: 9" in clusterd.kept()[0].read_text()
    assert clusterd("show", "virtuals/web/servers/rs1/weight").out == "2\n"


def test_a_dry_run_shows_what_would_change_and_commits_nothing(clusterd: CommandLine) -> None:
    clusterd.begin()
    before = clusterd.everything()
    ended = clusterd("set", "virtuals/web/port=81", "--dry-run")
    assert (ended.code, ended.out) == (0, "~ virtuals/web/port: 80 -> 81\ndry run: nothing was committed\n")
    ended = clusterd("--json", "set", "virtuals/web/port=81", "--dry-run")
    assert ended.json == {
        "commit": None,
        "id": None,
        "changes": [{"path": "virtuals/web/port", "before": 80, "after": 81}],
    }
    assert values(clusterd.everything()) == values(before)


def test_without_a_terminal_nobody_is_asked(clusterd: CommandLine) -> None:
    clusterd.begin()
    for arguments in (("set", "virtuals/web/port=81"), ("apply", "-f", "-"), ("edit",)):
        ended = clusterd(*arguments, given="y\n")
        assert ended.code == 2
        assert "add --yes" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("set", "virtuals/web/port", "--yes"),
        ("set", "--yes"),
        ("apply", "--yes"),
        ("apply", "-f", "/no/such/file", "--yes"),
        ("validate", "/"),
        ("log", "-n", "0"),
        ("set", "a=1", "--wait=soon", "--yes"),
        ("import", "ldif", "file"),
        ("--cluster", "a b", "show"),
        ("--endpoints", "ftp://example", "show"),
        ("--cert", "/no/such/file", "show"),
        ("--user", "me", "--password-file", "/no/such/file", "show"),
    ],
)
def test_a_wrong_call_is_exit_code_2(clusterd: CommandLine, arguments: tuple[str, ...]) -> None:
    ended = clusterd(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Error:" in ended.err


@pytest.mark.parametrize("arguments", [("show",), ("set", "virtuals/web/port=81", "--yes")])
def test_etcd_that_does_not_answer_is_exit_code_4_in_time(clusterd: CommandLine, arguments: tuple[str, ...]) -> None:
    before_s = time.monotonic()
    ended = clusterd(*arguments, CLUSTERD_ENDPOINTS=f"http://127.0.0.1:{free_ports(1)[0]}")
    assert time.monotonic() - before_s < 8
    assert (ended.code, ended.out) == (4, "")
    assert "nothing was written" in ended.err
    assert "CLUSTERD_ENDPOINTS" in ended.err


def test_show_gives_objects_and_single_values(clusterd: CommandLine) -> None:
    clusterd.begin()
    assert clusterd("show", "routers/r2").out == "public: 1.2.3.3\nprivate: 192.168.1.253\npriority: 50\n"
    assert clusterd("show", "virtuals/web/scheduler").out == "wlc\n"
    assert clusterd("show", "cluster/masquerade").out == "[{source: 192.168.1.0/24, interface: eth0}]\n"
    assert clusterd("show", "virtuals/web/servers/rs2", "-o", "json").json == {
        "address": "192.168.1.2",
        "weight": 1,
        "enabled": True,
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
    assert ended.err.endswith("r1 is at commit 2, r2 is at commit 1, r3 is at commit 0\n")


def test_what_somebody_wrote_with_etcdctl_is_told_and_written_back(clusterd: CommandLine) -> None:
    clusterd.begin()
    etcdctl(clusterd.endpoint, "put", clusterd.keys.config_object(1, "routers/r1"), "{}")
    shown = clusterd("show", "routers/r1")
    assert (shown.code, "routers/r1 in etcd is not what was committed" in shown.err) == (0, True)
    assert shown.out == "public: 1.2.3.2\nprivate: 192.168.1.252\n"
    ended = clusterd("apply", "-f", "-", "--yes", given=MANUAL)
    assert (ended.code, ended.out) == (0, "commit 2: written back routers/r1\n")
    assert clusterd("show").err == ""


def test_a_head_that_cannot_be_read_is_named_by_its_key(clusterd: CommandLine) -> None:
    clusterd.begin()
    etcdctl(clusterd.endpoint, "put", clusterd.keys.head, "oops")
    ended = clusterd("show")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"{clusterd.keys.head}: not a head that clusterd wrote")


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
