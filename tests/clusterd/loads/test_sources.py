"""Sources ask once, within their time, and say in words why there is no answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clusterd.clock import boottime_s
from clusterd.loads import programs
from clusterd.loads.sources import Asked, read
from clusterd.model import Load
from tests.watchers.test_hooks import me


@asynccontextmanager
async def server(said: bytes | None) -> AsyncIterator[int]:
    """Answer every connection with this, None: nothing; the port."""
    talking = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(writer)
        await reader.readuntil(b"\r\n\r\n")
        if said is not None:
            writer.write(said)
            await writer.drain()
            writer.close()

    made = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with made:
        yield made.sockets[0].getsockname()[1]
    for writer in talking:
        writer.transport.abort()


def asked(source: str, port: int = 9, **more: object) -> Asked:
    return Asked("127.0.0.1", port, Load.model_validate({"source": source, "timeout_s": 0.5, **more}))


async def http(said: bytes | None) -> object:
    async with server(said) as port:
        return await read(asked("http", port))


async def test_http_reads_json_with_or_without_a_length() -> None:
    body = b'{"load": 1.5, "cores": 4}'
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    for said in (whole, b"HTTP/1.0 200 OK\r\n\r\n" + body):
        before_s = boottime_s()
        reading = await http(said)
        assert (getattr(reading, "load", None), getattr(reading, "cores", None)) == (1.5, 4)
        assert before_s <= getattr(reading, "at_s", 0) <= boottime_s()


async def test_http_asks_the_port_and_the_path_that_are_given() -> None:
    async with server(b"HTTP/1.0 200 OK\r\n\r\n75% up") as port:
        reading = await read(Asked("127.0.0.1", 9, Load(source="http", port=port, path="/agent")))
    assert getattr(reading, "share", None) == 0.75


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "HTTP 404, expected 200"),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", "neither JSON nor what HAProxy"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 70_000, "answered more than 64 KiB"),
        (b"220 mail ESMTP\r\n\r\n", "does not answer in HTTP"),
        (b"", "does not answer in HTTP"),
        (None, "no answer within 0.5 s"),
    ],
)
async def test_http_says_what_is_wrong(said: bytes | None, why: str) -> None:
    assert why in str(await http(said))


async def test_http_says_that_a_port_is_closed() -> None:
    async with server(b"") as port:
        pass
    assert "refused" in str(await read(asked("http", port)))


def program(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    monkeypatch.setattr(programs, "USER", me())
    monkeypatch.setattr("clusterd.programs.PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize("name", ["rup", "ruptime"])
async def test_programs_are_run_with_the_address_and_as_nobody_in_particular(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = '[ "$1" = 127.0.0.1 ] && [ $(id -u) != 0 ] && echo "rs1 up 1+02:03, load average: 0.12, 0.10"'
    program(folder, name, said, monkeypatch)
    assert getattr(await read(asked(name, timeout_s=5)), "load", None) == 0.12


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sleep 60", "rup did not end within 0.5 s"),
        ("echo no route; exit 1", "rup: no load average in"),
        ("exec yes", "rup printed more than 64 KiB"),
    ],
)
async def test_a_program_that_is_no_help_is_told(
    text: str, why: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(folder, "rup", text, monkeypatch)
    assert str(await read(asked("rup", timeout_s=0.5 if "sleep" in text else 5))).startswith(why)


async def test_a_program_that_is_not_installed_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(folder, "other", "", monkeypatch)
    assert "No such file or directory" in str(await read(asked("ruptime", timeout_s=5)))


async def test_a_user_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "USER", "nosuchuser")
    assert await read(asked("ruptime")) == "ruptime cannot be run: there is no user nosuchuser"
