"""Kernel settings as files."""

from pathlib import Path

from clusterd.dataplane import sysctl
from clusterd.plane import Operation, Sysctl, Verb

FORWARD = Sysctl("ipv4/ip_forward", "1")


def test_a_setting_is_read_without_its_line_end_and_one_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "ipv4").mkdir()
    (tmp_path / "ipv4" / "ip_forward").write_text("0\n")
    assert sysctl.read(["ipv4/ip_forward", "ipv4/vs/none"], tmp_path) == [Sysctl("ipv4/ip_forward", "0")]


def test_a_setting_is_written_and_read_back(tmp_path: Path) -> None:
    (tmp_path / "ipv4").mkdir()
    assert sysctl.apply(Operation(Verb.SET, FORWARD), FORWARD, tmp_path) is None
    assert sysctl.read([FORWARD.name], tmp_path) == [FORWARD]


def test_what_cannot_be_written_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    failure = sysctl.apply(Operation(Verb.SET, FORWARD), FORWARD, tmp_path)
    assert str(failure) == "set sysctl net/ipv4/ip_forward = 1: No such file or directory"
