"""The log: the same sentence in every format, with fields for programs, and no secret in it."""

import ast
import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from clusterd.keys import Keys
from clusterd.store.contract import Put
from tests.watchers.test_router import DOCUMENT, Rig, rig
from watchers import logs
from watchers.events import KINDS
from watchers.logs import SERVICE, JsonFormatter, formatter, tagged

__all__ = ["rig"]  # the fixture
ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "log.md").read_text()
ALWAYS = {"cluster": "main", "router": "r1"}


def record(level: int = logging.INFO, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("clusterd.router", level, "here", 1, "%s is down", ("web/rs1",), None)
    made.created = 1_769_853_600.25
    made.__dict__.update(more)
    return made


def written(made: logging.LogRecord, chosen: str, journal: bool = False) -> str:
    return formatter("router", chosen, SERVICE, journal, ALWAYS).format(made)


@pytest.mark.parametrize(
    ("chosen", "journal", "line"),
    [
        ("text", False, "INFO clusterd.router: web/rs1 is down"),
        ("text", True, "INFO clusterd.router: web/rs1 is down"),
        ("auto", False, "INFO clusterd.router: web/rs1 is down"),
        ("auto", True, "<6>router: web/rs1 is down"),
        ("journal", False, "<6>router: web/rs1 is down"),
    ],
)
def test_a_sentence_is_written_as_it_was_chosen(chosen: str, journal: bool, line: str) -> None:
    assert written(record(**tagged("verdict", virtual="web")), chosen, journal) == line


@pytest.mark.parametrize(
    ("level", "number"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_the_journal_gets_the_priority_with_each_line(level: int, number: int) -> None:
    try:
        raise ValueError("so dark")
    except ValueError:
        lines = written(record(level, exc_info=sys.exc_info()), "journal").splitlines()
    assert len(lines) > 2
    assert all(line.startswith(f"<{number}>") for line in lines)
    assert written(record(level), "json", journal=True).startswith(f'<{number}>{{"time"')


def test_json_has_time_level_event_and_fields_on_one_line() -> None:
    line = written(record(logging.WARNING, **tagged("verdict", virtual="web", server="rs1", file=Path("/x"))), "json")
    assert "\n" not in line
    assert list(json.loads(line).items()) == [
        ("time", "2026-01-31T10:00:00.250Z"),
        ("level", "warning"),
        ("service", "router"),
        ("event", "verdict"),
        ("text", "web/rs1 is down"),
        ("virtual", "web"),
        ("server", "rs1"),
        ("file", "/x"),
        ("cluster", "main"),
        ("router", "r1"),
    ]


def test_json_has_an_exception_on_the_same_line_and_what_a_library_says_is_an_event_too() -> None:
    try:
        raise ValueError("so dark")
    except ValueError:
        line = written(record(logging.ERROR, exc_info=sys.exc_info()), "json")
    assert "\n" not in line
    told = json.loads(line)
    assert told["event"] == "other"
    assert told["exception"].endswith("ValueError: so dark")


SAY = "from watchers import logs; logs.begin('router', chosen={chosen!r}); logs.logging.getLogger('x').info('hello')"


def said(chosen: str, **environment: str) -> str:
    """What a process writes; `stream` in the environment is put in as what its standard error is."""
    reading, writing = os.pipe()
    there = os.fstat(writing)
    stream = f"{there.st_dev}:{there.st_ino}"
    variables = {name: value.replace("stream", stream) for name, value in environment.items()}
    with os.fdopen(reading) as pipe:
        with os.fdopen(writing, "w") as end:
            program = [sys.executable, "-c", SAY.format(chosen=chosen)]
            subprocess.run(program, stderr=end, env={**os.environ, **variables}, check=True, timeout=30)
        return pipe.read()


def test_the_journal_is_known_by_its_stream() -> None:
    assert said("auto", JOURNAL_STREAM="stream") == "<6>router: hello\n"
    assert said("auto", JOURNAL_STREAM="1:2") == "INFO x: hello\n"
    assert said("") == "INFO x: hello\n"


def test_a_process_that_a_service_starts_writes_as_the_service_does() -> None:
    assert json.loads(said("", CLUSTERD_LOG_FORMAT="json"))["text"] == "hello"
    begun = "; import os; print(os.environ['CLUSTERD_LOG_FORMAT'])"
    program = [sys.executable, "-c", SAY.format(chosen="json") + begun]
    assert subprocess.run(program, capture_output=True, text=True, check=True, timeout=30).stdout == "json\n"


async def test_a_message_that_is_not_understood_is_told_without_what_stands_in_it() -> None:
    secret = b'{"targets": [{"identity": ["web", "rs1"], "check": {"type": "mysql", "password": "s3cr3t"}}]}\n'
    program, variables = (sys.executable, "-m", "watchers.prober"), {**os.environ, logs.FORMAT: "json"}
    process = await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=variables)
    _, err = await asyncio.wait_for(process.communicate(secret), 20)
    told = json.loads(err)
    assert (told["service"], told["event"], told["level"]) == ("prober", "message", "error")
    assert "Field required" in told["text"]
    assert b"s3cr3t" not in err


async def test_what_a_router_does_is_told_in_events_with_stable_fields_and_its_secret_is_not(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    base = await rig.commit(DOCUMENT.format(port=rig.port))
    keys, secret = Keys("test"), b"so very secret!!"
    await rig.store.transact([], [Put(keys.peer_key, secret)])
    rig.start()
    await rig.serving()
    await rig.commit(DOCUMENT.format(port=rig.port).replace("weight: 2", "weight: 7"), base)
    await rig.told(lambda status: status["applied"] == 2)
    await rig.stop()
    lines = [JsonFormatter("router", ALWAYS).format(each) for each in caplog.records]
    told = {line["event"]: line for line in map(json.loads, lines)}
    expected: dict[str, dict[str, Any]] = {
        "commit": {"commit": 2, "author": "tester@here"},
        "applied": {"commit": 2},
        "verdict": {"virtual": "web", "server": "rs1", "up": True},
        "takeover": {"group": "default", "cause": "first start", "former": ""},
        "role": {"group": "default", "active": False},
        "operation": {"level": "info"},
    }
    for event, fields in expected.items():
        assert fields.items() <= told[event].items()
    everything = "".join(lines)
    for form in (secret.decode(), secret.hex(), repr(secret)):
        assert form not in everything


# --- every record is an event -------------------------------------------------------------------------------------

FILES = sorted((ROOT / "watchers").rglob("*.py"))
LISTED = {
    name
    for line in re.findall(r"^\| (`[^|]*) \|", PAGE.partition("| event |")[2], re.MULTILINE)
    for name in re.findall("`([^`]+)`", line)
}
METHODS = ("debug", "info", "warning", "error", "exception", "critical")


def events(file: Path) -> set[str]:
    """The events that a file names; those that are worked out are not among them."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(func=ast.Name(id="tagged"), args=[ast.Constant(value=str(name))]):
                found.add(name)
    return found


def untagged(file: Path) -> list[int]:
    """The lines of a file that write a record which is no event."""
    tree, names, found = ast.parse(file.read_text()), set(), []
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="tagged"))):
                names.add(name)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=method)) if method in METHODS:
                extra = next((each.value for each in node.keywords if each.arg == "extra"), None)
                match extra:
                    case ast.Call(func=ast.Name(id="tagged")):
                        pass
                    case ast.Name(id=name) if name in names:
                        pass
                    case _:
                        found.append(node.lineno)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_record_of_a_service_is_an_event_that_the_page_lists(file: Path) -> None:
    assert untagged(file) == []
    assert events(file) <= LISTED


def test_the_page_lists_no_event_that_there_is_not() -> None:
    assert {event for file in FILES for event in events(file)} | {*KINDS, "other"} == LISTED
