"""Our nft table in the kernel: nft's answers, the kernel's generations, and the rules at work on packets.

The namespaces are made on whatever kernel the tests run on: nf_tables is all that it needs.
"""

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from clusterd.dataplane import netfilter
from clusterd.dataplane.netfilter import Nftables
from clusterd.errors import ApplyError
from clusterd.netfilter import Netfilter
from clusterd.plane import Operation, Verb
from tests.dataplane.tables import ONE, RICH, TABLES

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Namespaced:
    """Our table in a network namespace without a name, in which a thread lives."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, initializer=_libc.unshare, initargs=(_CLONE_NEWNET,))
        self.tables = self._thread.submit(Nftables).result()

    def read(self) -> Netfilter | None:
        return self._thread.submit(self.tables.read).result()

    def write(self, table: Netfilter, verb: Verb = Verb.ADD) -> None:
        failure = self._thread.submit(self.tables.apply, Operation(verb, table), table).result()
        assert failure is None, str(failure)

    def nft(self, text: str) -> str:
        command = ("nft", "-f", "-")
        done = self._thread.submit(subprocess.run, command, input=text, capture_output=True, text=True).result()
        assert (done.returncode, done.stderr) == (0, "")
        return str(done.stdout)

    def close(self) -> None:
        self._thread.submit(self.tables.close).result()
        self._thread.shutdown()


@pytest.fixture
def here() -> Iterator[Namespaced]:
    made = Namespaced()
    yield made
    made.close()


@pytest.mark.parametrize("table", [ONE, RICH, Netfilter(())])
def test_the_kernel_has_what_was_written(here: Namespaced, table: Netfilter) -> None:
    assert here.read() is None
    here.write(RICH)
    here.write(table, Verb.SET)
    assert here.read() == table
    here.write(table, Verb.DELETE)
    assert here.read() is None
    assert here.nft("list ruleset\n") == ""


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(TABLES)
def test_the_kernel_takes_every_table_and_gives_it_back(here: Namespaced, table: Netfilter) -> None:
    here.write(table)
    assert here.read() == table


def test_the_table_of_before_goes_when_ours_comes(here: Namespaced) -> None:
    here.nft("table ip clusterd { chain postrouting { type nat hook postrouting priority srcnat; }; }\n")
    assert here.read() == Netfilter((), intact=False)
    here.write(ONE)
    assert here.read() == ONE
    here.nft("table ip clusterd { }\n")
    assert here.read() == replace(ONE, intact=False)
    here.write(ONE, Verb.DELETE)
    assert here.nft("list ruleset\n") == ""


def test_others_tables_are_not_touched(here: Namespaced) -> None:
    here.nft(
        "table ip theirs { chain c { type nat hook postrouting priority srcnat; oifname wan masquerade; }; }\n"
        "table ip6 clusterd { chain c { }; }\n"
        "table inet clusterd2 { set s { type ipv4_addr; elements = { 1.2.3.1 }; }; }\n"
    )
    before = here.nft("list ruleset\n")
    assert here.read() is None
    here.write(RICH)
    assert before in here.nft("list ruleset\n")
    here.write(RICH, Verb.DELETE)
    assert here.nft("list ruleset\n") == before


def test_nft_is_started_only_after_a_table_has_changed(here: Namespaced, monkeypatch: pytest.MonkeyPatch) -> None:
    here.write(ONE)
    assert here.read() == ONE
    started: list[str] = []
    real = netfilter.listed

    def listed() -> Netfilter | None:
        started.append("nft")
        return real()

    monkeypatch.setattr(netfilter, "listed", listed)
    assert here.read() == ONE
    assert started == []
    here.nft("table ip theirs { }\n")
    assert here.read() == ONE
    assert started == ["nft"]
    here.nft("flush chain inet clusterd postrouting\n")
    assert here.read() == replace(ONE, masquerades=(), intact=False)
    assert started == ["nft"] * 2


def test_where_the_kernel_does_not_count_nft_is_asked_each_time(
    here: Namespaced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netfilter, "_GET_GENERATION", 0xFF << 8)
    for table in (ONE, RICH):
        here.write(table)
        assert here.read() == table


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a program in nft's place that prints something and ends with a status."""

    def put(out: str = "", error: str = "", status: int = 0) -> None:
        program = tmp_path / "nft"
        program.write_text(f"#!/bin/sh\nprintf %s '{out}'\nprintf %s '{error}' >&2\nexit {status}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return put


@pytest.mark.parametrize("printed", ["", "{}", "[]", "no JSON", "7"])
def test_a_listing_that_is_not_understood_is_an_error_that_says_so(stand_in: Callable[..., None], printed: str) -> None:
    stand_in(printed)
    with pytest.raises(ApplyError, match=r"its answer is not what nft 1\.0 prints"):
        netfilter.listed()


def test_a_listing_that_fails_is_an_error(stand_in: Callable[..., None]) -> None:
    stand_in(error="Operation not permitted", status=1)
    with pytest.raises(ApplyError, match="Operation not permitted"):
        netfilter.listed()
    with closing(Nftables()) as tables:
        failure = tables.apply(Operation(Verb.ADD, ONE), ONE)
    assert str(failure) == f"add {ONE}: Operation not permitted"


def test_where_nft_is_not_installed_it_is_said_what_to_install(stand_in: Callable[..., None]) -> None:
    with pytest.raises(ApplyError, match="install the package nftables"):
        netfilter.listed()


def test_an_nft_that_hangs_is_given_up(stand_in: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in()
    (Path(os.environ["PATH"]) / "nft").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr(netfilter, "_TIMEOUT_S", 0.1)
    with pytest.raises(ApplyError, match="did not end within"):
        netfilter.listed()
