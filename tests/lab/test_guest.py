"""A machine that dies while it boots is started again; one that has begun its work is not. Programs stand for QEMU."""

from pathlib import Path

import pytest

from tests.lab import guest

DAEMON = """#!/bin/sh
for word; do case $word in --socket-path=*) : >"${word#--socket-path=}" ;; esac; done
exec sleep 60
"""
EMULATOR = """#!/bin/bash
share=${!#}
share=${share#*lab.share=}
echo boot >>BOOTS
case $(wc -l <BOOTS) in NUMBER) DOES ;; esac
"""


@pytest.fixture
def boots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each start of the machine."""
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot" / "vmlinuz-1").touch()
    monkeypatch.setattr(guest, "KERNEL", tmp_path)
    monkeypatch.setattr(guest, "VIRTIOFSD", _program(tmp_path / "daemon", DAEMON))
    return tmp_path / "boots"


def _program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("number", "does", "status", "started"),
    [
        ("3", 'echo init >"$share/trace"; echo 7 >"$share/rc"', 7, 3),  # it boots at the third attempt
        ("1", 'echo init >"$share/trace"', guest.DIED, 1),  # it dies at its work
        ("9", "", guest.DIED, 3),  # it never boots
    ],
)
def test_a_machine_is_started_again_only_while_nothing_ran_in_it(
    boots: Path, monkeypatch: pytest.MonkeyPatch, number: str, does: str, status: int, started: int
) -> None:
    emulator = EMULATOR.replace("BOOTS", str(boots)).replace("NUMBER", number).replace("DOES", does)
    monkeypatch.setattr(guest, "QEMU", _program(boots.with_name("emulator"), emulator))
    said: list[str] = []
    assert guest.boot(["true"], limit_s=30, on_line=said.append, mode="fast") == status
    assert len(boots.read_text().splitlines()) == started
    assert sum("is started again" in line for line in said) == started - 1
