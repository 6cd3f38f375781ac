import json
import time
from pathlib import Path

import pytest

from clusterd import settings
from tests.clusterd.command_line import CommandLine
from tests.clusterd.examples import MANUAL
from tests.store.etcd_server import etcdctl, free_ports

pytestmark = pytest.mark.etcd


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ("virtuals/web/servers/rs1/weight=-1", "virtuals/web/servers/rs1/weight: must be at least 0, not -1"),
        ("virtuals/web/port=99999", "virtuals/web/port: must be at most 65535, not 99999"),
        ("virtuals/web/prot=1", "virtuals/web/prot: unknown key; did you mean port?"),
        ("virtuals/web/prot=", "virtuals/web/prot: unknown key; did you mean port?"),
        ("virtuals/web/servers/rs9=", "virtuals/web/servers/rs9: is not there; did you mean rs"),
        ("virtuals/wbe=", "virtuals/wbe: is not there; did you mean web?"),
        ("routers/r9=", "routers/r9: is not there; known here: r1, r2"),
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
    before = clusterd.state()
    ended = clusterd("set", assignment, "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert problem in ended.err
    assert clusterd.state() == before


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
        ["line 14: virtuals/web/servers/rs1/weight: must be at least 0, not -1"],
    ),
    "a port that is too large": (
        "port: 80",
        "port: 99999",
        ["line 11: virtuals/web/port: must be at most 65535, not 99999"],
    ),
    "invalid YAML": ("port: 80", "port: [80", ["line 12: not valid YAML"]),
    "two things at once": ("weight: 2", "weight: -1, wieght: 2", ["rs1/weight: must", "rs1/wieght: unknown key"]),
    "nothing": (MANUAL, "", ["the document is empty"]),
}


@pytest.mark.parametrize("case", BAD_DOCUMENTS)
@pytest.mark.parametrize("way", ["apply", "edit", "stdin"])
def test_a_bad_document_commits_nothing_and_each_problem_has_its_line(
    clusterd: CommandLine, case: str, way: str
) -> None:
    clusterd.begin()
    before = clusterd.state()
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
    assert clusterd.state() == before


def test_an_lvs_cf_with_an_unknown_command_commits_nothing(clusterd: CommandLine) -> None:
    clusterd.begin()
    before = clusterd.state()
    file = clusterd.file("lvs.cf", "serial_no = 1\nprimary = 1.2.3.2\nservice = lvs\nspeed = high\n")
    for more in ((), ("--apply", "--yes")):
        ended = clusterd("import", "lvs.cf", file, *more)
        assert (ended.code, ended.out) == (1, "")
        assert "line 4" in ended.err
        assert "speed" in ended.err
    assert clusterd.state() == before


def test_a_new_cluster_is_not_made_of_a_bad_document(clusterd: CommandLine) -> None:
    assert clusterd("init", "-f", clusterd.file("bad.yaml", "virtuals: {web: {}}")).code == 1
    assert clusterd.content() == ""


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


def test_a_head_that_cannot_be_read_is_named_by_its_key(clusterd: CommandLine) -> None:
    clusterd.begin()
    etcdctl(clusterd.endpoint, "put", clusterd.keys.head, "oops")
    ended = clusterd("show")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"{clusterd.keys.head}: not a head that clusterd wrote")


@pytest.mark.parametrize(
    ("path", "value", "warned"),
    [
        ("virtuals/web/address", "1.2.3.9", "so it is 1.2.3.9/32"),
        ("cluster/nat_router/address", "192.168.1.251", "so it is 192.168.1.251/32"),
        ("virtuals/two", "{address: 1.2.3.9, interface: eth0, port: 80}", "virtuals/two/address: no prefix is given"),
        ("virtuals/web/address", "1.2.3.9/32", ""),
        ("virtuals/web/servers/rs1/address", "192.168.1.9", ""),
    ],
)
def test_a_floating_address_without_a_prefix_is_set_with_a_warning(
    clusterd: CommandLine, path: str, value: str, warned: str
) -> None:
    clusterd.begin()
    ended = clusterd("set", f"{path}={value}", "--dry-run", "--force")
    assert ended.code == 0
    assert (warned in ended.err) if warned else ended.err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("set", "virtuals/web/port=-1", "--yes", "--json"), 1, "virtuals/web/port: must be at least 0, not -1"),
        (("--json", "show", "virtuals/wbe"), 1, "virtuals/wbe: is not there; did you mean web?"),
        (("--json", "show", "--nonsense"), 2, "No such option"),
        (("--json", "set", "virtuals/web/enabled=false", "--yes"), 5, "nothing was committed"),
        (("--json", "--endpoints", "http://127.0.0.1:1", "show"), 4, "127.0.0.1:1"),
    ],
)
def test_an_error_is_json_where_that_is_asked_for(
    clusterd: CommandLine, arguments: tuple[str, ...], code: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PATIENCE_S", 1.0)
    clusterd.begin()
    ended = clusterd(*arguments)
    assert (ended.code, ended.out) == (code, "")
    error = json.loads(ended.err)["error"]
    assert error["exit_code"] == code
    assert message in error["message"]
    if code == 1:
        (problem,) = error["problems"]
        assert f"{problem['path']}: {problem['message']}" == message
