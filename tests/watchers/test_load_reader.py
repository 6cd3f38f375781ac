"""The load reader asks without end, less often who does not answer, and its link keeps one running."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address

import pytest

from clusterd.document import from_data
from clusterd.loads.asked import Asked
from clusterd.model import Load
from clusterd.weights import Reading
from watchers import ending, load_link
from watchers.load_link import LoadLink
from watchers.load_messages import LoadReport, LoadTarget, load_targets
from watchers.load_reader import LoadReader, pauses


def target(server: str = "rs1", port: int = 80, **load: object) -> LoadTarget:
    said = Load.model_validate({"source": "http", "interval_s": 0.05, "timeout_s": 0.5, **load})
    return LoadTarget(virtual="web", server=server, address=IPv4Address("127.0.0.1"), port=port, load=said)


async def until(condition: object, limit_s: float = 15) -> None:
    assert callable(condition)
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.02)


def test_only_enabled_servers_of_virtual_servers_with_a_source_to_ask_are_asked() -> None:
    base = {"address": "1.2.3.1/24", "interface": "eth0"}
    servers = {"rs1": {"address": "10.0.0.1", "port": 8080}, "rs2": {"address": "10.0.0.2", "enabled": False}}
    virtuals = {
        f"v{port}": {**base, "port": port, "load": {"source": source}, "enabled": port != 84, "servers": servers}
        for port, source in enumerate(("none", "ssh", "agent", "rup", "http"), 80)
    }
    found = [(one.identity, one.port) for one in load_targets(from_data({"virtuals": virtuals}))]
    assert found == [(("v81", "rs1"), 8080), (("v83", "rs1"), 8080)]


def test_who_does_not_answer_is_asked_less_often() -> None:
    assert [pauses(failures) for failures in range(8)] == [1, 1, 2, 4, 8, 8, 8, 8]


async def test_readings_and_reasons_are_reported_and_a_fault_of_a_source_ends_nothing() -> None:
    given: list[Reading | str | Exception] = [Reading(1, 0.5), "refused", ZeroDivisionError("oops")]
    answers = iter(given)

    async def source(_: Asked) -> Reading | str:
        answer = next(answers, "over")
        if isinstance(answer, Exception):
            raise answer
        return answer

    reports: list[LoadReport] = []
    reader = LoadReader(reports.append, source)
    reader.assign([target()])
    await until(lambda: len(reports) >= 4)
    reader.assign([])
    assert [(r.reading, r.silence) for r in reports[:4]] == [
        (Reading(1, 0.5), ""),
        (None, "refused"),
        (None, "the source itself failed: ZeroDivisionError('oops')"),
        (None, "over"),
    ]
    await asyncio.sleep(0)
    count = len(reports)
    await asyncio.sleep(0.2)
    assert len(reports) == count


async def test_a_new_assignment_leaves_who_is_asked_already_alone() -> None:
    asked: list[str] = []

    async def source(one: Asked) -> Reading | str:
        asked.append(str(one.port))
        await asyncio.sleep(60)
        return ""

    reader = LoadReader(lambda _: None, source)
    reader.assign([target(port=1)])
    await until(lambda: asked == ["1"])
    reader.assign([target(port=1), target("rs2", port=2)])
    await until(lambda: asked == ["1", "2"])
    reader.assign([])


@asynccontextmanager
async def answering(said: bytes) -> AsyncIterator[int]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_the_link_runs_a_reader_in_a_process_of_its_own_and_another_one_when_that_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load_link, "AGAIN_S", 0.1)
    reports: list[LoadReport] = []
    link = LoadLink(reports.append)
    running = asyncio.create_task(link.run())
    async with answering(b'HTTP/1.0 200 OK\r\n\r\n{"load": 0.5, "cores": 2}') as port:
        link.ask(())
        await asyncio.sleep(0.1)
        assert link.pid is None, "there is nobody to ask"
        link.ask((target(port=port),))
        await until(lambda: reports)
        first = link.pid
        assert first is not None
        assert reports[0].reading is not None
        assert (reports[0].reading.load, reports[0].reading.cores) == (0.5, 2)
        os.kill(first, signal.SIGKILL)
        reports.clear()
        await until(lambda: reports and link.pid not in (None, first))
        reports.clear()
        link.ask((target("rs2", port=port),))
        await until(lambda: any(report.server == "rs2" for report in reports))
    running.cancel()
    await asyncio.wait([running])
    assert link.pid is None


async def test_a_reader_that_speaks_garbage_or_hangs_is_borne(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "CLOSE_S", 0.1)
    link = LoadLink(lambda _: None, ("/bin/sh", "-c", "echo garbage; exec sleep 60"))
    running = asyncio.create_task(link.run())
    link.ask((target(),))
    await until(lambda: link.pid)
    await asyncio.sleep(0.1)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert link.pid is None


async def test_a_reader_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(load_link, "AGAIN_S", 0.05)
    link = LoadLink(lambda _: None, ("/does/not/exist",))
    running = asyncio.create_task(link.run())
    link.ask((target(),))
    await until(lambda: caplog.text.count("no load reader could be started") > 1)
    running.cancel()
    await asyncio.wait([running])
