"""What answers say about servers, protocol by protocol, without a network."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.checks import icmp
from clusterd.checks.dialogue import Step
from clusterd.health import Observation
from clusterd.model import (
    Check,
    HttpCheck,
    IcmpCheck,
    MysqlCheck,
    PostgresCheck,
    RedisCheck,
    SmtpCheck,
    SshCheck,
    UdpCheck,
)
from tests.clusterd.checks.playing import PLACE, Unfinished, encrypted, play, said
from tests.clusterd.probing.test_every_kind import EVERY_KIND

SMTP = SmtpCheck(type="smtp")
STARTTLS = SmtpCheck(type="smtp", starttls=True, server_name="mail.example.org", hello="lb.example.org")
GREETING = b"220 mail.example.org ESMTP\r\n"
MYSQL, POSTGRES = MysqlCheck(type="mysql"), PostgresCheck(type="postgres")


def packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


MYSQL_GREETING = packet(0, b"\x0a8.0.39\0" + bytes(60))


def mysql_error(number: int, code: int, text: bytes) -> bytes:
    return packet(number, b"\xff" + code.to_bytes(2, "little") + text)


def postgres(letter: bytes, body: bytes) -> bytes:
    return letter + (len(body) + 4).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("check", "parts", "ok", "detail"),
    [
        (SshCheck(type="ssh"), [b"SSH-2.0-OpenSSH_9.2\r\n"], True, 'is "SSH-2.0-OpenSSH_9.2"'),
        (SshCheck(type="ssh"), [b"welcome\n", b"SSH-1.99-", b"old\n"], True, 'is "SSH-1.99-old"'),
        (SshCheck(type="ssh"), [b"SSH-1.5-older\n"], False, 'is "SSH-1.5-older", expected SSH 2'),
        (SshCheck(type="ssh"), [b""], False, "closed the connection without an answer"),
        (SshCheck(type="ssh"), [b"x" * 65537], False, "answered more than 64 KiB"),
        (RedisCheck(type="redis"), [b"+PO", b"NG\r\n"], True, "answered PONG"),
        (RedisCheck(type="redis"), [b"-NOAUTH Authentication required.\r\n"], True, "asks for a password"),
        (RedisCheck(type="redis"), [b"-LOADING Redis is loading\r\n"], False, 'answered "-LOADING Redis is loading"'),
        (SMTP, [GREETING, b"250-hi\r\n250 SIZE\r\n", b"221 bye\r\n"], True, "answered EHLO"),
        (SMTP, [b"554 no\r\n"], False, 'answered "554 no" to the greeting, expected 220'),
        (SMTP, [GREETING, b"502 what\r\n"], False, 'answered "502 what" to EHLO, expected 250'),
        (STARTTLS, [GREETING, b"250 hi\r\n"], False, "does not offer STARTTLS"),
        (STARTTLS, [GREETING, b"250 STARTTLS\r\n", b"220 go\r\n250 \r\n"], False, "said something between STARTTLS"),
        (MYSQL, [MYSQL_GREETING, packet(2, b"\0\0\0\2\0\0\0")], True, 'is "8.0.39"'),
        (MYSQL, [MYSQL_GREETING, mysql_error(2, 1045, b"#28000Access denied")], True, 'is "8.0.39"'),
        (MYSQL, [MYSQL_GREETING, packet(2, b"\xfesha\0salt"), mysql_error(4, 1045, b"")], True, 'is "8.0.39"'),
        (MYSQL, [mysql_error(0, 1040, b"Too many connections")], False, 'refused with error 1040: "Too many connect'),
        (MYSQL, [MYSQL_GREETING, mysql_error(2, 1129, b"blocked")], False, 'refused with error 1129: "blocked"'),
        (MYSQL, [b"HTTP/1.1 400 Bad\r\n"], False, 'answered "HTTP'),
        (MYSQL, [packet(0, b"\x09old")], False, r'answered "\told", which is not MySQL'),
        (POSTGRES, [postgres(b"R", b"\0\0\0\x0a")], True, "is ready for logins"),
        (POSTGRES, [postgres(b"E", b"SFATAL\0C28000\0Mno pg_hba.conf entry\0\0")], True, "but not for clusterd"),
        (POSTGRES, [postgres(b"E", b"SFATAL\0C57P03\0Mstarting up\0\0")], False, 'refused with "57P03": "starting up"'),
        (POSTGRES, [postgres(b"E", b"SFATAL\0C53300\0Mtoo many\0\0")], False, 'refused with "53300": "too many"'),
        (POSTGRES, [b"HTTP/1.1 400 Bad\r\n"], False, "which is not PostgreSQL"),
        (UdpCheck(type="udp", send="x"), [b"y"], True, "answered"),
        (UdpCheck(type="udp", send="x", expect="y"), [b"yes"], True, "answered as expected"),
        (UdpCheck(type="udp", send="x", expect="y"), [b"no"], False, 'answered "no", expected y'),
    ],
)
def test_an_answer_is_judged(check: Check, parts: list[bytes], ok: bool, detail: str) -> None:
    found = play(check, *parts)
    assert (found.ok, found.conclusive) == (ok, True)
    assert detail in found.detail


def test_tls_is_begun_after_starttls_and_ehlo_said_again() -> None:
    steps: list[Step] = []
    parts = [GREETING, b"250-hi\r\n250-STARTTLS\r\n250 SIZE\r\n", b"220 go\r\n", b"DER", b"250 hi\r\n", b"221 bye\r\n"]
    assert play(STARTTLS, *parts, steps=steps) == Observation(True, "answered EHLO within TLS")
    assert said(steps) == [b"EHLO lb.example.org\r\n", b"STARTTLS\r\n", b"EHLO lb.example.org\r\n", b"QUIT\r\n"]
    assert [each.server_name for each in encrypted(steps)] == ["mail.example.org"]


def test_a_login_names_the_user_and_no_attempt_stays_half_done() -> None:
    steps: list[Step] = []
    play(MYSQL, MYSQL_GREETING, packet(2, b"\0\0\0\2\0\0\0"), steps=steps)
    login, end = said(steps)
    assert login[3] == 1
    assert login[:3] == (len(login) - 4).to_bytes(3, "little")
    assert b"clusterd\0\0" in login
    assert end == b"\x01\0\0\0\x01"


def test_a_postgres_login_says_its_own_length() -> None:
    steps: list[Step] = []
    with pytest.raises(Unfinished):
        play(POSTGRES, steps=steps)
    (login,) = said(steps)
    assert int.from_bytes(login[:4], "big") == len(login)
    assert login.endswith(b"user\0clusterd\0database\0postgres\0application_name\0clusterd\0\0")


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_an_echo_is_one_of_this_question(address: str) -> None:
    family = 6 if ":" in address else 4
    asked = icmp.request(family, PLACE.nonce, b"mark")
    answer = bytes([129 if family == 6 else 0]) + asked[1:]
    assert icmp.answers(family, answer, b"mark")
    assert not icmp.answers(family, asked, b"mark")
    assert not icmp.answers(family, answer, b"mar!")
    assert not icmp.answers(family, b"", b"mark")


def test_an_echo_is_found_behind_its_ip_header() -> None:
    answer = b"\0" + icmp.request(4, 1, b"mark")[1:]
    assert icmp.answers(4, b"\x45" + bytes(19) + answer, b"mark")


def test_the_checksum_of_a_packet_with_its_checksum_is_0() -> None:
    assert icmp.checksum(icmp.request(4, 0x12345678, b"odd")) == 0


def test_echoes_of_others_are_not_waited_out() -> None:
    check, steps = IcmpCheck(type="icmp"), list[Step]()
    with pytest.raises(Unfinished):
        play(check, b"\0" * 30, steps=steps)
    (asked,) = said(steps)
    assert play(check, b"\0" * 30, b"\0" + asked[1:]) == Observation(True, "answered")


IN_MEMORY = [check for check in EVERY_KIND if check.type not in ("exec", "tcp")]
GOOD = (
    b"220",
    b"+PONG",
    b"SSH-2.0",
    b"HTTP/1.",
)  # with which a good answer begins: hypothesis tries words of the source
GARBAGE = st.binary(max_size=80).filter(lambda data: not any(word in data for word in GOOD))


@settings(max_examples=40)
@pytest.mark.parametrize("check", IN_MEMORY, ids=lambda check: check.type)
@given(parts=st.lists(GARBAGE, max_size=6))
def test_garbage_is_never_good_news_nor_an_exception(check: Check, parts: list[bytes]) -> None:
    try:
        found = play(check, *parts, b"")
    except Unfinished:
        return
    assert not found.ok or check.type == "udp"
    assert found.detail.isprintable()


STARTS = {
    "http": b"HTTP/1.1 200 OK\r\n",
    "mysql": MYSQL_GREETING,
    "postgres": b"R\0\0\0",
    "smtp": GREETING,
    "grpc": b"\0\0\0\x04\0\0\0\0\0",
    "dns": b"\x56\x78\x81\x80\0\1\0\0\0\0\0\0",
}


@settings(max_examples=60)
@pytest.mark.parametrize("check", [c for c in IN_MEMORY if c.type in STARTS], ids=lambda check: check.type)
@given(parts=st.lists(st.binary(max_size=80), max_size=6))
def test_garbage_after_a_good_beginning_is_never_an_exception(check: Check, parts: list[bytes]) -> None:
    begin = STARTS[check.type]
    whole = [begin + parts[0], *parts[1:]] if parts else [begin]
    with contextlib.suppress(Unfinished):
        assert play(check, *whole, b"").detail.isprintable()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n"


def test_of_a_long_body_the_beginning_is_searched_and_no_more_waited_for() -> None:
    check = HttpCheck(type="http", body="end$")
    assert play(check, HEAD, b"x" * 65533, b"end").ok
    found = play(check, HEAD, b"x" * 65536 + b"end")
    assert found.detail == 'HTTP 200, but "' + 60 * "x" + '…" does not match end$'


def test_a_body_that_is_too_long_for_its_digest_is_a_failure() -> None:
    check = HttpCheck(type="http", digest="sha256:" + 64 * "0")
    found = play(check, HEAD, *[b"x" * 2**16] * 17)
    assert found == Observation(False, "HTTP 200, and a body of more than 1024 KiB")
