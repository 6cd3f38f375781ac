"""Fixtures for the tests of the library and the command."""

import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.clusterd.command_line import CommandLine
from tests.store.etcd_server import ETCD, Member

_NUMBERS = count(1)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Let Ctrl-C reach the commands, also where these tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def etcd_member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    """One etcd for all tests of the command; each test has a cluster of its own in it."""
    if ETCD is None:
        pytest.skip("the etcd program is not on PATH (Debian: etcd-server)")
    with Member(tmp_path_factory.mktemp("etcd")) as member:
        yield member


@pytest.fixture
def clusterd(etcd_member: Member, tmp_path: Path) -> CommandLine:
    """The command, with a cluster and a home that no other test uses."""
    return CommandLine(etcd_member.endpoint, f"t{next(_NUMBERS)}", tmp_path)
