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
