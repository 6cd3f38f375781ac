"""The http check against servers that answer well, badly, slowly, in pieces and not at all."""

import time

import pytest

from clusterd.checks.dialogue import Place
from clusterd.checks.http import request_to
from clusterd.health import Observation
from clusterd.model import HttpCheck
from clusterd.probing import probe
from tests.clusterd.checks.servers import Serve, answering, saying, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def check(
    path: str = "/", host: str | None = None, status: tuple[int, ...] = (200,), timeout_s: float = 5
) -> HttpCheck:
    return HttpCheck(type="http", path=path, host=host, status=status, timeout_s=timeout_s)


async def found(serve: Serve, how: HttpCheck | None = None) -> Observation:
    async with serving(serve) as port:
        return await probe("127.0.0.1", port, how or check())


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([OK], id="whole"),
        pytest.param([OK[n : n + 1] for n in range(len(OK) - 2)], id="byte by byte"),
        pytest.param([b"HTTP/1.0 200 OK\r\n\r\nold"], id="HTTP/1.0"),
        pytest.param([b"HTTP/1.1 200\r\n\r\n"], id="without a reason"),
        pytest.param([b"HTTP/1.1 200 OK\nA: b\n\n"], id="bare line feeds"),
        pytest.param([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nhi\r\n0\r\n\r\n"], id="chunked"),
        pytest.param([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"], id="body of no interest"),
        pytest.param([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", OK], id="after an interim answer"),
        pytest.param([OK + b"x" * 300_000], id="huge body"),
    ],
)
async def test_an_answer_with_the_wanted_status_is_good(parts: list[bytes]) -> None:
    assert await found(answering(*parts)) == Observation(True, "HTTP 200")


async def test_the_body_is_not_waited_for() -> None:
    async with serving(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", then_s=9)) as port:
        before_s = time.monotonic()
        assert (await probe("127.0.0.1", port, check())).ok
        assert time.monotonic() - before_s < 2


async def test_another_status_is_a_failure() -> None:
    busy = answering(b"HTTP/1.0 503 Busy\r\n\r\n")
    assert await found(busy) == Observation(False, "HTTP 503, expected 200")
    assert await found(busy, check(status=(200, 204))) == Observation(False, "HTTP 503, expected 200 or 204")
    assert await found(busy, check(status=(200, 503))) == Observation(True, "HTTP 503")


async def test_an_interim_answer_counts_if_it_is_wanted() -> None:
    assert (await found(answering(b"HTTP/1.1 102 Wait\r\n\r\n"), check(status=(102,)))).ok


async def request_of(how: HttpCheck) -> tuple[int, list[str]]:
    heard: list[bytes] = []
    async with serving(answering(OK, heard=heard)) as port:
        await probe("127.0.0.1", port, how)
    return port, heard[0].decode().split("\r\n")


async def test_the_request_names_path_host_and_program_and_asks_to_close() -> None:
    port, lines = await request_of(check(path="/health?deep=1"))
    assert lines[0] == "GET /health?deep=1 HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}" in lines
    assert "User-Agent: clusterd" in lines
    assert "Connection: close" in lines
    assert lines[-2:] == ["", ""]


async def test_the_host_is_the_one_that_was_configured() -> None:
    _, lines = await request_of(check(host="www.example.org"))
    assert "Host: www.example.org" in lines


@pytest.mark.parametrize(("port", "host"), [(80, b"[2001:db8::1]"), (8080, b"[2001:db8::1]:8080")])
def test_an_address_of_ipv6_stands_in_brackets(port: int, host: bytes) -> None:
    assert (b"host", host) in list(request_to(Place("2001:db8::1", port), check(), check()).headers)


async def test_a_server_of_ipv6_is_asked() -> None:
    async with serving(answering(OK), host="::1") as port:
        assert (await probe("::1", port, check())).ok


@pytest.mark.parametrize(("port", "host"), [(80, b"10.1.0.1"), (8080, b"10.1.0.1:8080")])
def test_the_host_names_a_port_that_is_not_80(port: int, host: bytes) -> None:
    assert (b"host", host) in list(request_to(Place("10.1.0.1", port), check(), check()).headers)


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], 'answered "SSH-2.0-OpenSSH_9.2\\r\\n\\r\\n", which is not HTTP: '),
        ([bytes(range(256)) * 8], 'answered "\\x00\\x01'),
        ([b"HTTP/1.1 999999 Hm\r\n\r\n"], 'answered "HTTP/1.1 999999 Hm\\r\\n\\r\\n", which is not HTTP: '),
        ([b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"], 'answered "HTTP/1.1 200 OK\\r\\nbad header'),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"], 'answered "HTTP/1.1 200 OK'),
        ([b"HTTP/1.1 101 Now SMTP\r\n\r\n"], 'answered "HTTP/1.1 101 Now SMTP'),
        ([], "closed the connection without an answer"),
        ([b"HTTP/1.1 2"], 'closed the connection after "HTTP/1.1 2"'),
        ([b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000], "answered more than 64 KiB of headers"),
        ([b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3000], "answered more than 64 KiB of headers"),
    ],
)
async def test_what_is_not_a_whole_http_answer_is_a_failure_in_words(parts: list[bytes], detail: str) -> None:
    observation = await found(answering(*parts), check())
    assert not observation.ok
    assert observation.conclusive
    assert observation.detail.startswith(detail)


async def test_a_silent_server_and_one_that_drips_run_out_of_time() -> None:
    assert await found(saying(then_s=9), check(timeout_s=0.2)) == Observation(False, "no answer within 0.2 s")
    dripping = saying(b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n"] * 500)
    assert await found(dripping, check(timeout_s=0.2)) == Observation(
        False,
        'answered "HTTP/1.1 200 OK'
        + r"\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA…"
        + '", and no more within 0.2 s',
    )
