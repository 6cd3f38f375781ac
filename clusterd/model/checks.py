"""How real servers are checked: one class for each type of check, and the timing that all have."""

import re
import warnings
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from clusterd.model.scalars import Count, Flag, Port, Seconds, Text, Value


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
    reentry_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        0.0, description="seconds that a failed server must be good again before it returns"
    )


class TcpCheck(Timing):
    """Good when the port accepts a connection."""

    type: Literal["tcp"] = Field(description="connects, and no more")


class HttpCheck(Timing):
    """Good when a GET is answered with one of the status codes."""

    type: Literal["http"] = Field(description="asks for a page")
    path: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=2048)] = Field(
        "/", description="what is asked for: path and query"
    )
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:\[\]-]+$", max_length=255)] | None = Field(
        None, description="the Host header; the server's address by default"
    )
    status: tuple[Annotated[int, Field(ge=100, le=599, strict=True)], ...] = Field(
        (200,), min_length=1, description="status codes that are good"
    )


class SendExpectCheck(Timing):
    """Good when what comes back begins with `expect`."""

    type: Literal["send_expect"] = Field(description="holds a short conversation")
    send: Text | None = Field(None, description=r"sent after connecting; \n \r \t \\ \' are translated when it is sent")
    expect: Text | None = Field(None, description="what must come back; * means anything, but something")
    regex: Flag = Field(False, description="expect is a regular expression, searched for in what comes back")

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        if self.regex and self.expect not in (None, "*"):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")  # [[:alpha:]] would compile, and mean something else than in POSIX
                    re.compile(str(self.expect).encode())
            except (re.error, OverflowError, RecursionError, FutureWarning) as error:
                raise ValueError(f"expect is not a regular expression: {error}") from error
        return self


Check = Annotated[TcpCheck | HttpCheck | SendExpectCheck, Field(discriminator="type")]
