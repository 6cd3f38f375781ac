"""`clusterd render` of a document in a file."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from clusterd.commands import main
from clusterd.commands.render import FORMATS
from tests.clusterd.examples import MANUAL

HERE = Path(__file__).parent


def render(*arguments: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(main, ["render", *arguments, "-f", "-"], input=MANUAL)
    return ended.exit_code, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("target", "file", "warned"),
    [
        ("keepalived", "manual.keepalived.conf", ["virtuals/web/check/rise", "cluster/masquerade"]),
        ("ipvsadm", "manual.ipvsadm", []),
        ("nftables", "manual.nft", []),
    ],
)
def test_the_text_goes_to_stdout_and_what_it_cannot_say_to_stderr(target: str, file: str, warned: list[str]) -> None:
    code, out, err = render(target)
    assert (code, out) == (0, (HERE / file).read_text())
    assert [line.split(": ")[:2] for line in err.splitlines()] == [["warning", path] for path in warned]


def test_what_is_true_of_many_virtual_servers_is_told_once() -> None:
    web = "{address: 1.2.3.%d/24, interface: eth0, port: 81, scheduler: mh, check: {type: tcp, fall: 1, rise: 1}}"
    text = "virtuals:\n" + "".join(f"  v{n}: {web % n}\n" for n in range(1, 8))
    ended = CliRunner().invoke(main, ["render", "lvs.cf", "-f", "-"], input=text)
    (told,) = [line for line in ended.stderr.splitlines() if "scheduler" in line]
    places = ", ".join(f"virtuals/v{n}/scheduler" for n in (1, 2, 3))
    assert told == f"warning: {places} and 4 more: lvs.cf does not know mh, wlc stands in"
    assert ended.stdout.count("lvs.cf does not know mh") == 7


def test_a_keepalived_conf_is_for_the_router_that_is_named() -> None:
    code, out, _ = render("keepalived", "--router", "r2")
    assert code == 0
    assert "router_id r2\n" in out


def test_a_router_that_is_not_there_is_an_invalid_input_with_a_suggestion() -> None:
    code, out, err = render("keepalived", "--router", "r")
    assert (code, out) == (1, "")
    assert "routers/r: is not there; did you mean r" in err


@pytest.mark.parametrize("target", [target for target in FORMATS if target != "keepalived"])
def test_only_a_keepalived_conf_is_for_one_router(target: str) -> None:
    code, out, err = render(target, "--router", "r1")
    assert (code, out) == (2, "")
    assert f"--router is for keepalived: {target}" in err
