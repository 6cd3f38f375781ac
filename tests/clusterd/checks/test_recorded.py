"""What real servers answered to these checks, byte by byte, as Debian 12 has them."""

import pytest

from clusterd.model import Check, MysqlCheck, PostgresCheck, RedisCheck, SshCheck
from tests.clusterd.checks.playing import play

MARIADB = (
    b"d\0\0\0\n5.5.5-10.11.19-MariaDB-0+deb12u1\0\x03\0\0\0dnz=^Bo)\0\xfe\xf7\x08\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0"
    b"{Rg1[Y+hK!]6\0mysql_native_password\0"
)
DENIED = b"K\0\0\x02\xff\x15\x04#28000Access denied for user 'clusterd'@'localhost' (using password: NO)"
LOCKED = b".\0\0\x02\xff7\x10#HY000Access denied, this account is locked"
NO_ROLE = b'SFATAL\0VFATAL\0C28000\0Mrole "clusterd" does not exist\0Fmiscinit.c\0L768\0RInitializeSessionUserId\0\0'
NO_ENTRY = (
    b'SFATAL\0VFATAL\0C28000\0Mpg_hba.conf rejects connection for host "127.0.0.1", user "clusterd", '
    b'database "postgres", no encryption\0Fauth.c\0L476\0RClientAuthentication\0\0'
)
RESERVED = (
    b"SFATAL\0VFATAL\0C53300\0Mremaining connection slots are reserved for non-replication superuser connections\0"
    b"Fpostinit.c\0L886\0RInitPostgres\0\0"
)
FULL = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0Fproc.c\0L357\0RInitProcess\0\0"
TRUSTED = b"R\0\0\0\x08\0\0\0\0"
IN = TRUSTED + b"S\0\0\0\x1eapplication_name\0clusterd\0S\0\0\0\x19client_encoding\0UTF8\0"
REDIS, SSH = RedisCheck(type="redis"), SshCheck(type="ssh")
POSTGRES, MYSQL = PostgresCheck(type="postgres"), MysqlCheck(type="mysql")
LOGINS, ELSEWHERE = "is ready for logins", "is ready for logins, but not for clusterd"
IS_MARIADB = 'is "5.5.5-10.11.19-MariaDB-0+deb12u1"'
NOBODY = b"\7\0\0\2\0\0\0\2\0\0\0"  # OK: no password was asked for


def error(fields: bytes) -> bytes:
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


@pytest.mark.parametrize(
    ("check", "parts", "ok", "detail"),
    [
        pytest.param(REDIS, [b"+PONG\r\n"], True, "answered PONG", id="redis 7.0.15"),
        pytest.param(
            REDIS,
            [b"-NOAUTH Authentication required.\r\n"],
            True,
            "asks for a password",
            id="redis 7.0.15, requirepass",
        ),
        pytest.param(
            SSH,
            [b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n"],
            True,
            'is "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10"',
            id="OpenSSH 9.2p1",
        ),
        pytest.param(
            POSTGRES, [b"R\0\0\0\x17\0\0\0\nSCRAM-SHA-256\0\0"], True, LOGINS, id="PostgreSQL 15.18, scram-sha-256"
        ),
        pytest.param(
            POSTGRES, [TRUSTED + error(NO_ROLE)], True, ELSEWHERE, id="PostgreSQL 15.18, trust and no such role"
        ),
        pytest.param(POSTGRES, [IN], True, LOGINS, id="PostgreSQL 15.18, trust"),
        pytest.param(POSTGRES, [error(NO_ENTRY)], True, ELSEWHERE, id="PostgreSQL 15.18, reject"),
        pytest.param(
            POSTGRES,
            [error(FULL)],
            False,
            'refused with "53300": "sorry, too many clients already"',
            id="PostgreSQL 15.18, max_connections",
        ),
        pytest.param(
            POSTGRES,
            [TRUSTED + error(RESERVED)],
            False,
            'refused with "53300": "remaining connection slots are reserved for non-replication …"',
            id="PostgreSQL 15.18, superuser_reserved_connections",
        ),
        pytest.param(MYSQL, [MARIADB, DENIED], True, IS_MARIADB, id="MariaDB 10.11.19, no such user"),
        pytest.param(MYSQL, [MARIADB, NOBODY], True, IS_MARIADB, id="MariaDB 10.11.19, no password"),
        pytest.param(MYSQL, [MARIADB, LOCKED], True, IS_MARIADB, id="MariaDB 10.11.19, locked user"),
        pytest.param(
            MYSQL,
            [b"\x17\0\0\0\xff\x10\4Too many connections"],
            False,
            'refused with error 1040: "Too many connections"',
            id="MariaDB 10.11.19, max_connections",
        ),
    ],
)
def test_what_a_real_server_answered_is_judged_as_it_was(
    check: Check, parts: list[bytes], ok: bool, detail: str
) -> None:
    found = play(check, *parts)
    assert (found.ok, found.detail) == (ok, detail)
