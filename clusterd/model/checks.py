"""How real servers are checked: one class for each type of check."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from clusterd.model.pages import HttpCheck, HttpsCheck
from clusterd.model.scalars import Argument, Flag, Text
from clusterd.model.timing import Encrypted, HostName, Timing, expectation


def _absolute(command: tuple[str, ...]) -> tuple[str, ...]:
    if not command[0].startswith("/"):
        raise ValueError(f"begins with a program's full path, such as /usr/local/bin/ok, not {command[0]}")
    return command


def _unprivileged(user: str) -> str:
    if user == "root":
        raise ValueError("must not be root: name one that may do no more than what the program needs")
    return user


UserName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]*$", max_length=32)]


class TcpCheck(Timing):
    """Good when the port accepts a connection."""

    type: Literal["tcp"] = Field(description="connects, and no more")


class SendExpectCheck(Timing):
    """Good when what comes back begins with `expect`."""

    type: Literal["send_expect"] = Field(description="holds a short conversation")
    send: Text | None = Field(None, description=r"sent after connecting; \n \r \t \\ \' are translated when it is sent")
    expect: Text | None = Field(None, description="what must come back; * means anything, but something")
    regex: Flag = Field(False, description="expect is a regular expression, searched for in what comes back")

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        expectation(self.expect, self.regex)
        return self


class ExecCheck(Timing):
    """Good when a program on the router says so: by its exit status, or by its output where `expect` is given.

    It is run without a shell, in a process group of its own that is killed when the time is over.
    In arguments %h is the real server's address, %p its port and %% a %.
    """

    type: Literal["exec"] = Field(description="runs a program")
    command: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=64), AfterValidator(_absolute)] = Field(
        description="program (its full path) and arguments"
    )
    user: Annotated[UserName, AfterValidator(_unprivileged)] = Field(
        "nobody", description="user of the router's host as whom it runs, never root"
    )
    expect: Text | None = Field(
        None, description="what its output must begin with; * means anything, but something; then the status is ignored"
    )
    regex: Flag = Field(False, description="expect is a regular expression, searched for in the output")

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        expectation(self.expect, self.regex)
        return self


class UdpCheck(Timing):
    """Good when a datagram is answered as expected; without `expect`, when it is not refused (ICMP)."""

    type: Literal["udp"] = Field(description="sends a datagram")
    send: Text = Field("", description=r"what the datagram holds; \n \r \t \\ \' are translated when it is sent")
    expect: Text | None = Field(None, description="what must come back; * means anything, but something")
    regex: Flag = Field(False, description="expect is a regular expression, searched for in what comes back")

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        expectation(self.expect, self.regex)
        return self


class DnsCheck(Timing):
    """Good when a question is answered without an error, over UDP."""

    type: Literal["dns"] = Field(description="asks a name server")
    name: Annotated[str, Field(pattern=r"^(\.|([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?)$", max_length=253)] = (
        Field(".", description="name that is asked for")
    )
    record: Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"] = Field(
        "SOA", description="type of the records that are asked for"
    )
    answer: Text | None = Field(
        None, description="a record that must be in the answer, as zone files have it: 192.0.2.1; any answer by default"
    )


class SmtpCheck(Timing, Encrypted):
    """Good when the greeting and the answer to EHLO are (RFC 5321), and TLS can be begun where `starttls` says so."""

    type: Literal["smtp"] = Field(description="greets a mail server")
    hello: HostName = Field("localhost", description="name by which the check introduces itself")
    starttls: Flag = Field(False, description="whether TLS is begun with STARTTLS (RFC 3207), and EHLO said again")


class IcmpCheck(Timing):
    """Good when an echo request is answered: the host is there, which says nothing about a service."""

    type: Literal["icmp"] = Field(description="pings")


class TlsCheck(Timing, Encrypted):
    """Good when TLS can be begun, and the certificate is valid for `days` more."""

    type: Literal["tls"] = Field(description="begins TLS, and looks at the certificate")
    days: Annotated[int, Field(ge=0, le=3650, strict=True)] = Field(
        0, description="days that the certificate must still be valid", json_schema_extra={"x-unit": "days"}
    )


class SshCheck(Timing):
    """Good when the server introduces itself with a version of SSH 2 (RFC 4253, section 4.2)."""

    type: Literal["ssh"] = Field(description="reads the banner")


class RedisCheck(Timing):
    """Good when PING is answered with PONG, or with the demand for a password."""

    type: Literal["redis"] = Field(description="pings a Redis server")


class MysqlCheck(Timing):
    """Good when the server would let somebody log in: it greets, and accepts or refuses a user without a password.

    So no attempt stays half done: after many of those a server blocks the host that makes them (max_connect_errors).
    """

    type: Literal["mysql"] = Field(description="begins to log in to a MySQL or MariaDB server")
    user: Annotated[str, Field(pattern=r"^[!-~]+$", max_length=32)] = Field(
        "clusterd", description="user of the database; need not exist"
    )


class PostgresCheck(Timing):
    """Good when the server would let somebody log in: it asks for a password, or refuses this user only."""

    type: Literal["postgres"] = Field(description="begins to log in to a PostgreSQL server")
    user: Annotated[str, Field(pattern=r"^[!-~]+$", max_length=63)] = Field(
        "clusterd", description="user of the database; need not exist"
    )
    database: Annotated[str, Field(pattern=r"^[!-~]+$", max_length=63)] = Field(
        "postgres", description="database; need not exist"
    )


class GrpcCheck(Timing, Encrypted):
    """Good when the server says that it serves (grpc.health.v1.Health/Check)."""

    type: Literal["grpc"] = Field(description="asks the health service of a gRPC server")
    service: Annotated[str, Field(pattern=r"^[!-~]*$", max_length=255)] = Field(
        "", description="service that is asked about; the server as a whole by default"
    )
    tls: Flag = Field(False, description="whether it is asked through TLS")


Check = Annotated[
    TcpCheck
    | HttpCheck
    | HttpsCheck
    | SendExpectCheck
    | ExecCheck
    | UdpCheck
    | DnsCheck
    | SmtpCheck
    | IcmpCheck
    | TlsCheck
    | SshCheck
    | RedisCheck
    | MysqlCheck
    | PostgresCheck
    | GrpcCheck,
    Field(discriminator="type"),
]
