from ipaddress import IPv4Interface
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from clusterd import model
from clusterd.model import (
    Cluster,
    Forwarding,
    Router,
    SendExpectCheck,
    Server,
    Settings,
    Sync,
    TcpCheck,
    Virtual,
    forwarding,
)

WEB = {"address": "1.2.3.1/24", "interface": "eth0", "port": 80}
RS1 = {"address": "10.0.0.1"}


def valid(kind: type[BaseModel], **values: Any) -> bool:
    try:
        kind.model_validate(values)
    except ValidationError:
        return False
    return True


def test_values_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().forwarding = "direct"  # type: ignore[misc] # that it is refused is the point


def test_unknown_keys_are_refused() -> None:
    assert not valid(Server, **RS1, wieght=1)


def test_defaults_are_of_the_type_that_they_have_when_written() -> None:
    written = TcpCheck.model_validate({"type": "tcp", "interval_s": 2, "timeout_s": 1, "reentry_s": 0})
    assert repr(written) == repr(TcpCheck(type="tcp"))
    assert repr(model.Heartbeat(keepalive_s=1)) == repr(model.Heartbeat())


@pytest.mark.parametrize("address", [80, 80.5, "1.2.3", "1.2.3.4/24", "::1/64", "fe80::1%eth0", "1:2", "", None])
def test_a_host_is_written_as_an_address_of_either_family(address: object) -> None:
    assert not valid(Router, public=address)
    assert valid(Router, public="2001:DB8::0:1")
    assert str(Router.model_validate({"public": "2001:DB8::0:1"}).public) == "2001:db8::1"


def test_an_address_may_have_a_prefix_or_stand_alone() -> None:
    assert Virtual.model_validate(WEB).address == IPv4Interface("1.2.3.1/24")
    assert Virtual.model_validate(WEB | {"address": "1.2.3.1"}).address == IPv4Interface("1.2.3.1/32")


@pytest.mark.parametrize(
    ("group", "is_valid"),
    [
        *((group, True) for group in ("224.0.0.81", "239.255.255.255", "ff02::81")),
        *((group, False) for group in ("10.0.0.1", "fe80::1", "x", 224, 1.5, "224.0.0.1/24", "", None)),
    ],
)
def test_connections_are_told_to_a_multicast_group_of_either_family(group: object, is_valid: bool) -> None:
    assert valid(Sync, interface="eth1", group=group) == is_valid


@pytest.mark.parametrize(
    ("name", "is_valid"),
    [
        *((name, True) for name in ("rs1", "a.b-c_d", "9", "a" * 63)),
        *((name, False) for name in ("a" * 64, "", "-a", "a/b", "a b", "é", "a\n")),
    ],
)
def test_names_are_short_plain_words(name: str, is_valid: bool) -> None:
    assert valid(Virtual, **WEB, servers={name: RS1}) == is_valid


@pytest.mark.parametrize(
    ("interface", "is_valid"), [("a" * 15, True), ("a" * 16, False), ("", False), ("eth0:1", False)]
)
def test_an_interface_is_what_the_kernel_can_name(interface: str, is_valid: bool) -> None:
    assert valid(Virtual, **WEB | {"interface": interface}) == is_valid


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Server, RS1 | {"weight": -1}),
        (Server, RS1 | {"weight": 65536}),
        (Server, RS1 | {"weight": True}),
        (Server, RS1 | {"weight": 1.0}),
        (Server, RS1 | {"port": 0}),
        (Server, RS1 | {"enabled": 1}),
        (Server, RS1 | {"forwarding": "masq"}),
        (Virtual, WEB | {"port": 65536}),
        (Virtual, WEB | {"scheduler": "xx"}),
        (Virtual, WEB | {"persistence": {"prefix": 0}}),
        (Virtual, WEB | {"persistence": {"timeout_s": 0}}),
        (Virtual, WEB | {"check": {"type": "tcp", "interval_s": 0}}),
        (Virtual, WEB | {"check": {"type": "tcp", "timeout_s": float("nan")}}),
        (Virtual, WEB | {"check": {"type": "tcp", "fall": 0}}),
        (Virtual, WEB | {"check": {"type": "http", "path": "x"}}),
        (Virtual, WEB | {"check": {"type": "http", "path": "/a b"}}),
        (Virtual, WEB | {"check": {"type": "http", "status": []}}),
        (Virtual, WEB | {"check": {"type": "http", "host": "a\r\nb"}}),
        (Virtual, WEB | {"check": {"type": "send_expect", "send": "x" * 256}}),
        (Router, {"public": "1.2.3.2", "priority": 256}),
        (model.Heartbeat, {"deadtime_s": 1}),
        (model.Heartbeat, {"keepalive_s": "inf"}),
    ],
)
def test_values_out_of_their_range_do_not_exist(kind: type[BaseModel], given: dict[str, Any]) -> None:
    assert not valid(kind, **given)


@pytest.mark.parametrize("expect", ["(", "[", "*a", "[[:alpha:]]", "a{999999999999999999999}"])
def test_what_is_expected_as_an_expression_has_to_be_one(expect: str) -> None:
    assert not valid(SendExpectCheck, type="send_expect", expect=expect, regex=True)
    assert valid(SendExpectCheck, type="send_expect", expect=expect)


@pytest.mark.parametrize("expect", [None, "*", "^HTTP/1.[01] (200|301)", "ä+"])
def test_anything_nothing_and_true_expressions_may_be_expected(expect: str | None) -> None:
    assert valid(SendExpectCheck, type="send_expect", expect=expect, regex=True)


@pytest.mark.parametrize(
    ("server", "virtual", "cluster", "way"),
    [
        ("tunnel", "direct", "nat", "tunnel"),
        (None, "direct", "nat", "direct"),
        (None, None, "tunnel", "tunnel"),
        ("nat", None, "tunnel", "nat"),
    ],
)
def test_the_nearest_way_of_forwarding_counts(
    server: Forwarding | None, virtual: Forwarding | None, cluster: Forwarding, way: Forwarding
) -> None:
    one = Server.model_validate(RS1 | {"forwarding": server})
    around = Virtual.model_validate(WEB | {"forwarding": virtual})
    assert forwarding(Cluster(cluster=Settings(forwarding=cluster)), around, one) == way


def test_the_schema_of_the_document_names_every_part() -> None:
    schema = Cluster.model_json_schema(by_alias=True)
    assert list(schema["properties"]) == ["cluster", "routers", "virtuals"]
    assert "description" in schema["$defs"]["Virtual"]["properties"]["quiesce"]


def test_programs_are_named_by_their_path_and_never_run_as_root() -> None:
    assert valid(model.Notify, active_cmd=["/bin/told", "%g", "two words", ""], user="lvs-hooks", timeout_s=0.5)
    assert valid(model.Notify)
    for wrong in (
        {"active_cmd": ["told"]},
        {"inactive_cmd": ["", "/bin/told"]},
        {"active_cmd": ["/bin/told", "a\nb"]},
        {"active_cmd": "/bin/told"},
        {"active_cmd": ["/bin/told"] * 65},
        {"user": "root"},
        {"user": "0"},
        {"timeout_s": 0},
        {"timeout_s": 301},
    ):
        assert not valid(model.Notify, **wrong), wrong
