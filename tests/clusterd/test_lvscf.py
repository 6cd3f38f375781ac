from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Interface
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clusterd import lvscf
from clusterd.errors import ConfigError
from clusterd.lvscf.grammar import GLOBAL, KEYS, SERVER, VIRTUAL
from clusterd.model import Cluster
from tests.clusterd.lvscf_files import EXAMPLE, in_virtual, warned, wrong

# The example of the manual


def test_the_manuals_example_says_what_the_manual_says() -> None:
    reading = lvscf.read(EXAMPLE)
    cluster = reading.cluster
    assert reading.serial_no == 1
    assert cluster.settings.heartbeat.model_dump(exclude_none=True) == {"keepalive_s": 6, "deadtime_s": 18, "port": 539}
    assert cluster.settings.forwarding == "nat"
    assert {name: (str(r.public), str(r.private), r.priority) for name, r in cluster.routers.items()} == {
        "primary": ("1.2.3.2", "192.168.1.252", 100),
        "backup": ("1.2.3.3", "192.168.1.253", 50),
    }
    virtual = cluster.virtuals["web"]
    assert (virtual.address, virtual.interface, virtual.port) == (IPv4Interface("1.2.3.1/24"), "eth0", 80)
    assert (virtual.scheduler, virtual.protocol, virtual.enabled, virtual.load.source) == ("wlc", "tcp", True, "ssh")
    assert virtual.check.model_dump(exclude_none=True, exclude={"jitter", "initial", "data_path"}) == {
        "type": "send_expect",
        "send": r"GET / HTTP/1.0\r\n\r\n",
        "expect": "HTTP",
        "regex": False,
        "interval_s": 10,
        "timeout_s": 10,
        "fall": 1,
        "rise": 1,
        "reentry_s": 180,
    }
    servers = {name: (str(s.address), s.weight, s.enabled, s.port) for name, s in virtual.servers.items()}
    assert servers == {
        "rs1": ("192.168.1.1", 2, True, None),
        "rs2": ("192.168.1.2", 1, True, None),
        "rs3": ("192.168.1.3", 1, True, None),
    }


def test_masquerading_the_private_network_is_added_and_told() -> None:
    reading = lvscf.read(EXAMPLE)
    added = reading.cluster.settings.masquerade
    assert [(str(item.source), item.interface) for item in added] == [("192.168.1.0/24", "eth0")]
    assert [str(w) for w in reading.warnings] == [
        "line 14: nat_router: added to masquerade: 192.168.1.0/24 on eth0",
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(end: str) -> None:
    assert lvscf.read(EXAMPLE.replace("\n", end)) == lvscf.read(EXAMPLE)
    assert wrong(end.join(["", "x = 1"]))[0].startswith("line 2: x: unknown command")


def test_an_empty_file_is_a_cluster_with_piranhas_defaults() -> None:
    reading = lvscf.read("")
    assert reading.cluster == Cluster.model_validate(
        {"cluster": {"heartbeat": {"keepalive_s": 2, "deadtime_s": 5, "port": 539}}}
    )
    assert (reading.warnings, reading.serial_no) == ((), 0)


def test_bytes_are_read_as_utf8() -> None:
    assert lvscf.read(in_virtual('expect = "ä"').encode()) == lvscf.read(in_virtual('expect = "ä"'))


def test_bytes_that_are_not_utf8_are_read_as_latin1_and_told() -> None:
    assert warned("\n# Bürohaus\n".encode("latin-1")) == ["line 2: not UTF-8: the file is read as Latin-1"]


# What clusterd does not have

WORDS = {"service": "fos", "reservation_conflict_action": "preempt", "rsh_command": "rsh", "dirs": "[ /a /b ]"}


def lost(keys: Mapping[str, Any]) -> list[str]:
    return [word for word, key in keys.items() if key.lost]


@pytest.mark.parametrize("key", lost(GLOBAL))
def test_a_global_key_that_is_not_carried_over_is_told(key: str) -> None:
    value = "0" if key == "hard_shutdown" else WORDS.get(key, "1")
    assert warned(f"\n{key} = {value}")[0].startswith(f"line 2: {key}: not carried over: ")


@pytest.mark.parametrize("key", lost(VIRTUAL))
def test_a_key_of_a_virtual_server_that_is_not_carried_over_is_told(key: str) -> None:
    assert warned(in_virtual(f"{key} = {WORDS.get(key, '1')}"))[0].startswith(
        f"line 3: virtual web/{key}: not carried over"
    )


def test_nothing_of_a_real_server_is_lost() -> None:
    assert not lost(SERVER)


@pytest.mark.parametrize(
    "line",
    [
        "service = lvs",
        "sync = 0",
        "syncdaemon = 0",
        "syncd_id = 0",
        "tcp_timeout = 0",
        "debug_level = NONE",
        "hard_shutdown = 1",
    ],
)
def test_a_value_that_asks_for_nothing_loses_nothing(line: str) -> None:
    assert warned(line) == []


def test_failover_services_are_read_over_and_told() -> None:
    text = "service = fos\nfailover mail {\nactive = 1\nstart_cmd = '/bin/x start'\nserver a {\n}\n}"
    assert warned(text) == [
        "line 1: service: not carried over: clusterd has no plain failover services",
        "line 2: failover mail: not carried over: clusterd has no plain failover services",
    ]


# Anything at all

_SOME_WORDS = st.sampled_from(
    [*(word for keys in KEYS.values() for word in keys), "virtual", "server", "failover", "{", "}", "=", '"', "'", "#"]
)
_SOME_VALUES = st.sampled_from(
    ["1", "0", "-1", "1.2.3.4", "eth0:1", "255.255.0.0", "http", "(", "uptime", "ssh", "nat"]
)


@given(st.text() | st.binary())
@settings(max_examples=2000)
@example("\ud800 = 1")
@example("virtual \ud800 {\nsend = \ud800\naddress = 1.2.3.4 \ud800\n}")
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    with suppress(ConfigError):
        lvscf.read(text)


@st.composite
def _near_files(draw: st.DrawFn) -> str:
    """Texts that are nearly files, so that the rules behind the syntax are met as well."""
    setting = st.builds("{} = {} {}".format, _SOME_WORDS, _SOME_VALUES, st.just("") | _SOME_VALUES)
    opening = st.builds("{} {} {{".format, st.sampled_from(["virtual", "server", "failover"]), _SOME_WORDS)
    anything = st.lists(_SOME_WORDS | _SOME_VALUES, max_size=5).map(" ".join)
    return "\n".join(draw(st.lists(setting | setting | opening | st.just("}") | anything, max_size=25)))


@given(_near_files())
@settings(max_examples=500)
def test_any_text_that_looks_like_a_file_is_read_or_refused(text: str) -> None:
    with suppress(ConfigError):
        lvscf.read(text)
