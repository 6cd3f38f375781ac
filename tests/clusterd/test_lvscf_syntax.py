import pytest

from clusterd import lvscf
from clusterd.lvscf.syntax import tokens
from clusterd.lvscf.values import SERVICES
from tests.clusterd.lvscf_files import in_server, in_virtual, rs1, warned, web, wrong

# Lines and tokens


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        (" \t ", []),
        ("\t# port = 1", []),
        ("a = b", ["a", "=", "b"]),
        ("\ta  =\tb ", ["a", "=", "b"]),
        ("a = # b", ["a", "=", "#", "b"]),
        ("""a = "x 'y' z" """, ["a", "=", "x 'y' z"]),
        ("""a = 'x "y"'""", ["a", "=", 'x "y"']),
        (r'a = "\n\"', ["a", "=", r"\n" + "\\"]),
        ('a = ""', ["a", "=", ""]),
        ('a"b c', ['a"b', "c"]),
        ('a = "b"c"', ["a", "=", 'b"c']),
        ('a = """', ["a", "=", '"']),
        ('a = "b"c d"', ["a", "=", 'b"c d']),
        ('a = "b" "', ["a", "=", 'b" ']),
        ("a = 'b'c'", ["a", "=", "b'c"]),
        ('a = "b c"', ["a", "=", "b c"]),
        ('a = "b" "c"', ["a", "=", "b", "c"]),
        ('virtual "b c" {', ["virtual", "b c", "{"]),
    ],
)
def test_tokens_are_separated_by_blanks_outside_of_quotes(line: str, expected: list[str]) -> None:
    assert tokens(line) == expected


def test_backslash_sequences_stay_two_characters() -> None:
    assert web(r"send = 'a\r\n\t\\'").check.model_dump()["send"] == r"a\r\n\t" + "\\\\"


@pytest.mark.parametrize("line", ['expect = "abc', "expect = 'abc\"", 'expect = "a" " b', 'expect = "'])
def test_an_open_quote_is_a_quotation_mismatch(line: str) -> None:
    assert wrong(in_virtual(line)) == ["line 3: virtual web: quotation mismatch"]


def test_a_hundred_tokens_are_the_most() -> None:
    assert wrong("\n" + "sync = " + "x " * 99) == ["line 2: more than 100 tokens"]
    assert wrong("sync = " + "x " * 98) == ["line 1: sync: unexpected arguments"]


def test_the_body_of_a_block_whose_line_has_an_open_quote_is_passed_over() -> None:
    assert wrong('virtual "web {\nfoo = 1\nserver a {\n}\n}\nbar = 1')[0] == "line 1: quotation mismatch"
    assert len(wrong('virtual "web {\nfoo = 1\nserver a {\n}\n}\nbar = 1')) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\nporrt = 1", "line 2: porrt: unknown command"),
        (in_virtual("wieght = 1"), "line 3: virtual web/wieght: unknown command"),
        (in_server("wieght = 1"), "line 5: virtual web/server rs1/wieght: unknown command; did you mean weight?"),
        (in_virtual("primary = 1.2.3.4"), "line 3: virtual web/primary: unknown command"),
        ("server a {\nfoo = 1\n}", "line 1: server: unknown command"),
        ("sync 1", "line 1: sync: equal (=) expected after command"),
        ("sync == 1", "line 1: sync: equal (=) expected after command"),
        ("sync =1", "line 1: sync: equal (=) expected after command"),
        ("sync", "line 1: sync: missing arguments"),
        ("sync =", "line 1: sync: missing arguments"),
        ("sync = 1 1", "line 1: sync: unexpected arguments"),
        ("nat_router = 1.2.3.4", "line 1: nat_router: missing arguments"),
        ("nat_router = 1.2.3.4 eth0 eth1", "line 1: nat_router: unexpected arguments"),
        (in_virtual("dirs ="), "line 3: virtual web/dirs: missing arguments"),
        (in_virtual("dirs = a b"), "line 3: virtual web/dirs: a list is written [ a b ]"),
        ("keepalive = soon", "line 1: keepalive: integer expected, not 'soon'"),
        ("sync = yes", "line 1: sync: boolean expected (0 or 1), not 'yes'"),
        ("}", "line 1: unknown command: } closes nothing here"),
        (in_virtual() + " x", "line 4: virtual web: unexpected arguments after }"),
        ("virtual web", "line 1: virtual web: missing arguments: a block begins with virtual NAME {"),
        ("virtual {\n}", "line 1: virtual: missing arguments: a block begins with virtual NAME {"),
        ("virtual web x\n}", "line 1: virtual web: left brace ({) expected after the name"),
        ("virtual web { x\n}", "line 1: virtual web: unexpected arguments after {"),
        ("\nvirtual web {", "line 2: virtual web: blocks not closed: there is no } for this one"),
        ("service = lsv", "line 1: service: unknown value 'lsv'; did you mean lvs?"),
        ("virtual a {\n}", "line 1: virtual a/address: is missing"),
        (in_virtual("server a {\n}"), "line 3: virtual web/server a/address: is missing"),
    ],
)
def test_what_is_wrong_is_told_in_piranhas_words_with_line_and_path(text: str, problem: str) -> None:
    assert any(found.startswith(problem) for found in wrong(text)), wrong(text)


def test_the_body_of_an_unknown_block_is_passed_over_as_a_whole() -> None:
    text = "virtuel web {\nserver a {\nfoo = 1\n}\n} x\nserial_no = x"
    assert [found.split(":")[0] for found in wrong(text)] == ["line 1", "line 6"]


def test_every_open_block_is_told() -> None:
    text = "virtual web {\naddress = 1.2.3.4 eth0\nserver a {\naddress = 10.0.0.1\nfoo {"
    assert [found for found in wrong(text) if "not closed" in found] == [
        "line 1: virtual web: blocks not closed: there is no } for this one",
        "line 3: virtual web/server a: blocks not closed: there is no } for this one",
    ]


def test_all_problems_of_a_file_are_told_at_once() -> None:
    text = in_virtual("port = htpp", "weight = 1", "server a {", "address = 10.0.0.1", "weight = 70000", "}", port=None)
    assert [found.split(": ")[:2] for found in wrong("deadtime = x\n" + text)] == [
        ["line 1", "deadtime"],
        ["line 4", "virtual web/port"],
        ["line 5", "virtual web/weight"],
        ["line 8", "virtual web/server a/weight"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "nat_router = gate eth1",
        "nat_router = 10.0.0.1 eth1\nnat_nmask = 255.0.255.0",
        "primary = r1",
        "deadtime = 1.5",
        "network = net",
        in_virtual("address = www eth0"),
        in_virtual("vip_nmask = 24"),
        in_virtual("address ="),
        in_virtual("pmask = x"),
        in_virtual("persistent = x"),
        in_virtual("persistent = 5\npmask = x"),
        in_virtual("load_monitor = x"),
        in_virtual("active = yes"),
        in_virtual("timeout = x"),
        in_virtual("timeout = 0"),
        in_virtual("timeout = 100000"),
        in_virtual("reentry = -1"),
        in_virtual("send = a b"),
        in_virtual("use_regex = yes"),
        in_virtual("fwmark = x"),
        in_server("port = htpp"),
        in_server("active = 2"),
        in_virtual("port = x\nserver a {\naddress = 10.0.0.1\n}"),
    ],
)
def test_one_mistake_is_one_problem(text: str) -> None:
    assert len(wrong(text)) == 1, wrong(text)


# Values


@pytest.mark.parametrize(("word", "weight"), [("0", 0), ("10", 10), ("0x1F", 31), ("017", 15), ("+3", 3), ("0X0a", 10)])
def test_numbers_are_written_as_in_c(word: str, weight: int) -> None:
    assert rs1(f"weight = {word}").weight == weight


@pytest.mark.parametrize("word", ["08", "1.5", "0b1", "1e3", "x", "1_000", "٣", '""', "9" * 30])
def test_what_c_would_not_read_is_no_number(word: str) -> None:
    assert "integer expected" in wrong(in_server(f"weight = {word}"))[0]


def test_negative_numbers_are_numbers_and_refused_where_they_mean_nothing() -> None:
    assert wrong(in_server("weight = -010"))[0].endswith("not -8")


@pytest.mark.parametrize(("word", "port"), [("https", 443), ("ftp", 21), ("0x50", 80), ("8080", 8080)])
def test_ports_may_be_names_of_services(word: str, port: int) -> None:
    assert web(f"port = {word}", port=None).port == port


def test_an_unknown_service_is_told_with_the_nearest_one() -> None:
    assert "did you mean http?" in wrong(in_virtual("port = htpp", port=None))[0]


def test_every_known_service_is_a_port() -> None:
    assert all(0 < port < 65536 for port in SERVICES.values())


@pytest.mark.parametrize("word", ["rs1.example.org", "localhost", "host-1"])
def test_the_name_of_a_host_is_a_problem_because_nothing_is_looked_up(word: str) -> None:
    assert "is a name, which is not looked up here" in wrong(f"primary = {word}")[0]


@pytest.mark.parametrize("word", ["1.2.3", "1.2.3.256", "::1", "1.2.3.4/24", '""', "01.2.3.4"])
def test_a_host_is_a_dotted_quad(word: str) -> None:
    assert "host expected (a.b.c.d)" in wrong(f"primary = {word}")[0]


@pytest.mark.parametrize(("device", "interface"), [("eth0:1", "eth0"), ("eth0", "eth0"), ("eth0.5:x:y", "eth0.5")])
def test_the_alias_of_a_device_is_left_out(device: str, interface: str) -> None:
    assert web(f"address = 1.2.3.4 {device}").interface == interface


def test_an_impossible_interface_is_told_with_the_line_of_its_address() -> None:
    assert wrong(in_virtual("address = 1.2.3.4 an-interface-name"))[0].startswith("line 3: virtual web/address: ")


@pytest.mark.parametrize(
    ("mask", "prefix"), [("255.255.255.0", 24), ("255.255.255.255", 32), ("128.0.0.0", 1), ("0.0.0.0", 32)]
)
def test_a_netmask_gives_the_prefix_of_the_vip(mask: str, prefix: int) -> None:
    address = web(f"vip_nmask = {mask}").address
    assert address is not None
    assert address.network.prefixlen == prefix


@pytest.mark.parametrize("mask", ["255.0.255.0", "0.0.0.255", "24", "x"])
def test_a_netmask_has_its_ones_in_front(mask: str) -> None:
    assert wrong(in_virtual(f"vip_nmask = {mask}"))[0].endswith(f"netmask expected, not {mask!r}")


def test_an_address_without_a_netmask_stands_alone() -> None:
    assert str(web().address) == "1.2.3.1/32"


def test_the_last_of_two_equal_keys_counts_and_that_is_told() -> None:
    text = in_server("weight = 5", "weight = 7")
    assert lvscf.read(text).cluster.virtuals["web"].servers["rs1"].weight == 7
    assert warned(text) == ["line 6: virtual web/server rs1/weight: stands twice, first in line 5: the last one counts"]
