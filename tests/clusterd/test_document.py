from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd import document
from clusterd.errors import ConfigError
from clusterd.model import Cluster, HttpCheck
from tests.strategies import PLAIN

CONTRACT = """\
cluster:
  forwarding: nat                      # nat | direct | tunnel; a virtual or a server may differ
  nat_router: {address: 192.168.1.254/24, interface: eth1}
  masquerade: [{source: 192.168.1.0/24, interface: eth0}]
  heartbeat: {keepalive_s: 1, deadtime_s: 3}
  on_store_loss: failsafe              # failsafe | release | hold
routers:
  r1: {public: 1.2.3.2, private: 192.168.1.252, priority: 100}
  r2: {public: 1.2.3.3, private: 192.168.1.253, priority: 50}
virtuals:
  web:
    address: 1.2.3.1/24
    interface: eth0
    port: 80
    protocol: tcp
    scheduler: wlc
    check: {type: http, interval_s: 2, timeout_s: 1, fall: 2, rise: 2, path: /, status: [200]}
    load: {source: ssh}                # none | ssh | rup | ruptime | agent | http
    servers:
      rs1: {address: 192.168.1.1, weight: 2}
      rs2: {address: 192.168.1.2}
      rs3: {address: 192.168.1.3}
"""
WEB = "virtuals: {web: {address: 1.2.3.1/24, interface: eth0, port: 80}}"


def wrong(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        document.parse(text)
    return [str(problem) for problem in caught.value.problems]


def changed(old: str, new: str) -> list[str]:
    """Return what is wrong with the contract's example after one replacement."""
    assert CONTRACT.count(old) == 1
    return wrong(CONTRACT.replace(old, new))


# Reading


def test_the_example_of_the_contract_says_what_it_says() -> None:
    cluster = document.parse(CONTRACT)
    assert [str(router.public) for router in cluster.routers.values()] == ["1.2.3.2", "1.2.3.3"]
    web = cluster.virtuals["web"]
    assert {name: server.weight for name, server in web.servers.items()} == {"rs1": 2, "rs2": 1, "rs3": 1}
    assert isinstance(web.check, HttpCheck)
    assert web.check.status == (200,)


def test_bytes_are_read_as_text_is() -> None:
    assert document.parse(CONTRACT.encode()) == document.parse(CONTRACT)


@pytest.mark.parametrize("text", ["", " \n", "# nothing\n", "---\n", "null", "~"])
def test_an_empty_document_is_refused_because_it_would_remove_everything(text: str) -> None:
    assert wrong(text) == ["the document is empty; an empty cluster is written {}"]


def test_an_empty_cluster_is_written_as_an_empty_mapping() -> None:
    assert document.parse("{}") == Cluster()
    assert document.dump(Cluster()) == "{}\n"


@pytest.mark.parametrize(
    "word", ["yes", "no", "on", "off", "y", "Yes", "True", "12:30", "0o17", "0x1F", "1_000", ".inf"]
)
def test_words_that_older_yaml_read_as_something_else_are_texts(word: str) -> None:
    assert document.parse_yaml(f"a: {word}")[0] == {"a": word}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ('"12"', "12"),
        ("'true'", "true"),
        ("|\n  x", "x"),
        ("[1, a]", [1, "a"]),
    ],
)
def test_words_mean_what_the_core_schema_says(word: str, value: object) -> None:
    read = document.parse_yaml(f"a: {word}")[0]
    assert read == {"a": value}
    assert type(read["a"]) is type(value)


def test_keys_are_texts() -> None:
    assert document.parse_yaml("{1: a, true: b}")[0] == {"1": "a", "true": "b"}


def test_every_path_knows_its_line() -> None:
    lines = document.parse_yaml(CONTRACT)[1]
    assert lines[()] == 1
    assert lines["cluster", "masquerade", "0", "source"] == 4
    assert lines["virtuals", "web", "servers", "rs2", "address"] == 21


# Problems


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("scheduler: wlc", "shceduler: wlc", "line 16: virtuals/web/shceduler: unknown key; did you mean scheduler?"),
        ("weight: 2", "weigth: 2", "line 20: virtuals/web/servers/rs1/weigth: unknown key; did you mean weight?"),
        ("routers:", "qqq: 1\nrouters:", "line 7: qqq: unknown key; known here: cluster, routers, virtuals"),
        ("source: ssh", "zz: ssh", "line 18: virtuals/web/load/zz: unknown key; known here: source"),
        ("keepalive_s: 1", "keepalives: 1", "line 5: cluster/heartbeat/keepalives: unknown key; did you mean keep"),
        (
            "source: 192.168.1.0/24",
            "source: 192.168.1.0/24, zz: 1",
            "line 4: cluster/masquerade/0/zz: unknown key; known here: source, interf",
        ),
        ("rs2:", "'': {address: 192.168.1.9}\n      rs2:", "line 21: virtuals/web/servers/: a name has letters"),
        (
            "port: 80",
            "port: 70000",
            "line 14: virtuals/web/port: must be at most 65535, not 70000",
        ),
        ("port: 80", "port: '80'", "line 14: virtuals/web/port: a whole number is expected, not '80'"),
        ("port: 80", "port: true", "line 14: virtuals/web/port: a whole number is expected, not true"),
        ("    port: 80\n", "", "line 11: virtuals/web/port: is missing"),
        ("address: 1.2.3.1/24", "address: 80", "line 12: virtuals/web/address: an IPv4 or IPv6 "),
        ("type: http", "type: htpp", "line 17: virtuals/web/check: unknown type 'htpp'; did you mean http?"),
        (
            "type: http, ",
            "",
            "line 17: virtuals/web/check: needs a type; known here: tcp, http, https, send_expect, exec, ",
        ),
        (
            "status: [200]",
            "status: [200, 99]",
            "line 17: virtuals/web/check/status/1: a status code (100 … 599) or a range",
        ),
        ("status: [200]", "status: {}", "line 17: virtuals/web/check/status: a list is expected here"),
        ("path: /", "pfad: /", "line 17: virtuals/web/check/pfad: unknown key"),
        (
            "192.168.1.0/24",
            "192.168.1.1/24",
            "line 4: cluster/masquerade/0/source: an IPv4 or IPv6 network is expected (a.b.c.0/24 or ",
        ),
        ("r2:", "r/2:", "line 9: routers/r/2: a name has letters, digits"),
        ("load: {source: ssh}", "load: 5", "line 18: virtuals/web/load: keys with values are expected"),
        ("1.2.3.3", "1.2.3.2", "line 9: routers/r2/public: 1.2.3.2 is already routers/r1/public"),
        ("deadtime_s: 3", "deadtime_s: 3.0", "line 5: cluster/heartbeat/deadtime_s: a whole number is expected"),
        ("weight: 2", "weight: 2, weight: 3", "line 20: virtuals/web/servers/rs1/weight: this key stands twice, first"),
        ("load:", "? [a, b]\n    : c\n    load:", "line 18: virtuals/web: a key must be a plain word"),
        (
            "interface: eth1}",
            "interface: eth1",
            "line 4: not valid YAML: did not find expected ',' or '}' (while parsing a flow mapping",
        ),
    ],
)
def test_a_problem_names_its_line_and_its_path(old: str, new: str, problem: str) -> None:
    found = changed(old, new)
    assert len(found) == 1, found
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ("type: tcp, path: /x", "path: unknown key: path belongs to the type http or https"),
        ("type: http, expect: x", "expect: unknown key: expect belongs to the type send_expect or exec or udp"),
        ("type: http, pth: /x", "pth: unknown key; did you mean path?"),
        (
            "type: tcp, pth: /x",
            "pth: unknown key; known here: interval_s, timeout_s, fall, rise, port, data_path, reentry_s, recheck_s, "
            "jitter, initial, type",
        ),
    ],
)
def test_of_a_check_only_the_keys_of_its_type_are_suggested(check: str, problem: str) -> None:
    text = WEB.replace("port: 80", f"port: 80, check: {{{check}}}")
    assert wrong(text) == [f"line 1: virtuals/web/check/{problem}"]


def test_an_expression_that_does_not_compile_is_a_problem_of_its_check() -> None:
    text = WEB.replace("port: 80", "port: 80, check: {type: send_expect, expect: '(', regex: true}")
    assert wrong(text)[0].startswith("line 1: virtuals/web/check: expect is not a regular expression: missing )")


def test_a_posix_class_is_a_problem_because_it_would_mean_something_else() -> None:
    text = WEB.replace("port: 80", "port: 80, check: {type: send_expect, expect: '[[:alpha:]]', regex: true}")
    assert wrong(text)[0].startswith("line 1: virtuals/web/check: expect is not a regular expression")


def test_all_problems_are_told_at_once_in_the_order_of_lines() -> None:
    text = CONTRACT.replace("port: 80", "port: 0").replace("forwarding: nat", "forwarding: net").replace(".3.3", ".3.2")
    assert [found.split(": ")[:2] for found in wrong(text)] == [
        ["line 2", "cluster/forwarding"],
        ["line 9", "routers/r2/public"],
        ["line 14", "virtuals/web/port"],
    ]


def test_a_value_that_is_missing_because_it_was_wrong_is_told_once() -> None:
    assert len(changed("public: 1.2.3.2", "public: here")) == 1


@pytest.mark.parametrize("text", ["[]", "1", "text", "[1, 2]", "true"])
def test_a_document_is_a_mapping(text: str) -> None:
    assert wrong(text)[0].startswith("line 1: keys with values are expected here")


@pytest.mark.parametrize("key", ["''", "'[key]'", "'/'", "a/b", "~"])
def test_strange_keys_are_unknown_keys_everywhere(key: str) -> None:
    assert "unknown key" in wrong(f"{{{key}: 1}}")[0]
    assert "unknown key" in wrong(f"cluster: {{{key}: 1}}")[0]


def test_a_part_of_the_wrong_shape_is_told_and_the_rest_is_still_checked() -> None:
    text = "routers: [1]\n" + WEB.replace("port: 80", "port: 0")
    assert [found.split(": ")[1] for found in wrong(text)] == ["routers", "virtuals/web/port"]


def test_aliases_are_refused() -> None:
    text = "routers: &all {r1: {public: 1.2.3.2}}\nvirtuals: *all\ncluster: *all"
    refused = "aliases (*name) are not read here: write the value out"
    assert {found.split(": ", 1)[1] for found in wrong(text)} == {f"virtuals: {refused}", f"cluster: {refused}"}


def test_many_aliases_do_not_unfold() -> None:
    text = "a: &a [x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{('*' + chr(97 + n) + ', ') * 9}]\n" for n in range(20)
    )
    assert all("aliases" in found for found in wrong(text))


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 100_000, "? " * 50_000])
def test_a_text_nested_without_end_is_refused(text: str) -> None:
    assert wrong("\n" + text) == ["line 2: nested too deeply"]


@pytest.mark.parametrize(
    "text",
    ["\ud800", b"\xff\xfe\x00", b"\x80", "a: \x01", "a: 'b", "a: b: c", "*a", "%YAML 9.9\n---\na", "{}\n---\n{}"],
)
def test_what_is_not_yaml_is_told(text: str | bytes) -> None:
    assert "not valid YAML: " in wrong(text)[0]


def test_the_line_of_a_document_that_is_not_yaml_is_told_where_it_is_known() -> None:
    assert wrong("a: 1\nb: ]\n")[0].startswith("line 2: not valid YAML: ")


def test_plain_data_without_lines_has_problems_without_lines() -> None:
    with pytest.raises(ConfigError, match=r"^virtuals/web/address: is missing"):
        document.from_data({"virtuals": {"web": {}}})


def test_problems_carry_the_lines_that_are_given() -> None:
    with pytest.raises(ConfigError) as caught:
        document.from_data({"routers": {"r1": {"public": "x"}}}, {("routers", "r1"): 7})
    assert [problem.line for problem in caught.value.problems] == [7]


def test_a_problem_of_the_whole_has_neither_line_nor_path() -> None:
    with pytest.raises(ConfigError) as caught:
        document.from_data([])
    assert (caught.value.problems[0].line, caught.value.problems[0].path) == (0, "")


def test_a_suggestion_is_the_nearest_word_else_all_of_them_else_nothing() -> None:
    assert document.suggestion("wieght", ["weight", "port"]) == "; did you mean weight?"
    assert document.suggestion("x", ["weight", "port", "port"]) == "; known here: weight, port"
    assert document.suggestion("x", []) == ""
    assert document.suggestion("port", ["port", "ports"]) == "; did you mean ports?"


# Anything at all

_PIECES = st.sampled_from(
    [
        *CONTRACT.split(),
        *CONTRACT.splitlines(keepends=True),
        "\n",
        "  ",
        "{",
        "}",
        "[",
        "]",
        ": ",
        "- ",
        "&a ",
        "*a ",
        "!!x ",
    ]
)


@given(st.text() | st.binary() | st.lists(_PIECES, max_size=12).map("".join))
@settings(max_examples=2000)
def test_any_text_is_parsed_or_refused(text: str | bytes) -> None:
    with suppress(ConfigError):
        document.parse(text)


@given(PLAIN | st.fixed_dictionaries({}, optional=dict.fromkeys(("cluster", "routers", "virtuals"), PLAIN)))
@settings(max_examples=500)
def test_any_plain_data_is_a_cluster_or_refused(data: object) -> None:
    with suppress(ConfigError):
        document.from_data(data)
