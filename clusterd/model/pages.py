"""Checks that ask for pages: http and https."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from clusterd.model.scalars import Value
from clusterd.model.timing import Encrypted, Expression, Timing


def _status(value: object) -> int | str:
    """Take a status code, or a range of them, which YAML gives as a text."""
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return value
    if isinstance(value, str) and re.fullmatch(_RANGE, value) and value[:3] <= value[4:]:
        return value
    raise ValueError("a status code (100 … 599) or a range of them (200-299) is expected")


_RANGE = r"^[1-5][0-9]{2}-[1-5][0-9]{2}$"
HostHeader = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:\[\]-]+$", max_length=255)]
Status = Annotated[
    int | str,
    PlainValidator(_status),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": _RANGE}]}
    ),
]


@lru_cache(maxsize=1024)
def accepted(status: tuple[int | str, ...]) -> frozenset[int]:
    """Return every status code that codes and ranges of them name."""
    codes: set[int] = set()
    for each in status:
        first, last = (each, each) if isinstance(each, int) else map(int, each.split("-"))
        codes.update(range(first, last + 1))
    return frozenset(codes)


class Page(Value):
    """One page, and what it must be answered with."""

    path: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=2048)] = Field(
        "/", description="what is asked for: path and query"
    )
    host: HostHeader | None = Field(None, description="the Host header; the server's address by default")
    status: tuple[Status, ...] = Field(
        (200,), min_length=1, description="status codes that are good, ranges of them as text: 200-299"
    )
    body: Expression | None = Field(
        None, description="a regular expression, searched for in the first 64 KiB of the body"
    )
    digest: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$")] | None = Field(
        None, description="what the body (at most 1 MiB) hashes to: sha256: or md5: and lower-case hexadecimal digits"
    )


class _Pages(Page, Timing):
    method: Literal["GET", "HEAD", "POST", "PUT", "OPTIONS"] = Field("GET", description="method of the requests")
    headers: Mapping[
        Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", max_length=64)],  # RFC 9110, 5.6.2: token
        Annotated[str, Field(pattern=r"^[!-~]([\x20-~]*[!-~])?$", max_length=1024)],
    ] = Field({}, description="further headers of the requests, by name")
    also: tuple[Page, ...] = Field((), max_length=16, description="further pages, all of which must be good, too")

    @property
    def pages(self) -> tuple[Page, ...]:
        """Return every page that is asked for."""
        return (self, *self.also)

    @model_validator(mode="after")
    def _has_bodies(self) -> Self:
        wrong = next((name for name in self.headers if name.lower() in _OWN_HEADERS), None)
        if wrong:
            raise ValueError(f"headers: {wrong} is set by the check itself{'; see host' if wrong == 'Host' else ''}")
        if self.method == "HEAD" and any(page.body or page.digest for page in self.pages):
            raise ValueError("the answer to HEAD has no body: body and digest need another method")
        return self


_OWN_HEADERS = ("host", "connection", "content-length", "transfer-encoding")


class HttpCheck(_Pages):
    """Good when each page is answered with one of its status codes, and the body that it must have."""

    type: Literal["http"] = Field(description="asks for pages")


class HttpsCheck(_Pages, Encrypted):
    """Like http, through TLS. The name for the certificate is `server_name`, else the page's host."""

    type: Literal["https"] = Field(description="asks for pages through TLS")
