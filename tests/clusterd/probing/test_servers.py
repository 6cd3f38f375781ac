"""Kinds of check against servers that are there: TLS, names, datagrams, pings, HTTP/2, bounds."""

import asyncio
import errno
import hashlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import dns.message
import dns.rrset
import grpc
import pytest

from clusterd.checks.dialogue import Through
from clusterd.checks.grpc_health import request
from clusterd.health import Observation
from clusterd.model import (
    Check,
    DnsCheck,
    GrpcCheck,
    HttpCheck,
    HttpsCheck,
    IcmpCheck,
    Page,
    SendExpectCheck,
    SmtpCheck,
    TcpCheck,
    TlsCheck,
    UdpCheck,
)
from clusterd.probing import engine as engines
from clusterd.probing import probe
from clusterd.probing.engine import Engine
from clusterd.probing.leading import lead
from clusterd.probing.words import failed
from tests.clusterd.checks.servers import Serve, answering, free_port, saying, serving
from tests.clusterd.probing.certificates import certificate

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@asynccontextmanager
async def tls_serving(serve: Serve, file: Path) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await asyncio.sleep(0.05)


@asynccontextmanager
async def datagrams(answer: Callable[[bytes], bytes | None]) -> AsyncIterator[int]:
    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.DatagramTransport, transport)

        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            said = answer(data)
            if said is not None:
                self.transport.sendto(said, address)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Server, ("127.0.0.1", 0))
    try:
        yield int(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


@pytest.mark.parametrize(
    ("page", "ok", "detail"),
    [
        ({"body": "^hel+o$"}, True, "HTTP 200, and its body is as expected"),
        ({"body": "bye"}, False, 'HTTP 200, but "hello" does not match bye'),
        ({"digest": "sha256:" + hashlib.sha256(b"hello").hexdigest()}, True, "HTTP 200, and its body is as expected"),
        ({"digest": "md5:5d41402abc4b2a76b9719d911017c592"}, True, "HTTP 200, and its body is as expected"),
        (
            {"digest": "md5:" + 32 * "0"},
            False,
            "HTTP 200, but the body's digest is md5:5d41402abc4b2a76b9719d911017c592",
        ),
        ({"status": ("200-299",)}, True, "HTTP 200"),
        ({"status": ("300-399", 404)}, False, "HTTP 200, expected 300-399 or 404"),
    ],
)
async def test_a_page_has_a_status_and_a_body(page: dict[str, object], ok: bool, detail: str) -> None:
    check = HttpCheck.model_validate({"type": "http", "timeout_s": 5, **page})
    async with serving(answering(PAGE[:-3], PAGE[-3:])) as port:
        assert await probe("127.0.0.1", port, check) == Observation(ok, detail)


async def test_every_page_is_asked_for_with_the_method_and_the_headers() -> None:
    heard: list[bytes] = []
    check = HttpCheck(
        type="http",
        timeout_s=5,
        method="POST",
        headers={"X-Check": "yes"},
        also=(Page(path="/two"), Page(path="/three")),
    )
    async with serving(answering(PAGE, heard=heard)) as port:
        assert await probe("127.0.0.1", port, check) == Observation(True, "HTTP 200")
    assert [said.split()[:2] for said in heard] == [[b"POST", b"/"], [b"POST", b"/two"], [b"POST", b"/three"]]
    assert all(b"X-Check: yes\r\n" in said and b"Content-Length: 0\r\n" in said for said in heard)


async def test_the_page_that_is_not_good_is_named() -> None:
    check = HttpCheck(type="http", timeout_s=5, also=(Page(path="/two", status=(404,)),))
    async with serving(answering(PAGE)) as port:
        assert await probe("127.0.0.1", port, check) == Observation(False, "/two: HTTP 200, expected 404")


async def test_https_verifies_the_certificate_unless_it_should_not(tmp_path: Path) -> None:
    file = certificate(tmp_path / "good.pem")
    how = {"type": "https", "timeout_s": 5, "body": "hello"}
    async with tls_serving(answering(PAGE), file) as port:

        async def found(**more: object) -> Observation:
            return await probe("127.0.0.1", port, HttpsCheck.model_validate(how | more))

        known = {"ca_file": str(file)}
        assert (await found(host="www.example.org:8443", **known)).ok
        assert (await found(server_name="www.example.org", **known)).ok
        assert (await found(verify=False)).ok
        assert "self-signed certificate" in (await found(server_name="www.example.org")).detail
        assert "Hostname mismatch" in (await found(server_name="mail.example.org", **known)).detail
        assert (await found(ca_file="/no/such/file")).detail.startswith("TLS cannot begin: ")


@pytest.mark.parametrize(
    ("days", "verify", "wanted", "ok", "detail"),
    [
        (30, True, 14, True, "its certificate is valid until "),
        (10, True, 14, False, " more days, expected 14"),
        (-1, True, 0, False, "its certificate is not good: certificate has expired"),
        (-1, False, 0, False, "its certificate was valid until "),
    ],
)
async def test_a_certificate_must_be_valid_for_some_days(
    tmp_path: Path, days: int, verify: bool, wanted: int, ok: bool, detail: str
) -> None:
    file = certificate(tmp_path / "some.pem", days=days)
    check = TlsCheck(
        type="tls", timeout_s=5, server_name="www.example.org", ca_file=str(file), verify=verify, days=wanted
    )
    async with tls_serving(saying(then_s=1), file) as port:
        found = await probe("127.0.0.1", port, check)
    assert found.ok is ok
    assert detail in found.detail


async def test_what_speaks_no_tls_is_told() -> None:
    check = TlsCheck(type="tls", timeout_s=5, verify=False)
    async with serving(saying(b"SSH-2.0-no\r\n" * 9, then_s=1)) as port:
        assert "does not speak TLS with us" in (await probe("127.0.0.1", port, check)).detail
    async with serving(saying()) as port:
        assert not (await probe("127.0.0.1", port, check)).ok


async def test_starttls_is_really_begun(tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate(tmp_path / "mail.pem"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ESMTP\r\n")
        await reader.readline()
        writer.write(b"250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go\r\n")
        await writer.start_tls(context)
        for answer in (b"250 hi\r\n", b"221 bye\r\n"):
            await reader.readline()
            writer.write(answer)
        await writer.drain()

    check = SmtpCheck(type="smtp", timeout_s=5, starttls=True, verify=False)
    async with serving(serve) as port:
        assert await probe("127.0.0.1", port, check) == Observation(True, "answered EHLO within TLS")


def named(data: bytes, rcode: int = 0) -> bytes:
    question = dns.message.from_wire(data)
    answer = dns.message.make_response(question)
    answer.set_rcode(dns.rcode.Rcode(rcode))
    answer.answer.append(dns.rrset.from_text(question.question[0].name, 60, "IN", "A", "192.0.2.7"))
    return answer.to_wire()


@pytest.mark.parametrize(
    ("answer", "wanted", "ok", "detail"),
    [
        (named, "192.0.2.7", True, "answered 192.0.2.7"),
        (named, None, True, "answered with 1 records"),
        (named, "192.0.2.8", False, "answered 192.0.2.7, expected 192.0.2.8"),
        (lambda data: named(data, 2), None, False, "answered SERVFAIL for www.example.org A"),
        (lambda _: b"what?", None, False, 'answered "what?", which is not DNS'),
        (lambda data: bytes([data[0] ^ 1]) + named(data)[1:], None, False, 'answered "'),
    ],
)
async def test_a_name_server_is_asked(
    answer: Callable[[bytes], bytes], wanted: str | None, ok: bool, detail: str
) -> None:
    check = DnsCheck(type="dns", timeout_s=0.5, name="www.example.org", record="A", answer=wanted)
    async with datagrams(answer) as port:
        found = await probe("127.0.0.1", port, check)
    assert (found.ok, found.conclusive) == (ok, True)
    assert found.detail.startswith(detail)


async def test_silence_is_good_for_udp_where_no_answer_is_expected_and_a_refusal_never() -> None:
    async with datagrams(lambda _: None) as port:
        assert await probe("127.0.0.1", port, UdpCheck(type="udp", timeout_s=0.2)) == Observation(
            True, "was not refused"
        )
        check = UdpCheck(type="udp", timeout_s=0.2, expect="*")
        assert await probe("127.0.0.1", port, check) == Observation(False, "no answer within 0.2 s")
    found = await probe("127.0.0.1", free_port(), UdpCheck(type="udp", timeout_s=5))
    assert found == Observation(False, "connection refused")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_host_is_pinged(address: str) -> None:
    found = await probe(address, 80, IcmpCheck(type="icmp", timeout_s=2))
    assert found == Observation(True, "answered") or not found.conclusive or "network" in found.detail


@pytest.mark.parametrize(
    ("service", "answer", "ok", "detail"),
    [
        ("", b"\x08\x01", True, "says SERVING"),
        ("shop.Cart", b"\x08\x02", False, "says NOT_SERVING"),
        ("x" * 200, b"", False, "says UNKNOWN"),
    ],
)
async def test_a_grpc_server_is_asked_for_its_health(service: str, answer: bytes, ok: bool, detail: str) -> None:
    asked: list[bytes] = []

    async def check(data: bytes, _: object) -> bytes:
        asked.append(data)
        return answer

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(check)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        found = await probe("127.0.0.1", port, GrpcCheck(type="grpc", timeout_s=5, service=service))
        assert found == Observation(ok, detail)
        assert asked == [request(service)[5:]]
    finally:
        await server.stop(None)


async def test_a_grpc_server_without_a_health_service_and_one_of_http_are_told() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    check = GrpcCheck(type="grpc", timeout_s=5)
    assert (await probe("127.0.0.1", port, check)).detail.startswith("gRPC status 12")
    await server.stop(None)
    async with serving(answering(PAGE)) as other:
        assert "which is not HTTP/2" in (await probe("127.0.0.1", other, check)).detail


async def test_no_more_sockets_are_open_than_may_be_and_each_check_has_its_whole_time() -> None:
    async with serving(saying(then_s=0.2)) as port:
        engine, found, most = Engine(most_open=3), list[Observation](), 0
        check: Check = SendExpectCheck(type="send_expect", expect="never", timeout_s=1)
        begun: list[float] = []
        for _ in range(9):
            engine.check("127.0.0.1", port, check, found.append, None, lambda: begun.append(time.monotonic()))
        assert len(begun) == 3
        cancelled = engine.check("127.0.0.1", port, check, found.append)
        cancelled.cancel()
        while len(found) < 9:
            most = max(most, engine.open)
            await asyncio.sleep(0.005)
        assert (most, engine.open, engine.held_bytes) == (3, 0, 0)
        assert {each.detail for each in found} == {"closed the connection without an answer"}
        assert len(begun) == 9
        assert begun[8] - begun[0] >= 0.4, "the last ones waited for their turn"
        engine.close()


async def test_thousands_may_fail_as_soon_as_they_begin() -> None:
    engine, found = Engine(most_open=2), list[Observation]()
    for _ in range(3000):
        engine.check("255.255.255.255", 80, TcpCheck(type="tcp"), found.append)
    assert len(found) == 3000
    engine.close()


async def test_all_answers_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "MOST_HELD_BYTES", 100_000)
    engine, found = Engine(), list[Observation]()
    check = SendExpectCheck(type="send_expect", expect="never", regex=True, timeout_s=1)
    small = SendExpectCheck(type="send_expect", expect="never", regex=True, timeout_s=0.5)
    async with serving(saying(b"x" * 40_000, then_s=9)) as port, serving(saying(b"y", then_s=9)) as other:
        for _ in range(4):
            engine.check("127.0.0.1", port, check, found.append)
        engine.check("127.0.0.1", other, small, found.append)
        while len(found) < 5:
            await asyncio.sleep(0.01)
        engine.close()
    details = [each.detail for each in found]
    assert "too much was answered to all checks at once" in details
    assert 'answered "y", and no more within 0.5 s' in details
    assert engine.held_bytes == 0


async def test_a_check_through_the_data_path_is_marked_and_comes_from_the_address_that_reaches_the_server() -> None:
    seen: list[str] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername")[0])
        writer.write(b"220\r\n")

    async with serving(serve) as port:
        engine, found = Engine(), list[Observation]()
        check = SendExpectCheck(type="send_expect", expect="220", timeout_s=1)
        engine.check("127.0.0.1", port, check, found.append, Through(0x40A80101, "127.0.0.1"))
        while not found:
            await asyncio.sleep(0.01)
        engine.close()
    assert found[0].ok
    assert seen == ["127.0.0.1"]
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK) as marked:
            lead(marked, Through(0x40A80101, "127.0.0.1"))
            assert marked.getsockopt(socket.SOL_SOCKET, socket.SO_MARK) == 0x40A80101
            source, port = marked.getsockname()
            assert source == "127.0.0.1"
            assert 32768 <= port <= 60999
            assert kind == socket.SOCK_DGRAM or port % 256 == 1, "no two servers have the same ports"


def test_no_route_for_a_check_through_the_data_path_says_nothing_about_the_server() -> None:
    error = OSError(errno.ENETUNREACH, "")
    assert failed(error) == Observation(False, "network is unreachable")
    assert failed(error, led=True) == Observation(False, "network is unreachable", conclusive=False)
    assert not failed(OSError(errno.EPERM, "")).conclusive
    assert failed(OSError(errno.ECONNREFUSED, ""), led=True).conclusive
