"""What all checks have: their timing, and the kinds of fields that several of them share."""

import re
import warnings
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from clusterd.model.scalars import Count, Flag, Port, Seconds, Share, Value


def regular(expression: str) -> str:
    """Refuse what is no regular expression for bytes, or would mean something else than in POSIX: [[:alpha:]]."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(expression.encode())
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    return expression


Expression = Annotated[str, Field(max_length=1024), AfterValidator(regular)]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$", max_length=253)]
File = Annotated[str, Field(pattern=r"^/[^\x00-\x1f\x7f]*$", max_length=1024)]


class Timing(Value):
    """How often a real server is checked, and how many results change the verdict."""

    interval_s: Seconds = Field(2.0, description="seconds from one check to the next")
    timeout_s: Seconds = Field(1.0, description="seconds that one check may take")
    fall: Count = Field(
        2, description="failures in a row that take a server out", json_schema_extra={"x-unit": "checks"}
    )
    rise: Count = Field(2, description="successes in a row that bring it back", json_schema_extra={"x-unit": "checks"})
    port: Port | None = Field(
        None, description="port that is connected to; by default the real server's, else the first of `ports`"
    )
    data_path: Flag = Field(
        False,
        description="checked through IPVS at the VIP, as clients do it; for direct routing and tunnels",
    )
    reentry_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        0.0, description="seconds that a failed server must be good again before it returns"
    )
    recheck_s: Seconds | None = Field(
        None,
        description="seconds from the failure of a server that is up to its next check; "
        "without it a quarter of the interval, but at least 0.2",
    )
    jitter: Share = Field(
        1.0,
        description="share of the interval (0 to 1) over which the checks of different servers are spread; "
        "each has its place in it by its name, 0 checks all at the same moment",
    )
    initial: Literal["unknown", "down", "up"] = Field(
        "unknown",
        description="what a new server counts as: unknown waits for its first check, which decides alone; "
        "down needs `rise` successes, up is used at once and needs `fall` failures to leave",
    )


class Encrypted(Value):
    """What a check through TLS asks of the certificate."""

    server_name: HostName | None = Field(
        None, description="name that the certificate must be for, also told to the server (SNI)"
    )
    verify: Flag = Field(
        True, description="whether the certificate must be good: in its time, by a known authority, for `server_name`"
    )
    ca_file: File | None = Field(
        None, description="file on the routers with the authorities (PEM); the system's by default"
    )


def expectation(expect: str | None, regex: bool) -> None:
    """Refuse an expected text that should be a regular expression and is none. Raises ValueError."""
    if regex and expect not in (None, "*"):
        try:
            regular(str(expect))
        except ValueError as error:
            raise ValueError(f"expect {error}") from error
