"""Every message about a value is in the document's words, and says what would be right."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from clusterd import document
from clusterd.document.wording import PATTERNS
from clusterd.errors import ConfigError
from clusterd.model import Cluster
from tests.strategies import PLAIN, clusters

WEB = {"address": "1.2.3.1/24", "interface": "eth0", "port": 80}
FOREIGN = ("Input", "String should", "Tuple should", "valid dictionary", "instance of", "Value error", "validation")


def problems(data: object) -> list[str]:
    try:
        document.from_data(data)
    except ConfigError as error:
        return [problem.message for problem in error.problems]
    return []


def told(data: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        document.from_data(data)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("virtual", "message"),
    [
        ({"scheduler": "wrrr"}, "scheduler: unknown value 'wrrr'; did you mean wrr?"),
        ({"protocol": 6}, "protocol: unknown value 6; known here: tcp, udp"),
        ({"enabled": "yes"}, "enabled: true or false is expected, not 'yes'"),
        ({"port": None}, "port: is missing"),
        ({"port": 80.5}, "port: a whole number is expected, not 80.5"),
        ({"port": [80]}, "port: a whole number is expected, not a list"),
        ({"port": {"a": 80}}, "port: a whole number is expected, not keys with values"),
        ({"servers": ["rs1"]}, "servers: keys with values are expected here ({key: value}), not a list"),
        (
            {"sorry_server": "10.0.0.9/24"},
            "sorry_server: an IPv4 or IPv6 address is expected (a.b.c.d or 2001:db8::1, without a prefix), not ",
        ),
        ({"interface": "eth0:1"}, "interface: the name of an interface has letters, digits, _, . and -, not 'eth0:1'"),
        ({"interface": 16 * "e"}, "interface: at most 15 characters are expected, not 16"),
        ({"interface": 0}, "interface: a text is expected (in quotes, where it looks like something else), not 0"),
        ({"check": 5}, "check: keys with values are expected here ({key: value}), not 5"),
        ({"check": {}}, "check: needs a type; known here: tcp, http, https, send_expect, exec, "),
        ({"check": {"type": "tpc"}}, "check: unknown type 'tpc'; did you mean tcp?"),
        ({"check": {"type": "http", "status": []}}, "check/status: at least 1 is expected"),
        ({"check": {"type": "tcp", "interval_s": "2s"}}, "check/interval_s: a number is expected, not '2s'"),
        ({"check": {"type": "tcp", "interval_s": 0}}, "check/interval_s: must be more than 0, not 0"),
        (
            {"address": "1.2.3.1/33"},
            "address: an IPv4 or IPv6 address with its network's prefix is expected (a.b.c.d/24 or 2001:db8::1/64), ",
        ),
        ({"check": {"type": "http", "path": 70 * "x"}}, "check/path: a path begins with / and has no blanks; "),
    ],
)
def test_a_message_says_what_is_expected_and_what_stands_there(virtual: dict[str, Any], message: str) -> None:
    (found,) = told({"virtuals": {"web": WEB | virtual}})
    assert found.startswith(f"virtuals/web/{message}")


def test_a_key_for_one_family_says_which() -> None:
    gateways = {"nat_router": {"address": "fe80::1/64"}, "nat_router6": {"address": "10.0.0.1/24"}}
    found = told({"cluster": {name: each | {"interface": "eth1"} for name, each in gateways.items()}})
    assert found == [
        "cluster/nat_router/address: an IPv4 address with its network's prefix is expected (a.b.c.d/24), "
        "not 'fe80::1/64'",
        "cluster/nat_router6/address: an IPv6 address with its network's prefix is expected (2001:db8::1/64), "
        "not '10.0.0.1/24'",
    ]
    (found6,) = told({"routers": {"r1": {"public": "1.2.3.4", "public6": "1.2.3.5"}}})
    assert found6.startswith("routers/r1/public6: an IPv6 address is expected")


def test_a_network_with_bits_beyond_its_prefix_is_told_the_network() -> None:
    masquerade = {"source": "192.168.1.7/24", "interface": "eth0"}
    (found,) = told({"cluster": {"masquerade": [masquerade]}})
    assert found.endswith("not '192.168.1.7/24'; did you mean 192.168.1.0/24?")


@pytest.mark.parametrize("source", [False, 5, None])
def test_what_is_no_text_is_told_no_network(source: object) -> None:
    (found,) = told({"cluster": {"masquerade": [{"source": source, "interface": "eth0"}]}})
    assert found.startswith("cluster/masquerade/0/source: an IPv4 or IPv6 network is expected ")
    assert "did you mean" not in found


def test_every_pattern_of_the_model_has_words() -> None:
    schema = json.dumps(Cluster.model_json_schema(by_alias=True))
    given = re.findall(r'"pattern": ("[^ ]*")', schema) + re.findall(r'"patternProperties": {("[^ ]*"):', schema)
    assert {json.loads(pattern) for pattern in given} == set(PATTERNS)


def nested(annotation: Any) -> Iterator[tuple[bool, type[BaseModel]]]:
    """Yield the classes inside a type, and whether they are many there: in a mapping or a list."""
    many = get_origin(annotation) in (tuple, list, dict, Mapping)
    for inner in get_args(annotation):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield many, inner
        else:
            yield from ((many or deeper, kind) for deeper, kind in nested(inner))


def objects_of(kind: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Yield where the document has objects with keys of their own, * for a name or a number."""
    yield ()
    for name, field in kind.model_fields.items():
        whole = field.annotation
        alone = [(False, whole)] if isinstance(whole, type) and issubclass(whole, BaseModel) else []
        for many, inner in (*alone, *nested(whole)):
            for path in objects_of(inner):
                yield (field.alias or name, *(("*",) if many else ()), *path)


def test_an_unknown_key_is_told_wherever_there_are_keys() -> None:
    places_with_keys = set(objects_of(Cluster))
    assert ("virtuals", "*", "slow_start") in places_with_keys
    assert ("cluster", "groups", "*", "nat_router") in places_with_keys
    assert places_with_keys == set(document._PLACES)
    found = told({"virtuals": {"web": WEB | {"slow_start": {"duration": 5}}}})
    assert "virtuals/web/slow_start/duration: unknown key; did you mean duration_s?" in found


def places(data: Any) -> list[tuple[Any, Any]]:
    """Return each mapping or list in the data with each of its keys or indices."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [place for key, inner in pairs for place in ((data, key), *places(inner))]


@given(clusters(), PLAIN, st.data())
@settings(max_examples=300)
def test_no_wrong_value_is_told_in_the_words_of_a_library(given: Cluster, value: Any, data: st.DataObject) -> None:
    whole = json.loads(given.model_dump_json(by_alias=True))
    here, key = data.draw(st.sampled_from(places(whole)))
    here[key] = value
    assert [message for message in problems(whole) if any(word in message for word in FOREIGN)] == []
