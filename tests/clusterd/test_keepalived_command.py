"""The command that imports, as far as it needs no etcd: files, what they include, and how it ends."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clusterd.commands import main
from clusterd.commands.import_ import FORMATS
from clusterd.document import parse
from tests.clusterd.fuzz.targets import CORPUS, LVS_CF


def imported(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(main, ["import", *arguments], input=text)


def test_a_file_and_what_it_includes_become_a_document_on_stdout(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name, target in (("virtuals.conf", folder), ("mail.conf", folder), ("group.conf", folder)):
        (target / name).write_bytes((CORPUS / "keepalived" / name).read_bytes())
    group = folder.joinpath("group.conf").rename(folder / "group.inc")
    group.write_text(group.read_text().replace("SSL_GET", "FILE_CHECK"))
    virtuals = folder / "virtuals.conf"
    virtuals.write_text(virtuals.read_text().replace("include group.conf", "include group.inc"))
    file = tmp_path / "keepalived.conf"
    file.write_bytes((CORPUS / "keepalived" / "keepalived.conf").read_bytes())
    ended = imported("keepalived", str(file), "--interface", "eth0")
    assert ended.exit_code == 0
    assert len(parse(ended.stdout).virtuals) == 11
    assert f"warning: line 91: {folder}/group.inc:9: virtual_server group SHOP/" in ended.stderr


def test_what_cannot_be_included_is_told(tmp_path: Path) -> None:
    file = tmp_path / "keepalived.conf"
    file.write_text(f"include {tmp_path}\ninclude nothing\ninclude secret\ninclude keepalived.conf\n")
    secret = tmp_path / "secret"
    secret.symlink_to("/proc/self/mem")
    ended = imported("keepalived", str(file))
    assert ended.exit_code == 1
    assert ended.stderr.splitlines() == [
        f"line 1: include {tmp_path}: {tmp_path}: it is not a file",
        "line 2: include nothing: there is no such file",
        f"line 3: include secret: {secret}: Input/output error",
        f"line 4: include keepalived.conf: {file} includes itself",
    ]


def test_what_stands_on_stdin_includes_files_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("more").write_text("virtual_server 1.2.3.1 80 {\n}\n")
    assert imported("keepalived", "-", "--interface", "eth0", text="include more\n").exit_code == 0


@pytest.mark.parametrize(
    ("source", "file"),
    [("ldirectord", CORPUS / "ldirectord" / "ldirectord.cf"), ("ipvsadm", CORPUS / "ipvsadm" / "saved.rules")],
)
def test_formats_without_interfaces_need_one(source: str, file: Path) -> None:
    refused = imported(source, str(file))
    assert refused.exit_code == 1
    assert "give it with --interface" in refused.stderr
    ended = imported(source, str(file), "--interface", "bond0")
    assert ended.exit_code == 0
    placed = [each for each in parse(ended.stdout).virtuals.values() if each.address]
    assert {each.interface for each in placed} == {"bond0"}


def test_lvs_cf_says_its_interfaces_itself() -> None:
    assert imported("lvs.cf", str(LVS_CF)).exit_code == 0
    refused = imported("lvs.cf", str(LVS_CF), "--interface", "eth0")
    assert refused.exit_code == 2
    assert "leave --interface out" in refused.stderr


def test_an_unknown_format_is_told_with_the_nearest_one() -> None:
    refused = imported("keepalive", "x")
    assert refused.exit_code == 2
    assert "'keepalive' is no format that can be imported; did you mean keepalived?" in refused.stderr


def test_the_help_has_an_example_of_each_format() -> None:
    text = imported("--help").stdout
    for source in ("lvs.cf", "keepalived", "ldirectord", "ipvsadm"):
        assert f"clusterd import {source} " in text


def test_the_shell_completes_formats() -> None:
    ended = CliRunner().invoke(
        main,
        [],
        prog_name="clusterd",
        env={"_CLUSTERD_COMPLETE": "bash_complete", "COMP_WORDS": "clusterd import l", "COMP_CWORD": "2"},
    )
    assert ended.stdout.splitlines() == ["plain,lvs.cf", "plain,ldirectord"]


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but a comment\n"])
@pytest.mark.parametrize("options", [(), ("--apply", "--yes"), ("--apply", "--dry-run", "--force")])
def test_a_file_that_says_nothing_is_no_empty_cluster(source: str, text: str, options: tuple[str, ...]) -> None:
    ended = imported(source, "-", *options, text=text)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "nothing in this file: no virtual server, no router\n" in ended.stderr


@pytest.mark.parametrize(
    ("source", "text"),
    [("keepalived", "global_defs {\n}\n"), ("ldirectord", "checktimeout = 3\n"), ("lvs.cf", "serial_no = 7\n")],
)
def test_a_file_with_settings_alone_is_no_empty_cluster(source: str, text: str) -> None:
    ended = imported(source, "-", text=text)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.endswith("nothing in this file: no virtual server, no router\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--yes",), "--yes"),
        (("-y",), "--yes"),
        (("-m", "why"), "-m"),
        (("--wait",), "--wait"),
        (("--wait=3",), "--wait"),
        (("--force",), "--force"),
        (("--dry-run",), "--dry-run"),
        (("--confirmed", "60"), "--confirmed"),
        (("--force", "--dry-run"), "--dry-run, --force"),
    ],
)
def test_how_to_commit_is_said_with_apply_alone(options: tuple[str, ...], said: str) -> None:
    refused = imported("lvs.cf", str(LVS_CF), *options)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert f"{said}: this belongs to --apply" in refused.stderr
