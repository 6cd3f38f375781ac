"""What of keepalived.conf is told: what clusterd does not have, and what is wrong."""

import pytest

from clusterd.keepalived.grammar import GLOBAL_DEFS, REAL, TOP, VIRTUAL
from tests.clusterd.keepalived_files import checked, group, instance, read, virtual, warned, web, wrong

# What clusterd does not have


@pytest.mark.parametrize("word", [word for word, why in TOP.items() if why])
def test_a_block_that_is_not_carried_over_is_told(word: str) -> None:
    assert warned(f"{word} x {{", "a b", "}") == [f"line 1: {word}: not carried over: {TOP[word]}"]


@pytest.mark.parametrize(
    ("around", "keys"),
    [
        ("global_defs {{\n{}\n}}", GLOBAL_DEFS),
        ("\n".join(virtual("{}")).replace("{\n", "{{\n").replace("\n}", "\n}}"), VIRTUAL),
    ],
)
def test_keywords_that_are_not_carried_over_are_told(around: str, keys: dict[str, str | None]) -> None:
    for word, why in keys.items():
        if why:
            (told,) = warned(around.format(f"{word} x"))
            assert told.startswith("line 2: ")
            assert told.endswith(f"/{word}: not carried over: {why}")


@pytest.mark.parametrize("word", [word for word, why in REAL.items() if why])
def test_a_keyword_of_a_real_server_that_is_not_carried_over_is_told(word: str) -> None:
    (told,) = warned(*checked(f"{word} x"))
    assert told == f"line 3: virtual_server 1.2.3.1 80/real_server 10.0.0.1 80/{word}: not carried over: {REAL[word]}"


def test_a_keyword_that_nobody_knows_is_told_with_the_nearest_one() -> None:
    assert warned(*virtual("lb_algoo rr")) == [
        "line 2: virtual_server 1.2.3.1 80/lb_algoo: not carried over: this keyword is not known; did you mean lb_algo?"
    ]


def test_a_block_where_none_belongs_is_told() -> None:
    assert len(warned(*virtual("lb_algo rr { x }"))) == 1
    assert len(warned(*group("1.2.3.1 80 { x }"))) == 1


def test_what_is_said_twice_counts_the_last_time_and_that_is_told() -> None:
    lines = virtual("lb_algo rr", "lvs_sched lc")
    assert web(*lines[1:-1]).scheduler == "lc"
    assert warned(*lines) == [
        "line 2: virtual_server 1.2.3.1 80/lb_algo: not carried over: it is said again later, and the last one counts"
    ]


@pytest.mark.parametrize(
    "line", ["real_server 2001:db8::1 80 { }", "sorry_server 2001:db8::1 80", "sorry_server 2001:db8::1"]
)
def test_only_a_tunnel_leads_to_the_other_family(line: str) -> None:
    (told,) = wrong(*virtual(line))
    assert told.endswith(
        "is of another family than the VIP 1.2.3.1, which nat forwarding cannot bridge: only tunnel can"
    )
    assert read(*virtual("lb_kind TUN", line))


# Nonsense


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hello world", "hello: unknown keyword"),
        ("}", "} closes nothing here"),
        ("{ }", "{ opens a block of nothing"),
        ("virtual_server 1.2.3.1 80 { { } }", "{ opens a block of nothing"),
        ("global_defs { } { }", "{ opens a block of nothing"),
        ("global_defs {", "global_defs: there is no } for this block"),
        ("global_defs { router_id a b }", "one value is expected"),
        ("virtual_server web 80 { }", "'web' is a name"),
        ("virtual_server 1.2.3.1 web { }", "port expected"),
        ("virtual_server 1.2.3.1 80 81 { }", "an address and a port are expected"),
        ("virtual_server { }", "host expected"),
        ("virtual_server group G { }", "there is no virtual_server_group G"),
    ],
)
def test_nonsense_is_a_problem_with_its_line(line: str, message: str) -> None:
    told = wrong("", line)
    assert told[0].startswith("line 2: ")
    assert message in told[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lb_algo best", "unknown value 'best'"),
        ("lb_algo", "a value is missing"),
        ("lb_kind", "NAT, DR or TUN is expected"),
        ("lb_kind MASQ", "NAT, DR or TUN is expected"),
        ("delay_loop x", "seconds are expected, not 'x'"),
        ("delay_loop 0", "must be more than 0"),
        ("retry x", "a number is expected"),
        ("retry 1000", "must be at most 1000"),
        ("protocol XTP", "did you mean tcp?"),
        ("persistence_timeout x", "a number is expected"),
        ("sorry_server", "an address and a port are expected"),
        ("sorry_server web", "'web' is a name"),
        ("inhibit_on_failure maybe", "yes or no is expected"),
        ("real_server { }", "an address and a port are expected"),
        ("real_server web { }", "'web' is a name"),
        ("real_server 10.0.0.1 80 { weight x }", "a number is expected"),
        ("real_server 10.0.0.1 80 { HTTP_GET { url { status_code 2x } } }", "a status code or a range of them"),
        ("real_server 10.0.0.1 80 { HTTP_GET { url { status_code 299-200 } } }", "a status code or a range of them"),
        ("real_server 10.0.0.1 80 { HTTP_GET { url { status_code 42 } } }", "a status code or a range of them"),
        ("real_server 10.0.0.1 80 { HTTP_GET { url { path x } } }", "a path begins with /"),
        ("real_server 1.2.3.1 80 { }", "own address"),
    ],
)
def test_nonsense_in_a_virtual_server_is_a_problem_with_its_line(line: str, message: str) -> None:
    told = wrong(*virtual(line))
    assert message in told[0]
    assert told[0].startswith("line 2: ") or "retry" in line or "delay_loop" in line


@pytest.mark.parametrize("line", ["1.2.3.9-5 80", "1.2.0.0-1.3.0.0 80", "1.2.3.0/8 80", "1.2.3.0/x 80", "a-b 80"])
def test_a_range_that_is_none_is_a_problem(line: str) -> None:
    (told,) = wrong(*group(line))
    assert told.startswith("line 5: virtual_server_group G/")


def test_without_an_interface_it_is_told_what_to_give() -> None:
    (told,) = wrong(*virtual(), interface=None)
    assert told.endswith("so which interface carries it is not said: give it with --interface")
    carried = instance("virtual_ipaddress { 1.2.3.1 }")
    assert read(*virtual(), *carried, interface=None).cluster.virtuals["1.2.3.1-80"].interface == "eth7"
