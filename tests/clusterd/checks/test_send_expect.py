"""The send/expect check (lvs.cf: send, expect, use_regex)."""

import asyncio
import time

import pytest
from pydantic import ValidationError

from clusterd.checks.send_expect import translated
from clusterd.health import Observation
from clusterd.model import SendExpectCheck
from clusterd.probing import probe
from tests.clusterd.checks.servers import Serve, answering, saying, serving

GOOD = Observation(True, "answered as expected")


def check(
    send: str | None = None, expect: str | None = None, regex: bool = False, timeout_s: float = 5
) -> SendExpectCheck:
    return SendExpectCheck(type="send_expect", send=send, expect=expect, regex=regex, timeout_s=timeout_s)


async def found(serve: Serve, how: SendExpectCheck) -> Observation:
    async with serving(serve) as port:
        return await probe("127.0.0.1", port, how)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"),
        (r"a\tb\'c\\d", b"a\tb'c\\d"),
        (r"\\n", rb"\n"),
        (r"\d \x \"", rb"\d \x \""),
        ("ends with \\", b"ends with \\"),
        ("grün", "grün".encode()),
    ],
)
def test_five_escapes_are_translated_and_other_backslashes_stay(written: str, meant: bytes) -> None:
    assert translated(written) == meant


async def test_what_comes_back_must_begin_as_expected() -> None:
    server = answering(b"HTTP/1.0 200 OK\r\n\r\n")
    assert await found(server, check(r"GET / HTTP/1.0\r\n\r\n", "HTTP")) == GOOD
    assert await found(server, check(r"GET / HTTP/1.0\r\n\r\n", r"HTTP/1.0 200 OK\r\n")) == GOOD
    assert await found(server, check("x", "TTP")) == Observation(
        False, r'answered "HTTP/1.0 200 OK\r\n\r\n", expected TTP'
    )


async def test_send_arrives_translated() -> None:
    heard: list[bytes] = []
    await found(answering(b"+PONG\r\n", heard=heard), check(r"PING\r\n", "+PONG"))
    assert heard == [b"PING\r\n"]


async def test_an_expected_text_may_come_in_pieces() -> None:
    assert await found(saying(b"2", b"2", b"0 ready"), check(expect="220 ready")) == GOOD


async def test_a_text_that_can_no_longer_come_is_not_waited_for() -> None:
    before_s = time.monotonic()
    assert not (await found(saying(b"5", then_s=9), check(expect="220"))).ok
    assert time.monotonic() - before_s < 2


async def test_a_star_is_any_answer_but_one() -> None:
    assert await found(saying(b"\x00"), check(expect="*")) == GOOD
    assert await found(saying(b"\x00"), check(expect="*", regex=True)) == GOOD
    assert await found(saying(), check(expect="*")) == Observation(False, "closed the connection without an answer")
    assert await found(saying(then_s=9), check(expect="*", timeout_s=0.2)) == Observation(
        False, "no answer within 0.2 s"
    )


async def test_send_alone_is_good_when_it_was_sent() -> None:
    heard: list[bytes] = []
    assert await found(answering(heard=heard), check("QUIT")) == Observation(True, "accepted what was sent")
    async with serving(saying(then_s=9)) as port:
        assert (await probe("127.0.0.1", port, check("QUIT"))).ok


async def test_what_is_sent_alone_arrives() -> None:
    arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        arrived.set_result(await reader.read())

    async with serving(serve) as port:
        await probe("127.0.0.1", port, check("QUIT"))
        assert await asyncio.wait_for(arrived, 1) == b"QUIT"


@pytest.mark.parametrize("how", [check(), check(send="", expect="")])
async def test_with_neither_the_connection_is_enough(how: SendExpectCheck) -> None:
    assert await found(saying(then_s=9), how) == Observation(True, "accepted a connection")


@pytest.mark.parametrize(
    ("expression", "answer", "good"),
    [
        (r"ready", b"220 mail is ready\r\n", True),
        (r"^ready", b"220 mail is ready\r\n", False),
        (r"^220 \w+\b", b"220 mail is ready\r\n", True),
        (r"a\\.b", b"a\\xb", True),
        (r"a\.b", b"axb", False),
        (r"\r\n$", b"x\r\n", True),
        (r"don\'t", b"don't", True),
        ("grün", "es ist grün".encode(), True),
    ],
)
async def test_a_regular_expression_is_searched_for(expression: str, answer: bytes, good: bool) -> None:
    assert (await found(saying(answer), check(expect=expression, regex=True))).ok is good


async def test_a_regular_expression_may_match_across_pieces() -> None:
    assert await found(saying(b"mail re", b"ady", then_s=9), check(expect="ready", regex=True)) == GOOD


async def test_a_huge_answer_is_read_up_to_64_kib() -> None:
    late = b"x" * 65536 + b"ready"
    assert await found(saying(late), check(expect="ready", regex=True)) == Observation(
        False, 'answered "' + "x" * 60 + '…", expected ready'
    )
    assert await found(saying(late[5:]), check(expect="rea", regex=True)) == GOOD


async def test_garbage_is_a_failure_in_words() -> None:
    assert await found(saying(b"\xff\x00\x1b[2J"), check(expect="220")) == Observation(
        False, r'answered "\xff\x00\x1b[2J", expected 220'
    )


@pytest.mark.parametrize("expression", ["(", "[a", "a{99999999999}"])
def test_a_regular_expression_that_does_not_compile_is_refused(expression: str) -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        check(expect=expression, regex=True)
    assert check(expect=expression).expect == expression
