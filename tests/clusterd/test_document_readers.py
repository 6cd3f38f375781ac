"""The quick reader of YAML returns what the thorough one does, or leaves the text to it."""

import contextlib

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clusterd import document
from clusterd.document.yaml_reader import _Odd, _quick, _thorough
from clusterd.errors import ConfigError
from clusterd.model import Cluster
from tests.strategies import PLAIN, clusters

PIECES = [*"ab:{}[],-&*!|>'\"#%? \n\t1.~\r", "\n  ", "---\n", "...\n", ": ", "- ", "é"]
YAMLISH = st.lists(st.sampled_from(PIECES)).map("".join)


def check_equal(text: str | bytes) -> None:
    """Check that both readers say the same of a text, where the quick one says anything."""
    try:
        data = _quick(text)
    except (_Odd, yaml.YAMLError, UnicodeError):
        return
    try:
        assert _thorough(text)[0] == data
    except ConfigError as error:
        pytest.fail(f"the thorough reader refuses {text!r}: {error}")


@given(YAMLISH | st.text() | st.binary())
@settings(max_examples=1500)
@example("")
@example("---\n")
@example("--- a\n--- b\n")
@example("a: 1\n...\n...\n")
@example("a: &x 1\nb: *x")
@example("&x a: 1")
@example("a: !!int '1'\nb: !x 1")
@example("? [a]\n: b")
@example("a: 1\na: 2")
@example("<<: {a: 1}")
@example("[" * 19 + "]" * 19)
@example("[" * 20 + "]" * 20)
@example("[" * 21 + "]" * 21)
@example("[" * 21 + "a" + "]" * 21)
@example(b"\xff\xfea\x00:\x00 \x001\x00")
def test_both_readers_say_the_same_of_any_text(text: str | bytes) -> None:
    check_equal(text)


@given(PLAIN.map(lambda data: document.dump_data({"a": data})) | clusters().map(document.dump))
@settings(max_examples=300)
def test_both_readers_say_the_same_of_a_document(text: str) -> None:
    check_equal(text)
    with contextlib.suppress(ConfigError):
        assert document.parse_yaml(text)[0] == _quick(text)


@given(clusters())
@settings(max_examples=30)
def test_what_clusterd_writes_is_read_quickly(given: Cluster) -> None:
    assert document.parse_yaml(document.dump(given))[0] == _quick(document.dump(given))


def test_the_lines_of_a_text_are_those_of_the_thorough_reader() -> None:
    text = "a:\n  b: 1\n\nc: [x,\n y]\n"
    lines = document.parse_yaml(text)[1]
    assert dict(lines) == _thorough(text)[1]
    assert (len(lines), lines[("c", "1")]) == (6, 5)
