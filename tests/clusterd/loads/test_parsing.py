"""What sources of load answer, read as uptime(1), rup(1), ruptime(1) and HAProxy write it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.loads.parsing import answer, average, uptime
from clusterd.weights import Reading


@pytest.mark.parametrize(
    ("text", "load"),
    [
        (" 10:02:56 up 12 days,  1:02,  3 users,  load average: 0.42, 0.30, 0.20\n", 0.42),
        ("10:02 up 1 day, load average: 1,25, 0,30, 0,20", 1.25),
        ("10:02AM  up 5 days, 3 users, load averages: 12.05 0.30 0.20", 12.05),
        ("     rs1   up  2 days,  3:04,    load average: 0.05, 0.01, 0.00", 0.05),
        ("rs1           up   1+02:03,     2 users,  load 0.12, 0.10, 0.05", 0.12),
        ("load average: 3, 2, 1", 3.0),
    ],
)
def test_the_first_number_after_load_average_is_the_load(text: str, load: float) -> None:
    assert average(text) == load


def test_uptime_and_nproc_are_load_and_processors() -> None:
    assert uptime("up 1 day, load average: 0.42, 0.30, 0.20\n8\n", 7) == Reading(7, 0.42, 8)


@pytest.mark.parametrize("text", ["", "rs1 down 1+02:03", "load average: much\n8", "load average: 0.42"])
def test_what_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"no (load average|number of processors) in"):
        uptime(text, 0)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ('{"load": 1.5, "cores": 4}', Reading(7, 1.5, 4)),
        ('\n{"load": 3, "drain": true}', Reading(7, 3.0, drain="it asks for it")),
        ("75% up\n", Reading(7, share=0.75)),
        ("up 75%", Reading(7, share=0.75)),
        ("ready", Reading(7, share=1.0)),
        ("drain", Reading(7, share=1.0, drain="it says drain")),
        ("maint, 50%", Reading(7, share=0.5, drain="it says maint")),
        ("down # out of memory 75%", Reading(7, share=1.0, drain="it says down")),
        ("0%", Reading(7, share=1.0, drain="it says 0%")),
    ],
)
def test_json_and_the_words_of_haproxys_agent_check_are_read(text: str, reading: Reading) -> None:
    assert answer(text, 7) == reading


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("# nothing", "empty"),
        ("<html>", "neither JSON nor"),
        ("{", "is not JSON"),
        ('{"load": "1"}', "no load that is a number"),
        ('{"load": true}', "no load that is a number"),
        ('{"load": 1e999}', "no load that is a number"),
        ('{"load": -1}', "no load that is a number"),
        ('{"load": 1, "cores": 0}', "not a number of processors"),
        ("x" * 100, 'x…"'),
    ],
)
def test_any_other_answer_is_an_error_that_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        answer(text, 0)


@given(st.text())
def test_no_text_breaks_the_readers(text: str) -> None:
    for read in (answer, uptime):
        with suppress(ValueError):
            assert isinstance(read(text, 0), Reading)
