import pytest

from clusterd import keepalived
from clusterd.errors import ConfigError
from clusterd.keepalived import text as module
from clusterd.keepalived.text import words
from tests.clusterd.keepalived_files import read, virtual, warned, web, wrong

# Words


def plain(text: str) -> list[str]:
    return [word for word, _ in words(text)]


def test_blanks_separate_words() -> None:
    assert plain("  a\tb  c ") == ["a", "b", "c"]


def test_quotes_keep_blanks_and_may_begin_inside_a_word() -> None:
    assert plain("""'abcd" efg' h jkl""") == ['abcd" efg', "h", "jkl"]
    assert plain('abcd" efg h jkl "mnop') == ["abcd efg h jkl mnop"]
    assert plain('abcd "efg h jkl" mnop') == ["abcd", "efg h jkl", "mnop"]


def test_an_empty_pair_of_quotes_is_a_word() -> None:
    assert plain('a "" b') == ["a", "", "b"]


def test_characters_are_escaped_in_quotes_as_in_the_shell() -> None:
    assert plain(r'"\n\t\x41\101\\\"\q"') == ['\n\tAA\\"q']
    assert plain(r'"\x"') == ["x"]


def test_braces_are_words_of_their_own_unless_quoted_or_a_parameters() -> None:
    assert words("a{b}") == [("a", False), ("{", True), ("b", False), ("}", True)]
    assert words('"{"') == [("{", False)]
    assert words("${UNKNOWN} $5 \\") == [("${UNKNOWN}", False), ("$5", False), ("\\", False)]


@pytest.mark.parametrize("end", ["# x", "! x", '"open'])
def test_a_comment_ends_the_words(end: str) -> None:
    assert plain(f"a {end}") == ["a"]
    assert plain(f"a{end}") == ["a"]


# Lines


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(end: str) -> None:
    assert keepalived.read(end.join(virtual("weigth 1")), "eth0") == read(*virtual("weigth 1"))


def test_a_mark_of_comments_in_quotes_is_none() -> None:
    assert list(read(*virtual('snmp_name "a#b!c" # d')).cluster.virtuals) == ["a-b-c"]


def test_a_quotation_mark_that_is_not_closed_is_a_problem() -> None:
    assert wrong('global_defs "x') == ['line 1: the quotation mark " is not closed']


def test_bytes_that_are_not_utf8_are_read_as_latin1_and_told() -> None:
    (told,) = keepalived.read("\n# Bürohaus\n".encode("latin-1")).warnings
    assert str(told) == "line 2: not UTF-8: the file is read as Latin-1"


# Parameters


def test_parameters_are_put_in_before_a_blank_or_in_braces() -> None:
    found = read("$P=80", "$H=1.2", *virtual(head="${H}.3.1 $P")).cluster.virtuals
    assert list(found) == ["1.2.3.1-80"]


def test_a_parameter_that_is_not_defined_stays_as_it_is() -> None:
    assert list(read(*virtual("snmp_name $NO")).cluster.virtuals) == ["NO"]


def test_a_parameter_is_replaced_when_it_is_used_and_not_when_it_is_defined() -> None:
    lines = ("$A=1.2.3.${N}", "$N=1", *virtual(head="${A} 80"), "$N=2", *virtual(head="${A} 80"))
    assert list(read(*lines).cluster.virtuals) == ["1.2.3.1-80", "1.2.3.2-80"]


def test_a_parameter_may_hold_several_lines_and_define_others() -> None:
    lines = (
        "$RS= \\",
        "real_server 10.0.0.${N} 80 { \\",
        "  weight ${N} \\",
        "}",
        "$VS= \\",
        "$N=5 \\",
        "$RS \\",
        "$N=6 \\",
        "$RS",
    )
    (found,) = read(*lines, *virtual("$VS")).cluster.virtuals.values()
    assert [(str(each.address), each.weight) for each in found.servers.values()] == [("10.0.0.5", 5), ("10.0.0.6", 6)]


def test_a_definition_that_never_ends_is_a_problem() -> None:
    assert wrong("", "$A= \\", "x \\") == ["line 3: the definition goes on, but the file ends"]


@pytest.mark.parametrize("lines", [("$A=${A}", "x ${A}"), ("$A=${B}${B}", "$B=${A}${A}", "x ${A}")])
def test_a_parameter_that_unfolds_without_an_end_is_a_problem(lines: tuple[str, ...]) -> None:
    (told,) = wrong(*lines)
    assert told.endswith("the parameters unfold without an end")


def test_a_line_that_grows_too_long_is_a_problem() -> None:
    lines = [f"$A{n}=" + f"${{A{n + 1}}}" * 10 for n in range(6)]
    (told,) = wrong(*lines, "$A6=xxxxxxxxxx", "snmp_name ${A0}")
    assert told.startswith("line 8: ${A")


def test_too_much_text_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WORK", 2000)
    lines = ["$A= \\", *["x \\"] * 20, "x", "$B= \\", *["$A \\"] * 20, "x", "$B"]
    assert "line 45: far too much text, once parameters and other files are put in" in wrong(*lines)
    sources = [keepalived.Source("a", b"x" * 3000), keepalived.Source("b", b"y"), keepalived.Source("c", b"y")]
    with pytest.raises(ConfigError) as caught:
        keepalived.read("include x", None, lambda _pattern, _by: sources)
    assert [str(problem).partition(",")[0] for problem in caught.value.problems] == ["line 1: far too much text"]


# Lines for one router


def test_a_line_for_one_router_only_is_left_out_and_told() -> None:
    assert web("@main lb_algo rr", "@^main lb_algo lc").scheduler == "lc"
    assert warned(*virtual("@main lb_algo rr", "@^main lb_algo lc")) == [
        "line 2: @main: not carried over: it is for main only",
        "line 3: @^main: kept, though it is not for main",
    ]


@pytest.mark.parametrize("line", ["~SEQ(a, 1, 3) x", "~LST(a, 1, 3) x"])
def test_blocks_that_are_repeated_are_a_problem(line: str) -> None:
    assert wrong(line) == ["line 1: ~SEQ and ~LST are not read here: write the lines out"]


# Included files


def test_an_included_file_is_read_in_its_place() -> None:
    found = read("$P=80", "include 'more.conf'", "$P=81", files={"more.conf": "\n".join(virtual(head="1.2.3.1 $P"))})
    assert list(found.cluster.virtuals) == ["1.2.3.1-80"]


def test_a_problem_in_an_included_file_names_both_places() -> None:
    files = {"a": "\ninclude b", "b": "\n\n\nglobal_deff {\n}"}
    (told,) = wrong("", "include a", files=files)
    assert told == "line 2: b:4: global_deff: unknown keyword; did you mean global_defs?"


def test_a_problem_of_a_rule_in_an_included_file_names_its_place() -> None:
    files = {"a": "\n".join(checked_weight("65536"))}
    (told,) = wrong("include a", files=files)
    assert told.startswith("line 1: a:2: virtual_server 1.2.3.1 80/real_server 10.0.0.1 80/weight: must be at most")


def checked_weight(weight: str) -> tuple[str, ...]:
    return virtual(f"real_server 10.0.0.1 80 {{ weight {weight} }}")


def test_an_included_file_that_is_not_utf8_is_told_with_both_places() -> None:
    sources = [keepalived.Source("a", b"\n# \xff")]
    (told,) = keepalived.read("include a", None, lambda _pattern, _by: sources).warnings
    assert str(told) == "line 1: a:2: not UTF-8: the file is read as Latin-1"


def test_a_file_that_is_not_there_is_a_problem_and_a_pattern_without_files_a_warning() -> None:
    assert wrong("include a.conf") == ["line 1: include a.conf: there is no such file"]
    assert warned("include conf.d/*.conf") == ["line 1: include conf.d/*.conf: there is no such file"]


def test_a_file_that_cannot_be_read_is_a_problem() -> None:
    assert wrong("include a", files={"a": ["Permission denied"]}) == ["line 1: include a: a: Permission denied"]


def test_a_file_that_includes_itself_is_a_problem() -> None:
    assert wrong("include a", files={"a": "\ninclude b", "b": "include a"}) == [
        "line 1: b:1: include a: a includes itself"
    ]
    assert wrong("include keepalived.conf", files={"keepalived.conf": ""}) == [
        "line 1: include keepalived.conf: keepalived.conf includes itself"
    ]


def test_files_too_deep_within_each_other_are_a_problem() -> None:
    files = {f"f{n}": f"include f{n + 1}" for n in range(20)}
    assert wrong("include f0", files=files) == ["line 1: f15:1: include f16: more than 16 files within each other"]


def test_without_a_way_to_include_nothing_is() -> None:
    assert len(keepalived.read("include *").warnings) == 1
