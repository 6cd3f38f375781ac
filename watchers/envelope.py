"""The datagrams that routers exchange: JSON with a keyed hash (HMAC-SHA256, RFC 2104), pure.

An answer repeats the random name of its question, so an old answer is worth nothing. A question and a sign of life
carry numbers that only grow, so an old one is not heard again.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_HASH_BYTES = hashlib.sha256().digest_size
LARGEST_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Question:
    """`sender` asks not to claim a group for `for_s` seconds; `number` grows with every question of the sender."""

    sender: str
    group: str
    name: str
    number: int
    for_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """`sender` promises, or does not, what the question of this name asked."""

    sender: str
    group: str
    name: str
    agreed: bool


@dataclass(frozen=True, slots=True)
class Sign:
    """`sender`, which holds the lock of `token`, lives; `number` grows with every sign for the same lock."""

    sender: str
    group: str
    token: int
    number: int


Message = Question | Reply | Sign


def seal(message: Message, secret: bytes) -> bytes:
    """Return the datagram of a message."""
    fields = {name: getattr(message, name) for name in message.__slots__}
    body = json.dumps({"kind": type(message).__name__.lower(), **fields}).encode()
    return hmac.digest(secret, body, "sha256") + body


def unseal(datagram: bytes, secret: bytes) -> Message | None:
    """Return the message of a datagram, or None where its hash or its form is not right."""
    seal_, body = datagram[:_HASH_BYTES], datagram[_HASH_BYTES:]
    if not secret or not hmac.compare_digest(hmac.digest(secret, body, "sha256"), seal_):
        return None
    try:
        return _message(json.loads(body))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _message(fields: Mapping[str, Any]) -> Message:
    sender, group = str(fields["sender"]), str(fields["group"])
    if fields["kind"] == "question":
        return Question(sender, group, str(fields["name"]), int(fields["number"]), float(fields["for_s"]))
    if fields["kind"] == "reply":
        return Reply(sender, group, str(fields["name"]), fields["agreed"] is True)
    if fields["kind"] == "sign":
        return Sign(sender, group, int(fields["token"]), int(fields["number"]))
    raise ValueError("a kind that is not known")
